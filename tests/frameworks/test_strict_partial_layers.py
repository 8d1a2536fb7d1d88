"""`strict_partial` of the layers that frameworks bring along."""

import inspect
from typing import Any

import frameworks
import pytest

from mergeparam import MERGED, ConflictingParamError, mergeable, strict_partial


def linen(nn):
    """Return a layer, what is bound in it, a wrong name, and how one is made and looked at."""
    return nn.Dense, "use_bias", "bias", {"features": 2}, lambda layer: layer.use_bias


def nnx(nnx):
    others = {"in_features": 2, "out_features": 2, "rngs": nnx.Rngs(0)}
    return nnx.Linear, "use_bias", "bias", others, lambda layer: layer.bias


def equinox(eqx):
    others = {"in_features": 1, "out_features": 1, "key": pytest.importorskip("jax").random.key(0)}
    return eqx.nn.Linear, "use_bias", "bias", others, lambda layer: layer.bias


def haiku(hk):
    return hk.Linear, "with_bias", "bias", {"output_size": 2}, lambda layer: layer.with_bias


def torch(torch):
    others = {"in_features": 2, "out_features": 2}
    return torch.nn.Linear, "bias", "use_bias", others, lambda layer: layer.bias


def pydantic(pydantic):
    class Settings(pydantic.BaseModel):
        rate: float
        deterministic: bool | None = pydantic.Field(default=None, alias="quiet")

    return Settings, "quiet", "deterministic", {"rate": "0.5"}, lambda model: model.deterministic


STOCK = {
    linen: "nn",
    nnx: "nnx",
    equinox: "eqx",
    haiku: "hk",
    torch: "torch",
    pydantic: "pydantic",
}


@pytest.mark.parametrize("stock", STOCK, ids=lambda stock: stock.__name__)
def test_layers_of_frameworks(stock):
    """What is bound reaches the layer, cannot be overruled, and must have the layer's name.

    NNX makes its objects by a metaclass that takes any name; the class refuses it itself.
    """
    framework = next(cls for cls in frameworks.ALL if cls.name == stock.__name__)()
    layer, name, wrong, others, look = stock(getattr(framework, STOCK[stock]))
    template = strict_partial(layer, **{name: False})

    assert not framework.here(lambda: look(template(**others)))
    with pytest.raises(ConflictingParamError):
        framework.here(lambda: template(**others, **{name: True}))
    with pytest.raises(TypeError, match=f"'?{wrong}'?"):
        framework.here(lambda: strict_partial(layer, **{wrong: False})(**others))
    if stock is not nnx:
        assert name not in inspect.signature(template).parameters
        with pytest.raises(TypeError):
            strict_partial(layer, **{wrong: False})


def test_design_note_of_linen():
    """The template of the design note, in the very model of the note."""
    nn = pytest.importorskip("flax.linen", reason="flax is not installed")

    @mergeable("deterministic")
    class Dropout(nn.Module):
        rate: float
        deterministic: bool | None = None

        @nn.compact
        def __call__(self, x, deterministic: bool = MERGED):
            return x if deterministic else x * (1 - self.rate)

    class Block(nn.Module):
        dropout: Any

        @nn.compact
        def __call__(self, x):
            return self.dropout()(x)

    class Residual(nn.Module):
        rate: float

        @nn.compact
        def __call__(self, x, *, train):
            dropout = strict_partial(Dropout, rate=self.rate, deterministic=not train)
            for _ in range(2):
                x += Block(dropout=dropout)(x)
            return x

    template = strict_partial(Dropout, rate=0.5, deterministic=True)

    assert 4.0 == Residual(0.5).apply({}, 1.0, train=False)
    assert 2.25 == Residual(0.5).apply({}, 1.0, train=True)
    with pytest.raises(ConflictingParamError, match="Dropout"):
        template().apply({}, 1.0, deterministic=True)
    with pytest.raises(TypeError, match="determinstic"):
        strict_partial(Dropout, determinstic=True)


def test_parts_of_equinox_and_pydantic():
    """A module may hold what is bound, and pydantic checks the other fields as ever."""
    eqx, pydantic = frameworks.Equinox().eqx, frameworks.Pydantic().pydantic

    class Model(eqx.Module):
        activation: Any

        def __call__(self, x):
            return self.activation(x)

    class Settings(pydantic.BaseModel):
        rate: float
        quiet: bool | None = None

    bound = strict_partial(lambda x, gain: x * gain, gain=2.0)

    assert 6.0 == eqx.filter_jit(Model(bound))(3.0)
    with pytest.raises(pydantic.ValidationError):
        strict_partial(Settings, quiet=True)(rate="fast")


def test_functions_of_torch():
    """A function in C has no signature, and tells by the call what it does not take."""
    torch = pytest.importorskip("torch", reason="torch is not installed")
    dropout = strict_partial(torch.nn.functional.dropout, training=False)
    total = strict_partial(torch.sum, dim=0)
    x = torch.ones(2)

    assert torch.equal(x, dropout(x, p=0.5))
    assert [3.0, 5.0] == total(torch.tensor([[1.0, 2.0], [2.0, 3.0]])).tolist()
    for call in (
        lambda: dropout(x, training=True),
        lambda: total(x, dim=0),
        lambda: strict_partial(torch.nn.Linear, bias=False)(2, 2, True),
    ):
        with pytest.raises(ConflictingParamError):
            call()
