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
    strict_partial,
    unset_params,
)

torch = pytest.importorskip("torch", reason="torch is not installed")
nn = torch.nn

X = torch.tensor([1.0, 2.0])
SENTINEL = object()

pytestmark = pytest.mark.filterwarnings("ignore:.*copy.deepcopy makes:mergeparam.MergeWarning")


@pytest.fixture(autouse=True)
def _nothing_compiled_yet():
    """Let each test compile anew."""
    torch.compiler.reset()


NEWER = tuple(map(int, torch.__version__.split(".")[:2])) >= (2, 13)
"""Whether Dynamo runs functions that are marked as constant on any object."""


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
        unset = getattr(param, "unset", None)

        @mergeable(param, method="forward")
        class Layer(nn.Module):
            def __init__(self, gain=unset, fallback=5.0):
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


@pytest.fixture
def fivefold(make):
    """Return an object of one with a default."""
    return make(Param("gain", default=5.0))()


def test_either_place(scale):
    """One graph holds the merge, whichever side the value comes from, in a model too."""
    model = nn.Sequential(scale(2.0), nn.ReLU(), scale(3.0))

    assert [2.0, 4.0] == whole(scale(2.0))(X).tolist()
    assert [3.0, 6.0] == whole(scale())(X, gain=3.0).tolist()
    assert [6.0, 12.0] == whole(model)(X).tolist()


def test_tensors(scale):
    """Tensors and parameters are merged in the graph, and gradients reach them."""
    given = torch.tensor([3.0, 0.0], requires_grad=True)
    layer = scale(nn.Parameter(torch.tensor([3.0, 0.0])))

    torch.compile(scale(), backend="aot_eager", fullgraph=True)(X, gain=given).sum().backward()
    torch.compile(layer, backend="aot_eager", fullgraph=True)(X).sum().backward()

    assert [1.0, 2.0] == given.grad.tolist() == layer.gain.grad.tolist()


def test_recompiles_when_a_value_changes(scale):
    """Compiled code is not stale: for another argument, attribute, or error."""
    layer = scale()
    compiled = broken(layer)

    assert [2.0, 4.0] == compiled(X, gain=2.0).tolist()
    assert [3.0, 6.0] == compiled(X, gain=3.0).tolist()
    with pytest.raises(MissingParamError):
        compiled(X)
    layer.gain = 4.0
    assert [4.0, 8.0] == compiled(X).tolist()
    with pytest.raises(ConflictingParamError):
        compiled(X, gain=2.0)
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


def test_forwarding_to_super(scale):
    """The value that a subclass hands on is no conflict in a graph either."""

    @mergeable("gain", method="forward")
    class Shifted(scale):
        def forward(self, x, *, gain=MERGED):
            return super().forward(x, gain=gain) + 1

    for layer, given in (
        (Shifted(2.0), {}),
        (Shifted(), {"gain": 2.0}),
        (Shifted(torch.tensor(2.0)), {}),
    ):
        assert [3.0, 5.0] == whole(layer)(X, **given).tolist()


@pytest.mark.parametrize(
    ("options", "held", "given", "expected"),
    [
        ({"default": 5.0}, None, {}, 5.0),
        ({"default": attrs.Factory(lambda: 5.0)}, None, {}, 5.0),
        ({"default": attrs.Factory(lambda self: self.fallback, takes_self=True)}, None, {}, 5.0),
        ({"default": 5.0}, 2.0, {}, 2.0),
        ({"on_conflict": "use_call"}, 2.0, {"gain": 3.0}, 3.0),
        ({"on_conflict": "use_attribute"}, 2.0, {"gain": 3.0}, 2.0),
        ({"on_conflict": "raise_if_different"}, 2.0, {"gain": 2.0}, 2.0),
        ({"unset": UNSET}, None, {}, 1.0),
        ({"unset": UNSET}, UNSET, {"gain": None}, 1.0),
        ({"unset": SENTINEL}, 2.0, {}, 2.0),
        ({"unset": SENTINEL}, SENTINEL, {"gain": None}, 1.0),
        ({"unset": ...}, ..., {"gain": 2.0}, 2.0),
    ],
)
def test_options(make, options, held, given, expected):
    """Defaults, policies and sentinels are parts of the graph."""
    layer = make(Param("gain", **options))(held)

    assert (expected * X).tolist() == whole(layer)(X, **given).tolist()


