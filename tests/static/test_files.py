"""Files, settings and `# noqa` comments of `mergeparam check`."""

import subprocess
import sys
from pathlib import Path

import pytest

from mergeparam._static.check import (
    EXCLUDED,
    FLAGS,
    MERGE_FUNCTIONS,
    Finding,
    Settings,
    SettingsError,
    check_file,
    check_source,
    find_files,
    find_rule,
    read_settings,
)

SOURCE = """\
from flax import linen as nn

class Outer:
    class Layer(nn.Module):
        train: bool | None = None

        def __call__(self, x, train=None):
            train = nn.merge_param("train", self.train, train){comment}
            if train:{other}
                return (
                    self.train,{third}
                )
"""


def places(comment="", other="", third="", **settings):
    """Return lines and codes that are reported."""
    source = SOURCE.format(comment=comment, other=other, third=third)
    found = check_source(source, "layers.py", Settings(**settings))
    return [(finding.line, finding.code) for finding in found]


def test_finding():
    """A finding says where it is, in which class, and what is wrong."""
    (finding,) = check_source(SOURCE.format(comment="", other="", third=""), "layers.py")

    assert isinstance(finding, Finding)
    assert ("layers.py", 11, 21, "MP101", "Outer.Layer") == (*finding[:4], finding.class_name)
    assert (
        "layers.py:11:21: MP101 Outer.Layer.__call__() merges 'train' and then reads self.train, "
        "which is unset whenever the call gave the value. Read 'train'."
    ) == str(finding)


def test_findings_are_sorted():
    """They come in the order of the lines, each once."""
    source = SOURCE.format(comment="", other=" print(self.train)", third="").replace(
        "                return (", "            return ("
    )
    lines = [finding.line for finding in check_source(source, "layers.py")]

    assert [9, 11] == lines


@pytest.mark.parametrize(
    ("place", "comment", "is_silenced"),
    [
        ("third", "  # noqa", True),
        ("third", "  # NOQA:MP101", True),
        ("third", "  # type: ignore # noqa: E501, MP101 because", True),
        ("third", "  # noqa: E501", False),
        ("third", "  # noqa: MP1", False),
        ("third", "  # noqa: because", False),
        ("third", "  # noqabene", False),
        ("third", "\n  # noqa", True),  # the statement goes on
        ("other", "  # noqa", False),
        ("comment", "  # noqa", False),
        ("other", "\n  # noqa", False),
    ],
)
def test_noqa(place, comment, is_silenced):
    """A comment silences its whole statement, and no other one."""
    assert is_silenced == (places(**{place: comment}) == [])


def test_select_and_ignore():
    """Codes or the beginnings of codes choose what is reported."""
    assert [] == places(select=("MP102", "MP2"))
    assert [(11, "MP101")] == places(select=("MP1",))
    assert [] == places(select=("MP1",), ignore=("MP101",))
    assert "MP901" in Settings(select=("MP",)).codes
    assert "MP901" not in Settings().codes
    with pytest.raises(SettingsError, match="no rule has the code 'MP109x'; did you mean 'MP109'"):
        Settings(ignore=("MP109x",))


def test_find_rule():
    """A rule is found by its code; a near one is suggested."""
    assert "MP101" == find_rule("mp101").code
    with pytest.raises(SettingsError, match="'MQ203'; did you mean 'MP203'"):
        find_rule("MQ203")
    with pytest.raises(SettingsError, match="'E501'$"):
        find_rule("E501")


def settings_of(folder, text):
    """Write the table of the project, and return the settings of a file below."""
    (folder / "pyproject.toml").write_text(text, encoding="utf-8")
    (folder / "src").mkdir(exist_ok=True)
    return read_settings(folder / "src" / "layers.py")


def test_settings(tmp_path):
    """They are read from the nearest pyproject.toml; names come to those that are known."""
    settings = settings_of(
        tmp_path,
        """
        [tool.mergeparam.check]
        select = ["MP1"]
        ignore = ["MP103"]
        exclude = ["generated"]
        merge-functions = ["pick"]
        flags = ["blend"]
        """,
    )
    given = read_settings(tmp_path / "src", select="mp2, MP9", ignore="")

    assert (("MP1",), ("MP103",)) == (settings.select, settings.ignore)
    assert (("generated",), MERGE_FUNCTIONS | {"pick"}) == (
        settings.exclude,
        settings.merge_functions,
    )
    assert FLAGS | {"blend"} == settings.flags
    assert (("MP2", "MP9"), ()) == (given.select, given.ignore)
    assert ("generated",) == given.exclude


