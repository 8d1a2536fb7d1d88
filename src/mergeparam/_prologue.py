"""Specification in, the merge out: as source text, and as template code to splice from."""

from __future__ import annotations

import functools
from types import CodeType
from typing import TYPE_CHECKING, NamedTuple

from mergeparam._sentinels import UNSET
from mergeparam._spec import Param

if TYPE_CHECKING:
    from mergeparam._spec import OnConflict

NEITHER, BOTH = "_mergeparam_neither", "_mergeparam_both"
"""The attributes of a decorated class through which the merge reaches the slow paths."""

WRITTEN = "_mergeparam_written"
"""The attribute of a decorated class that holds the default which its author has written."""

MARKER = "__end__"
"""The global name that a template loads first behind the merge."""

_LITERALS = {"None": None, "True": True, "False": False, "...": ...}
_KEY_BLANK, _PARAM_BLANK, _UNSET_BLANK = "key", "param", "_mergeparam_unset"
_INDENT = " " * 4


class Merge(NamedTuple):
    """The merge of one parameter in one method: a template, and what stands in its blanks."""

    template: CodeType
    names: dict[str, str]
    consts: dict[object, str]
    slots: tuple[int, int]


def merge_source(
    key: str, receiver: str, params: tuple[Param, ...], *, remembered: frozenset[str] = frozenset()
) -> str:
    """Return the merge of all `params` as the statements a careful author would write.

    A parameter in `remembered` may arrive as `MERGED`, because something around the method has
    read that default before it was replaced, and gives it in the call.
    """
    return "".join(
        (_forget(key, receiver, param) if param.name in remembered else "")
        + _merge_one(key, receiver, param)
        for param in params
    )


def unset_attributes(key: str, params: tuple[Param, ...]) -> dict[str, object]:
    """Return the class attributes through which the merge reads `unset` objects.

    Constants of the code can only be literals: others break `marshal` and `torch.compile`.
    """
    return {
        _unset_attribute(key, param): param.unset
        for param in params
        if _literal(param.unset) is None
    }


def make_merges(
    code: CodeType,
    key: str,
    receiver: str,
    params: tuple[Param, ...],
    *,
    remembered: frozenset[str] = frozenset(),
) -> list[Merge]:
    """Return the merge of each of `params` in `code`, ready to be spliced."""
    return [
        _make_merge(code, key, receiver, param, remembers=param.name in remembered)
        for param in params
    ]


def _make_merge(
    code: CodeType, key: str, receiver: str, param: Param, *, remembers: bool
) -> Merge:
    holder, *item = receiver.partition("[")
    path = param.attribute.split(".")
    template = make_template(
        on_conflict=param.on_conflict,
        unset=_literal(param.unset),
        steps=len(path),
        item="".join(item),
        cells=(holder in code.co_cellvars, param.name in code.co_cellvars),
        remembers=remembers,
    )
    return Merge(
        template,
        names={
            _UNSET_BLANK: "" if _literal(param.unset) else _unset_attribute(key, param),
            **{_step(index): name for index, name in enumerate(path)},
        },
        consts={_KEY_BLANK: key, _PARAM_BLANK: param.name},
        slots=(code.co_varnames.index(holder), code.co_varnames.index(param.name)),
    )


@functools.lru_cache(maxsize=256)
def make_template(
    *,
    on_conflict: OnConflict,
    unset: str | None,
    steps: int,
    item: str,
    cells: tuple[bool, bool],
    remembers: bool = False,
) -> CodeType:
    """Compile the merge of one parameter, once for all that merge in the same way.

    The code has the merge before a marker, under names that stand for others. Local slot 0 is
    the object's, slot 1 the parameter's.

    Args:
        on_conflict: the policy.
        unset: source of the `unset` literal; `None` where the class holds the object.
        steps: how many names the path of the attribute has.
        item: what follows the receiver's name: nothing, or `[0]`.
        cells: whether the object, and the parameter, are in cells.
        remembers: whether the parameter may arrive as `MERGED`.
    """
    param = Param(
        _PARAM_BLANK,
        attribute=".".join(map(_step, range(steps))),
        on_conflict=on_conflict,
        unset=UNSET if unset is None else _LITERALS[unset],
    )
    remembered = frozenset({_PARAM_BLANK} if remembers else ())
    merge = merge_source(_KEY_BLANK, f"receiver{item}", (param,), remembered=remembered)
    captured = [name for name, cell in zip(("receiver", _PARAM_BLANK), cells, strict=True) if cell]
    lines = [
        f"def merge(receiver, {_PARAM_BLANK}):",
        *(_INDENT + line for line in merge.splitlines()),
        # Twice is long enough that the compiler does not copy it to every jump that leads here.
        *[f"{_INDENT}{MARKER}"] * 2,
        f"{_INDENT}lambda: ({', '.join(captured)})",
    ]
    module = compile("\n".join(lines), "<mergeparam template>", "exec", dont_inherit=True)
    (template,) = (item for item in module.co_consts if isinstance(item, CodeType))
    return template


