"""Type checkers that rewrite a whole package while it is imported."""

import json
import os
import subprocess
import sys

import pytest

LAYERS = """
import attrs
import dataclasses
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
"""
REPORT = """
import importlib
import json
from pathlib import Path


def attempt(make):
    try:
        return make()
    except Exception as error:
        return type(error).__name__


def outcomes(cls):
    return [
        attempt(lambda: cls(True)(1)),
        attempt(lambda: cls()(1, flag=True)),
        attempt(lambda: cls()(1)),
        attempt(lambda: cls(True)(1, flag=False)),
        attempt(lambda: cls()(1, flag="yes")),
        attempt(lambda: cls(True)("one")),
    ]


def test_layers():
    found = {}
    for inject in ("auto", "inline", "wrap"):
        module = importlib.import_module(f"checked_package.{inject}")
        found[inject] = [
            *(outcomes(getattr(module, name)) for name in NAMES),
            attempt(lambda: module.Loose(True)(1, flag=None)),
            attempt(lambda: module.Loose("yes")(1)),
        ]
    Path("found.json").write_text(json.dumps(found))


"""
NAMES = ["Plain", "Data", "Attrs", "Child", "Loose"]
REFUSED = {
    "beartype": "BeartypeCallHintParamViolation",
    "typeguard": "TypeCheckError",
    "jaxtyping": "TypeCheckError",
}
"""What a checker raises."""

RUN = "import test_report; test_report.test_layers()"
TYPEGUARD = f"from typeguard import install_import_hook as hook; hook('checked_package'); {RUN}"
JAXTYPING = (
    "from jaxtyping import install_import_hook as hook; "
    f"hook('checked_package', 'beartype.beartype'); {RUN}"
)
ITSELF = "from beartype.claw import beartype_this_package\n\nbeartype_this_package()\n"
PYTEST = ("-m", "pytest", "-q", "-p", "no:cacheprovider", "--rootdir=.", "test_report.py")
WAYS = {
    "beartype": (
        "",
        ("-c", f"from beartype.claw import beartype_package as h; h('checked_package'); {RUN}"),
    ),
    "beartype, by the package itself": (ITSELF, ("-c", RUN)),
    "typeguard": ("", ("-c", TYPEGUARD)),
    "typeguard, by pytest": ("", (*PYTEST, "--typeguard-packages=checked_package")),
    "jaxtyping": ("", ("-c", JAXTYPING)),
    "jaxtyping, by pytest": (
        "",
        (*PYTEST, "--jaxtyping-packages=checked_package,beartype.beartype"),
    ),
}
"""The text of the package's `__init__`, and what Python is given to run."""


@pytest.mark.parametrize("way", WAYS)
def test_import_hooks(way, tmp_path):
    """A hook keeps the merge, and the merge keeps the check."""
    checker = way.partition(",")[0]
    # jaxtyping has no checker of its own.
    for name in {checker, "beartype"} if checker == "jaxtyping" else {checker}:
        pytest.importorskip(name, reason=f"{name} is not installed")
    init, arguments = WAYS[way]
    package = tmp_path / "checked_package"
    package.mkdir()
    for inject in ("auto", "inline", "wrap"):
        (package / f"{inject}.py").write_text(LAYERS.replace("INJECT", inject))
    (package / "__init__.py").write_text(init)
    (tmp_path / "test_report.py").write_text(f"{REPORT}NAMES = {NAMES}\n")

    done = subprocess.run(
        [sys.executable, "-B", "-W", "error", *arguments],
        cwd=tmp_path,
        env={name: value for name, value in os.environ.items() if not name.startswith("COV")},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )

    assert done.returncode == 0, done.stdout + done.stderr
    assert expected(checker) == json.loads((tmp_path / "found.json").read_text())


def expected(checker):
    """Return what the report should be.

    beartype's hook decorates the class, on top of all, and does not see what is merged.
    jaxtyping's decorates the methods, and looks before a merge that is spliced on demand.
    """
    refused = REFUSED[checker]
    each = [True, True, "MissingParamError", "ConflictingParamError", refused, refused]
    sees = dict.fromkeys(("auto", "inline", "wrap"), checker != "beartype")
    takes_none = dict.fromkeys(sees, True)
    if checker == "jaxtyping":
        sees["inline"] = takes_none["inline"] = False
    return {
        inject: [
            *([each] * len(NAMES)),
            True if takes_none[inject] else refused,
            refused if sees[inject] else "yes",
        ]
        for inject in sees
    }
