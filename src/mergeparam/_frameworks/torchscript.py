"""TorchScript: refuse to compile merged methods from a source that does not hold the merge.

Merged classes carry these functions, also to processes without PyTorch: it is not imported here.
"""

from __future__ import annotations

import inspect
from typing import Any, NoReturn

from mergeparam.errors import MergeDefinitionError


def prepare_module(module: Any) -> Any:  # noqa: ANN401 - any module
    """Return the module if nothing is merged in it any more, else refuse it."""
    cls = type(module)
    for base in cls.__mro__:
        for method in getattr(vars(base).get("__mergeable__"), "methods", ()):
            # A subclass may override the method by one that merges nothing.
            function = inspect.unwrap(getattr(cls, method.name))
            if getattr(function, "__merged_params__", ()):
                refuse(cls)
    return module


def refuse(cls: type) -> NoReturn:
    """Say that the class cannot be compiled, and what can be done instead."""
    raise MergeDefinitionError(
        f"{cls.__qualname__} merges parameters, and TorchScript compiles methods from their "
        f"source, which does not hold the merge. Use torch.compile, torch.export or "
        f"torch.jit.trace, which run the method."
    )