def fresh_name(wish: str, taken: tuple[str, ...]) -> str:
    """Return `wish`, with underscores behind it until no other name is the same."""
    while wish in taken:
        wish += "_"
    return wish


def _forget(key: str, receiver: str, param: Param) -> str:
    return (
        f"if {receiver}.{WRITTEN} is {param.name}:\n"
        f"    {param.name} = {_unset_expression(key, receiver, param)}\n"
    )


def _merge_one(key: str, receiver: str, param: Param) -> str:
    # As a pattern, an underscore captures nothing.
    if param.on_conflict == "use_attribute" and param.unset is None and param.name != "_":
        return _attribute_wins(key, receiver, param)
    name, attribute = param.name, f"{receiver}.{param.attribute}"
    # No expression here names two locals side by side: since 3.13 one instruction loads both,
    # with four bits for each in its operand, so that it would not suit every target.
    unset = _unset_expression(key, receiver, param)
    is_unset = f"{unset} is {name}" if _literal(param.unset) is None else f"{name} is {unset}"
    lines = [
        f"if {is_unset}:",
        f"    {name} = {attribute}",
        f"    if {is_unset}:",
        f"        {name} = {_neither(key, receiver, name)}",
        *_conflict_branch(param, attribute, unset, _both(key, receiver, name, attribute)),
    ]
    return "".join(f"{line}\n" for line in lines)


def _conflict_branch(param: Param, attribute: str, unset: str, resolved: str) -> list[str]:
    name = param.name
    conditions = {
        "raise": f"elif {attribute} is not {unset}:",
        # A chain, so that the attribute is read once where both hold the same object.
        "raise_if_different": f"elif {unset} is not {attribute} is not {name}:",
        # Reads once; the attribute's value can only get out of a test through a call.
        "use_attribute": "else:",
    }
    if param.on_conflict == "use_call":
        return []
    return [conditions[param.on_conflict], f"    {name} = {resolved}"]


def _attribute_wins(key: str, receiver: str, param: Param) -> str:
    """Capture the attribute by a pattern, so that it is read once and needs no other local."""
    name = param.name
    return (
        f"match {receiver}.{param.attribute}:\n"
        f"    case None:\n"
        f"        if {name} is None:\n"
        f"            {name} = {_neither(key, receiver, name)}\n"
        f"    case {name}:\n"
        f"        pass\n"
    )


def _neither(key: str, receiver: str, name: str) -> str:
    return f"{receiver}.{NEITHER}({name}, {key!r}, {name!r})"


def _both(key: str, receiver: str, name: str, attribute: str) -> str:
    return f"{receiver}.{BOTH}({name}, {key!r}, {attribute}, {name!r})"


def _unset_expression(key: str, receiver: str, param: Param) -> str:
    return _literal(param.unset) or f"{receiver}.{_unset_attribute(key, param)}"


def _unset_attribute(key: str, param: Param) -> str:
    """Return a name that every class gives to the same object, for its bases' methods too."""
    return _UNSET_BLANK if param.unset is UNSET else attribute_of(_UNSET_BLANK, key, param.name)


def attribute_of(prefix: str, *parts: str) -> str:
    """Return the name of a class attribute that no other specification has."""
    import zlib  # noqa: PLC0415 - rare

    return f"{prefix}_{zlib.crc32(' '.join(parts).encode()):08x}"


def _literal(unset: object) -> str | None:
    """Return the object as source, where that is a literal."""
    return next((text for text, literal in _LITERALS.items() if unset is literal), None)


def _step(index: int) -> str:
    return f"step{index}"
