"""What a merged call costs: by parameters, place and kind of class, raising, and beside others."""

from __future__ import annotations

import functools
from typing import TYPE_CHECKING, Any

import attrs

from benchmarks import layers
from benchmarks.layers import INLINE, NAME, NAMES, UNDECORATED, WAYS, Kind, Way
from benchmarks.plan import Comparison, Group, optional, timed
from mergeparam import merge_param

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    Method = Callable[..., Any]

COUNTS = 1, 2, 4, 8
PLACES = "call", "constructor"


@attrs.frozen
class Case:
    """How many parameters there are, and where their values are from."""

    count: int
    given: str
    kind: Kind = layers.ATTRS

    @property
    def call(self) -> str:
        """The call that gives them, if it is to."""
        given = (f", {name}=True" for name in NAMES[: self.count] if self.given == "call")
        return f"layer(x{''.join(given)})"

    def make(self, ways: Mapping[str, Way]) -> dict[str, Any]:
        """Return a layer for each of the ways."""
        names = NAMES[: self.count]
        given = dict.fromkeys(names if self.given == "constructor" else (), True)
        make = functools.partial(layers.make_class, names=names, kind=self.kind)
        classes = {name: make(way) for name, way in ways.items()}
        return {name: self.kind.ready(cls(**given)) for name, cls in classes.items()}


def _calls() -> Iterator[Comparison]:
    for case in (Case(count, given) for given in PLACES for count in COUNTS):
        name = f"{case.count} by {case.given}"
        yield timed(name, functools.partial(case.make, WAYS), case.call)


def _kinds() -> Iterator[Kind]:
    yield Kind("plain")
    yield layers.ATTRS
    if linen := optional("flax.linen"):
        bound = functools.partial(linen.Module.bind, variables={})
        yield Kind("Linen, bound", "(nn.Module)", {"nn": linen}, has_fields=True, ready=bound)
    if nnx := optional("flax.nnx"):
        yield Kind("NNX", "(nnx.Module)", {"nnx": nnx})
    if equinox := optional("equinox"):
        yield Kind("Equinox", "(eqx.Module)", {"eqx": equinox}, has_fields=True)
    if torch := optional("torch.nn"):
        yield Kind("torch", "(nn.Module)", {"nn": torch}, method="forward")


def _of_kinds() -> Iterator[Comparison]:
    ways = {name: way for name, way in WAYS.items() if way.injection != "wrap"}
    for case in (Case(1, given, kind) for kind in _kinds() for given in PLACES):
        make = functools.partial(case.make, ways)
        yield timed(f"{case.kind.name}, by {case.given}", make, case.call)


def way_of_flax() -> dict[str, Way]:
    """Return the way to merge in Flax, where that is installed."""
    if linen := optional("flax.linen"):
        names = {"merge_param": linen.merge_param}
        return {"merge_param of Flax": attrs.evolve(WAYS[layers.BY_HAND], names=names)}
    return {}


def _errors() -> Iterator[Comparison]:
    ways = {name: way for name, way in (WAYS | way_of_flax()).items() if name != UNDECORATED}
    caught = "try:\n    {}\nexcept ValueError:\n    pass"
    neither = functools.partial(Case(1, "neither").make, ways)
    both = functools.partial(Case(1, "constructor").make, ways)
    yield timed("set in neither place", neither, caught.format("layer(x)"))
    yield timed("set in both places", both, caught.format(f"layer(x, {NAME}=True)"))


def _merged(owner: object, given: Any) -> Any:
    return merge_param(NAME, getattr(owner, NAME), given)


def _by_wraps(library: Any, method: Method) -> Any:
    @library.wraps(method)  # type: ignore[untyped-decorator]
    def wrapper(self: object, *args: Any, **kwargs: Any) -> Any:
        kwargs[NAME] = _merged(self, kwargs.get(NAME))
        return method(self, *args, **kwargs)

    return wrapper


def _by_wrapt(library: Any, method: Method) -> Any:
    @library.decorator  # type: ignore[untyped-decorator]
    def wrapper(wrapped: Method, instance: object, args: Any, kwargs: Any) -> Any:
        kwargs[NAME] = _merged(instance, kwargs.get(NAME))
        return wrapped(*args, **kwargs)

    return wrapper(method)


def _by_decorator(library: Any, method: Method) -> Any:
    def caller(method: Method, self: object, *args: Any, **kwargs: Any) -> Any:
        kwargs[NAME] = _merged(self, kwargs.get(NAME))
        return method(self, *args, **kwargs)

    return library.decorate(method, caller)


WRAPPERS: Mapping[str, tuple[str, Callable[[Any, Method], Any]]] = {
    "a wrapper by makefun": ("makefun", _by_wraps),
    "a wrapper by wrapt": ("wrapt", _by_wrapt),
    "a wrapper by decorator": ("decorator", _by_decorator),
    "a wrapper by boltons": ("boltons.funcutils", _by_wraps),
    "a wrapper by functools.wraps": ("functools", _by_wraps),
}
"""The ways to wrap a method: the module that they are from, and how they do it."""


def other_ways() -> dict[str, Way]:
    """Return the ways to merge whose libraries are installed."""
    ways = {name: way for name, way in WAYS.items() if way.injection != "wrap"} | way_of_flax()
    if nnx := optional("flax.nnx.nn.normalization"):
        source = "{0} = first_from({0}, self.{0}, error_msg='{0} is set nowhere')\n"
        ways["first_from of NNX"] = Way("None", source, names={"first_from": nnx.first_from})
    ways[layers.WRAPPER] = WAYS[layers.WRAPPER]
    for name, (module, wrap) in WRAPPERS.items():
        if library := optional(module):
            ways[name] = Way("None", decorate=functools.partial(_on_method, wrap, library))
    return ways


def _on_method(wrap: Callable[[Any, Method], Any], library: Any, *_: object, **__: object) -> Any:
    def decorate(cls: Any) -> Any:
        cls.__call__ = wrap(library, cls.__call__)
        return cls

    return decorate


def _make(case: Case, ways: Mapping[str, Way]) -> Mapping[str, object]:
    made = case.make(ways)
    if case.given == "constructor":
        # It gives the parameter to a layer without a merge.
        made["functools.partial"] = functools.partial(made[UNDECORATED], **{NAME: True})
    return made


def _beside_others() -> Iterator[Comparison]:
    ways = other_ways()
    for case in (Case(1, given) for given in PLACES):
        yield timed(f"by {case.given}", functools.partial(_make, case, ways), case.call)


CALLS = Group("calls", _calls, base=UNDECORATED, reference=INLINE)
CLASSES = Group("classes", _of_kinds, base=UNDECORATED, reference=INLINE)
ERRORS = Group("errors", _errors, reference=INLINE)
ALTERNATIVES = Group("alternatives", _beside_others, base=UNDECORATED, reference=INLINE)
