"""`mergeparam show`: what it prints, for people and for machines."""

import json
import os
import pathlib
import re
import subprocess
import sys
import types
from importlib.metadata import version

import pytest

from mergeparam.__main__ import main
from mergeparam._bench import Refusal
from mergeparam._cli.target import load

LAYERS = """
import attrs
from mergeparam import MERGED, Param, mergeable

@mergeable("deterministic")
@attrs.define
class Dropout:
    deterministic: bool | None = None

    class Config:
        pass

    def __call__(self, x, *, deterministic: bool = MERGED):
        return deterministic

class Outer:
    @mergeable(
        Param("mode", default=3, attribute_unset=..., when=lambda self: True, otherwise=None),
        inject="wrap",
    )
    @mergeable(Param("flag", attribute="_flag", on_conflict="use_call"))
    class Inner:
        _flag, mode = None, ...
        def __call__(self, flag=MERGED, mode=MERGED): ...

class Sub(Dropout):
    pass

imported = attrs.Factory
alias = Dropout
number = 3
"""


@pytest.fixture
def layers(tmp_path, monkeypatch):
    """Write a module in an empty folder and go there."""
    (tmp_path / "layers.py").write_text(LAYERS)
    (tmp_path / "plain.py").write_text("class Plain: pass\n")
    (tmp_path / "broken.py").write_text("raise SystemExit('two\\nlines')\n")
    (tmp_path / "empty").mkdir()
    (tmp_path / "shadowed").mkdir()
    for name in ("__init__.py", "inner.py"):
        (tmp_path / "shadowed" / name).touch()
    other = types.ModuleType("shadowed.inner")
    other.__file__ = __file__
    monkeypatch.setitem(sys.modules, "shadowed.inner", other)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", [path for path in sys.path if path])
    yield "layers"
    for name in ("layers", "plain", "broken", "shadowed"):
        sys.modules.pop(name, None)


def run(capsys, *arguments):
    """Run the command and return its exit code and what it printed."""
    code = main(["show", *arguments])
    return code, *capsys.readouterr()


@pytest.mark.parametrize("place", ["layers", "layers.py", "./layers.py"])
def test_text(layers, place, capsys):
    """Each class: method, place, both signatures, and a row for each parameter."""
    code, out, error = run(capsys, f"{place}:Dropout")
    line = LAYERS[: LAYERS.index("def __call__")].count("\n") + 1
    rows = [re.split(r" {2,}", row.strip()) for row in out.splitlines()]

    assert (0, "") == (code, error)
    assert ["layers:Dropout"] == rows[0]
    assert rows[1][1].endswith(f"layers.py:{line}")
    assert ["before", "(self, x, *, deterministic: bool = MERGED)"] == rows[2]
    assert ["after", "(self, x, *, deterministic: bool | None = None)"] == rows[3]
    assert "deterministic self.deterministic raise - None Dropout inline" == " ".join(rows[5])


def test_whole_module(layers, capsys):
    """A module shows the classes that it defines, nested ones and subclasses among them."""
    _, out, _ = run(capsys, layers)
    heads = [line for line in out.splitlines() if line.startswith("layers:")]

    assert ["layers:Dropout", "layers:Outer.Inner", "layers:Sub"] == heads


def test_json(layers, capsys):
    """The schema that machines rely on."""
    _, out, _ = run(capsys, "layers:Outer.Inner", "--json")
    shown = json.loads(out)
    (cls,) = shown["classes"]
    (method,) = cls["methods"]

    assert 1 == shown["version"]
    assert {"name", "module", "methods"} == set(cls)
    assert {"name", "signature_before", "signature_after", "file", "line", "params"} == set(method)
    assert "(self, flag=MERGED, mode=MERGED)" == method["signature_before"]
    assert "(self, flag=None, mode=None)" == method["signature_after"]
    assert [
        {
            "name": "flag",
            "attribute": "_flag",
            "unset": "None",
            "attribute_unset": None,
            "on_conflict": "use_call",
            "default": None,
            "when": None,
            "otherwise": None,
            "declared_by": "Outer.Inner",
            "injection": "inline",
        },
        {
            "name": "mode",
            "attribute": "mode",
            "unset": "None",
            "attribute_unset": "Ellipsis",
            "on_conflict": "raise",
            "default": "3",
            "when": "<lambda>",
            "otherwise": "None",
            "declared_by": "Outer.Inner",
            "injection": "wrap",
        },
    ] == method["params"]


