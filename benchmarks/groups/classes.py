"""What a merged call costs in the kinds of class that there are, those of frameworks too."""

from __future__ import annotations

from typing import TYPE_CHECKING

import attrs

from benchmarks.layers import (
    ATTRS,
    BY_HAND,
    DECORATED,
    INLINE,
    NAMES,
    UNDECORATED,
    WAYS,
    Kind,
    make_class,
)
from benchmarks.optional import optional
from benchmarks.plan import Comparison, Effort, Group
from mergeparam._cli.sampling import Sampler, call_sampler

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

NAME = NAMES[0]
COMPARED = (UNDECORATED, INLINE, DECORATED, BY_HAND)


def kinds() -> Iterator[Kind]:
    """Yield the kinds whose libraries are installed."""
    yield Kind("plain")
    yield ATTRS
    if linen := optional("flax.linen"):
        yield Kind("Linen, bound", "(nn.Module)", {"nn": linen}, has_fields=True, ready=_bound)
    if nnx := optional("flax.nnx"):
        yield Kind("NNX", "(nnx.Module)", {"nnx": nnx})
    if equinox := optional("equinox"):
        yield Kind("Equinox", "(eqx.Module)", {"eqx": equinox}, has_fields=True)
    if torch := optional("torch.nn"):
        yield Kind("torch", "(nn.Module)", {"nn": torch}, method="forward")


def _bound(layer: object) -> object:
    """Bind a Linen module, as its methods need."""
    return layer.bind({})  # type: ignore[attr-defined]  # of Linen


@attrs.frozen
class Case:
    """A kind of class, and where the value is from."""

    kind: Kind
    given: str

    def samplers(self, effort: Effort) -> Mapping[str, Sampler]:
        """Return samplers of all ways."""
        call = f"layer(x, {NAME}=True)" if self.given == "call" else "layer(x)"
        given = {NAME: True} if self.given == "constructor" else {}
        layers = {
            name: self.kind.ready(make_class(WAYS[name], (NAME,), self.kind)(**given))
            for name in COMPARED
        }
        return {
            name: call_sampler(call, {"layer": layer, "x": 1.0}, effort.seconds)
            for name, layer in layers.items()
        }


def comparisons() -> Iterator[Comparison]:
    """Yield a comparison for every kind and place."""
    for kind in kinds():
        for given in ("call", "constructor"):
            yield Comparison(f"{kind.name}, by {given}", Case(kind, given).samplers)


GROUP = Group(
    "classes",
    "Kinds of class",
    """\
The same method with one parameter, in classes of several kinds. The whole call is measured, as
users write it: in a Linen, Equinox or torch class most of it is the framework's own work around
the method.""",
    comparisons,
    base=UNDECORATED,
    reference=INLINE,
    needs_frameworks=True,
)
