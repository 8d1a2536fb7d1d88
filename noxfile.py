"""Everything that a change has to pass, on every Python of the classifiers."""

from __future__ import annotations

import hashlib
import os
from pathlib import Path

import nox

nox.needs_version = ">=2025.2.9"
nox.options.default_venv_backend = "uv|virtualenv"
nox.options.error_on_missing_interpreters = False

PROJECT = nox.project.load_toml("pyproject.toml")
PYTHONS = nox.project.python_versions(PROJECT)
FIRST = PYTHONS[0]
MEASURED = (FIRST, "3.14")
"""On these two every line runs: annotations are lazy since 3.14."""
NEWEST_WITH_FRAMEWORKS = "3.14"
"""The newest Python that all of the frameworks have wheels for."""

CORE = ("tests/unit", "tests/conformance", "tests/introspection", "tests/properties")
"""What holds on every Python, with a wrapper where the bytecode is not known."""

TORCH = "torch==2.13.0+cpu"
"""A CPU build by its full version: the plain one brings gigabytes of CUDA packages along."""
OLDEST_TORCH = "torch==2.11.0+cpu"

SPLICER = ("src/mergeparam/_inject", "src/mergeparam/_compat.py", "tests/bytecode/sweep.py")
"""What the result of a sweep depends on, beside the Python."""

nox.options.sessions = [
    "lint",
    "typing",
    "packaging",
    "docs",
    "example",
    "tests",
    "slow",
    "pypy",
    f"frameworks-newest-{FIRST}",
    "coverage",
    "sweep",
]


@nox.session(python=PYTHONS)
def tests(session: nox.Session) -> None:
    """Run the suite; on two Pythons keep what it covers, which takes longer."""
    session.install("-e", ".[test]")
    if session.python not in MEASURED:
        session.run("pytest", *session.posargs)
        return
    # The core that newer Pythons would take keeps every code object that it has seen, and stops
    # debuggers from stepping, so that tests of leaks and of pdb would find coverage's work.
    environment = {"COVERAGE_CORE": "ctrace"}
    session.run("coverage", "run", "-m", "pytest", *session.posargs, env=environment)


@nox.session(python=FIRST)
def slow(session: nox.Session) -> None:
    """Run what one Python is enough for: the long tests, and those of the benchmarks."""
    session.install("-e", ".[test]", "--group", "compared")
    session.run("pytest", "-m", "slow", *session.posargs)
    session.run("pytest", "-m", "", "tests/benchmarks", *session.posargs)


@nox.session(python="pypy3")
def pypy(session: nox.Session) -> None:
    """Run the core of the suite where nothing can be spliced."""
    session.install("-e", ".", "--group", "pure")
    session.run("pytest", *(session.posargs or CORE))


@nox.session(python=FIRST)
def pyodide(session: nox.Session) -> None:
    """Run what every Python must do in the CPython of WebAssembly; needs Node.js with npm."""
    folder = session.create_tmp()
    packages = f"{folder}/packages"
    session.install("--target", packages, "--upgrade", ".", "--group", "pure")
    session.run("npm", "install", "--silent", "--prefix", folder, "pyodide", external=True)
    # Deep recursion needs a larger stack than Node.js gives; tasks need an event loop of Python's.
    runner = (".ci/pyodide.mjs", f"{folder}/node_modules/pyodide", packages)
    chosen = session.posargs or ("tests/conformance", "tests/introspection")
    options = ("-p", "no:cacheprovider", "-k", "not tasks and not cancelled")
    session.run("node", "--stack-size=7000", *runner, *options, *chosen, external=True)


@nox.session(python=[FIRST, NEWEST_WITH_FRAMEWORKS], name="frameworks-newest")
def frameworks_newest(session: nox.Session) -> None:
    """Run the tests with the newest frameworks that a Python has; on one keep what they cover."""
    session.install("-e", ".[test]", "--group", "docs", "--group", "frameworks")
    # Where no such build is to be had, the tests with PyTorch are skipped.
    session.install(TORCH, success_codes=[0, 1])
    examples = [f"tests/examples/test_{name}transformer.py" for name in ("", "stock_")]
    paths = ("tests/frameworks", "tests/docs/test_pages.py", *examples)
    measured = ("coverage", "run", "-m") if session.python == FIRST else ()
    session.run(*measured, "pytest", "-m", "", *paths, *session.posargs)


