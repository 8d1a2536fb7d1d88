"""A merged method and its source: the one module here that knows how the core merges."""

from __future__ import annotations

import ast
import linecache
from types import CodeType, MappingProxyType
from typing import TYPE_CHECKING, Any

import attrs

from mergeparam import merge_param
from mergeparam._bench import Refusal
from mergeparam._declare.methods import declarations, find_method, merged_methods_of
from mergeparam._declare.signature import change_defaults
from mergeparam._inject.install import copy_function
from mergeparam._inject.source import body_method, merge_source
from mergeparam._inject.splice import entry_point

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from types import FunctionType

    from mergeparam import Param
    from mergeparam._spec import MergedMethod

_PREFIX = "_mergeparam_bench_"


@attrs.frozen
class Subject:
    """A merged method that is looked at."""

    cls: type
    name: str
    label: str
    receiver: str
    chain: tuple[Any, ...]  # what the class holds, and what that wraps, down to the function
    function: Any
    levels: tuple[MergedMethod, ...]  # the last decorator's first: the order in which they merge
    params: tuple[Param, ...]
    is_wrapped_by_us: bool  # whether the merge is in a wrapper and not in the function's code
    spliced: range  # the offsets in the function's code that are the merge
    source: str  # of the whole file


def read_subject(cls: type, name: str) -> Subject:
    """Return a merged method of a class."""
    found = find_method(cls, name)
    function = found.function
    lines = linecache.getlines(function.__code__.co_filename, function.__globals__)
    suffixes = {level.names.suffix for level, _ in declarations(cls, name)}
    levels = tuple(level for level in merged_methods_of(cls) if level.names.suffix in suffixes)
    begin = entry_point(function.__code__)
    return Subject(
        cls=cls,
        name=name,
        label=found.label,
        receiver=found.receiver,
        chain=found.chain,
        function=function,
        levels=levels,
        params=tuple(param for level in levels for param in level.params),
        is_wrapped_by_us=any(level.injection == "wrap" for level in levels),
        spliced=range(begin, begin + sum(level.size for level in levels)),
        source="".join(lines),
    )


def check_source(subject: Subject) -> None:
    """Refuse a method that cannot be merged in another way."""
    code, msg = subject.function.__code__, ""
    if any(level.provides for level in subject.levels):
        msg = (
            f"{subject.label} provides its values to the calls in its body (provide=True), and "
            f"there is no merge by hand that does, to compare it with"
        )
    elif any(
        param.when is not None or param.attribute_unset is not param.unset
        for param in subject.params
    ):
        msg = f"{subject.label} has a when= or an attribute_unset=, which merge_param lacks"
    elif not subject.source:
        msg = f"the source of {code.co_qualname} is not to be had ({code.co_filename})"
    else:
        # Without the merge, the code has to be what the source makes.
        plain, merge = _compiled(subject, ""), subject.spliced
        for level in subject.levels:
            if level.injection == "wrap":
                # A private method knows the body.
                held = getattr(subject.cls, body_method(level.name) + level.names.suffix)
                code, merge = held.__wrapped__.__code__, range(0)
        without = code.co_code[: merge.start] + code.co_code[merge.stop :]
        names = code.co_names[: len(plain.co_names)]
        if (plain.co_code, plain.co_names) != (without, names):
            msg = (
                f"{subject.label} is not what its source makes: "
                f"{code.co_filename} has been changed, or a tool has rewritten the method"
            )
    if msg:
        raise Refusal(msg)


def inline_source(subject: Subject, suffix: str | None = None) -> str:
    """Return the merge as Python source; private names end in the suffix, if one is given."""
    text = ""
    for level in subject.levels:
        names = level.names if suffix is None else level.names._replace(suffix=suffix)
        text += merge_source(subject.receiver, level.params, names)
    return text


def inline(subject: Subject, more: str = "", **names: object) -> FunctionType:
    """Return the method with the merge as statements, and `more` of them behind."""
    return make_function(subject, inline_source(subject) + more, names)


def by_hand(subject: Subject) -> FunctionType:
    """Return the method with a call of `merge_param` for each parameter."""
    text, names = "", dict[str, object]({f"{_PREFIX}merge_param": merge_param})
    for param in subject.params:
        values = f"{param.name!r}, {subject.receiver}.{param.attribute}, {param.name}"
        if param.unset is not None:
            names[f"{_PREFIX}unset_{param.name}"] = param.unset
            values += f", unset={_PREFIX}unset_{param.name}"
        text += f"{param.name} = {_PREFIX}merge_param({values})\n"
    return make_function(subject, text, names)


def make_function(
    subject: Subject,
    statements: str,
    names: Mapping[str, object] = MappingProxyType({}),
    defaults: Mapping[str, object] = MappingProxyType({}),
) -> FunctionType:
    """Return the method with statements in the place of the merge, which may use `names`."""
    function = copy_function(subject.function, _compiled(subject, statements))
    function.__globals__.update(names)
    function.__defaults__, function.__kwdefaults__ = change_defaults(function, defaults)
    return function


def decorated(subject: Subject) -> Any:  # noqa: ANN401 - what a class holds
    """Return what the class holds; copied, as what it is compared with is new too."""
    if subject.is_wrapped_by_us:
        return subject.chain[0]
    return copy_function(subject.function, subject.function.__code__.replace())


def _compiled(subject: Subject, statements: str) -> CodeType:
    """Return the method's code, compiled in its place in the file with the statements first.

    The whole file is compiled and nothing of it is run, so that names mean what they mean there:
    private names, the names around the function, `super()`.
    """
    code, tree = subject.function.__code__, ast.parse(subject.source)
    place = code.co_qualname, code.co_firstlineno
    for node in ast.walk(tree):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            # A function's first line is that of its first decorator.
            line = min(item.lineno for item in (node, *node.decorator_list))
            if (node.name, line) == (code.co_name, code.co_firstlineno):
                break
    else:
        msg = f"{code.co_qualname} is not written with def in {code.co_filename}"
        raise Refusal(msg)
    added = ast.parse(statements).body
    for item in (item for statement in added for item in ast.walk(statement)):
        ast.copy_location(item, node)
    # A docstring is one only as the first statement.
    at = int(ast.get_docstring(node, clean=False) is not None)
    node.body[at:at] = added
    codes = _codes_in(compile(tree, code.co_filename, "exec", dont_inherit=True))
    return next(item for item in codes if (item.co_qualname, item.co_firstlineno) == place)


def _codes_in(code: CodeType) -> Iterator[CodeType]:
    for constant in code.co_consts:
        if isinstance(constant, CodeType):
            yield constant
            yield from _codes_in(constant)