def test_source(layers, capsys):
    """The merge as Python source, below the method's `def` line, and it compiles."""
    _, out, _ = run(capsys, "layers", "--source")

    assert "def __call__(self, x, *, deterministic: bool | None = None):\n" in out
    assert "    if deterministic is None:\n        deterministic = self.deterministic\n" in out
    assert (
        "self, 'deterministic', None, '_mergeparam_missing_deterministic')" in out
    )  # without a number
    compile(out, "shown", "exec")


def test_bytecode(layers, capsys):
    """The disassembly, with a mark before every instruction of the merge and no other."""
    _, out, _ = run(capsys, "layers:Dropout", "--bytecode")
    head, *lines = out.splitlines()
    marked = [line for line in lines if line.startswith(">")]

    assert "> marks the" in head
    assert "RESUME" in lines[0]
    assert lines[1 : len(marked) + 1] == marked
    assert any("_mergeparam_missing" in line for line in marked)
    assert not any("_mergeparam_missing" in line for line in lines[len(marked) + 1 :])
    assert lines[-1].rstrip().endswith("RETURN_VALUE")

    _, out, _ = run(capsys, "layers:Outer.Inner", "--bytecode")

    assert "the merge is in a wrapper, whose code this is" in out
    assert "_mergeparam_missing" in out


@pytest.mark.parametrize(
    ("target", "text"),
    [
        ("missing", "cannot import missing: ModuleNotFoundError"),
        ("missing.py", "there is no file missing.py"),
        (r"C:\missing.py", r"there is no file C:\missing.py"),
        ("broken", "cannot import broken: SystemExit: two lines"),
        ("broken.py:X", "cannot import broken.py: SystemExit: two lines"),
        ("layers:Nothing", "layers has nothing under the name Nothing"),
        ("layers:Dropout.nothing.deeper", "nothing under the name"),
        ("layers:number", "3, which is no class, under the name number"),
        ("plain", "plain has no merged method; is @mergeable on top"),
        ("plain:Plain", "plain:Plain has no merged method"),
        ("", "cannot import : ValueError"),
        ("empty", "empty has no merged method"),
        ("shadowed/inner.py", "shadowed/inner.py cannot be imported: another shadowed.inner is"),
    ],
)
def test_wrong_target(layers, target, text, capsys):
    """One clear line, and exit code 2."""
    code, out, error = run(capsys, target)

    assert (2, "", 1) == (code, out, error.count("\n"))
    assert error.startswith("mergeparam: ")
    assert text in error


def test_wrong_words(capsys):
    """Options that exclude each other exit with 2; no command at all does after the help."""
    for words in (["show"], ["show", "x", "--json", "--source"]):
        with pytest.raises(SystemExit) as stop:
            main(words)

        assert 2 == stop.value.code
    capsys.readouterr()

    assert 2 == main([])
    assert "show what is merged" in capsys.readouterr().err


def test_version(capsys):
    """The version is that of what is installed."""
    with pytest.raises(SystemExit) as stop:
        main(["--version"])

    assert 0 == stop.value.code
    assert f"mergeparam {version('mergeparam')}\n" == capsys.readouterr().out


def test_module_is_imported_once(layers):
    """A module that is in use already is not imported again."""
    first, _ = load("layers:Dropout")

    assert (first, []) == load("layers:Dropout")
    with pytest.raises(Refusal):
        load("layers:Nothing")


ANSI = re.compile(r"\x1b\[[0-9;]*m")


@pytest.mark.parametrize("inject", ["auto", "wrap"])
def test_source_of_a_coroutine(tmp_path, capsys, inject):
    """What is written with `async def` is shown so, under both injections."""
    path = tmp_path / "asynchronous.py"
    path.write_text(
        "from mergeparam import MERGED, mergeable\n"
        f"@mergeable('flag', method=('run', 'steps'), inject={inject!r})\n"
        "class Layer:\n"
        "    flag = None\n"
        "    async def run(self, *, flag=MERGED): ...\n"
        "    async def steps(self, *, flag=MERGED): yield flag\n"
    )
    _, out, _ = run(capsys, str(path), "--source")
    sys.modules.pop("asynchronous")

    assert "async def run(self, *, flag=None):\n" in out
    assert "async def steps(self, *, flag=None):\n" in out


MERGED_IN_TWO = "from . import _layers\nclass Other(_layers.Dropout): pass\nprint('noise')\n"
FILES = {
    "package/__init__.py": "from package._layers import Dropout\nfrom layers import Outer\n",
    "package/_layers.py": LAYERS,
    "package/inner/__init__.py": "",
    "package/inner/other.py": MERGED_IN_TWO.replace("from .", "from .."),
    "package/__main__.py": "raise SystemExit('a program')\n",
    "package/.hidden/layers.py": "raise SystemExit('hidden')\n",
    "package/env/pyvenv.cfg": "",
    "package/env/layers.py": "raise SystemExit('of an environment')\n",
}


