"""Layers that do nothing but merge, as source, so that each can be written in every way."""

from __future__ import annotations

import textwrap
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

import attrs

from mergeparam import MERGED, Param, merge_param, mergeable

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping
    from types import ModuleType

NAMES = (
    "deterministic",
    "train",
    "decode",
    "causal",
    "frozen",
    "stateful",
    "cached",
    "masked",
)
UNDECORATED, INLINE, DECORATED = "undecorated", "inline by hand", "@mergeable"
BY_HAND, WRAPPER = "merge_param by hand", "@mergeable, as a wrapper"

INLINE_SOURCE = """\
if {0} is None:
    {0} = self.{0}
    if {0} is None:
        raise ValueError("{0} is set in neither place")
elif self.{0} is not None:
    raise ValueError("{0} is set in both places")
"""
BY_HAND_SOURCE = "{0} = merge_param('{0}', self.{0}, {0})\n"


@attrs.frozen
class Way:
    """One way to merge: what a parameter's default is, the statements, and the decorator."""

    default: str
    merge: str = ""
    decorate: Callable[..., Callable[[type], type]] = lambda *_, **__: lambda cls: cls
    names: Mapping[str, Any] = attrs.field(factory=dict)
    """What the statements refer to."""


WAYS = {
    # Its default is what the others get from the constructor, so that all return the same.
    UNDECORATED: Way("True"),
    INLINE: Way("None", INLINE_SOURCE),
    DECORATED: Way("MERGED", decorate=mergeable),
    BY_HAND: Way("None", BY_HAND_SOURCE, names={"merge_param": merge_param}),
    WRAPPER: Way(
        "MERGED", decorate=lambda *params, **more: mergeable(*params, inject="wrap", **more)
    ),
}


@attrs.frozen
class Kind:
    """A kind of class: how a layer of it is written, made and made ready to be called."""

    name: str
    bases: str = ""
    names: Mapping[str, Any] = attrs.field(factory=dict)
    """What the source refers to."""

    decorate: Callable[[type], type] = lambda cls: cls
    has_fields: bool = False
    """Whether its attributes are declared as fields, and not set by an `__init__`."""

    method: str = "__call__"
    ready: Callable[[Any], object] = lambda layer: layer


ATTRS = Kind("attrs with slots", decorate=attrs.define, has_fields=True)


def layer_source(kind: Kind, names: Iterable[str], default: str, body: str) -> str:
    """Return a layer as source; `names` are its attributes and its parameters."""
    names = list(names)
    parameters = ", ".join(f"{name}={default}" for name in names)
    return (
        f"class Layer{kind.bases}:\n"
        f"{textwrap.indent(_attributes(kind, names), '    ')}\n"
        f"    def {kind.method}(self, x, *, {parameters}):\n{textwrap.indent(body, ' ' * 8)}\n"
    )


def _attributes(kind: Kind, names: list[str]) -> str:
    if kind.has_fields:
        return "".join(f"{name}: bool | None = None\n" for name in names)
    parameters = ", ".join(f"{name}=None" for name in names)
    assignments = "".join(f"    self.{name} = {name}\n" for name in names)
    return f"def __init__(self, {parameters}):\n    super().__init__()\n{assignments}"


def define(source: str, names: Mapping[str, Any], module: ModuleType | None = None) -> type:
    """Return a new class; its code is new too, as that of a freshly imported module."""
    namespace: dict[str, Any] = {"__name__": __name__} if module is None else vars(module)
    namespace |= {"MERGED": MERGED, **names}
    exec(compile(source, "<layer>", "exec", dont_inherit=True), namespace)  # noqa: S102 - our own source
    return namespace["Layer"]  # type: ignore[no-any-return]  # a namespace holds anything


def make_class(
    way: Way,
    names: tuple[str, ...],
    kind: Kind = ATTRS,
    more: Mapping[str, Any] = MappingProxyType({}),
) -> type:
    """Return a class whose layers return their input and the merged parameters.

    `more` says of every parameter how it is merged, as `Param` has it.
    """
    body = "".join(way.merge.format(name) for name in names)
    body += f"return x, {', '.join(names)}"
    source = layer_source(kind, names, way.default, body)
    cls = define(source, {**kind.names, **way.names})
    params = [Param(name, **more) for name in names] if more else names
    return way.decorate(*params, method=kind.method)(kind.decorate(cls))
