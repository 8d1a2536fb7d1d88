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

    Method = Callable[..., Any]

COUNTS = 1, 4
EITHER = {"call": Path("call"), "constructor": Path("constructor")}
"""The paths on which one place sets the parameter, which every way can go."""

DEFAULT = Path("", layers.INLINE_DEFAULT, options={"default": True}, most=1.5)
FORWARDING = Path("constructor", layers.INLINE_FORWARDED, forwards=1, most=1.5)
PROVIDED = Path("scope", layers.INLINE_PROVIDED)
TITLES = {
    "call": "set by the call",
    "constructor": "set by the constructor",
    "default": "by default",
    "forwarding": "forwarded to `super()`",
    "provide": "provided",
}
OF_KINDS = EITHER | {"forwarding": FORWARDING}
PATHS = EITHER | {"default": DEFAULT, "forwarding": FORWARDING, "provide": PROVIDED}


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
            yield compare(f"{count} by {place}", counted, ways_of(path))


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
    for kind in _kinds():
        for place, path in OF_KINDS.items():
            ways = ways_of(path, layers.WRAPPER)
            yield compare(f"{kind.name}, by {place}", attrs.evolve(path, kind=kind), ways)


def way_of_flax() -> dict[str, Way]:
    """Return the way to merge in Flax, where that is installed."""
    if linen := optional("flax.linen"):
        names = {"merge_param": linen.merge_param}
        return {"merge_param of Flax": attrs.evolve(WAYS[layers.BY_HAND], names=names)}
    return {}


NEITHER, BOTH = "set in neither place", "set in both places"


def _errors() -> Iterator[Comparison]:
    caught, paths = "try:\n    {}\nexcept ValueError:\n    pass", {}
    paths[NEITHER], paths[BOTH] = Path(), Path("call, constructor")
    ways = ways_of(Path(), UNDECORATED)
    for name, path in paths.items():
        yield compare(name, path, ways, caught)
    # They come last: with Flax and JAX imported, errors look for what these may have done.
    if of_flax := way_of_flax():
        for name, path in paths.items():
            yield compare(f"{name}, Flax imported", path, ways | of_flax, caught)


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


def _beside_others() -> Iterator[Comparison]:
    ways = other_ways()

    def make(path: Path) -> Mapping[str, object]:
        made = path.make(ways)
        if path.given == "constructor":
            # It gives the parameter to a layer without a merge.
            made["functools.partial"] = functools.partial(made[UNDECORATED], **{NAME: True})
        return made

    for place, path in EITHER.items():
        yield timed(f"by {place}", functools.partial(make, path), path.call)


CALLS = Group("calls", _calls, base=UNDECORATED, reference=INLINE)
CLASSES = Group("classes", _of_kinds, base=UNDECORATED, reference=INLINE)
ERRORS = Group("errors", _errors, reference=INLINE)
ALTERNATIVES = Group("alternatives", _beside_others, base=UNDECORATED, reference=INLINE)
