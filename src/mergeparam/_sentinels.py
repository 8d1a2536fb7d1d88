"""The two sentinels that users write: `MERGED` in a signature, `UNSET` in a `Param`."""

from __future__ import annotations

import enum
import inspect
import sys
from typing import Any, Final, NoReturn

from mergeparam._compat import qualified_name
from mergeparam.errors import MergeDefinitionError


class MergedType(enum.Enum):
    """The type of `MERGED`. An enum member keeps its identity through copies and pickles."""

    MERGED = "MERGED"

    def __repr__(self) -> str:
        """Return the name that users write."""
        return self.name

    def __bool__(self) -> NoReturn:
        """Refuse: a body sees `MERGED` only where the class of a method was not decorated."""
        # An override that is not decorated may have handed it on, through several calls.
        frame = sys._getframe(1)  # noqa: SLF001 - the only way to the body that asks
        while frame.f_back is not None and any(
            frame.f_back.f_locals.get(name) is MERGED
            for name in inspect.getargvalues(frame.f_back).args
        ):
            frame = frame.f_back
        code = frame.f_code
        raise MergeDefinitionError(
            f"MERGED has reached the body of {qualified_name(code, code.co_name)}(), so that "
            f"method was never merged. Put @mergeable on top of the class that defines it, and "
            f"name the parameter in it (bare @mergeable takes every parameter whose default is "
            f"MERGED)."
        )


class UnsetType(enum.Enum):
    """The type of `UNSET`, for annotations. Type checkers narrow a union of it with `is`.

    >>> from mergeparam import UNSET, UnsetType
    >>> def describe(mask: str | None | UnsetType) -> str:
    ...     return "nobody said" if mask is UNSET else f"mask={mask}"
    >>> describe(UNSET), describe(None)
    ('nobody said', 'mask=None')
    """

    UNSET = "UNSET"

    def __repr__(self) -> str:
        """Return the name that users write."""
        return self.name


MERGED: Final[Any] = MergedType.MERGED
"""The default that a merged parameter is written with.

It is typed `Any`, so that `deterministic: bool = MERGED` is a plain `bool` in the body and
optional for callers. `mergeable` replaces it by the parameter's `unset` object (`None`), so no
call ever sees it. Asking for its truth raises `MergeDefinitionError`, because that only happens in
a class that was not decorated.

>>> import inspect
>>> from mergeparam import MERGED, mergeable
>>> @mergeable("deterministic")
... class Dropout:
...     deterministic: bool | None = None
...
...     def __call__(self, x, *, deterministic: bool = MERGED):
...         return deterministic
>>> str(inspect.signature(Dropout.__call__))
'(self, x, *, deterministic: bool | None = None)'
"""

UNSET: Final = UnsetType.UNSET
"""The object that means "not set" where `None` is a legal value: `Param("mask", unset=UNSET)`.

Its identity survives `copy`, `deepcopy`, `pickle` and `cloudpickle`. Under JAX it is a static
pytree node from the first `@mergeable` after JAX is imported, so a module that holds it passes
`jax.jit`.

>>> import copy, pickle
>>> from mergeparam import UNSET
>>> copy.deepcopy(UNSET) is UNSET and pickle.loads(pickle.dumps(UNSET)) is UNSET
True
"""