@nox.session(python=FIRST, name="frameworks-oldest")
def frameworks_oldest(session: nox.Session) -> None:
    """Run the tests with the oldest versions that the group of frameworks allows."""
    allowed = nox.project.dependency_groups(PROJECT, "frameworks")
    oldest = [requirement.replace(">=", "==") for requirement in allowed]
    session.install("-e", ".[test]", *oldest)
    session.install(OLDEST_TORCH, success_codes=[0, 1])
    session.run("pytest", "tests/frameworks", *session.posargs)


@nox.session(python=FIRST)
def tensorflow(session: nox.Session) -> None:
    """Run the tests with TensorFlow, which is too large to stand beside all others."""
    session.install("-e", ".[test]", "tensorflow-cpu>=2.20")
    session.run("pytest", "tests/frameworks/test_tensorflow.py", *session.posargs)


@nox.session(python=FIRST)
def coverage(session: nox.Session) -> None:
    """Report what `tests` and `frameworks-newest` have covered together."""
    session.install("coverage[toml]")
    session.run("coverage", "combine")
    session.run("coverage", "report")


@nox.session(python=PYTHONS)
def sweep(session: nox.Session) -> None:
    """Splice into every function of the standard library.

    `SWEPT` may name a folder that remembers what was swept without a mismatch. The same Python
    with the same splicer is swept by a sample then.
    """
    session.install("-e", ".")
    command = ("python", "tests/bytecode/sweep.py")
    if session.posargs or "SWEPT" not in os.environ:
        session.run(*command, *session.posargs)
        return
    files = [path for name in SPLICER for path in (Path(name), *sorted(Path(name).rglob("*.py")))]
    version = session.run("python", "-VV", silent=True)
    content = b"".join(path.read_bytes() for path in files if path.is_file())
    swept = Path(os.environ["SWEPT"], hashlib.sha256(f"{version}".encode() + content).hexdigest())
    session.run(*command, *(("--sample", "2000") if swept.exists() else ()))
    swept.parent.mkdir(parents=True, exist_ok=True)
    swept.touch()


@nox.session(python=FIRST)
def lint(session: nox.Session) -> None:
    """Check style, types, and which part imports which."""
    session.install("-e", ".[test]", "--group", "lint", "--group", "compared")
    session.run("ruff", "check", ".")
    session.run("ruff", "format", "--check", ".")
    session.run("mypy")
    session.run("lint-imports")


@nox.session(python=FIRST)
def typing(session: nox.Session) -> None:
    """Check what type checkers say of the package that is installed."""
    session.install(".[bench,cli,migrate]", "--group", "typing", "--group", "compared")
    session.run("pytest", "tests/typing", *session.posargs)


@nox.session(python=FIRST)
def packaging(session: nox.Session) -> None:
    """Check what is built, and run the core of the suite against the wheel alone."""
    session.install("-e", ".[test]", "--group", "packaging")
    session.run("pytest", "tests/packaging", *session.posargs)


@nox.session(python=FIRST)
def docs(session: nox.Session) -> None:
    """Build the documentation, run its examples, and check the links inside it."""
    session.install("-e", ".[test]", "--group", "docs")
    strict = ("-n", "-W", "--keep-going")
    session.run("sphinx-build", *strict, "-b", "html", "docs", "build/docs")
    # The pages' examples run in `frameworks-newest`, which has all that they import.
    session.run("pytest", "tests/docs", "--ignore=tests/docs/test_pages.py", *session.posargs)


@nox.session(python=FIRST)
def links(session: nox.Session) -> None:
    """Check the links to other sites, which needs a network; not part of a plain `nox`."""
    session.install("-e", ".[cli]", "--group", "docs")
    session.run("sphinx-build", "-b", "linkcheck", "docs", "build/links", *session.posargs)


@nox.session(python=FIRST)
def example(session: nox.Session) -> None:
    """Run the main job as the README says it."""
    session.install(".[examples]")
    session.run("python", "examples/dropout.py")


@nox.session(python=PYTHONS)
def bench(session: nox.Session) -> None:
    """Measure what merging costs, and write the figures, the charts and the report."""
    session.install("-e", ".[bench]", "--group", "compared")
    session.run("python", "-m", "benchmarks", *session.posargs)
