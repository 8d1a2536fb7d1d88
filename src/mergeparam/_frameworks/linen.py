"""Flax Linen: parts of a model, and what became of a parameter on its way to a method."""

from __future__ import annotations

import inspect
import sys
from types import CodeType
from typing import TYPE_CHECKING

import jax
from flax import linen as nn
from flax.core import lift

from mergeparam._frameworks.adapter import Adapter
from mergeparam._frameworks.linen_layers import CONTEXT, STACK, Interceptors, accept_merged

if TYPE_CHECKING:
    from collections.abc import Iterator

    from mergeparam._call.messages import CallState
    from mergeparam._call.provide import Scope


_PACK = getattr(getattr(lift, "pack", None), "__code__", None)
_INNER = [held for held in getattr(_PACK, "co_consts", ()) if isinstance(held, CodeType)]
_LIFTED = next((code for code in _INNER if code.co_name == "wrapper"), None)
"""What every lifted transformation runs around the method that it has lifted."""

_UNTRACED = {
    "jit": "list the parameter in static_argnums, where self counts as 0, or in static_argnames",
    "remat": "list the parameter in static_argnums, where self counts as 0",
    "scan": "give the parameter nn.broadcast in in_axes, where self does not count",
    "vmap": "give the parameter None in in_axes, where self does not count",
}
"""How a value passes through a lifted transformation as it is."""

_SEQUENTIAL = getattr(inspect.unwrap(nn.Sequential.__call__), "__code__", None)
"""What calls one layer after the other."""


class LinenAdapter(Adapter):
    """Knows bound modules, merges by hand, and what transformations make of arguments."""

    follows_scopes = True

    def scope_opened(self, scope: Scope) -> None:  # noqa: ARG002 - any scope will do
        """Make Flax ask, from the first scope on, whether anything is open."""
        STACK.__class__ = Interceptors

    def finish_class(self, cls: type) -> None:
        """Let a module hand on what it has merged to a base that merges by hand."""
        if issubclass(cls, nn.Module):
            accept_merged(cls)

    def children(self, obj: object) -> Iterator[tuple[str, object]]:
        """Yield the parts of a bound module; `setup` makes some, and runs when somebody asks."""
        if isinstance(obj, nn.Module) and obj.scope is not None:
            dir(obj)
            yield from ((f".{name}", value) for name, value in vars(obj).items())

    def hint(self, state: CallState, *, is_missing: bool) -> str | None:
        """Say which call around this one has left the parameter out, or made a tracer of it."""
        # What this reads of Flax is private. Whoever asks for the hint does without if it fails.
        # Arguments get lost around methods of modules; where none of these is running, Flax's
        # stack holds nothing but the `None` that it begins with.
        if is_missing and len(CONTEXT.module_stack) == 1:
            return None
        if not is_missing and not isinstance(state.call_value, jax.core.Tracer):
            return None
        param = state.param
        frame = sys._getframe()  # noqa: SLF001 - as traceback does itself
        while frame.f_back is not None:
            frame = frame.f_back
            code = frame.f_code
            is_lifted = code is _LIFTED
            # To read the variables of every frame takes longer than all else of an error.
            if not is_lifted and code is not _SEQUENTIAL:
                continue
            held = frame.f_locals
            if not is_missing:
                # The traced value is not the same any more, even if a subclass has handed it on.
                if is_lifted and held["name"] in _UNTRACED:
                    return (
                        f"nn.{held['name']} has made a tracer of what the call gave, so that it "
                        f"is not the constructor's value, even if that was handed on: "
                        f"{_UNTRACED[held['name']]}."
                    )
            # A lifted transformation drops keyword arguments unless it was told to keep them.
            elif is_lifted and not held["enable_kwargs"] and param in held["kwargs"]:
                return (
                    f"nn.{held['name']} ignores keyword arguments, and {param}=... was one: "
                    f"give it by position, or to the constructor."
                )
            # The first layer is called before the loop that binds `layer` has begun.
            elif not is_lifted and "layer" in held and param in held["kwargs"]:
                return (
                    f"nn.Sequential hands keyword arguments to its first layer only, and "
                    f"{param}=... was one: give it to the constructors of the others."
                )
        return None


ADAPTER = LinenAdapter()