def test_equal_tensors(make):
    """Tensors that compare to one truth while tracing may be given twice."""
    layer, gain = make(Param("gain", on_conflict="raise_if_different")), torch.tensor(2.0)

    assert [2.0, 4.0] == whole(layer(gain))(X, gain=gain).tolist()
    assert [2.0, 4.0] == broken(layer(gain))(X, gain=gain + 0).tolist()
    with pytest.raises(ConflictingParamError):
        broken(layer(gain))(X, gain=gain + 1)


def test_errors(make):
    """Where graphs may break, the errors are mergeparam's own; exporting runs the code."""
    scale = make()

    with pytest.raises(MissingParamError, match="'gain' is set in neither place"):
        broken(scale())(X)
    for unset in (UNSET, SENTINEL, ...):
        with pytest.raises(MissingParamError):
            broken(make(Param("gain", unset=unset))(unset))(X)
    with pytest.raises(ConflictingParamError, match="'gain' is set in both places"):
        broken(scale(2.0))(X, gain=2.0)
    with pytest.raises(MissingParamError):
        torch.export.export(scale(), (X,))
    with pytest.raises(ConflictingParamError):
        torch.export.export(scale(2.0), (X,), {"gain": 3.0})


@pytest.mark.parametrize(
    ("attribute", "given", "text"),
    [
        (None, None, "Missing.*'gain' is set in neither place.*gain=... in the call"),
        (2.0, 3.0, r"Conflicting.*'gain' is set in both places:.*self\.gain is .*\d"),
        (torch.tensor([2.0]), torch.tensor([3.0]), r"Conflicting.*self\.gain is .*\d"),
        (nn.Parameter(torch.tensor([2.0])), [3.0], r"Conflicting.*self\.gain is .*\d"),
        (nn.ReLU(), print, "Conflicting.*ReLU"),
    ],
    ids=["neither", "number", "tensor", "parameter", "object"],
)
def test_errors_in_one_graph(scale, attribute, given, text):
    """Where nothing may break the graph, the compiler's error holds the text of ours.

    Before 2.13 it names only the class of the error, or what it could not trace.
    """
    text = text if NEWER else None
    with pytest.raises(torch._dynamo.exc.Unsupported, match=text):
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


def test_compiled_in_place(scale):
    """A method that is compiled already is merged inside; so is a module that compiles itself."""

    @mergeable("gain", method="forward")
    class Layer(nn.Module):
        def __init__(self, gain=None):
            super().__init__()
            self.gain = gain

        @torch.compile(backend="eager", fullgraph=True)
        def forward(self, x, gain=MERGED):
            return x * gain

    layer = scale(2.0)
    layer.compile(backend="eager", fullgraph=True)

    assert [2.0, 4.0] == Layer(2.0)(X).tolist() == Layer()(X, 2.0).tolist() == layer(X).tolist()


@pytest.mark.filterwarnings("ignore:.torch.jit:DeprecationWarning")  # of its own imports
@pytest.mark.parametrize("inject", ["inline"], indirect=True)
def test_inductor(scale):
    """The default backend makes machine code of a merged model, as of any other."""
    if not torch._inductor.config.cpp.cxx[1]:
        pytest.skip("there is no C++ compiler")
    model = nn.ModuleList([scale(2.0), scale()])
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


def test_strict_partial():
    """What does not give a bound name again is compiled as it is."""

    def scaled(x, gain, *, quiet=False):
        return x if quiet else x * gain

    bound = strict_partial(scaled, gain=2.0)

    assert [3.0, 6.0] == broken(lambda x: bound(x) + bound(x, quiet=True))(X).tolist()


# No graph is kept that was made under other provided values.


class Model(nn.Module):
    """Calls its layer between other operations."""

    def __init__(self, layer):
        super().__init__()
        self.layer = layer

    def forward(self, x):
        return self.layer(x + 1) - self.layer(x)


@pytest.mark.parametrize("values", [(2.0, 5.0), (2, 2.0), (True, False), (1, True)])
def test_two_values_two_answers(scale, values):
    """A compiled model gives the answer of the value that is provided, again and again."""
    call = broken(Model(scale()))
    for _ in range(2):
        for value in values:
            with provide(gain=value):
                expected = Model(scale(value))(X)

                assert expected.tolist() == call(X).tolist()
                assert expected.dtype == call(X).dtype