def test_no_settings(tmp_path, monkeypatch):
    """A project without a table, and no project at all, have the settings that are built in."""
    assert Settings() == settings_of(tmp_path, "[project]\nname = 'x'\n")
    monkeypatch.setattr(Path, "is_file", lambda self: False)
    assert Settings() == read_settings(tmp_path)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("[tool.mergeparam.check]\nflag = ['x']", "has no 'flag'; did you mean 'flags'"),
        ("[tool.mergeparam.chek]\nflags = []", "has no 'chek'; did you mean 'check'"),
        ("[tool.mergeparam.check]\nzzz = ['x']", "has no 'zzz'$"),
        ("[tool.mergeparam.check]\nflags = 'x'", "flags is 'x', not a list of texts"),
        ("[tool.mergeparam.check]\nflags = [1]", r"flags is \[1\], not a list of texts"),
        ("[tool.mergeparam.check]\nselect = ['MP1O1']", "no rule has the code 'MP1O1'"),
        ("[tool.mergeparam.check", "pyproject.toml: "),
        ("tool = 3", "pyproject.toml: "),
    ],
)
def test_wrong_settings(tmp_path, text, message):
    """What cannot be meant is an error that names the file."""
    with pytest.raises(SettingsError, match=message) as caught:
        settings_of(tmp_path, text)

    assert str(tmp_path) in str(caught.value)


def test_find_files(tmp_path):
    """Folders are walked, but for what is excluded; what is named is taken as it is, once."""
    for name in ("a.py", "b.pyi", "c.txt", "tests/d.py", "pkg/e_test.py", "pkg/f.py", ".x/g.py"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text("")
    (tmp_path / "link").symlink_to(tmp_path, target_is_directory=True)
    (tmp_path / "folder.py").mkdir()

    def found(*paths, exclude=EXCLUDED):
        files = find_files([str(tmp_path / path) for path in paths], exclude)
        return [file.relative_to(tmp_path).as_posix() for file in files]

    assert ["a.py", "b.pyi", "pkg/f.py"] == found(".")
    assert ["tests/d.py", "pkg/e_test.py"] == found("tests", "pkg/e_test.py", "tests/d.py")
    assert ["a.py", "b.pyi"] == found(".", exclude=("pkg/", "t*", ".x"))
    assert ["pkg/f.py"] == found("pkg/f.py", exclude=("pkg", "f.py"))
    assert "pkg/f.py" not in found(".", exclude=("pkg/f.py",))
    assert ["absent.py"] == found("absent.py")


def test_closed_folder(tmp_path, monkeypatch):
    """A folder that cannot be read is not left out in silence: it fails as a file does."""
    (tmp_path / "closed").mkdir()
    listed = Path.iterdir

    def iterdir(self):
        if self.name == "closed":
            raise PermissionError
        return listed(self)

    monkeypatch.setattr(Path, "iterdir", iterdir)
    (folder,) = find_files([str(tmp_path)], ())

    assert tmp_path / "closed" == folder
    with pytest.raises(OSError, match="closed"):
        check_file(folder, Settings())


def test_encodings(tmp_path):
    """A file is read in the encoding that it declares."""
    text = "# -*- coding: latin-1 -*-\n# é\n" + SOURCE.format(comment="", other="", third="")
    file = tmp_path / "layers.py"
    file.write_bytes(text.encode("latin-1"))

    assert [(13, "MP101")] == [(it.line, it.code) for it in check_file(file, Settings())]


@pytest.mark.parametrize(
    "data",
    [
        b"def",
        b"\xff\xfe",
        b"# coding: klingon",
        b"\0",
        b"x = " + b"(" * 300,
        b"# coding: ascii\n\xe9",
    ],
)
def test_unreadable_files(tmp_path, data):
    """What is no Python raises one of the errors that the command takes."""
    from mergeparam._static.check import UNREADABLE

    (tmp_path / "broken.py").write_bytes(data)
    with pytest.raises(UNREADABLE):
        check_file(tmp_path / "broken.py", Settings())


def test_only_the_standard_library():
    """Checking loads nothing of the library beside itself."""
    program = (
        "import sys, mergeparam; before = {*sys.modules}; import mergeparam._static.check;"
        "print(*sorted({n.partition('.')[0] for n in {*sys.modules} - before}"
        " - {*sys.stdlib_module_names}), *(n for n in {*sys.modules} - before"
        " if n.startswith('mergeparam.') and '_static' not in n))"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True
    )

    assert "mergeparam" == done.stdout.strip()
