"""One module text, written out plain, with the merge spliced in, with a wrapper, and providing."""

import concurrent.futures
import gc
import importlib.util
import os
import subprocess
import sys
import threading
from pathlib import Path

import pytest
from samples import LAYERS

import mergeparam

OPTIONS = {"inline": "inject='inline'", "wrap": "inject='wrap'", "provide": "provide=True"}
DECORATORS = {
    "plain": "(lambda cls: cls)",
    **{
        name: f'mergeparam.mergeable("flag", method=METHODS, {options})'
        for name, options in OPTIONS.items()
    },
}


LOGGED = """\
def logged(function):
    @functools.wraps(function)
    def log(*args, **kwargs):
        return function(*args, **kwargs)

    return log
"""
"""A decorator for methods, which sources have where they say so."""


@pytest.fixture(params=["inline", "wrap"])
def inject(request):
    """Name each kind of injection."""
    return request.param


@pytest.fixture(params=OPTIONS)
def variant(request):
    """Name each kind of merged class, one whose methods provide among them."""
    return request.param


def write_module(folder, source, variant):
    """Write a source to a file of its own, with a decorator in it."""
    path = folder / f"layers_{variant}.py"
    written = source.replace("@DECORATE", "@" + DECORATORS[variant]).replace("# LOGGED\n", LOGGED)
    path.write_text(written.replace("OPTIONS", OPTIONS.get(variant, "")))
    return path


def import_module(path):
    """Import a file under its own name."""
    spec = importlib.util.spec_from_file_location(path.stem, path)
    module = importlib.util.module_from_spec(spec)
    sys.modules[path.stem] = module
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="module")
def small_heap():
    """Leave what other tests have made out of what the garbage collector looks at."""
    gc.collect()
    gc.freeze()
    yield
    gc.unfreeze()


@pytest.fixture
def write(tmp_path):
    """Return a function that writes a source to a file of its own, with a decorator in it."""
    return lambda source, variant: write_module(tmp_path, source, variant)


@pytest.fixture
def load(write, monkeypatch):
    """Return a function that writes a source and imports it."""

    def load(source, variant):
        path = write(source, variant)
        monkeypatch.setitem(sys.modules, path.stem, None)  # puts back what was there
        return import_module(path)

    return load


@pytest.fixture(scope="module")
def import_variants(tmp_path_factory):
    """Return a function that imports a source as it is, spliced, and wrapped, to be shared."""
    paths = []

    def import_variants(source):
        folder = tmp_path_factory.mktemp("shared")
        paths.extend(write_module(folder, source, name) for name in ("plain", "inline", "wrap"))
        return {path.stem.partition("_")[2]: import_module(path) for path in paths}

    yield import_variants
    for path in paths:
        del sys.modules[path.stem]


@pytest.fixture(scope="module")
def layers(import_variants):
    """Return the sample layers in every variant, for tests that only look at them."""
    return import_variants(LAYERS)


@pytest.fixture
def python(tmp_path):
    """Return a function that runs a fresh Python beside the files and returns what it prints."""
    kept = {
        name: value
        for name, value in os.environ.items()
        if not name.startswith(("COVERAGE_", "COV_", "MERGEPARAM_", "PYTHON"))
    }
    # The package under test, wherever it is: installed, or in a folder of sources.
    kept["PYTHONPATH"] = str(Path(mergeparam.__file__).parents[1])

    def python(*arguments, **environment):
        done = subprocess.run(
            [sys.executable, "-W", "error", *map(str, arguments)],
            cwd=tmp_path,
            env=kept | environment,
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
        expected = (0, "")
        assert expected == (done.returncode, done.stderr), done.stdout + done.stderr
        return done.stdout

    return python


@pytest.fixture
def at_once():
    """Return a function that works in many threads, which start together and switch often."""
    interval, threads = sys.getswitchinterval(), 8
    sys.setswitchinterval(1e-6)

    def at_once(work):
        barrier = threading.Barrier(threads)

        def start(number):
            barrier.wait()
            return work(number)

        with concurrent.futures.ThreadPoolExecutor(threads) as pool:
            return list(pool.map(start, range(threads)))

    yield at_once
    sys.setswitchinterval(interval)
