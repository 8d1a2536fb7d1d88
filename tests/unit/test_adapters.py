"""Frameworks are looked for among what is imported, and only there."""

import importlib
import importlib.util
import sys
import warnings
from importlib.machinery import ModuleSpec
from types import ModuleType, SimpleNamespace
from unittest import mock

import pytest

from mergeparam import (
    MERGED,
    MergeError,
    MergeWarning,
    _frameworks,
    find_unset,
    mergeable,
    provide,
)
from mergeparam._call.provide import provided
from mergeparam._frameworks import Adapter, load_adapters

REAL = {"IPython", "flax.linen", "jax", "tensorflow", "torch", "typeguard"}


@pytest.fixture(autouse=True)
def waiting(monkeypatch):
    """Forget what was found, and return a function that names what is to be looked for."""

    def wait_for(*names):
        monkeypatch.setattr(_frameworks, "_waiting", set(names))
        monkeypatch.setattr(_frameworks.Seen, "modules", 0)

    for name, empty in [("adapters", []), ("scope_followers", []), ("_loaded", {})]:
        monkeypatch.setattr(_frameworks, name, empty)
    name = f"{_frameworks.__name__}.framework"
    module = ModuleType(name)
    module.ADAPTER = Adapter()
    monkeypatch.setitem(sys.modules, name, module)
    wait_for("framework")
    return wait_for


@pytest.fixture
def import_framework(tmp_path, monkeypatch):
    """Return a function that imports a framework with this source."""

    def import_framework(source=""):
        (tmp_path / "framework.py").write_text(source)
        return importlib.import_module("framework")

    monkeypatch.syspath_prepend(tmp_path)
    yield import_framework
    sys.modules.pop("framework", None)


def specified(module, spec):
    """Return a module with this specification."""
    module.__spec__ = spec
    return module


def lazy(path):
    """Return a module that is loaded when one of its attributes is read."""
    path.write_text("raise RuntimeError('it was loaded')")
    spec = importlib.util.spec_from_file_location("framework", path)
    spec.loader = importlib.util.LazyLoader(spec.loader)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


UNUSABLE = {
    "barred": lambda _: None,
    "mock": lambda _: mock.MagicMock(),
    "mock of a module": lambda _: mock.MagicMock(spec=ModuleType),
    "empty": lambda _: ModuleType("framework"),
    # As Sphinx has it for `autodoc_mock_imports`.
    "without a file": lambda _: specified(ModuleType("x"), ModuleSpec("framework", None)),
    "mocked specification": lambda _: specified(ModuleType("x"), mock.MagicMock()),
    "lazy": lambda folder: lazy(folder / "framework.py"),
}


@pytest.mark.parametrize("make", UNUSABLE.values(), ids=UNUSABLE)
def test_framework_that_is_none(make, tmp_path, monkeypatch, import_framework):
    """It is left alone, until the real one comes."""
    monkeypatch.setitem(sys.modules, "framework", make(tmp_path))
    load_adapters()

    assert [] == _frameworks.adapters
    assert len(sys.modules) == _frameworks.Seen.modules
    monkeypatch.delitem(sys.modules, "framework")
    load_adapters()
    import_framework()
    load_adapters()
    assert [Adapter] == [type(adapter) for adapter in _frameworks.adapters]


@pytest.mark.parametrize("make", [mock.MagicMock, lambda: ModuleType("empty")])
def test_all_frameworks_are_mocked(make, waiting, monkeypatch):
    """Classes that have nothing to do with them merge, provide and are found as ever."""
    waiting(*REAL)
    for name in REAL:
        monkeypatch.setitem(sys.modules, name, make())

    @mergeable("flag", provide=True)
    class Layer:
        flag = None

        def __call__(self, *, flag=MERGED):
            return flag, provided("flag", None)

    with provide(flag=1):
        assert (1, 1) == Layer()()
    assert (2, 2) == Layer()(flag=2)
    assert [("", ("flag",))] == [(path, names) for path, _, names in find_unset(Layer())]
    assert [] == _frameworks.adapters


