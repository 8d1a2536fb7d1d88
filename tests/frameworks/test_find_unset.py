"""`find_unset` in models of the real frameworks."""

import pytest

from mergeparam import MERGED, _find_unset, find_unset, mergeable


def paths(model):
    """Return the paths that are found, after checking that each leads to its object."""
    found = find_unset(model)
    for path, obj, _ in found:
        assert obj is eval(f"model{path}", {"model": model})
    return sorted(path for path, _, _ in found)


def test_torch():
    """The children of a module, in its containers too."""
    torch = pytest.importorskip("torch", reason="torch is not installed")

    @mergeable("flag", method="forward")
    class Layer(torch.nn.Module):
        def __init__(self, flag=None):
            super().__init__()
            self.flag = flag

        def forward(self, x, *, flag=MERGED):
            return x

    class Model(torch.nn.Module):
        def __init__(self):
            super().__init__()
            self.first = Layer()
            self.blocks = torch.nn.Sequential(Layer(True), Layer())
            self.listed = torch.nn.ModuleList([Layer()])
            self.named = torch.nn.ModuleDict({"head": Layer(), "tail": Layer(False)})
            self.nothing = None

    expected = [".blocks[1]", ".first", ".listed[0]", ".named['head']"]

    assert expected == paths(Model())


def test_nnx():
    """Modules of Flax NNX, in its lists too."""
    nnx = pytest.importorskip("flax.nnx", reason="flax is not installed")

    @mergeable("flag")
    class Layer(nnx.Module):
        def __init__(self, flag=None):
            self.flag = flag

        def __call__(self, x, *, flag=MERGED):
            return x

    class Model(nnx.Module):
        def __init__(self):
            self.first = Layer()
            self.linear = nnx.Linear(2, 2, rngs=nnx.Rngs(0))
            self.blocks = nnx.List([Layer(True), Layer()])

    assert [".blocks[1]", ".first"] == paths(Model())


def test_equinox():
    """Modules of Equinox, in tuples too."""
    equinox = pytest.importorskip("equinox", reason="equinox is not installed")

    class Layer(equinox.Module):
        flag: object = None

        def run(self, x, *, flag=None):
            return x

    class Model(equinox.Module):
        first: Layer
        blocks: tuple

    mergeable("flag", method="run")(Layer)

    assert [".blocks[1]", ".first"] == paths(Model(Layer(), (Layer(True), Layer())))


def test_pytree():
    """A container that only JAX knows how to open."""
    jax = pytest.importorskip("jax", reason="jax is not installed")

    @mergeable("flag")
    class Layer:
        flag = None

        def __call__(self, *, flag=MERGED): ...

    @jax.tree_util.register_pytree_with_keys_class
    class Closed:
        __slots__ = ("_parts",)

        def __init__(self, parts):
            self._parts = iter(()), lambda: parts

        def __getitem__(self, index):
            return self._parts[1]()[index]

        def tree_flatten_with_keys(self):
            parts = self._parts[1]()
            keys = [jax.tree_util.SequenceKey(index) for index in range(len(parts))]
            return list(zip(keys, parts, strict=True)), None

        @classmethod
        def tree_unflatten(cls, _, parts):
            return cls(parts)

    assert ["[1]"] == paths(Closed([3, Layer()]))


def test_traced_values_are_no_parts():
    """From a tracer one would come to all that has been traced, and to layers met on the way."""
    jax = pytest.importorskip("jax", reason="jax is not installed")

    @mergeable("flag")
    class Layer:
        flag = None

        def __call__(self, *, flag=MERGED): ...

    class Model:
        def __init__(self, value):
            self.layer = Layer()
            self.value = value

    seen = []

    @jax.jit
    def run(x):
        model = Model(x * 2)
        seen.extend(type(obj) for obj, *_ in _find_unset._walk(model))
        return paths(model)[0] == ".layer" and x

    run(1.0)

    assert {Model, Layer} <= set(seen)
    assert not any(issubclass(kind, jax.core.Tracer) for kind in seen)
