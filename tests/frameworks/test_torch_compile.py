"""PyTorch's compilers: `torch.compile`, with and without graph breaks, and `torch.export`."""

import types

import attrs
import pytest

from mergeparam import (
    MERGED,
    UNSET,
    ConflictingParamError,
    MergeError,
    MissingParamError,
    Param,
    mergeable,
    provide,
)

torch = pytest.importorskip("torch", reason="torch is not installed")
nn = torch.nn

X = torch.tensor([1.0, 2.0])
SENTINEL = object()


@pytest.fixture(autouse=True)
def _nothing_compiled_yet():
    """Let each test compile anew."""
    torch.compiler.reset()


def whole(target):
    """Compile to one graph: whatever would break it is an error."""
    return torch.compile(target, backend="eager", fullgraph=True)


def broken(target):
    """Compile as far as it goes, and run the rest as Python."""
    return torch.compile(target, backend="eager")


@pytest.fixture
def make(inject):
    """Return a function that makes a module which merges `gain`, as the `Param` says."""

    def make(param="gain"):
        @mergeable(param, method="forward")
        class Layer(nn.Module):
            def __init__(self, gain=None, fallback=5.0):
                super().__init__()
                self.gain = gain
                self.fallback = fallback

            def forward(self, x, *, gain=MERGED):
                return x if gain is None else x * gain

        return Layer

    return make


@pytest.fixture
def scale(make):
    """Return a module that merges `gain`."""
    return make()


def test_either_place(scale):
    """One graph holds the merge, whichever side the value comes from."""
    assert [2.0, 4.0] == whole(scale(2.0))(X).tolist()
    assert [3.0, 6.0] == whole(scale())(X, gain=3.0).tolist()


def test_tensors(scale):
    """Tensors and parameters are merged in the graph, and gradients reach them."""
    given = torch.tensor([3.0, 0.0], requires_grad=True)
    layer = scale(nn.Parameter(torch.tensor([3.0, 0.0])))

    torch.compile(scale(), backend="aot_eager", fullgraph=True)(X, gain=given).sum().backward()
    torch.compile(layer, backend="aot_eager", fullgraph=True)(X).sum().backward()

    assert [1.0, 2.0] == given.grad.tolist() == layer.gain.grad.tolist()


def test_recompiles_when_a_value_changes(scale):
    """Compiled code is not stale: neither for another argument nor for another attribute."""
    layer = scale()
    compiled = whole(layer)

    assert [2.0, 4.0] == compiled(X, gain=2.0).tolist()
    assert [3.0, 6.0] == compiled(X, gain=3.0).tolist()
    layer.gain = 4.0
    assert [4.0, 8.0] == compiled(X).tolist()
    layer.gain = None
    assert [3.0, 6.0] == compiled(X, gain=3.0).tolist()


def test_recompiles_when_a_nested_value_changes(make):
    """So it is where the attribute is a path through an object that the compiler does not know."""
    layer = make(Param("gain", attribute="config.gain"))()
    layer.config = types.SimpleNamespace(gain=2.0)
    compiled = whole(layer)

    assert [2.0, 4.0] == compiled(X).tolist()
    layer.config.gain = 3.0
    assert [3.0, 6.0] == compiled(X).tolist()
    layer.config = types.SimpleNamespace(gain=None)
    assert [4.0, 8.0] == compiled(X, gain=4.0).tolist()


def test_error_after_it_was_compiled(scale):
    """A call that cannot be merged is not served by the code of one that could."""
    layer = scale()
    compiled = broken(layer)
    compiled(X, gain=2.0)

    with pytest.raises(MissingParamError):
        compiled(X)
    layer.gain = 2.0
    with pytest.raises(ConflictingParamError):
        compiled(X, gain=2.0)
    assert [2.0, 4.0] == compiled(X).tolist()


def test_children(scale):
    """A model of merged layers is one graph."""
    model = nn.Sequential(scale(2.0), nn.ReLU(), scale(3.0))

    assert [6.0, 12.0] == whole(model)(X).tolist()


