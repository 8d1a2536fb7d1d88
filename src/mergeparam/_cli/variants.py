"""A merged method in, the same method merged in other ways out."""

from __future__ import annotations

import types
from typing import TYPE_CHECKING, Any

import attrs

from mergeparam._cli.refusal import Refusal, one_line
from mergeparam._cli.rewritten import read_source, rewritten
from mergeparam._install import copy_function
from mergeparam._locate import locate
from mergeparam._lookup import declarations
from mergeparam._lookup import levels as all_levels
from mergeparam._prologue import merge_source, unset_attributes
from mergeparam._resolve import merge_param
from mergeparam._signature import set_defaults
from mergeparam._splice import entry_point

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from types import CodeType, FunctionType

    from mergeparam._locate import Located
    from mergeparam._spec import MergedMethod, Param

UNDECORATED, INLINE, DECORATED = "undecorated", "inline by hand", "@mergeable"
BY_HAND = "merge_param by hand"

_MERGE_PARAM, _SEEN = "_mergeparam_bench_merge_param", "_mergeparam_bench_seen"


@attrs.frozen
class Method:
    """A merged method, and what is known of how it is merged."""

    place: Located
    source: str
    levels: tuple[MergedMethod, ...]
    """The declarations, the last decorator's first: in that order they merge."""

    @property
    def names(self) -> tuple[str, ...]:
        """The names that are merged."""
        return tuple(param.name for param in self.params)

    @property
    def params(self) -> tuple[Param, ...]:
        """How the names are merged."""
        return tuple(param for level in self.levels for param in level.params)

    @property
    def is_known_to_merge_param(self) -> bool:
        """Whether `merge_param` can say the same: it raises on conflicts and has no default."""
        return all(
            param.on_conflict == "raise" and param.default is attrs.NOTHING
            for param in self.params
        )

    @property
    def has_unset_objects(self) -> bool:
        """Whether an object that is no literal means "not set" for a parameter."""
        return any(unset_attributes(level.key.text, level.params) for level in self.levels)

    @property
    def is_wrapped_by_us(self) -> bool:
        """Whether a wrapper of ours merges, so that the method's own code does not."""
        return any(level.injection == "wrap" for level in self.levels)


def read_method(cls: type, name: str) -> Method:
    """Return what is known of a merged method, or say why it cannot be merged in another way."""
    place = locate(cls, name)
    keys = {level.key for level, _ in declarations(cls, name)}
    levels = tuple(level for level in all_levels(cls) if level.key in keys)
    if any(level.provides for level in levels):
        msg = (
            f"{place.place} provides its values to the calls in its body (provide=True), and "
            f"there is no merge by hand that does, to compare it with"
        )
        raise Refusal(msg)
    method = Method(place, read_source(place.function()), levels)
    _check_source(method)
    return method


def _check_source(method: Method) -> None:
    """Make sure that the method is what its source makes, but for the merge."""
    code, running = rewritten(method.place.function(), method.source, ""), _code(method)
    begin, size = entry_point(code), sum(level.size for level in method.levels)
    without_merge = running.co_code[:begin] + running.co_code[begin + size :]
    names = running.co_names[: len(code.co_names)]
    if (code.co_code, code.co_names) != (without_merge, names):
        msg = (
            f"{method.place.place} is not what its source makes: "
            f"{running.co_filename} has been changed, or a tool has rewritten the method"
        )
        raise Refusal(msg)


def _code(method: Method) -> CodeType:
    return method.place.function().__code__


def variants(method: Method, values: Mapping[str, object]) -> dict[str, type]:
    """Return a subclass for each way to merge; what is undecorated has `values` as defaults."""
    made = {
        UNDECORATED: _undecorated(method, values),
        INLINE: _from_source(method, inline_source(method)),
        DECORATED: _decorated(method),
    }
    if method.is_known_to_merge_param:
        made[BY_HAND] = _from_source(method, by_hand_source(method))
    return {name: _subclass(method, function) for name, function in made.items()}


def watched(method: Method, see: Callable[[dict[str, object]], None]) -> type:
    """Return a subclass whose method tells, in each call, the values that it has merged."""
    pairs = ", ".join(f"{name!r}: {name}" for name in method.names)
    function = _from_source(method, f"{inline_source(method)}{_SEEN}({{{pairs}}})\n")
    function.__globals__[_SEEN] = see
    return _subclass(method, function)


def inline_source(method: Method) -> str:
    """Return the merge as `mergeparam show --source` has it; objects are read as globals."""
    lines = ""
    for level in method.levels:
        receiver, key = method.place.receiver, level.key.text
        text = merge_source(key, receiver, level.params)
        for name in unset_attributes(key, level.params):
            text = text.replace(f"{receiver}.{name}", name)
        lines += text
    return lines


def by_hand_source(method: Method) -> str:
    """Return a call of `merge_param` for each parameter."""
    return "".join(
        _by_hand(method, level, param) for level in method.levels for param in level.params
    )


def _by_hand(method: Method, level: MergedMethod, param: Param) -> str:
    receiver = method.place.receiver
    unset = next(iter(unset_attributes(level.key.text, (param,))), repr(param.unset))
    more = "" if param.unset is None else f", unset={unset}"
    values = f"{param.name!r}, {receiver}.{param.attribute}, {param.name}"
    return f"{param.name} = {_MERGE_PARAM}({values}{more})\n"


def _from_source(method: Method, statements: str) -> FunctionType:
    original = method.place.function()
    code = rewritten(original, method.source, statements)
    original.__globals__[_MERGE_PARAM] = merge_param
    for level in method.levels:
        original.__globals__.update(unset_attributes(level.key.text, level.params))
    return copy_function(original, code)


def _undecorated(method: Method, values: Mapping[str, object]) -> FunctionType:
    function = _from_source(method, "")
    set_defaults(function, values)
    return function


def _decorated(method: Method) -> Any:  # noqa: ANN401 - what a class holds
    """Return the method itself; copied, as those that it is compared with are made anew."""
    if method.is_wrapped_by_us:
        return method.place.chain[0]
    return copy_function(method.place.function(), _code(method).replace())


def _subclass(method: Method, function: Any) -> type:  # noqa: ANN401 - what a class holds
    """Return a subclass that has the function as its method, and differs in nothing else."""
    cls = method.place.cls

    def fill(namespace: dict[str, object]) -> None:
        namespace |= {"__module__": cls.__module__, "__qualname__": cls.__qualname__}
        if not cls.__dictoffset__:
            namespace["__slots__"] = ()
        namespace[method.place.method] = function

    try:
        return types.new_class(cls.__name__, (cls,), {}, fill)
    except Exception as error:
        msg = f"{cls.__qualname__} does not let itself be subclassed: {one_line(error)}"
        raise Refusal(msg) from error


def lost_wrappers(method: Method, variant: type) -> int:
    """Return how many of the wrappers around the method the variants do without."""
    if method.is_wrapped_by_us:
        return 0
    return len(method.place.chain) - len(locate(variant, method.place.method).chain)