@pytest.mark.parametrize("target", ["package", "./package", "../{}/package", "package/inner"])
def test_package(layers, tmp_path, capsys, target):
    """All its modules are walked, each class is shown once, and no program is run."""
    for name, text in FILES.items():
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(text)
    code, out, error = run(capsys, target.format(tmp_path.name), "--json")
    for name in [name for name in sys.modules if name.partition(".")[0] == "package"]:
        del sys.modules[name]
    other = ("package.inner.other", "Other")
    expected = [("package._layers", name) for name in ("Dropout", "Outer.Inner", "Sub")]
    expected = [other] if target.endswith("inner") else [*expected, other]

    assert (0, "noise\n") == (code, error)
    assert expected == [(item["module"], item["name"]) for item in json.loads(out)["classes"]]


def test_folder(layers, capsys):
    """A module that cannot be imported is left out, with a line that says so."""
    code, out, error = run(capsys, ".")

    assert 1 == code
    assert "mergeparam: left out: cannot import broken.py: SystemExit: two lines\n" in error
    assert "left out: shadowed/inner.py" in error
    assert ["layers:Dropout", "layers:Outer.Inner", "layers:Sub"] == [
        line for line in out.splitlines() if line.startswith("layers:")
    ]


def test_completion(layers, monkeypatch):
    """The shell is told the commands, if argcomplete is installed."""
    argcomplete = pytest.importorskip("argcomplete", reason="argcomplete is not installed")
    asks = {"_ARGCOMPLETE": "1", "_ARGCOMPLETE_IFS": " ", "COMP_LINE": "mergeparam sh"}
    asks |= {"COMP_POINT": "13", "_ARGCOMPLETE_STDOUT_FILENAME": "completions"}
    subprocess.run([sys.executable, "-m", "mergeparam"], env=os.environ | asks, check=True)

    assert "show" == pathlib.Path("completions").read_text().strip()

    # Here it would end this process.
    parsers = []
    monkeypatch.setenv("_ARGCOMPLETE", "1")
    monkeypatch.setattr(argcomplete, "autocomplete", parsers.append)

    assert 2 == main([])
    assert ["mergeparam"] == [parser.prog for parser in parsers]


@pytest.mark.parametrize("columns", [45, 80, 140])
@pytest.mark.parametrize("form", [[], ["--source"], ["--bytecode"], ["--json"]])
def test_colours_in_a_terminal(layers, capsys, monkeypatch, columns, form):
    """In a terminal it is coloured and fits; with `NO_COLOR` it is plain; both say the same."""
    monkeypatch.setattr(sys.stdout, "isatty", lambda: True, raising=False)
    monkeypatch.setenv("COLUMNS", str(columns))
    monkeypatch.setenv("FORCE_COLOR", "1")
    monkeypatch.setenv("NO_COLOR", "")
    _, coloured, _ = run(capsys, "layers:Dropout", *form)
    monkeypatch.setenv("NO_COLOR", "1")
    _, plain, _ = run(capsys, "layers:Dropout", *form)
    rows = [line for line in plain.splitlines() if str(pathlib.Path.cwd()) not in line]

    assert ANSI.search(coloured)
    assert plain == ANSI.sub("", coloured)
    if not form:
        assert max(map(len, rows)) <= columns
        assert (columns < 100) == ("left out: " in plain)
        assert "  self.deterministic" in plain or columns == 45


def test_without_rich(layers, capsys, monkeypatch):
    """Without Rich, the same command prints plain text."""
    monkeypatch.setattr(sys.stdout, "isatty", lambda: True, raising=False)
    monkeypatch.delenv("NO_COLOR", raising=False)
    monkeypatch.setitem(sys.modules, "rich", None)

    assert run(capsys, layers)[1].startswith("layers:Dropout\n")


def test_installed_command(layers):
    """`mergeparam` and `python -m mergeparam` are the same."""
    command = pathlib.Path(sys.executable).parent / "mergeparam"
    outputs = {
        subprocess.check_output([*start, "show", "layers"], text=True)
        for start in ([sys.executable, "-m", "mergeparam"], [command])
    }

    assert 1 == len(outputs)


def test_method_with_cells(layers, tmp_path, capsys):
    """A method that uses `super()` is shown as it was written, too."""
    (tmp_path / "layers.py").write_text(
        LAYERS
        + """
@mergeable("deterministic")
class Child(Dropout):
    def __call__(self, x, *, deterministic: bool = MERGED):
        return super().__call__(x, deterministic=deterministic)
"""
    )

    assert 0 == main(["show", "layers:Child"])
    assert "before  (self, x, *, deterministic: bool = MERGED)" in capsys.readouterr().out
