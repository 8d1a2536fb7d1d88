"""Flax Linen: parts of a model, and what became of a parameter on its way to a method."""

from __future__ import annotations

import inspect
import sys
from types import CodeType
from typing import TYPE_CHECKING, Any

import jax
from flax import linen as nn
from flax.core import lift
from flax.linen import module as linen_module

from mergeparam import _frameworks

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from types import FrameType

    from mergeparam._call.messages import CallState


def _nested_code(function: object, name: str) -> CodeType | None:
    """Return the code of a function that is defined in another one's body.

    A Flax that is written otherwise has none, and then nothing is ever said of it.
    """
    constants = getattr(getattr(function, "__code__", None), "co_consts", ())
    codes = (constant for constant in constants if isinstance(constant, CodeType))
    return next((code for code in codes if code.co_name == name), None)


_LIFTED = _nested_code(lift.pack, "wrapper")
"""What every lifted transformation runs around the method that it has lifted."""

_wrap_method_once = getattr(linen_module, "wrap_method_once", None)
_METHOD_WRAPPER = _nested_code(_wrap_method_once, "wrapped_module_method")
"""What Linen puts around every method, to keep track of modules."""

_UNTRACED = {
    "jit": "list the parameter in static_argnums, where self counts as 0, or in static_argnames",
    "remat": "list the parameter in static_argnums, where self counts as 0",
    "scan": "give the parameter nn.broadcast in in_axes, where self does not count",
    "vmap": "give the parameter None in in_axes, where self does not count",
}
"""How a value passes through a lifted transformation as it is."""

_SEQUENTIAL = inspect.unwrap(nn.Sequential.__call__).__code__
"""What calls one layer after the other."""


def _children(obj: object) -> Iterator[tuple[str, object]]:
    """Yield the parts of a bound module; `setup` makes some, and runs when somebody asks."""
    if isinstance(obj, nn.Module) and obj.scope is not None:
        dir(obj)
        yield from ((f".{name}", value) for name, value in vars(obj).items())


def _wrapped_like(
    wrapper: Callable[..., Any], function: Callable[..., Any]
) -> Callable[..., Any] | None:
    """Wrap a function as Linen does, if the wrapper is Linen's."""
    is_linens = getattr(wrapper, "__code__", wrapper) is _METHOD_WRAPPER
    return _wrap_method_once(function) if is_linens and _wrap_method_once else None


def _callers() -> Iterator[FrameType]:
    """Yield the frames of the calls that are running, the innermost first."""
    frame: FrameType | None = sys._getframe()  # noqa: SLF001 - the only way to walk them one by one
    while frame is not None:
        yield frame
        frame = frame.f_back


def _dropped_keyword(state: CallState) -> str | None:
    """Say which call around this one was given the parameter by name, and left it out."""
    param = state.param
    for frame in _callers():
        if frame.f_code is _LIFTED and param in _ignored_keywords(frame):
            return (
                f"nn.{frame.f_locals['name']} ignores keyword arguments, and {param}=... was one: "
                f"give it by position, or to the constructor."
            )
        if frame.f_code is _SEQUENTIAL and param in _kept_keywords(frame):
            return (
                f"nn.Sequential hands keyword arguments to its first layer only, and {param}=... "
                f"was one: give it to the constructors of the others."
            )
    return None


def _ignored_keywords(frame: FrameType) -> dict[str, Any]:
    ignored: dict[str, Any] = {} if frame.f_locals["enable_kwargs"] else frame.f_locals["kwargs"]
    return ignored


def _kept_keywords(frame: FrameType) -> dict[str, Any]:
    """Return what the first layer was given and this one is not, if this is not the first."""
    kept: dict[str, Any] = frame.f_locals["kwargs"] if "layer" in frame.f_locals else {}
    return kept


def _traced_value(state: CallState) -> str | None:
    """Say which transformation made a tracer of the value that a subclass has handed on."""
    if not isinstance(state.call_value, jax.core.Tracer):
        return None
    for frame in _callers():
        if frame.f_code is _LIFTED and frame.f_locals["name"] in _UNTRACED:
            name = frame.f_locals["name"]
            return (
                f"nn.{name} has made a tracer of what the call gave, so that it is not the "
                f"constructor's value, even if that was handed on: {_UNTRACED[name]}."
            )
    return None


_frameworks.children.append(_children)
_frameworks.wrappers.append(_wrapped_like)
_frameworks.missing_hints.append(_dropped_keyword)
_frameworks.conflict_hints.append(_traced_value)
