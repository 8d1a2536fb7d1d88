"""Every example of the README and of the documentation's pages runs, each page on its own."""

import importlib
import warnings

import pytest

pytest.importorskip("sybil", reason="Sybil, which finds the examples, is not installed")

from runnable import PAGES, ROOT, imported_packages, missing_packages, parse_page, run

OPTIONAL = {
    "beartype",
    "cloudpickle",
    "distributed",
    "equinox",
    "flax",
    "haiku",
    "httpx",
    "jax",
    "jaxtyping",
    "joblib",
    "keras",
    "numpy",
    "pydantic",
    "ray",
    "sklearn",
    "torch",
    "typeguard",
}
"""What a page may need that not everybody has who runs the tests."""


def import_quietly(names):
    """Import what a page needs; whatever packages warn of themselves is not the page's fault."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for name in sorted(names & OPTIONAL):
            importlib.import_module(name)


@pytest.mark.parametrize(
    "path", [pytest.param(page, id=str(page.relative_to(ROOT))) for page in PAGES]
)
def test_page(path, monkeypatch):
    """Its code runs, and its sessions print what they show."""
    monkeypatch.setenv("KERAS_BACKEND", "jax")
    document = parse_page(path)
    names = imported_packages(document)
    missing = missing_packages(names) & OPTIONAL
    if missing:
        pytest.skip(f"{path.name} needs {', '.join(sorted(missing))}, which is not installed")
    import_quietly(names)

    run(document)


def test_pages_have_examples():
    """The parser finds what a reader sees: most pages have code."""
    with_examples = [path for path in PAGES if list(parse_page(path))]

    assert ROOT / "README.md" in with_examples
    assert ROOT / "docs" / "tutorial.md" in with_examples
    assert len(with_examples) > 15


@pytest.mark.parametrize(
    ("text", "fails"),
    [
        ("```python\nx = 1\n```\n\n```pycon\n>>> x\n1\n```\n", False),
        ("```pycon\n>>> 1 + 1\n3\n```\n", True),
        ("```python\n>>> 1 + 1\n3\n```\n", True),
        ("```python\n1 / 0\n```\n", True),
        ("- in a list\n\n  ```pycon\n  >>> 1 + 1\n  3\n  ```\n", True),
    ],
)
def test_wrong_examples_fail(tmp_path, text, fails):
    """An example that prints something else, or raises, is noticed, wherever it stands."""
    path = tmp_path / "page.md"
    path.write_text(text)
    document = parse_page(path)

    if fails:
        with pytest.raises(Exception, match="3|division"):
            run(document)
    else:
        run(document)
