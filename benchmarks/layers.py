"""Layers that do nothing but merge, as source, so that each can be written in every way."""

from __future__ import annotations

import functools
import textwrap
from typing import TYPE_CHECKING, Any

import attrs

from mergeparam import MERGED, Param, merge_param, mergeable

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from types import ModuleType

NAMES = "deterministic", "train", "decode", "causal", "frozen", "stateful", "cached", "masked"
NAME = NAMES[0]
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
    names: Mapping[str, Any] = attrs.field(factory=dict)  # what the statements refer to
    injection: str | None = None  # how `mergeable` has to get the merge into the method
    unset: str = "None"  # the source of the object that means "not set"
    marker: str = "*, "  # what stands before the parameters
    options: Mapping[str, Any] = attrs.field(factory=dict)  # those of every `Param`


WAYS = {
    # Its default is what the others get from the constructor, so that all return the same.
    UNDECORATED: Way("True"),
    INLINE: Way("None", INLINE_SOURCE),
    DECORATED: Way("MERGED", decorate=mergeable, injection="inline"),
    BY_HAND: Way("None", BY_HAND_SOURCE, names={"merge_param": merge_param}),
    WRAPPER: Way("MERGED", decorate=functools.partial(mergeable, inject="wrap"), injection="wrap"),
}


@attrs.frozen
class Kind:
    """A kind of class: how a layer of it is written, made and made ready to be called."""

    name: str
    bases: str = ""
    names: Mapping[str, Any] = attrs.field(factory=dict)
    decorate: Callable[[type], type] = lambda cls: cls
    has_fields: bool = False
    """Whether its attributes are declared as fields, and not set by an `__init__`."""

    method: str = "__call__"
    ready: Callable[[Any], object] = lambda layer: layer


ATTRS = Kind("attrs with slots", decorate=attrs.define, has_fields=True)


def layer_source(
    kind: Kind, names: tuple[str, ...], parameters: str, body: str, unset: str = "None"
) -> str:
    """Return a layer as source; `names` are its attributes."""
    attributes = "".join(f"{name}: object = {unset}\n" for name in names)
    if not kind.has_fields:
        assignments = "".join(f"    self.{name} = {name}\n" for name in names)
        defaults = "".join(f", {name}={unset}" for name in names)
        attributes = f"def __init__(self{defaults}):\n    super().__init__()\n{assignments}"
    method = f"def {kind.method}(self, x, {parameters}):\n{textwrap.indent(body, '    ')}"
    return f"class Layer{kind.bases}:\n{textwrap.indent(f'{attributes}{method}', '    ')}\n"


def define(source: str, names: Mapping[str, Any], module: ModuleType | None = None) -> type:
    """Return a new class; its code is new too, as that of a freshly imported module."""
    namespace: dict[str, Any] = {"__name__": __name__} if module is None else vars(module)
    namespace |= {"MERGED": MERGED, **names}
    exec(compile(source, "<layer>", "exec", dont_inherit=True), namespace)  # noqa: S102 - our own source
    return namespace["Layer"]  # type: ignore[no-any-return]  # a namespace holds anything


def make_class(
    way: Way,
    names: tuple[str, ...] = (NAME,),
    kind: Kind = ATTRS,
    *,
    body: str = "",
    module: ModuleType | None = None,
    **known: object,
) -> type:
    """Return a class whose layers return their input and the merged parameters."""
    default = way.unset if way.default == "None" else way.default
    parameters = way.marker + ", ".join(f"{name}={default}" for name in names)
    merge = "".join(way.merge.format(name) for name in names)
    body = merge + (body or f"return x, {', '.join(names)}")
    source = layer_source(kind, names, parameters, body, way.unset)
    cls = kind.decorate(define(source, {**kind.names, **way.names, **known}, module))
    params = [Param(name, **way.options) for name in names]
    return require_injection(way.decorate(*params, method=kind.method)(cls), way.injection)


def require_injection(cls: type, injection: str | None) -> type:
    """Refuse to measure a merge that has not got into the method as it should."""
    if injection:
        found = {method.injection for method in cls.__mergeable__.methods}  # type: ignore[attr-defined]  # of what is decorated
        if found != {injection}:
            msg = f"{cls.__qualname__} is merged by {found}, and not by {injection!r}"
            raise AssertionError(msg)
    return cls
