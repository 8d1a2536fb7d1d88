"""`mergeparam check`: what it prints, and its exit codes."""

import io
import json
import sys

import pytest

from mergeparam.__main__ import main

WRONG = """\
from mergeparam import merge_param
class Layer:
    def __call__(self, x, train=None):
        train = merge_param("train", self.train, train)
        return x if self.train else -x
"""
RIGHT = WRONG.replace("if self.train", "if train")
FOUND = (
    "5:21: MP101 Layer.__call__() merges 'train' and then reads self.train, which is unset "
    "whenever the call gave the value. Read 'train'.\n"
)


@pytest.fixture
def project(tmp_path, monkeypatch):
    """Write some files in an empty folder and go there."""
    for name, text in (("right.py", RIGHT), ("wrong.py", WRONG), ("broken.py", "class\n")):
        (tmp_path / name).write_text(text)
    (tmp_path / "empty").mkdir()
    monkeypatch.chdir(tmp_path)
    return tmp_path


def run(capsys, *arguments):
    """Run the command and return its exit code and what it printed."""
    code = main(["check", *arguments])
    return code, *capsys.readouterr()


def test_nothing_found(project, capsys):
    """Exit code 0, and a count."""
    assert (0, "0 mistakes found in 1 file\n", "") == run(capsys, "right.py")


def test_found(project, capsys):
    """Exit code 1; a line for each mistake, sorted by place."""
    found = f"right2.py:{FOUND}wrong.py:{FOUND}2 mistakes found in 3 files\n"
    (project / "right2.py").write_text(WRONG)

    assert (1, found, "") == run(capsys, "wrong.py", "right.py", "right2.py")
    assert (0, "0 mistakes found in 1 file\n", "") == run(capsys, "wrong.py", "--ignore", "MP10")
    assert (0, "0 mistakes found in 1 file\n", "") == run(capsys, "wrong.py", "--select", "mp9")


def test_unreadable(project, capsys):
    """Exit code 2; the other files are checked."""
    code, out, error = run(capsys, ".")

    assert (2, f"wrong.py:{FOUND}1 mistake found in 2 files\n") == (code, out)
    assert error.startswith("mergeparam: broken.py cannot be checked: invalid syntax")
    assert "absent.py cannot be checked: " in run(capsys, "absent.py", "right.py")[2]


def test_standard_input(project, capsys, monkeypatch):
    """`-` is the standard input, in the encoding that it declares."""
    source = f"# coding: latin-1\n# é\n{WRONG}".encode("latin-1")
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(source)))
    code, out, _ = run(capsys, "-")

    assert (1, "-:7:21: MP101") == (code, out[:13])


def test_json(project, capsys):
    """The schema that machines rely on."""
    code, out, _ = run(capsys, ".", "--json")
    result = json.loads(out)
    (finding,) = result["findings"]
    message = finding.pop("message")

    assert 2 == code
    assert {"version", "findings", "failures"} == result.keys()
    assert 1 == result["version"]
    assert {
        "path": "wrong.py",
        "line": 5,
        "column": 21,
        "code": "MP101",
        "class_name": "Layer",
    } == finding
    assert message in FOUND
    assert ["broken.py"] == [*result["failures"]]


def test_statistics(project, capsys):
    """A count for each rule."""
    _, out, _ = run(capsys, "wrong.py", "--statistics")

    assert "    1  MP101 the raw attribute is read after the merge" == out.splitlines()[1]


def test_explain(capsys):
    """What is wrong, why it matters, wrong code and right code."""
    code, out, _ = run(capsys, "--explain", "mp901")

    assert 0 == code
    assert out.startswith("# MP901: ")
    assert "off by default; `--select MP901` turns it on" in out
    assert out.index("\nWrong:\n\n```py\nclass ") < out.index("\nRight:\n\n```py\nclass ")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ((), "name a file or a folder to check, or - for standard input"),
        (("--explain", "MP1O1"), "no rule has the code 'MP1O1'; did you mean"),
        (("--select", "MP7", "right.py"), "no rule has the code 'MP7'; did you mean"),
        (("empty",), "there is no Python file to check in empty"),
    ],
)
def test_refusals(project, capsys, arguments, message):
    """One line, and exit code 2."""
    code, out, error = run(capsys, *arguments)

    assert (2, "") == (code, out)
    assert error.startswith(f"mergeparam: {message}")
    assert 1 == error.count("\n")


def test_wrong_setting(project, capsys):
    """So is a setting that there is not."""
    (project / "pyproject.toml").write_text("[tool.mergeparam.check]\nflag = []\n")
    code, _, error = run(capsys, "right.py")

    assert 2 == code
    assert "pyproject.toml: [tool.mergeparam.check] has no 'flag'; did you mean 'flags'?" in error


def test_progress(project, capsys, monkeypatch):
    """A bar appears on a terminal where there are many files, and leaves nothing behind."""
    many = [f"file{number}.py" for number in range(200)]
    for name in many:
        (project / name).write_text("")
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True, raising=False)
    code, out, error = run(capsys, *many)

    assert (0, "0 mistakes found in 200 files\n") == (code, out)
    assert "checking" in error
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    assert (0, out, "") == run(capsys, *many)
