"""Type checkers that rewrite a whole package while it is imported."""

import json
import os
import subprocess
import sys

import pytest

LAYERS = '''"""Layers of a package that a hook rewrites."""

import dataclasses

import attrs

from mergeparam import MERGED, mergeable


@mergeable("flag", inject="INJECT")
class Plain:
    def __init__(self, flag: bool | None = None):
        self.flag = flag

    def __call__(self, x: int, *, flag: bool = MERGED) -> object:
        return flag


@mergeable("flag", inject="INJECT")
@dataclasses.dataclass
class Data:
    flag: bool | None = None

    def __call__(self, x: int, *, flag: bool = MERGED) -> object:
        return flag


@mergeable("flag", inject="INJECT")
@attrs.frozen
class Attrs:
    flag: bool | None = None

    def __call__(self, x: int, *, flag: bool = MERGED) -> object:
        return flag


@mergeable("flag", inject="INJECT")
class Child(Plain):
    def __call__(self, x: int, *, flag: bool = MERGED) -> object:
        return super().__call__(x, flag=flag)


@mergeable("flag", inject="INJECT")
class Loose:
    def __init__(self, flag=None):
        self.flag = flag

    def __call__(self, x: int, *, flag: bool = MERGED) -> object:
        return flag
'''
REPORT = """
import json
from pathlib import Path


def attempt(make):
    try:
        return make()
    except Exception as error:
        return type(error).__name__


def outcomes(cls):
    return {
        "constructor": attempt(lambda: cls(True)(1)),
        "call": attempt(lambda: cls()(1, flag=True)),
        "neither": attempt(lambda: cls()(1)),
        "both": attempt(lambda: cls(True)(1, flag=False)),
        "wrong in the call": attempt(lambda: cls()(1, flag="yes")),
        "wrong input": attempt(lambda: cls(True)("one")),
    }


def test_layers():
    from checked_package import auto, inline, wrap

    found = {
        module.__name__.rpartition(".")[2]: {
            "classes": [outcomes(getattr(module, name)) for name in NAMES],
            "None": attempt(lambda: module.Loose(True)(1, flag=None)),
            "wrong after the merge": attempt(lambda: module.Loose("yes")(1)),
        }
        for module in (auto, inline, wrap)
    }
    Path("found.json").write_text(json.dumps(found))


"""
NAMES = ["Plain", "Data", "Attrs", "Child", "Loose"]

REFUSED = {
    "beartype": "BeartypeCallHintParamViolation",
    "typeguard": "TypeCheckError",
    "jaxtyping": "TypeCheckError",
}
"""What a checker raises."""

HOOKS = {
    "beartype": "from beartype.claw import beartype_package as hook; hook('checked_package')",
    "typeguard": "from typeguard import install_import_hook as hook; hook('checked_package')",
    "jaxtyping": (
        "from jaxtyping import install_import_hook as hook; "
        "hook('checked_package', 'beartype.beartype')"
    ),
}
PLUGINS = {
    "typeguard": "--typeguard-packages=checked_package",
    "jaxtyping": "--jaxtyping-packages=checked_package,beartype.beartype",
}


@pytest.fixture
def package(tmp_path):
    """Write the package, with a module for each kind of injection, and what reports on it."""
    package = tmp_path / "checked_package"
    package.mkdir()
    for inject in ("auto", "inline", "wrap"):
        (package / f"{inject}.py").write_text(LAYERS.replace("INJECT", inject))
    (package / "__init__.py").touch()
    (tmp_path / "test_report.py").write_text(f"{REPORT}NAMES = {NAMES}\n")
    return package


@pytest.fixture
def run(package):
    """Return a function that runs a fresh Python beside the package, and returns the report."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith("COV")}

    def run(*arguments):
        done = subprocess.run(
            [sys.executable, "-B", "-W", "error", *arguments],
            cwd=package.parent,
            env=kept,
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
        assert done.returncode == 0, done.stdout + done.stderr
        return json.loads((package.parent / "found.json").read_text())

    return run


def check(checker, found):
    """Compare a report with what it should be."""
    refused = REFUSED[checker]
    expected = {
        "constructor": True,
        "call": True,
        "neither": "MissingParamError",
        "both": "ConflictingParamError",
        "wrong in the call": refused,
        "wrong input": refused,
    }

    assert ["auto", "inline", "wrap"] == sorted(found)
    for report in found.values():
        assert [expected] * len(NAMES) == report["classes"]
    for inject, report in found.items():
        merged = sees_merged(checker, inject)
        assert (True if accepts_none(checker, inject) else refused) == report["None"]
        assert (refused if merged else "yes") == report["wrong after the merge"]


def accepts_none(checker, inject):
    """Whether a call may say `flag=None`.

    jaxtyping's hook decorates the methods, and looks before a merge that is spliced on demand.
    """
    return (checker, inject) != ("jaxtyping", "inline")


def sees_merged(checker, inject):
    """Whether the merged value is checked: beartype's hook decorates the class, on top of all."""
    return checker == "typeguard" or (checker == "jaxtyping" and inject != "inline")


def require(checker):
    """Skip the test where a package is missing; jaxtyping has no checker of its own."""
    for name in {checker, "beartype"} if checker == "jaxtyping" else {checker}:
        pytest.importorskip(name, reason=f"{name} is not installed")


@pytest.mark.parametrize("checker", HOOKS)
def test_hook(run, checker):
    """A hook keeps the merge, and the merge keeps the check."""
    require(checker)

    check(checker, run("-c", f"{HOOKS[checker]}; import test_report; test_report.test_layers()"))


def test_package_that_hooks_itself(package, run):
    """The package may ask for it in its `__init__`."""
    require("beartype")
    asks = "from beartype.claw import beartype_this_package\n\nbeartype_this_package()\n"
    (package / "__init__.py").write_text(asks)

    check("beartype", run("-c", "import test_report; test_report.test_layers()"))


@pytest.mark.parametrize("checker", PLUGINS)
def test_plugin_of_pytest(run, checker):
    """The hook may be asked for on the command line of pytest."""
    require(checker)
    quiet = ("-q", "-p", "no:cacheprovider", "--rootdir=.")

    check(checker, run("-m", "pytest", *quiet, PLUGINS[checker], "test_report.py"))
