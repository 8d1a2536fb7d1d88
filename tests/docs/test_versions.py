"""The table of tested versions says what the project declares, and what nox installs."""

import re
import tomllib
from pathlib import Path

from mergeparam import _frameworks

ROOT = Path(__file__).parents[2]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
PACKAGES = {
    "distributed (Dask)": "distributed",
    "Flax Linen and NNX": "flax",
    "Haiku": "dm-haiku",
    "PyTorch": "torch",
}
"""Where the table has another name than the package."""


def read_table():
    """Return the columns' heads, and the cells of each package."""
    page = (ROOT / "docs/frameworks/index.md").read_text(encoding="utf-8")
    head, _, *rows = [
        [cell.strip() for cell in line.strip("|\n ").split("|")]
        for line in page.splitlines(keepends=True)
        if line.startswith("|")
    ]
    return head, {PACKAGES.get(name, name).lower(): cells for name, *cells in rows}


def numbers(version):
    """Return a version so that 0.13 is 0.13.0."""
    return tuple(([int(part) for part in re.findall(r"\d+", version)] + [0, 0])[:3])


def test_oldest():
    """The lower bounds, and the versions below which there is a warning."""
    _, rows = read_table()
    bounds = dict(
        requirement.split(">=") for requirement in PROJECT["dependency-groups"]["frameworks"]
    )
    bounds["torch"] = re.search(
        r'^OLDEST_TORCH = "torch==(.*?)\+', (ROOT / "noxfile.py").read_text(), re.MULTILINE
    )[1]
    warned = {name.partition(".")[0]: oldest for name, oldest in _frameworks._OLDEST.items()}

    assert {name: numbers(bound) for name, bound in bounds.items()} == {
        name: numbers(cells[0]) for name, cells in rows.items()
    }
    assert warned == {
        name: numbers(rows[name][0])[: len(oldest)] for name, oldest in warned.items()
    }


def test_newest():
    """None is older than the bound or than on an older Python; PyTorch's is the one of nox."""
    _, rows = read_table()
    text = (ROOT / "noxfile.py").read_text(encoding="utf-8")

    for cells in rows.values():
        versions = [numbers(cell) for cell in cells if cell]
        assert sorted(versions) == versions
    assert re.search(r'^TORCH = "torch==(.*?)\+', text, re.MULTILINE)[1] == rows["torch"][1]


def test_pythons():
    """The columns are those that nox has sessions for, and each Python is in the classifiers."""
    head, _ = read_table()
    found = [tuple(column.split(", Python ")) for column in head[1:]]
    prefix = "Programming Language :: Python :: 3."
    classified = [
        line.rpartition(" ")[2]
        for line in PROJECT["project"]["classifiers"]
        if line.startswith(prefix)
    ]
    text = (ROOT / "noxfile.py").read_text(encoding="utf-8")
    newest = re.search(r'^NEWEST_WITH_FRAMEWORKS = "(.*?)"', text, re.MULTILINE)[1]
    first = classified[0]

    assert [("oldest", first), ("newest", first), ("newest", newest)] == found
    assert newest in classified
    assert PROJECT["project"]["requires-python"] == f">={first}"