def test_provided_tensors(scale):
    """A provided tensor is the one that is used, and gradients go through it."""
    call = broken(Model(scale()))
    for gain in (torch.tensor([2.0, 3.0]), torch.tensor([5.0, 7.0])):
        with provide(gain=gain):
            assert gain.tolist() == call(X).tolist()
            gain += 1
            assert gain.tolist() == call(X).tolist()
    gain, x = torch.tensor(2.0, requires_grad=True), X.clone().requires_grad_()
    with provide(gain=gain):
        broken(scale())(x).sum().backward()

    assert (3.0, [2.0, 2.0]) == (gain.grad, x.grad.tolist())


@pytest.mark.parametrize("container", [lambda layer: layer, Model])
def test_default_then_provided_and_back(fivefold, container):
    """A graph that was made without a scope is not used in one, nor the other way round."""
    model = container(fivefold)
    call = broken(model)
    with provide(gain=1.0):
        one = model(X)
    two, five = (2 * one).tolist(), (5 * one).tolist()

    assert five == call(X).tolist()
    for _ in range(2):
        with provide(gain=2.0):
            assert two == call(X).tolist()
            with provide(gain=5.0):
                assert five == call(X).tolist()
        with provide(other=2.0):
            assert five == call(X).tolist()
        assert five == call(X).tolist()


def test_scope_inside_of_what_is_compiled(scale):
    """A compiled function may open the scope itself."""
    layer = scale()

    def function(x):
        with provide(gain=2.0):
            y = layer(x)
        with provide(gain=y.sum()):
            return layer(x)

    assert [6.0, 12.0] == broken(function)(X).tolist()
    assert [24.0, 48.0] == broken(function)(2 * X).tolist()


def test_providing_methods(scale):
    """`provide=True`, compiled outside, inside, and from the constructor or the call."""

    @mergeable("gain", method="forward", provide=True)
    class Providing(nn.Module):
        def __init__(self, layer, gain=None):
            super().__init__()
            self.layer, self.gain = layer, gain

        def forward(self, x, *, gain=MERGED):
            return self.layer(x)

    for layer in (scale(), broken(scale())):
        two, unset = Providing(layer, 2.0), Providing(layer)
        for wrap in (lambda target: target, broken):
            assert [2.0, 4.0] == wrap(two)(X).tolist()
            for gain in (5.0, 7.0, 5.0):
                assert [gain, 2 * gain] == wrap(unset)(X, gain=gain).tolist()
    call = broken(unset)
    for gain in (5.0, 7.0, 5.0):
        assert [gain, 2 * gain] == call(X, gain=gain).tolist()
        with provide(gain=gain):
            assert [gain, 2 * gain] == call(X).tolist()
    with pytest.raises(ConflictingParamError):
        broken(two)(X, gain=5.0)


def test_introspection_in_what_is_compiled(scale):
    """A graph does not keep what was asked under other values."""
    layer = scale()
    call = broken(lambda x: x if unset_params(layer, "forward") else layer(x))
    for _ in range(2):
        assert [1.0, 2.0] == call(X).tolist()
        with provide(gain=5.0):
            assert [5.0, 10.0] == call(X).tolist()


def test_missing(scale):
    """The error of a call with neither is the same, and nothing is kept of it."""
    call = broken(Model(scale()))
    for _ in range(2):
        with pytest.raises(MissingParamError, match=r"`with provide\(gain=...\):`"):
            call(X)
        with provide(gain=2.0):
            assert [2.0, 2.0] == call(X).tolist()
        with provide(gain=None), pytest.raises(MissingParamError, match="gives None"):
            call(X)


def test_whole_graphs(scale, fivefold):
    """What is set goes into one graph, inside of a scope too; so does a default outside of one.

    Inside of one, where nothing may break the graph, reading a provided value is an error.
    """
    call, layer = whole(scale(2.0)), fivefold
    with provide(gain=5.0, other=1):
        assert [2.0, 4.0] == call(X).tolist()
    assert [2.0, 4.0] == call(X).tolist()
    for _ in range(2):
        compiled = whole(layer)
        assert [5.0, 10.0] == compiled(X).tolist()
        with provide(gain=2.0):
            assert [2.0, 4.0] == layer(X).tolist()
        assert [5.0, 10.0] == compiled(X).tolist()
        torch.compiler.reset()
    with provide(gain=2.0), pytest.raises(torch._dynamo.exc.Unsupported, match="ContextVar"):
        whole(scale())(X)


