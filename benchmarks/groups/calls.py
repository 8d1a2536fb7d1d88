"""What a merged call costs: by path, parameters and kind of class, raising, and beside others."""

from __future__ import annotations

import functools
from typing import TYPE_CHECKING, Any

import attrs

from benchmarks import layers
from benchmarks.layers import INLINE, NAME, UNDECORATED, WAYS, Kind, Path, Way
from benchmarks.plan import Comparison, Group, optional, timed
from mergeparam import merge_param

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

COUNTS = 1, 4
# The paths that every way can go.
EITHER = {"set by the call": Path("call"), "set by the constructor": Path("constructor")}

FORWARDING, DEFAULT = "forwarded to super()", "by default"
OF_KINDS = EITHER | {
    FORWARDING: Path("constructor", layers.INLINE_FORWARDED, forwards=1, most=1.5)
}
PATHS = OF_KINDS | {
    DEFAULT: Path("", layers.INLINE_DEFAULT, options={"default": True}, most=1.5),
    "provided": Path("scope", layers.INLINE_PROVIDED),
}


def ways_of(path: Path, *left_out: str) -> dict[str, Way]:
    """Return the ways that can go a path: `merge_param` knows nothing but the two places."""
    if path.inline != layers.INLINE_SOURCE:
        left_out += (layers.BY_HAND,)
    return {name: way for name, way in WAYS.items() if name not in left_out}


def compare(name: str, path: Path, ways: Mapping[str, Way], call: str = "{}") -> Comparison:
    """Compare calls of layers that are made anew for every run."""
    return timed(name, functools.partial(path.make, ways), call.format(path.call), path.open_scope)


def _calls() -> Iterator[Comparison]:
    for place, path in PATHS.items():
        for count in COUNTS:
            counted = attrs.evolve(path, count=count)
            yield compare(f"{count} {place}", counted, ways_of(path))


def _kinds() -> Iterator[Kind]:
    yield Kind("plain")
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
    for kind in _kinds():
        for place, path in OF_KINDS.items():
            ways = ways_of(path, layers.WRAPPER)
            yield compare(f"{kind.name}, {place}", attrs.evolve(path, kind=kind), ways)


def way_of_flax() -> dict[str, Way]:
    """Return the way to merge in Flax, where that is installed."""
    if linen := optional("flax.linen"):
        names = {"merge_param": linen.merge_param}
        return {"merge_param of Flax": attrs.evolve(WAYS[layers.BY_HAND], names=names)}
    return {}


NEITHER, BOTH, WITH_FLAX = "set in neither place", "set in both places", "Flax imported"


def _errors() -> Iterator[Comparison]:
    caught = "try:\n    {}\nexcept ValueError:\n    pass"
    paths, ways = {NEITHER: Path(), BOTH: Path("call, constructor")}, ways_of(Path(), UNDECORATED)
    for name, path in paths.items():
        yield compare(name, path, ways, caught)
    # They come last: with Flax and JAX imported, errors look for what these may have done.
    if of_flax := way_of_flax():
        for name, path in paths.items():
            yield compare(f"{name}, {WITH_FLAX}", path, ways | of_flax, caught)


def _merged(owner: object, given: Any) -> Any:
    return merge_param(NAME, getattr(owner, NAME), given)


def _by_wraps(library: Any, method: Callable[..., Any]) -> Any:
    @library.wraps(method)  # type: ignore[untyped-decorator]
    def wrapper(self: object, *args: Any, **kwargs: Any) -> Any:
        kwargs[NAME] = _merged(self, kwargs.get(NAME))
        return method(self, *args, **kwargs)

    return wrapper


def _by_wrapt(library: Any, method: Callable[..., Any]) -> Any:
    @library.decorator  # type: ignore[untyped-decorator]
    def wrapper(wrapped: Callable[..., Any], instance: object, args: Any, kwargs: Any) -> Any:
        kwargs[NAME] = _merged(instance, kwargs.get(NAME))
        return wrapped(*args, **kwargs)

    return wrapper(method)


WRAPPERS: Mapping[str, tuple[str, Callable[[Any, Any], Any]]] = {
    "a wrapper by makefun": ("makefun", _by_wraps),
    "a wrapper by wrapt": ("wrapt", _by_wrapt),
    "a wrapper by functools.wraps": ("functools", _by_wraps),
}
"""The ways to wrap a method: the module that they are from, and how they do it."""


def other_ways() -> dict[str, Way]:
    """Return the ways to merge whose libraries are installed."""
    ways = WAYS | way_of_flax()
    if nnx := optional("flax.nnx.nn.normalization"):
        source = "{0} = first_from({0}, self.{0}, error_msg='{0} is set nowhere')\n"
        ways["first_from of NNX"] = Way("None", source, names={"first_from": nnx.first_from})
    for name, (module, wrap) in WRAPPERS.items():
        if library := optional(module):
            ways[name] = Way("None", decorate=functools.partial(_on_method, wrap, library))
    return ways


def _on_method(wrap: Callable[[Any, Any], Any], library: Any, *_: object, **__: object) -> Any:
    def decorate(cls: Any) -> Any:
        cls.__call__ = wrap(library, cls.__call__)
        return cls

    return decorate


def _beside_others() -> Iterator[Comparison]:
    ways = other_ways()

    def make(path: Path) -> Mapping[str, object]:
        made = path.make(ways)
        if path.given == "constructor":
            # It gives the parameter to a layer without a merge.
            made["functools.partial"] = functools.partial(made[UNDECORATED], **{NAME: True})
        return made

    for place, path in EITHER.items():
        yield timed(place, functools.partial(make, path), path.call)


CALLS = Group("calls", _calls, base=UNDECORATED, reference=INLINE)
CLASSES = Group("classes", _of_kinds, base=UNDECORATED, reference=INLINE)
ERRORS = Group("errors", _errors, reference=INLINE)
ALTERNATIVES = Group("alternatives", _beside_others, base=UNDECORATED, reference=INLINE)
