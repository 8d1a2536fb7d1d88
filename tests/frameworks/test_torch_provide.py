"""`torch.compile` never keeps a graph that was made under other provided values."""

import pytest

from mergeparam import (
    MERGED,
    ConflictingParamError,
    MissingParamError,
    Param,
    mergeable,
    provide,
    unset_params,
)

torch = pytest.importorskip("torch", reason="torch is not installed")
nn = torch.nn

X = torch.tensor([1.0, 2.0])


@pytest.fixture(autouse=True)
def _nothing_compiled_yet():
    """Let each test compile anew."""
    torch.compiler.reset()


def compiled(target, **how):
    """Compile as far as it goes, without a machine to compile for."""
    return torch.compile(target, backend="eager", **how)


@pytest.fixture
def scale(inject):
    """Return a module that multiplies by what is merged."""

    @mergeable("gain", method="forward")
    class Scale(nn.Module):
        def __init__(self, gain=None):
            super().__init__()
            self.gain = gain

        def forward(self, x, *, gain=MERGED):
            return x * gain

    return Scale


@pytest.fixture
def tenfold(inject):
    """Return one with a default."""

    @mergeable(Param("gain", default=10.0), method="forward")
    class Tenfold(nn.Module):
        gain = None

        def forward(self, x, *, gain=MERGED):
            return x * gain

    return Tenfold


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
    call = compiled(Model(scale()))
    for _ in range(2):
        for value in values:
            with provide(gain=value):
                expected = Model(scale(value))(X)

                assert expected.tolist() == call(X).tolist()
                assert expected.dtype == call(X).dtype


def test_tensors(scale):
    """A provided tensor is the one that is used."""
    call = compiled(Model(scale()))
    for gain in (torch.tensor([2.0, 3.0]), torch.tensor([5.0, 7.0])):
        with provide(gain=gain):
            assert gain.tolist() == call(X).tolist()
            gain += 1
            assert gain.tolist() == call(X).tolist()


def test_default_then_provided_and_back(tenfold):
    """A graph that was made without a scope is not used in one, nor the other way round."""
    call = compiled(Model(tenfold()))

    assert [10.0, 10.0] == call(X).tolist()
    for _ in range(2):
        with provide(gain=2.0):
            assert [2.0, 2.0] == call(X).tolist()
            with provide(gain=5.0):
                assert [5.0, 5.0] == call(X).tolist()
        with provide(other=2.0):
            assert [10.0, 10.0] == call(X).tolist()
        assert [10.0, 10.0] == call(X).tolist()


def test_scope_inside_of_what_is_compiled(scale):
    """A compiled function may open the scope itself."""
    layer = scale()

    def function(x):
        with provide(gain=2.0):
            y = layer(x)
        with provide(gain=y.sum()):
            return layer(x)

    assert [6.0, 12.0] == compiled(function)(X).tolist()
    assert [24.0, 48.0] == compiled(function)(2 * X).tolist()


def test_providing_methods(scale):
    """`provide=True`, compiled outside, inside, and from the constructor or the call."""

    @mergeable("gain", method="forward", provide=True)
    class Providing(nn.Module):
        def __init__(self, layer, gain=None):
            super().__init__()
            self.layer, self.gain = layer, gain

        def forward(self, x, *, gain=MERGED):
            return self.layer(x)

    for layer in (scale(), compiled(scale())):
        two, unset = Providing(layer, 2.0), Providing(layer)
        for wrap in (lambda target: target, compiled):
            assert [2.0, 4.0] == wrap(two)(X).tolist()
            for gain in (5.0, 7.0, 5.0):
                assert [gain, 2 * gain] == wrap(unset)(X, gain=gain).tolist()
    call = compiled(unset)
    for gain in (5.0, 7.0, 5.0):
        assert [gain, 2 * gain] == call(X, gain=gain).tolist()
        with provide(gain=gain):
            assert [gain, 2 * gain] == call(X).tolist()
    with pytest.raises(ConflictingParamError):
        compiled(two)(X, gain=5.0)


def test_gradients(scale):
    """Gradients go through provided tensors."""
    gain, x = torch.tensor(2.0, requires_grad=True), X.clone().requires_grad_()
    with provide(gain=gain):
        compiled(scale())(x).sum().backward()

    assert 3.0 == gain.grad
    assert [2.0, 2.0] == x.grad.tolist()


def test_introspection_in_what_is_compiled(scale):
    """A graph does not keep what was asked under other values."""
    layer = scale()

    def function(x):
        return x if unset_params(layer, "forward") else layer(x)

    call = compiled(function)
    for _ in range(2):
        assert [1.0, 2.0] == call(X).tolist()
        with provide(gain=5.0):
            assert [5.0, 10.0] == call(X).tolist()


def test_missing(scale):
    """The error of a call with neither is the same, and nothing is kept of it."""
    call = compiled(Model(scale()))
    with pytest.raises(MissingParamError, match=r"`with provide\(gain=...\):`"):
        call(X)
    with provide(gain=2.0):
        assert [2.0, 2.0] == call(X).tolist()
    with provide(gain=None), pytest.raises(MissingParamError, match="gives None"):
        call(X)
    with pytest.raises(MissingParamError, match=r"`with provide\(gain=...\):`"):
        call(X)


def test_whole_graphs_beside_a_scope(scale):
    """Values that are set go into one graph, also inside of a scope of other names."""
    call = compiled(scale(2.0), fullgraph=True)
    with provide(gain=5.0, other=1):
        assert [2.0, 4.0] == call(X).tolist()
    assert [2.0, 4.0] == call(X).tolist()


def test_whole_graph_inside_a_scope(scale):
    """Where nothing may break the graph, reading a provided value is an error."""
    with provide(gain=2.0), pytest.raises(torch._dynamo.exc.Unsupported, match="ContextVar"):
        compiled(scale(), fullgraph=True)(X)


def test_whole_graph_without_a_scope(tenfold):
    """Where no scope is left, a default goes into one graph."""
    layer = tenfold()
    whole = compiled(layer, fullgraph=True)

    assert [10.0, 20.0] == whole(X).tolist()
    with provide(gain=2.0):
        assert [2.0, 4.0] == layer(X).tolist()
    assert [10.0, 20.0] == whole(X).tolist()
    torch.compiler.reset()
    assert [10.0, 20.0] == compiled(layer, fullgraph=True)(X).tolist()


def test_export(scale):
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

    def run(gain):
        with provide(gain=gain):
            return checkpoint(lambda x: layer(x).sin(), x, use_reentrant=False).sum()

    checkpoint = torch.utils.checkpoint.checkpoint
    with provide(gain=2.0):
        run(2.0).backward()

    assert torch.allclose(2.0 * (2.0 * X).cos(), x.grad)
    with pytest.raises(MissingParamError):
        run(2.0).backward()
