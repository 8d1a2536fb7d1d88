"""What the other paths through a merge cost, beside the best code that one would write by hand."""

from __future__ import annotations

import contextvars
import functools
import random
import time
from contextvars import ContextVar
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

import attrs

from benchmarks import layers
from benchmarks.layers import DECORATED, INLINE_SOURCE, NAME, NAMES, WAYS, Kind, Way, make_class
from benchmarks.plan import Comparison, Effort, Group, optional, timed
from mergeparam import UNSET, find_unset, mergeable, provide, strict_partial
from mergeparam._bench.sampling import Sampler, Samplers

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

HAND, OURS = "by hand", "mergeparam"

# Merges

_RAISE = 'raise ValueError("{0} is set in neither place")'
INLINE_DEFAULT = INLINE_SOURCE.replace(_RAISE, "{0} = True")
INLINE_PROVIDED = INLINE_SOURCE.replace(
    _RAISE, f"{{0}} = variable.get()\n        if {{0}} is None:\n            {_RAISE}"
)
VARIABLE: ContextVar[bool | None] = ContextVar("by hand", default=None)
HELD: ContextVar[Mapping[str, object]] = ContextVar("by name", default=MappingProxyType({}))
PROVIDED = Way("None", INLINE_PROVIDED, names={"variable": VARIABLE})
# The very same object is no conflict, since the subclass has handed it on.
FORWARDED = INLINE_SOURCE.replace("self.{0} is not None:", "None is not self.{0} is not {0}:")
IF_DIFFERENT = INLINE_SOURCE.replace(
    "self.{0} is not None:", "(pinned := self.{0}) is not None and pinned != {0}:"
)
ATTRIBUTE_WINS = """\
pinned = self.{0}
if pinned is not UNSET:
    {0} = pinned
elif {0} is UNSET:
    raise ValueError("{0} is set in neither place")
"""


def default_of(layer: object) -> bool:
    """Return what `attrs.Factory` and the code by hand both call for a default."""
    return layer is not None


KNOWN = {"UNSET": UNSET, "NOT_GIVEN": object(), "default_of": default_of}
"""What the source refers to."""


@attrs.frozen
class Path:
    """A way through the merge: how it is declared, and what one writes by hand."""

    most: float  # how many times the time by hand it may take
    by_hand: str
    given: str = ""  # the places that set the parameters
    way: Mapping[str, Any] = MappingProxyType({})  # fields that both ways have unlike `WAYS`
    count: int = 1
    forwards: int = 0  # how many subclasses hand what they have merged on to `super()`

    def comparison(self, name: str) -> Comparison:
        """Return both ways, with layers made anew for every run."""
        return timed(name, self.make, self.call())

    def call(self) -> str:
        """Return the call that sets the parameters, if it is to."""
        by_position = "marker" in self.way
        values = [f"{'' if by_position else f'{name}='}1e3" for name in NAMES[: self.count]]
        arguments = ", ".join(["x", *values * ("call" in self.given)])
        return f"layer.forward({arguments})" if by_position else f"layer({arguments})"

    def make(self) -> Mapping[str, object]:
        """Return a layer that merges by hand, and one of ours."""
        ways = {HAND: Way("None", self.by_hand), OURS: WAYS[DECORATED]}
        return {label: self._make(way) for label, way in ways.items()}

    def _make(self, way: Way) -> object:
        names, way = NAMES[: self.count], attrs.evolve(way, names=KNOWN, **self.way)
        # CPython specialises calls by position of methods with a name, not those of __call__.
        method = "forward" if "marker" in self.way else "__call__"
        cls = make_class(way, names, attrs.evolve(layers.ATTRS, method=method))
        for _ in range(self.forwards):
            handed = ", ".join(f"{item}={item}" for item in names)
            kind = Kind("forwarding", "(Base)", {"Base": cls}, attrs.define, has_fields=True)
            cls = make_class(way, names, kind, body=f"return super().__call__(x, {handed})")
        # Equal to what the call gives, and not the same object.
        return cls(**{item: float("1e3") for item in names if "constructor" in self.given})