def test_forwarding_to_super(scale):
    """The value that a subclass hands on is no conflict in a graph either."""

    @mergeable("gain", method="forward")
    class Shifted(scale):
        def forward(self, x, *, gain=MERGED):
            return super().forward(x, gain=gain) + 1

    gain = torch.tensor(2.0)

    assert [3.0, 5.0] == whole(Shifted(2.0))(X).tolist()
    assert [3.0, 5.0] == whole(Shifted())(X, gain=2.0).tolist()
    assert [3.0, 5.0] == whole(Shifted(gain))(X).tolist()


@pytest.mark.parametrize(
    "default",
    [
        5.0,
        attrs.Factory(lambda: 5.0),
        attrs.Factory(lambda self: self.fallback, takes_self=True),
    ],
    ids=["value", "factory", "factory of self"],
)
def test_defaults(make, default):
    """A default is part of the graph."""
    layer = make(Param("gain", default=default))

    assert [5.0, 10.0] == whole(layer())(X).tolist()
    assert [2.0, 4.0] == whole(layer(2.0))(X).tolist()


@pytest.mark.parametrize(
    ("policy", "expected"), [("use_call", [3.0, 6.0]), ("use_attribute", [2.0, 4.0])]
)
def test_policies(make, policy, expected):
    """Where both are set, the graph holds the one that wins."""
    layer = make(Param("gain", on_conflict=policy))

    assert expected == whole(layer(2.0))(X, gain=3.0).tolist()


def test_equal_values(make):
    """Values that compare to one truth while tracing may be given twice."""
    layer = make(Param("gain", on_conflict="raise_if_different"))
    gain = torch.tensor(2.0)

    assert [2.0, 4.0] == whole(layer(2.0))(X, gain=2.0).tolist()
    assert [2.0, 4.0] == whole(layer(gain))(X, gain=gain).tolist()
    assert [2.0, 4.0] == broken(layer(gain))(X, gain=gain + 0).tolist()
    with pytest.raises(ConflictingParamError):
        broken(layer(gain))(X, gain=gain + 1)


@pytest.mark.parametrize("unset", [UNSET, SENTINEL, ...], ids=["UNSET", "object", "ellipsis"])
def test_sentinels(make, unset):
    """Where `None` is a value, the graph compares with the sentinel."""
    layer = make(Param("gain", unset=unset))

    assert [2.0, 4.0] == whole(layer(2.0))(X).tolist()
    assert [1.0, 2.0] == whole(layer(None))(X).tolist()
    assert [1.0, 2.0] == whole(layer(unset))(X, gain=None).tolist()
    with pytest.raises(MissingParamError):
        broken(layer(unset))(X)


def test_neither_and_both(scale):
    """Where graphs may break, the errors are mergeparam's own."""
    with pytest.raises(MissingParamError, match="'gain' is set in neither place"):
        broken(scale())(X)
    with pytest.raises(ConflictingParamError, match="'gain' is set in both places"):
        broken(scale(2.0))(X, gain=2.0)


def test_neither_in_one_graph(scale):
    """Where nothing may break the graph, the compiler's error holds the text of ours."""
    with pytest.raises(
        torch._dynamo.exc.Unsupported,
        match=r"MissingParamError\(.*'gain' is set in neither place.*gain=\.\.\. in the call",
    ):
        whole(scale())(X)


@pytest.mark.parametrize(
    ("attribute", "given"),
    [
        (2.0, 3.0),
        (torch.tensor([2.0]), torch.tensor([3.0])),
        (nn.Parameter(torch.tensor([2.0])), [3.0]),
        (nn.ReLU(), print),
    ],
    ids=["number", "tensor", "parameter", "object"],
)
def test_both_in_one_graph(scale, attribute, given):
    """So does its error for a conflict, whatever the values are."""
    with pytest.raises(
        torch._dynamo.exc.Unsupported,
        match=r"ConflictingParamError\(.*'gain' is set in both places: self\.gain is .*\d|ReLU",
    ):
        whole(scale(attribute))(X, gain=given)


