"""One declaration for a property that is set at construction or at call time, not both."""

import importlib
from typing import TYPE_CHECKING

from mergeparam._call.provide import provide
from mergeparam._call.resolve import merge_param
from mergeparam._decorator import mergeable
from mergeparam._sentinels import MERGED, UNSET, UnsetType
from mergeparam._spec import Param
from mergeparam.errors import (
    ConflictingParamError,
    MergeDefinitionError,
    MergeError,
    MergeWarning,
    MissingParamError,
)

if TYPE_CHECKING:
    from mergeparam._find_unset import find_unset
    from mergeparam._introspect import merged_params, merged_signature, route, unset_params
    from mergeparam._partial import strict_partial

    __version__: str

__all__ = [
    "MERGED",
    "UNSET",
    "ConflictingParamError",
    "MergeDefinitionError",
    "MergeError",
    "MergeWarning",
    "MissingParamError",
    "Param",
    "UnsetType",
    "find_unset",
    "merge_param",
    "mergeable",
    "merged_params",
    "merged_signature",
    "provide",
    "route",
    "strict_partial",
    "unset_params",
]

# Tracebacks, `help` and pickles show the names that users import.
Param.__module__ = UnsetType.__module__ = provide.__module__ = __name__

_LAZY = {
    "find_unset": "mergeparam._find_unset",
    "merged_params": "mergeparam._introspect",
    "merged_signature": "mergeparam._introspect",
    "route": "mergeparam._introspect",
    "strict_partial": "mergeparam._partial",
    "unset_params": "mergeparam._introspect",
}
"""Names of what most programs that decorate do not use, and should not wait for."""


def __getattr__(name: str) -> object:
    value: object
    if name == "__version__":
        # It is written in pyproject.toml alone, and known of what is installed.
        metadata = importlib.import_module("importlib.metadata")
        try:
            value = metadata.version(__name__)
        except metadata.PackageNotFoundError as error:
            msg = f"{__name__} is not installed, and so has no version"
            raise AttributeError(msg) from error
    elif name in _LAZY:
        value = getattr(importlib.import_module(_LAZY[name]), name)
        if isinstance(value, type):
            value.__module__ = __name__
    else:
        msg = f"module {__name__!r} has no attribute {name!r}"
        raise AttributeError(msg)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *_LAZY, "__version__"})