def _param(unset: str = "None", **options: object) -> dict[str, object]:
    known = {} if unset == "None" else {"unset": KNOWN[unset]}
    return {"unset": unset, "options": known | options}


_FACTORY = attrs.Factory(default_of, takes_self=True)
_BY_FACTORY = INLINE_DEFAULT.replace("= True", "= default_of(self)")
_EQUAL = _param(on_conflict="raise_if_different")
MERGES = {
    "a method called by position": Path(1.1, INLINE_SOURCE, "call", {"marker": ""}),
    "a default": Path(1.5, INLINE_DEFAULT, way=_param(default=True)),
    "a default from attrs.Factory": Path(2, _BY_FACTORY, way=_param(default=_FACTORY)),
    "raise_if_different, equal numbers": Path(3, IF_DIFFERENT, "call, constructor", _EQUAL),
    "forwarding to super()": Path(1.5, FORWARDED, "constructor", forwards=1),
    "forwarding 4 through 3 levels": Path(2, FORWARDED, "constructor", count=4, forwards=3),
}
for _place in ("call", "constructor"):
    for _text, _name in (("unset=UNSET", "UNSET"), ("a module's own object", "NOT_GIVEN")):
        _merge = INLINE_SOURCE.replace("None", _name)
        MERGES[f"{_text}, by {_place}"] = Path(1.1, _merge, _place, _param(_name))
    _pinned = _param("UNSET", on_conflict="use_attribute")
    MERGES[f"use_attribute, UNSET, by {_place}"] = Path(1.2, ATTRIBUTE_WINS, _place, _pinned)

# Scopes

OPENING, READING = "opening and closing a scope", "20 layers that read a scope"
CLOSING, FINDING = "closing one of 30,000 scopes", "find_unset in 100 modules"
PROVIDING = "@mergeable(provide=True)"

SET = "token = variable.set(True)\ntry:\n    {}\nfinally:\n    variable.reset(token)"
SCOPE = "with opened():\n    {}"
OPENED = functools.partial(provide, **{NAME: True})


class ByHand:
    """The values that one would provide by hand: by name, on top of those around."""

    __slots__ = ("token", "values")

    def __init__(self, **values: object) -> None:
        self.values = values

    def __enter__(self) -> None:
        self.token = HELD.set({**HELD.get(), **self.values})

    def __exit__(self, *_: object) -> None:
        HELD.reset(self.token)


def _in_scopes(name: str, body: str, make: Callable[[], Mapping[str, object]]) -> Comparison:
    calls = {HAND: SET.format(body), OURS: SCOPE.format(body)}
    return timed(name, make, calls, variable=VARIABLE, opened=OPENED)


def _make_reading() -> Mapping[str, object]:
    ways = {HAND: PROVIDED, OURS: WAYS[DECORATED]}
    return {name: [make_class(way)() for _ in range(20)] for name, way in ways.items()}


def _make_providing() -> Mapping[str, object]:
    by_hand = f"with opened({NAME}={NAME}):\n    return inner(x)"
    ours = Way("MERGED", decorate=functools.partial(mergeable, provide=True))
    make = functools.partial(make_class, inner=abs, opened=ByHand)
    return {
        HAND: make(Way("None", INLINE_SOURCE), body=by_hand)(),
        OURS: make(ours, body="return inner(x)")(),
    }