def test_export_in_a_scope(scale):
    """A graph that is exported in a scope holds its values for good."""
    with provide(gain=2.0):
        exported = torch.export.export(Model(scale()), (X,), strict=False)
    with provide(gain=5.0):
        assert [2.0, 2.0] == exported.module()(X).tolist()


def test_functional_transforms(scale):
    """`torch.func` runs the Python code of each call."""
    layer = scale()
    for gain in (2.0, 5.0):
        with provide(gain=gain):
            assert [gain, 2 * gain] == torch.func.vmap(layer)(X).tolist()
            assert gain == torch.func.grad(layer)(X[0])


def test_checkpoint(scale):
    """What a checkpoint runs again in the backward pass has to find the same scope."""
    layer, x = scale(), X.clone().requires_grad_()
    checkpoint = torch.utils.checkpoint.checkpoint

    def run(gain):
        with provide(gain=gain):
            return checkpoint(lambda x: layer(x).sin(), x, use_reentrant=False).sum()

    with provide(gain=2.0):
        run(2.0).backward()

    assert torch.allclose(2.0 * (2.0 * X).cos(), x.grad)
    with pytest.raises(MissingParamError):
        run(2.0).backward()


class ByHand(nn.Module):
    """The merge of `gain`, with a default, as one writes it by hand."""

    def __init__(self, gain=None):
        super().__init__()
        self.gain = gain

    def forward(self, x, *, gain=None):
        if gain is None:
            gain = self.gain
            if gain is None:
                gain = 5.0
        elif None is not self.gain is not gain:
            raise ValueError
        return x * gain


class ForwardingByHand(ByHand):
    def forward(self, x, *, gain=None):
        if gain is None:
            gain = self.gain
            if gain is None:
                gain = 5.0
        elif None is not self.gain is not gain:
            raise ValueError
        return super().forward(x, gain=gain)


class UnsetByHand(nn.Module):
    def __init__(self, gain=UNSET):
        super().__init__()
        self.gain = gain

    def forward(self, x, *, gain=UNSET):
        if gain is UNSET:
            gain = self.gain
            if gain is UNSET:
                raise ValueError
        elif self.gain is not UNSET:
            raise ValueError
        return x * gain


@mergeable(Param("gain", default=5.0), method="forward")
class Merged(nn.Module):
    def __init__(self, gain=None):
        super().__init__()
        self.gain = gain

    def forward(self, x, *, gain=MERGED):
        return x * gain


@mergeable(Param("gain", default=5.0), method="forward")
class Forwarding(Merged):
    def forward(self, x, *, gain=MERGED):
        return super().forward(x, gain=gain)


@mergeable(Param("gain", unset=UNSET), method="forward")
class Unset(nn.Module):
    def __init__(self, gain=UNSET):
        super().__init__()
        self.gain = gain

    def forward(self, x, *, gain=MERGED):
        return x * gain


@pytest.mark.parametrize(
    ("by_hand", "merged", "held", "given", "more"),
    [
        (ByHand, Merged, (2.0,), {}, 0),
        (ByHand, Merged, (), {"gain": 2.0}, 0),
        (UnsetByHand, Unset, (2.0,), {}, 0),
        (UnsetByHand, Unset, (), {"gain": 2.0}, 0),
        (ByHand, Merged, (), {}, 0),
        # That the object does not hide the private method that the merge calls.
        (ForwardingByHand, Forwarding, (2.0,), {}, 1),
    ],
)
def test_guards_of_each_layer(by_hand, merged, held, given, more):
    """Compiled code checks as much as with a merge by hand; where a layer forwards, once more."""

    def guards(layer, count):
        def run(model, x):
            for item in model:
                x = item(x, **given)
            return x

        torch.compiler.reset()
        whole(run)(nn.ModuleList([layer(*held) for _ in range(count)]), X)
        (entry,) = torch._dynamo.eval_frame._debug_get_cache_entry_list(run.__code__)
        return str(entry.guard_manager).count("+- ")

    by_hand, merged = (guards(layer, 5) - guards(layer, 3) for layer in (by_hand, merged))

    assert by_hand + 2 * more == merged
