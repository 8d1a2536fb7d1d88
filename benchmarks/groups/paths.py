"""What rarer paths, scopes and tools cost, beside the best code by hand."""

from __future__ import annotations

import contextvars
import functools
import random
import time
from typing import TYPE_CHECKING

import attrs

from benchmarks import layers
from benchmarks.groups import calls
from benchmarks.layers import DECORATED, INLINE, INLINE_SOURCE, NAME, VARIABLE, WAYS, Path, Way
from benchmarks.plan import Comparison, Effort, Group, optional, timed
from mergeparam import find_unset, mergeable, provide, strict_partial
from mergeparam._bench.sampling import Sampler, Samplers

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

# Merges

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
_POSITIONAL = attrs.evolve(layers.ATTRS, method="forward")
_FACTORY = attrs.Factory(layers.default_of, takes_self=True)
_BY_FACTORY = layers.INLINE_DEFAULT.replace("= True", "= default_of(self)")
_EQUAL = {"on_conflict": "raise_if_different"}

MERGES = {
    "a method called by position": Path("call", kind=_POSITIONAL, marker=""),
    "a default from attrs.Factory": Path("", _BY_FACTORY, options={"default": _FACTORY}, most=2),
    "raise_if_different, equal numbers": Path(
        "call, constructor", IF_DIFFERENT, value="1e3", options=_EQUAL, most=3
    ),
    "4 through 3 levels of super()": attrs.evolve(
        calls.PATHS[calls.FORWARDING], count=4, forwards=3, most=2
    ),
}
for _place, _path in calls.EITHER.items():
    for _text, _name in (("unset=UNSET", "UNSET"), ("a module's own object", "NOT_GIVEN")):
        _inline = INLINE_SOURCE.replace("None", _name)
        MERGES[f"{_text}, {_place}"] = attrs.evolve(_path, inline=_inline, unset=_name)
    _pinned = {"on_conflict": "use_attribute"}
    MERGES[f"use_attribute, UNSET, {_place}"] = attrs.evolve(
        _path, inline=ATTRIBUTE_WINS, unset="UNSET", options=_pinned, most=1.2
    )


def _merges() -> Iterator[Comparison]:
    ways = {name: WAYS[name] for name in (INLINE, DECORATED)}
    for name, path in MERGES.items():
        yield calls.compare(name, path, ways)


PATHS = Group("paths", _merges, reference=INLINE)

# Scopes

HAND, OURS = "by hand", "mergeparam"
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
        self.token = VARIABLE.set({**(VARIABLE.get() or {}), **self.values})

    def __exit__(self, *_: object) -> None:
        VARIABLE.reset(self.token)


def _reading(name: str) -> Comparison:
    path = Path("", layers.INLINE_PROVIDED)

    def make() -> Mapping[str, object]:
        made = [path.make({HAND: WAYS[INLINE], OURS: WAYS[DECORATED]}) for _ in range(20)]
        return {way: [of_all[way] for of_all in made] for way in (HAND, OURS)}

    texts = {HAND: SET, OURS: SCOPE}
    statements = {way: text.format("for item in layer: item(x)") for way, text in texts.items()}
    return timed(name, make, statements, variable=VARIABLE, opened=OPENED)


def _providing() -> Mapping[str, object]:
    by_hand = f"with opened({NAME}={NAME}):\n    return inner(x)"
    known = {"inner": abs, "opened": ByHand}
    ours = Way("MERGED", decorate=functools.partial(mergeable, provide=True), names=known)
    hand = Way("None", INLINE_SOURCE, names=known)
    return {
        HAND: layers.make_class(hand, body=by_hand)(),
        OURS: layers.make_class(ours, body="return inner(x)")(),
    }


def _closing(_: Effort) -> Samplers:
    """Close so many open scopes in any order, as asyncio's tasks do; the time of each."""
    count = 30_000

    def take(open_one: Callable[[], Callable[[], object]]) -> float:
        contexts = [contextvars.copy_context() for _ in range(count)]
        closing = [(context, context.run(open_one)) for context in contexts]
        random.shuffle(closing)
        start = time.process_time()
        for context, close in closing:
            context.run(close)
        return (time.process_time() - start) / count

    def ours() -> Callable[[], object]:
        scope = OPENED()
        scope.__enter__()
        return functools.partial(scope.__exit__, None, None, None)

    def by_hand() -> Callable[[], object]:
        return functools.partial(VARIABLE.reset, VARIABLE.set(True))

    return {HAND: Sampler(lambda: take(by_hand)), OURS: Sampler(lambda: take(ours))}


def _scopes() -> Iterator[Comparison]:
    yield timed(PROVIDING, _providing, f"layer(x, {NAME}=True)")
    texts = {HAND: f"with by_hand({NAME}=True): pass", OURS: f"with provide({NAME}=True): pass"}
    yield timed(OPENING, lambda: dict.fromkeys(texts), texts, by_hand=ByHand, provide=provide)
    yield _reading(READING)
    yield Comparison(CLOSING, _closing, is_slow=True)
    if torch := optional("torch"):
        kind = layers.Kind("torch", "(nn.Module)", {"nn": torch.nn}, method="forward")
        cls = layers.make_class(WAYS[DECORATED], Path(kind=kind))
        model = torch.nn.Sequential(*[cls() for _ in range(100)])
        is_unset = f"getattr(item, {NAME!r}, 0) is None"
        by_hand = f"[name for name, item in layer.named_modules() if {is_unset}]"
        texts = {HAND: by_hand, OURS: "find(layer)"}
        yield timed(FINDING, lambda: dict.fromkeys(texts, model), texts, find=find_unset)
    # It comes last, because `provide` has JAX to follow from then on.
    if jax := optional("jax"):
        opened = {HAND: functools.partial(jax.make_user_context(None), 1), OURS: OPENED}
        yield timed(f"{OPENING}, JAX imported", lambda: opened, "with layer():\n    pass")
        yield _reading(f"{READING}, JAX imported")


SCOPES = Group("scopes", _scopes, reference=HAND)

# strict_partial

LOOSE, STRICT = "functools.partial", "strict_partial"
MAKING = "making the partial"


@attrs.define
class Template:
    """A layer, of which a template is made."""

    rate: float
    deterministic: bool = attrs.field(kw_only=True)


def dropout(x: object, rate: float = 0.5, *, deterministic: bool) -> object:
    """Return the arguments."""
    return x, rate, deterministic


def anything(rate: float, **options: object) -> object:
    """Return the arguments."""
    return rate, options


# What is called, the keyword that is bound, the arguments, and how many times the time of
# `functools.partial` it may take.
PARTIALS: Mapping[str, tuple[Callable[..., object], str, str, float]] = {
    "calling a function": (dropout, NAME, "x", 1.5),
    "calling a function with two arguments": (dropout, NAME, "x, x", 1.5),
    "calling a function of **kwargs": (anything, NAME, "x", 1.5),
    "calling a builtin": (sorted, "reverse", "()", 2),
    "making an object of a template": (Template, NAME, "x", 2),
}


def _partials() -> Iterator[Comparison]:
    makers: dict[str, Callable[..., object]] = {LOOSE: functools.partial, STRICT: strict_partial}
    for name, (function, keyword, arguments, _) in PARTIALS.items():
        made = {way: make(function, **{keyword: True}) for way, make in makers.items()}
        yield timed(name, functools.partial(dict, made), f"layer({arguments})")
    yield timed(MAKING, lambda: makers, f"layer(x, {NAME}=True)", x=dropout)


PARTIAL = Group("partial", _partials, reference=LOOSE)
