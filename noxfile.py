"""Everything that a change has to pass, on every Python of the classifiers."""

from __future__ import annotations

import nox

PYPROJECT = nox.project.load_toml("pyproject.toml")
PYTHONS = nox.project.python_versions(PYPROJECT)
FIRST = PYTHONS[0]
MEASURED = (FIRST, "3.14")
"""On these two every line runs: annotations are lazy since 3.14."""

TORCH = "torch==2.13.0+cpu"

nox.options.sessions = [
    "tests",
    "frameworks",
    "coverage",
    "sweep",
    "lint",
    "typing",
    "packaging",
    "docs",
    "example",
]
nox.options.error_on_missing_interpreters = False


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
def frameworks(session: nox.Session) -> None:
    """Run the tests with the real frameworks, and keep what they cover."""
    session.install("-e", ".[test,frameworks]")
    # A CPU build, by its full version: the plain one brings gigabytes of CUDA packages along.
    session.run("pip", "install", TORCH, success_codes=[0, 1])
    paths = ("tests/frameworks", "tests/docs/test_pages.py", "tests/examples/test_transformer.py")
    session.run("coverage", "run", "-m", "pytest", *paths, *session.posargs)


@nox.session(python=FIRST)
def coverage(session: nox.Session) -> None:
    """Report what the suite covers on all Pythons together."""
    session.install("coverage[toml]")
    session.run("coverage", "combine")
    session.run("coverage", "report")


@nox.session(python=PYTHONS)
def sweep(session: nox.Session) -> None:
    """Splice into every function of the standard library."""
    session.install("-e", ".")
    session.run("python", "tests/bytecode/sweep.py", *session.posargs)


@nox.session(python=FIRST)
def lint(session: nox.Session) -> None:
    """Check style and types."""
    session.install("-e", ".[lint,test]")
    session.run("ruff", "check", ".")
    session.run("ruff", "format", "--check", ".")
    session.run("mypy")


@nox.session(python=FIRST)
def typing(session: nox.Session) -> None:
    """Check what type checkers say of the package that is installed."""
    session.install(".[typing]")
    session.run("pytest", "tests/typing", *session.posargs)


@nox.session(python=FIRST)
def packaging(session: nox.Session) -> None:
    """Check what is built, and run the core of the suite against the wheel alone."""
    session.install("-e", ".[packaging,test]")
    session.run("pytest", "tests/packaging", *session.posargs)


@nox.session(python=FIRST)
def docs(session: nox.Session) -> None:
    """Build the documentation, run its examples, and check the links inside it."""
    session.install("-e", ".[docs,test]")
    strict = ("-n", "-W", "--keep-going")
    session.run("sphinx-build", *strict, "-b", "html", "docs", "build/docs")
    session.run("pytest", "tests/docs", *session.posargs)


@nox.session(python=FIRST)
def example(session: nox.Session) -> None:
    """Run the main job as the README says it."""
    session.install(".[examples]")
    session.run("python", "examples/dropout.py")


@nox.session(python=PYTHONS)
def bench(session: nox.Session) -> None:
    """Measure what merging costs, and write the figures, the charts and the report."""
    session.install("-e", ".[bench]")
    session.run("python", "-m", "benchmarks", *session.posargs)
