"""One declaration for a property that is set at construction or at call time, not both."""

import importlib
from typing import TYPE_CHECKING

from mergeparam._call.provide import provide as provide
from mergeparam._call.resolve import merge_param as merge_param
from mergeparam._decorator import mergeable as mergeable
from mergeparam._sentinels import MERGED as MERGED
from mergeparam._sentinels import UNSET as UNSET
from mergeparam._sentinels import UnsetType as UnsetType
from mergeparam._spec import Param as Param
from mergeparam.errors import ConflictingParamError as ConflictingParamError
from mergeparam.errors import MergeDefinitionError as MergeDefinitionError
from mergeparam.errors import MergeError as MergeError
from mergeparam.errors import MergeWarning as MergeWarning
from mergeparam.errors import MissingParamError as MissingParamError

if TYPE_CHECKING:
    from mergeparam._find_unset import find_unset as find_unset
    from mergeparam._introspect import merged_params as merged_params
    from mergeparam._introspect import merged_signature as merged_signature
    from mergeparam._introspect import route as route
    from mergeparam._introspect import unset_params as unset_params
    from mergeparam._partial import strict_partial as strict_partial

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
    if name not in _LAZY:
        msg = f"module {__name__!r} has no attribute {name!r}"
        raise AttributeError(msg)
    value: object = getattr(importlib.import_module(_LAZY[name]), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *_LAZY})
