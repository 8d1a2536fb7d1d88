"""What one merged parameter costs beside other libraries and other ways to write a decorator."""

from __future__ import annotations

import functools
import inspect
import os
from typing import TYPE_CHECKING, Any

import attrs

from benchmarks.layers import (
    BY_HAND,
    DECORATED,
    INLINE,
    NAMES,
    UNDECORATED,
    WAYS,
    WRAPPER,
    Way,
    make_class,
)
from benchmarks.optional import optional
from benchmarks.plan import Comparison, Effort, Group
from mergeparam import merge_param
from mergeparam._cli.sampling import Sampler, call_sampler

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    Method = Callable[..., Any]

NAME = NAMES[0]
PARTIAL = "functools.partial"
PLACES = ("call", "constructor")


def on_method(wrap: Callable[[Method], Method]) -> Callable[..., Callable[[type], type]]:
    """Return a decorator of classes that wraps `__call__`."""

    def decorator(*_: str, **__: str) -> Callable[[type], type]:
        def decorate(cls: type) -> type:
            cls.__call__ = wrap(cls.__call__)  # type: ignore[method-assign]
            return cls

        return decorate

    return decorator


def by_wraps(method: Method) -> Method:
    """Wrap a method the usual way."""

    @functools.wraps(method)
    def wrapper(self: object, *args: Any, **kwargs: Any) -> Any:
        kwargs[NAME] = merge_param(NAME, getattr(self, NAME), kwargs.get(NAME))
        return method(self, *args, **kwargs)

    return wrapper


def by_bind(method: Method) -> Method:
    """Wrap a method so that the parameter is found however it is given."""
    signature = inspect.signature(method)

    @functools.wraps(method)
    def wrapper(*args: Any, **kwargs: Any) -> Any:
        bound = signature.bind(*args, **kwargs)
        bound.apply_defaults()
        given = bound.arguments[NAME]
        bound.arguments[NAME] = merge_param(NAME, getattr(args[0], NAME), given)
        return method(*bound.args, **bound.kwargs)

    return wrapper


def by_makefun(makefun: Any) -> Callable[[Method], Method]:
    """Wrap a method with `makefun`, which keeps its signature."""

    def wrap(method: Method) -> Method:
        @makefun.wraps(method)  # type: ignore[untyped-decorator]
        def wrapper(self: object, **kwargs: Any) -> Any:
            kwargs[NAME] = merge_param(NAME, getattr(self, NAME), kwargs[NAME])
            return method(self, **kwargs)

        return wrapper  # type: ignore[no-any-return]  # what the library returns

    return wrap


def by_wrapt(wrapt: Any) -> Callable[[Method], Method]:
    """Wrap a method with `wrapt`, which keeps its signature."""

    @wrapt.decorator  # type: ignore[untyped-decorator]
    def wrapper(wrapped: Method, instance: object, args: Any, kwargs: Any) -> Any:
        kwargs[NAME] = merge_param(NAME, getattr(instance, NAME), kwargs.get(NAME))
        return wrapped(*args, **kwargs)

    return wrapper  # type: ignore[no-any-return]  # what the library returns


def by_decorator(decorator: Any) -> Callable[[Method], Method]:
    """Wrap a method with `decorator`, which keeps its signature."""

    def caller(method: Method, self: object, *args: Any, **kwargs: Any) -> Any:
        kwargs[NAME] = merge_param(NAME, getattr(self, NAME), kwargs.get(NAME))
        return method(self, *args, **kwargs)

    return lambda method: decorator.decorate(method, caller)


def by_boltons(funcutils: Any) -> Callable[[Method], Method]:
    """Wrap a method with `boltons.funcutils`, which keeps its signature."""

    def wrap(method: Method) -> Method:
        @funcutils.wraps(method)  # type: ignore[untyped-decorator]
        def wrapper(self: object, *args: Any, **kwargs: Any) -> Any:
            kwargs[NAME] = merge_param(NAME, getattr(self, NAME), kwargs[NAME])
            return method(self, *args, **kwargs)

        return wrapper  # type: ignore[no-any-return]  # what the library returns

    return wrap


