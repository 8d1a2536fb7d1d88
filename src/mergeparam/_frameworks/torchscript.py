"""TorchScript: refuse to compile merged methods from a source that does not hold the merge.

Merged classes carry these functions, also to processes that have no PyTorch, so that this module
imports none.
"""

from __future__ import annotations

from typing import NoReturn, TypeVar

from mergeparam.errors import MergeDefinitionError

M = TypeVar("M")


def prepare_module(module: M) -> M:
    """Return the module if nothing is merged in it any more, else refuse it."""
    # Introspection is on a floor above this one, so it is asked for only when it is needed.
    from mergeparam._introspect import merged_methods  # noqa: PLC0415

    if merged_methods(type(module)):
        refuse(type(module))
    return module


def refuse(cls: type) -> NoReturn:
    """Say that the class cannot be compiled, and what can be done instead."""
    msg = (
        f"{cls.__qualname__} merges parameters, and TorchScript compiles methods from their "
        f"source, which does not hold the merge. Use torch.compile, torch.export or "
        f"torch.jit.trace, which run the method."
    )
    raise MergeDefinitionError(msg)