@pytest.mark.parametrize("compiling", [whole, broken])
def test_caught_inside(scale, compiling):
    """Compiled code may catch the errors."""

    def function(x, gain):
        try:
            return scale()(x, gain=gain)
        except MergeError:
            return -x

    assert [-1.0, -2.0] == compiling(function)(X, None).tolist()
    assert [2.0, 4.0] == compiling(function)(X, 2.0).tolist()


def test_provided_values(make):
    """A provided value breaks the graph, and is never stale."""
    layer = make(Param("gain", default=5.0))()
    compiled = broken(layer)

    assert [5.0, 10.0] == compiled(X).tolist()
    with provide(gain=2.0):
        assert [2.0, 4.0] == compiled(X).tolist()
        with provide(gain=3.0):
            assert [3.0, 6.0] == compiled(X).tolist()
    assert [5.0, 10.0] == compiled(X).tolist()


def test_one_graph_again_after_a_scope(make):
    """Nothing is left of a `provide` that is closed: the next graph is whole."""
    layer = make(Param("gain", default=5.0))()
    with provide(gain=2.0):
        pass

    assert [5.0, 10.0] == whole(layer)(X).tolist()


def test_compiled_method(inject):
    """A method that is compiled already is merged inside."""

    @mergeable("gain", method="forward")
    class Layer(nn.Module):
        def __init__(self, gain=None):
            super().__init__()
            self.gain = gain

        @torch.compile(backend="eager", fullgraph=True)
        def forward(self, x, gain=MERGED):
            return x * gain

    assert [2.0, 4.0] == Layer(2.0)(X).tolist() == Layer()(X, 2.0).tolist()


def test_module_that_compiles_itself(scale):
    """`Module.compile` compiles the call of a module in place."""
    layer = scale(2.0)
    layer.compile(backend="eager", fullgraph=True)

    assert [2.0, 4.0] == layer(X).tolist()


@pytest.mark.filterwarnings("ignore:.torch.jit:DeprecationWarning")  # of its own imports
def test_inductor():
    """The default backend makes machine code of a merged model, as of any other."""
    if not torch._inductor.config.cpp.cxx[1]:
        pytest.skip("there is no C++ compiler")

    @mergeable("gain", method="forward")
    class Layer(nn.Module):
        def __init__(self, gain=None):
            super().__init__()
            self.gain = gain

        def forward(self, x, *, gain=MERGED):
            return x * gain

    model = nn.ModuleList([Layer(2.0), Layer()])
    compiled = torch.compile(
        lambda x: model[1](model[0](x), gain=3.0),
        fullgraph=True,
        # Without these, it first spends half a minute on what the C++ compiler can do.
        options={"cpp.vec_isa_ok": False, "cpp_cache_precompile_headers": False},
    )

    assert [6.0, 12.0] == compiled(X).tolist()


@pytest.mark.parametrize("strict", [True, False])
def test_export(scale, strict):
    """An exported program holds the value that was set, from either side."""
    constructed = torch.export.export(scale(2.0), (X,), strict=strict)
    called = torch.export.export(scale(), (X,), {"gain": 3.0}, strict=strict)

    assert [2.0, 4.0] == constructed.module()(X).tolist()
    assert [3.0, 6.0] == called.module()(X, gain=3.0).tolist()


def test_export_of_a_tensor(scale):
    """A merged tensor is an input of the program, or a part of its state."""
    called = torch.export.export(scale(), (X,), {"gain": torch.tensor(2.0)}).module()
    constructed = torch.export.export(scale(nn.Parameter(torch.tensor(2.0))), (X,))

    assert [3.0, 6.0] == called(X, gain=torch.tensor(3.0)).tolist()
    assert ["gain"] == list(constructed.state_dict)
    assert [2.0, 4.0] == constructed.module()(X).tolist()


def test_export_of_neither_and_both(scale):
    """`torch.export` runs the code, so the errors are mergeparam's own."""
    with pytest.raises(MissingParamError):
        torch.export.export(scale(), (X,))
    with pytest.raises(ConflictingParamError):
        torch.export.export(scale(2.0), (X,), {"gain": 3.0})