def test_framework_that_uses_the_library(import_framework):
    """It has no adapter while it is being imported, and has one as soon as that has ended."""
    framework = import_framework(
        "from mergeparam import MERGED, _frameworks, mergeable, provide\n"
        "@mergeable('flag')\n"
        "class Layer:\n"
        "    flag = None\n"
        "    def __call__(self, *, flag=MERGED):\n"
        "        return flag\n"
        "with provide(flag=1):\n"
        "    found = Layer()(), len(_frameworks.adapters)\n"
    )

    assert (1, 0) == framework.found
    load_adapters()
    assert 1 == len(_frameworks.adapters)
    assert len(sys.modules) == _frameworks.Seen.modules


def test_adapter_that_fails(import_framework, monkeypatch):
    """It is said once, and the library goes on without."""
    import_framework()
    monkeypatch.delitem(sys.modules, f"{_frameworks.__name__}.framework")
    with pytest.warns(MergeWarning, match=r"this framework .*No module named") as caught:
        load_adapters()
    monkeypatch.setitem(sys.modules, "another", None)
    load_adapters()

    assert 1 == len(caught)
    assert [] == _frameworks.adapters


@pytest.mark.parametrize(
    ("version", "expected"),
    [
        ("1.1.9", ["mergeparam is tested with framework from 1.2 on; this is 1.1.9."]),
        ("1.1+cpu", ["mergeparam is tested with framework from 1.2 on; this is 1.1+cpu."]),
        ("1.2", []),
        ("1.2.0rc1", []),
        ("1.10.0a0+git", []),
        ("unknown", []),
    ],
)
def test_version(version, expected, import_framework, monkeypatch):
    """Below the oldest that is tested it is said once, and the adapter serves all the same."""
    monkeypatch.setattr(_frameworks, "_OLDEST", {"framework": (1, 2)})
    import_framework(f"__version__ = {version!r}")
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        load_adapters()
        monkeypatch.setitem(sys.modules, "another", None)
        load_adapters()

    assert [f"{text} Upgrade framework." for text in expected] == [
        str(one.message) for one in caught if one.category is MergeWarning
    ]
    assert 1 == len(_frameworks.adapters)


@pytest.mark.parametrize("error", [KeyboardInterrupt, RecursionError])
def test_adapter_that_is_interrupted(error, import_framework, monkeypatch):
    """That is no failure, nor is the end of the stack: the adapter is loaded the next time."""

    def interrupt(_):
        raise error

    import_framework()
    with monkeypatch.context() as patched:
        patched.setattr(_frameworks.importlib, "import_module", interrupt)
        with pytest.raises(error):
            load_adapters()
    load_adapters()

    assert 1 == len(_frameworks.adapters)


def test_adapter_does_nothing_by_default():
    """Whoever writes one overrides what the framework calls for."""
    adapter = Adapter()
    adapter.check_decorators(object, sys._getframe())
    adapter.finish_class(object)
    adapter.scope_opened(None)
    adapter.scope_closing(None, None, None)
    adapter.closed_elsewhere(None, None)
    adapter.scope_abandoned(None)
    adapter.reading(None, "flag")

    assert not adapter.is_tracing()
    assert adapter.hint(None, is_missing=True) is None
    assert () == adapter.opaque_types == adapter.children(object())
    assert not adapter.follows_scopes


def test_provided_in_a_graph(tmp_path, monkeypatch, waiting):
    """A graph of TensorFlow's would keep a provided value; the package is made up."""
    (tmp_path / "tensorflow.py").write_text("inside = []\ninside_function = lambda: bool(inside)")
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.delitem(sys.modules, "tensorflow", raising=False)
    module = f"{_frameworks.__name__}.tensorflow"
    monkeypatch.delitem(sys.modules, module, raising=False)
    tensorflow = importlib.import_module("tensorflow")
    waiting("tensorflow")

    try:
        load_adapters()
        (adapter,) = _frameworks.scope_followers
        scope = SimpleNamespace(values={"flag": 1})
        adapter.reading(scope, "flag")
        tensorflow.inside.append("a trace")
        adapter.reading(scope, "other")
        with pytest.raises(MergeError, match="'flag' is provided while TensorFlow traces"):
            adapter.reading(scope, "flag")
    finally:
        del sys.modules["tensorflow"], sys.modules[module]
