"""Layers that do nothing but merge, as source, so that each can be written in every way."""

from __future__ import annotations

import functools
import textwrap
from contextvars import ContextVar
from typing import TYPE_CHECKING, Any

import attrs

from mergeparam import MERGED, UNSET, Param, merge_param, mergeable, provide

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from types import ModuleType

NAMES = "deterministic", "train", "decode", "causal"
NAME = NAMES[0]
UNDECORATED, INLINE, DECORATED = "undecorated", "inline by hand", "@mergeable"
BY_HAND, WRAPPER = "merge_param by hand", "@mergeable, as a wrapper"

VARIABLE: ContextVar[Any] = ContextVar("by hand", default=None)
PROVIDED = provide(**dict.fromkeys(NAMES, True))

_RAISE = 'raise ValueError("{0} is set in neither place")'
INLINE_SOURCE = f"""\
if {{0}} is None:
    {{0}} = self.{{0}}
    if {{0}} is None:
        {_RAISE}
elif self.{{0}} is not None:
    raise ValueError("{{0}} is set in both places")
"""
INLINE_DEFAULT = INLINE_SOURCE.replace(_RAISE, "{0} = True")
INLINE_PROVIDED = INLINE_SOURCE.replace(
    _RAISE, f"{{0}} = variable.get()\n        if {{0}} is None:\n            {_RAISE}"
)
# The very same object is no conflict, since a subclass has handed it on.
INLINE_FORWARDED = INLINE_SOURCE.replace(
    "self.{0} is not None:", "None is not self.{0} is not {0}:"
)
BY_HAND_SOURCE = "{0} = merge_param('{0}', self.{0}, {0})\n"


def default_of(layer: object) -> bool:
    """Return what `attrs.Factory` and the code by hand both call for a default."""
    return layer is not None


# What the source may refer to. A class stays the same in copies, which a plain object does not.
KNOWN = {"UNSET": UNSET, "NOT_GIVEN": object, "default_of": default_of, "variable": VARIABLE}


@attrs.frozen
class Way:
    """One way to merge: what a parameter's default is, the statements, and the decorator."""

    default: str
    merge: str = ""
    decorate: Callable[..., Callable[[type], type]] = lambda *_, **__: lambda cls: cls
    names: Mapping[str, Any] = attrs.field(factory=dict)  # what the statements refer to
    injection: str | None = None  # how `mergeable` has to get the merge into the method


WAYS = {
    # Its default is what the others get from elsewhere, so that all return the same.
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
    has_fields: bool = False  # whether it declares attributes as fields, without an `__init__`
    method: str = "__call__"
    ready: Callable[[Any], object] = lambda layer: layer


ATTRS = Kind("attrs with slots", decorate=attrs.define, has_fields=True)


@attrs.frozen
class Path:
    """A way through the merge: where the values are from, and the best merge by hand for it."""

    given: str = ""  # the places that set the parameters: call, constructor, scope
    inline: str = INLINE_SOURCE
    count: int = 1
    forwards: int = 0  # how many subclasses hand what they have merged on to `super()`
    kind: Kind = ATTRS
    value: str = "True"
    unset: str = "None"  # the source of the object that means "not set"
    marker: str = "*, "  # what stands before the parameters
    options: dict[str, Any] = attrs.field(factory=dict)  # of every `Param`
    most: float = 1.1  # how many times the time by hand it may take

    @property
    def names(self) -> tuple[str, ...]:
        """The parameters."""
        return NAMES[: self.count]

    @property
    def call(self) -> str:
        """The call that gives them, if it is to."""
        values = [f"{name}={self.value}" if self.marker else self.value for name in self.names]
        arguments = ", ".join(["x", *values * ("call" in self.given)])
        # CPython specialises calls by position of methods with a name, not those of __call__.
        return f"layer({arguments})" if self.marker else f"layer.forward({arguments})"

    def open_scope(self) -> None:
        """Provide the values, in both ways, if they are to be provided."""
        if "scope" in self.given:
            VARIABLE.set(True)
            PROVIDED.__enter__()

    def make(self, ways: Mapping[str, Way] = WAYS) -> dict[str, Any]:
        """Return a layer for each of the ways."""
        # Equal to what the call gives, and not always the same object.
        names = self.names if "constructor" in self.given else ()
        values = {name: eval(self.value) for name in names}  # noqa: S307 - a literal of ours
        classes = {name: make_class(way, self) for name, way in ways.items()}
        return {name: self.kind.ready(cls(**values)) for name, cls in classes.items()}


def make_class(
    way: Way, path: Path = Path(), *, body: str = "", module: ModuleType | None = None
) -> type:
    """Return a class whose layers return their input and the merged parameters, or so says `body`.

    If the path forwards, it is the last of its subclasses. Its code is new, as that of a freshly
    imported module.
    """
    kind, names = path.kind, path.names
    base: type = object
    inline = path.inline if way is WAYS[INLINE] else way.merge
    merge = "".join(inline.format(name) for name in names)
    default = path.unset if way.default == "None" else way.default
    parameters = path.marker + ", ".join(f"{name}={default}" for name in names)
    attributes = "".join(f"{name}: object = {path.unset}\n" for name in names)
    if not kind.has_fields:
        given = "".join(f", {name}={path.unset}" for name in names)
        lines = "super().__init__()", *(f"self.{name} = {name}" for name in names)
        attributes = f"def __init__(self{given}):\n    {'; '.join(lines)}\n"
    options = path.options | ({} if path.unset == "None" else {"unset": KNOWN[path.unset]})
    params = [Param(name, **options) for name in names]
    bases, body = kind.bases, body or f"return x, {', '.join(names)}"
    for _ in range(path.forwards + 1):
        method = (
            f"def {kind.method}(self, x, {parameters}):\n{textwrap.indent(merge + body, '    ')}"
        )
        source = f"class Layer{bases}:\n{textwrap.indent(attributes + method, '    ')}\n"
        namespace: dict[str, Any] = {"__name__": __name__} if module is None else vars(module)
        namespace |= {"MERGED": MERGED, "Base": base, **KNOWN, **kind.names, **way.names}
        exec(compile(source, "<layer>", "exec", dont_inherit=True), namespace)  # noqa: S102 - our own source
        cls = kind.decorate(namespace["Layer"])
        base = require_injection(way.decorate(*params, method=kind.method)(cls), way.injection)
        handed = ", ".join(f"{name}={name}" for name in names)
        bases, body = "(Base)", f"return super().{kind.method}(x, {handed})"
    return base


def require_injection(cls: type, injection: str | None) -> type:
    """Refuse to measure a merge that has not got into the method as it should."""
    if injection:
        found = {method.injection for method in cls.__mergeable__.methods}  # type: ignore[attr-defined]  # of what is decorated
        if found != {injection}:
            msg = f"{cls.__qualname__} is merged by {found}, and not by {injection!r}"
            raise AssertionError(msg)
    return cls
