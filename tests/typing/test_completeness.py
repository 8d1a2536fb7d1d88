"""Every public type is known, and the annotations match the code."""

import json
from pathlib import Path

import pytest
from checkers import run

import mergeparam

FOLDER = Path(__file__).parent
ROOT = FOLDER.parents[1]


def test_every_public_type_is_known(tmp_path):
    """Pyright finds the package's types, and no public name without one."""
    pytest.importorskip("pyright", reason="pyright is not installed")
    arguments = ("--verifytypes", "mergeparam", "--ignoreexternal", "--outputjson")
    done = run("pyright", *arguments, folder=tmp_path)
    report = json.loads(done.stdout)["typeCompleteness"]
    unknown = [item["name"] for item in report["symbols"] if not item["isTypeKnown"]]

    assert [] == unknown
    assert 1 == report["completenessScore"]
    assert Path(mergeparam.__file__).with_name("py.typed").samefile(report["pyTypedPath"])
    assert set(mergeparam.__all__) <= {item["name"].split(".")[1] for item in report["symbols"]}


def test_annotations_match_the_code(tmp_path):
    """Mypy's stubtest treats the annotations as stubs, and compares them to the package."""
    pytest.importorskip("mypy", reason="mypy is not installed")
    pytest.importorskip("rich", reason="rich, which the package imports, is not installed")
    done = run(
        *("mypy.stubtest", "mergeparam", "--concise", "--ignore-unused-allowlist"),
        *("--allowlist", str(FOLDER / "stubtest_allowlist.txt")),
        *("--mypy-config-file", str(ROOT / "pyproject.toml")),
        folder=tmp_path,
    )

    assert 0 == done.returncode, done.stdout + done.stderr