def _closing(effort: Effort) -> Samplers:
    """Close so many open scopes in any order, as asyncio's tasks do; the time of each."""
    count = 30_000 if effort.slow_turns > 3 else 300  # noqa: PLR2004 - the fast effort has fewer

    def take(open_one: Callable[[], Callable[[], object]]) -> float:
        contexts = [contextvars.copy_context() for _ in range(count)]
        closing = [(context, context.run(open_one)) for context in contexts]
        random.shuffle(closing)
        start = time.perf_counter()
        for context, close in closing:
            context.run(close)
        return (time.perf_counter() - start) / count

    def by_hand() -> Callable[[], object]:
        return functools.partial(VARIABLE.reset, VARIABLE.set(True))

    def ours() -> Callable[[], object]:
        scope = OPENED()
        scope.__enter__()
        return functools.partial(scope.__exit__, None, None, None)

    return {HAND: Sampler(lambda: take(by_hand)), OURS: Sampler(lambda: take(ours))}


def _paths() -> Iterator[Comparison]:
    for name, path in MERGES.items():
        yield path.comparison(name)
    yield timed(PROVIDING, _make_providing, f"layer(x, {NAME}=True)")
    calls = {HAND: f"with by_hand({NAME}=True): pass", OURS: f"with provide({NAME}=True): pass"}
    yield timed(OPENING, lambda: dict.fromkeys(calls), calls, by_hand=ByHand, provide=provide)
    yield _in_scopes(READING, "for item in layer: item(x)", _make_reading)
    yield Comparison(CLOSING, _closing, is_slow=True)
    if torch := optional("torch"):
        kind = Kind("torch", "(nn.Module)", {"nn": torch.nn}, method="forward")
        cls = make_class(WAYS[DECORATED], kind=kind)
        model = torch.nn.Sequential(*[cls() for _ in range(100)])
        is_unset = f"getattr(item, {NAME!r}, 0) is None"
        by_hand = f"[name for name, item in layer.named_modules() if {is_unset}]"
        calls = {HAND: by_hand, OURS: "find(layer)"}
        yield timed(FINDING, lambda: dict.fromkeys(calls, model), calls, find=find_unset)
    # It comes last, because `provide` has JAX to follow from then on.
    if jax := optional("jax"):
        opened = {HAND: functools.partial(jax.make_user_context(None), 1), OURS: OPENED}
        call = "with layer():\n    pass"
        yield timed(f"{OPENING}, JAX imported", lambda: opened, call)
        yield _in_scopes(f"{READING}, JAX imported", "for item in layer: item(x)", _make_reading)


PATHS = Group("paths", _paths, reference=HAND)

# strict_partial

DIRECT, LOOSE, STRICT = "called directly", "functools.partial", "strict_partial"
MAKING = "making the partial"


@attrs.define
class Template:
    """A layer, of which a template is made."""

    rate: float
    deterministic: bool = attrs.field(kw_only=True)


def dropout(rate: float, *, deterministic: bool) -> object:
    """Return the arguments."""
    return rate, deterministic


def anything(rate: float, **options: object) -> object:
    """Return the arguments."""
    return rate, options


# What is called, the keyword that is bound, the argument, and how many times the time of
# `functools.partial` it may take.
PARTIALS: Mapping[str, tuple[Callable[..., object], str, object, float]] = {
    "calling a function": (dropout, NAME, 0.5, 1.5),
    "calling a function of **kwargs": (anything, NAME, 0.5, 1.5),
    "calling a builtin": (sorted, "reverse", (), 2),
    "making an object of a template": (Template, NAME, 0.5, 2),
}


def _partials() -> Iterator[Comparison]:
    for name, (function, keyword, argument, _) in PARTIALS.items():
        bound = {keyword: True}
        bound_layers = {
            DIRECT: function,
            LOOSE: functools.partial(function, **bound),
            STRICT: strict_partial(function, **bound),
        }
        calls = {DIRECT: f"layer(x, {keyword}=True)", LOOSE: "layer(x)", STRICT: "layer(x)"}
        yield timed(name, functools.partial(dict, bound_layers), calls, x=argument)
    makers = {LOOSE: functools.partial, STRICT: strict_partial}
    yield timed(MAKING, lambda: makers, f"layer(x, {NAME}=True)", x=dropout)


PARTIAL = Group("partial", _partials, reference=LOOSE)
