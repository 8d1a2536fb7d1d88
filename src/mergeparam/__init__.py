"""One declaration for a property that is set at construction or at call time, not both."""

from mergeparam._decorator import mergeable as mergeable
from mergeparam._introspect import merged_params as merged_params
from mergeparam._introspect import merged_signature as merged_signature
from mergeparam._introspect import route as route
from mergeparam._introspect import unset_params as unset_params
from mergeparam._partial import strict_partial as strict_partial
from mergeparam._provide import provide as provide
from mergeparam._resolve import merge_param as merge_param
from mergeparam._sentinels import MERGED as MERGED
from mergeparam._sentinels import UNSET as UNSET
from mergeparam._sentinels import UnsetType as UnsetType
from mergeparam._spec import Param as Param
from mergeparam._traverse import find_unset as find_unset
from mergeparam.errors import ConflictingParamError as ConflictingParamError
from mergeparam.errors import MergeDefinitionError as MergeDefinitionError
from mergeparam.errors import MergeError as MergeError
from mergeparam.errors import MergeWarning as MergeWarning
from mergeparam.errors import MissingParamError as MissingParamError

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
