"""TorchScript: refuse to compile merged methods from a source that does not hold the merge.

Merged classes carry these functions, also to processes without PyTorch: it is not imported here.
"""

from __future__ import annotations

import inspect
from typing import Any

from mergeparam.errors import MergeDefinitionError


def prepare(held: Any) -> Any:  # noqa: ANN401 - any module or class
    """Return a module, or a class, if nothing is merged in it any more, else refuse it."""
    cls = held if isinstance(held, type) else type(held)
    for base in cls.__mro__:
        for method in getattr(vars(base).get("__mergeable__"), "methods", ()):
            # A subclass may override the method by one that merges nothing.
            if getattr(inspect.unwrap(getattr(cls, method.name)), "__merged_params__", ()):
                raise MergeDefinitionError(
                    f"{cls.__qualname__} merges parameters, and TorchScript compiles methods from "
                    f"their source, which does not hold the merge. Use torch.compile, "
                    f"torch.export or torch.jit.trace, which run the method."
                )
    return held
