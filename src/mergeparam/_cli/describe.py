"""A merged class in, all that is shown of it out, as frozen values."""

from __future__ import annotations

from typing import TYPE_CHECKING

import attrs

from mergeparam._introspect import merged_methods
from mergeparam._locate import locate
from mergeparam._lookup import declarations
from mergeparam._lookup import levels as all_levels
from mergeparam._prologue import merge_source
from mergeparam._signature import read_signature, written_signature
from mergeparam.errors import shorten

if TYPE_CHECKING:
    from types import CodeType

    from mergeparam._locate import Located
    from mergeparam._spec import MergedMethod, Param


@attrs.frozen
class ParamDescription:
    """One merged parameter."""

    name: str
    attribute: str
    unset: str
    on_conflict: str
    default: str | None
    declared_by: str
    injection: str


@attrs.frozen
class MethodDescription:
    """One merged method."""

    name: str
    signature_before: str
    signature_after: str
    file: str
    line: int
    params: tuple[ParamDescription, ...]
    source: str
    """The merge, as the statements that stand before the method's body."""

    code: CodeType
    spliced: int
    """How many bytes of the code, behind its `RESUME`, are the merge."""


@attrs.frozen
class ClassDescription:
    """One merged class."""

    name: str
    module: str
    methods: tuple[MethodDescription, ...]


def describe(cls: type) -> ClassDescription:
    """Return what is merged in a class."""
    methods = tuple(_describe_method(cls, method) for method in merged_methods(cls))
    return ClassDescription(cls.__qualname__, cls.__module__, methods)


def _describe_method(cls: type, method: str) -> MethodDescription:
    place, found = locate(cls, method), declarations(cls, method)
    keys = {level.key for level, _ in found}
    levels = [level for level in all_levels(cls) if level.key in keys]
    is_around = any(level.injection == "wrap" for level in levels)
    code = place.function().__code__
    return MethodDescription(
        name=method,
        signature_before=_before(place, levels),
        signature_after=str(read_signature(place.chain[0])),
        file=code.co_filename,
        line=code.co_firstlineno,
        params=tuple(_describe_param(level, param) for level, param in found),
        source="".join(
            merge_source(level.key.text, place.receiver, level.params) for level in levels
        ),
        code=place.chain[0].__code__ if is_around else code,
        spliced=0 if is_around else sum(level.size for level in levels),
    )


def _before(place: Located, levels: list[MergedMethod]) -> str:
    """Return the signature before the first of stacked decorators."""
    return str(written_signature(place.function(), levels[-1].written))


def _describe_param(level: MergedMethod, param: Param) -> ParamDescription:
    return ParamDescription(
        name=param.name,
        attribute=param.attribute,
        unset=shorten(param.unset),
        on_conflict=param.on_conflict,
        default=None if param.default is attrs.NOTHING else shorten(param.default),
        declared_by=level.owner,
        injection=level.injection,
    )