def ways() -> Iterator[tuple[str, Way]]:
    """Yield the ways whose libraries are installed."""
    for name in (UNDECORATED, INLINE, DECORATED, BY_HAND):
        yield name, WAYS[name]
    if linen := optional("flax.linen"):
        flax = {"merge_param": linen.merge_param}
        yield "merge_param of Flax", attrs.evolve(WAYS[BY_HAND], names=flax)
    if nnx := optional("flax.nnx.nn.normalization"):
        source = f"{NAME} = first_from({NAME}, self.{NAME}, error_msg='{NAME} is set nowhere')\n"
        yield "first_from of NNX", Way("None", source, names={"first_from": nnx.first_from})
    yield WRAPPER, WAYS[WRAPPER]
    for name, module, wrap in (
        ("makefun", "makefun", by_makefun),
        ("wrapt", "wrapt", by_wrapt),
        ("decorator", "decorator", by_decorator),
        ("boltons", "boltons.funcutils", by_boltons),
    ):
        if library := optional(module):
            yield name, Way("None", decorate=on_method(wrap(library)))
    yield "functools.wraps", Way("None", decorate=on_method(by_wraps))
    yield "signature.bind", Way("None", decorate=on_method(by_bind))


def keras_layers() -> Mapping[str, Callable[[object], object]]:
    """Return a call of a Keras layer without the parameter, and one of a layer that merges it.

    The call context that Keras keeps is what gives the layer its `training`.
    """
    os.environ.setdefault("KERAS_BACKEND", "numpy")
    keras = optional("keras")
    if keras is None:
        return {}

    class Plain(keras.layers.Layer):  # type: ignore[misc, name-defined]
        def call(self, x: object) -> object:
            return x

    class Trained(keras.layers.Layer):  # type: ignore[misc, name-defined]
        def call(self, x: object, training: bool | None = None) -> object:  # noqa: ARG002, FBT001 - as Keras calls it
            return x

    return {"without a parameter": Plain(), "training from the call context": Trained()}


@attrs.frozen
class Case:
    """The ways, and where the value is from."""

    ways: Mapping[str, Way]
    given: str

    def samplers(self, effort: Effort) -> Mapping[str, Sampler]:
        """Return samplers of all ways."""
        by_call = self.given == "call"
        call = f"layer(x, {NAME}=True)" if by_call else "layer(x)"
        given = {} if by_call else {NAME: True}
        layers = {name: make_class(way, (NAME,))(**given) for name, way in self.ways.items()}
        if not by_call:
            layers[PARTIAL] = functools.partial(make_layer(), **{NAME: True})
        return {
            name: call_sampler(call, {"layer": layer, "x": 1.0}, effort.seconds)
            for name, layer in layers.items()
        }


def make_layer() -> Callable[..., object]:
    """Return a layer without a merge, for `functools.partial` to give it its parameter."""
    layer: Callable[..., object] = make_class(WAYS[UNDECORATED], (NAME,))()
    return layer


def keras_samplers(
    layers: Mapping[str, Callable[[object], object]], effort: Effort
) -> Mapping[str, Sampler]:
    """Return samplers of calls of Keras' layers."""
    numpy = optional("numpy")
    return {
        name: call_sampler("layer(x)", {"layer": layer, "x": numpy.ones(1)}, effort.seconds)
        for name, layer in layers.items()
    }


def comparisons() -> Iterator[Comparison]:
    """Yield a comparison for every place, and Keras by itself."""
    compared = dict(ways())
    for given in PLACES:
        yield Comparison(f"by {given}", Case(compared, given).samplers)
    if layers := keras_layers():
        yield Comparison("Keras", functools.partial(keras_samplers, layers))


GROUP = Group(
    "alternatives",
    "Beside other ways",
    """\
One parameter, in the same class. All wrappers merge with mergeparam's `merge_param`, and differ
in how they are put around the method. `functools.partial` gives the parameter beforehand, to a
layer without a merge; a call may overrule it unnoticed. NNX's `first_from` lets the call overrule
too. A Keras layer finds `training` in its call context; it is compared with a Keras layer that
has no such parameter, because a layer's call is itself some microseconds of work in Keras.""",
    comparisons,
    base=UNDECORATED,
    reference=INLINE,
    needs_frameworks=True,
)
