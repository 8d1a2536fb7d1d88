"""Class, names and methods in, declarations out; every check that a declaration must pass."""

from __future__ import annotations

import dis
import functools
import inspect
import itertools
from types import CodeType, FunctionType
from typing import TYPE_CHECKING, NamedTuple, NoReturn

import attrs
from typing_extensions import Format, get_annotations

from mergeparam._compat import qualified_name
from mergeparam._declare.methods import (
    PRIVATE,
    Method,
    find_definer,
    find_method,
    mangle,
    merged_names,
    unwrap,
)
from mergeparam._declare.signature import read_defaults, read_parameters
from mergeparam._frameworks import adapters
from mergeparam._sentinels import MERGED
from mergeparam._spec import RAISING, Param
from mergeparam.errors import MergeDefinitionError, near, shorten

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence
    from types import FrameType


class Declaration(NamedTuple):
    """A method and the parameters to merge in it, in the order of its signature."""

    method: Method
    aliases: tuple[Method, ...]  # others that are listed, and have the same merge
    params: tuple[Param, ...]
    names: tuple[str, ...]
    may_receive_merged: tuple[str, ...]  # a wrapper may have read their default, and hand it on
    unnamed: tuple[str, ...]  # left at `MERGED`: no `@mergeable` has named them yet


def declare(
    cls: type,
    given: tuple[Param, ...],
    methods: str | Iterable[str],
    by_name: Callable[[str], Param] = Param,
    frame: FrameType | None = None,
) -> tuple[Declaration, ...]:
    """Return what is to be merged in each method of a class, or refuse what cannot be right.

    Where nothing is `given`, that is every parameter whose default is `MERGED`, as `by_name` says.
    The `frame` is the one that decorates the class.
    """
    wanted: dict[str, Param] = {}
    for param in given:
        if param.name in wanted:
            raise MergeDefinitionError(
                f"@mergeable on {cls.__qualname__} names {param.name!r} twice. "
                f"Name each parameter once."
            )
        wanted[param.name] = param

    names = (methods,) if isinstance(methods, str) else tuple(methods)
    if not names or not all([isinstance(name, str) for name in names]):
        raise MergeDefinitionError(
            f"@mergeable(method={shorten(methods)}) on {cls.__qualname__} names no method. "
            f"Give a method's name or several: method=('__call__', 'encode')."
        )

    listed = [*map(functools.partial(find_method, cls, frame=frame), names)]
    groups = [listed] if len(listed) == 1 else _by_function(listed)
    declare_in = functools.partial(_declare_in, wanted=[*wanted.values()], by_name=by_name)
    found = [*map(declare_in, groups)]
    for param in wanted.values():
        if not any([_in_body(item.method, param).name in item.names for item in found]):
            known = ", ".join([item.method.name for item in found])
            who = f"No listed method of {cls.__qualname__} ({known}) has a parameter"
            declared = [name for item in found for name in item.method.parameters.named]
            raise _undeclared(who, [param.name], found[0].method, declared)
    for declaration in found:
        _check(declaration)
    return tuple(found)


_HOLDERS = functools.partialmethod, functools.cached_property
"""What holds a function under another name than `__wrapped__`."""


def check_all_named(cls: type, declarations: tuple[Declaration, ...], frame: FrameType) -> None:
    """Refuse parameters that are left at `MERGED`, if no decorator above can name them."""
    left: dict[str, Sequence[str]] = {}
    owned, replaced = set[int](), set[int]()
    for item in declarations:
        if item.unnamed:
            left[item.method.name] = item.unnamed
        for method in (item.method, *item.aliases):
            replaced.add(id(method.found))
            # A wrapper hands on `MERGED` to a function that is merged for this.
            is_own = method.ownership == "own"
            depth = method.chain.index(method.function) + 1 if is_own else 0
            owned.update(map(id, method.chain[:depth]))
    for name, held in vars(cls).items():
        runs = held.func if isinstance(held, _HOLDERS) else held
        is_seen = name.startswith(PRIVATE) or not callable(runs) or id(held) in replaced
        for link in () if is_seen else unwrap(runs):
            if not isinstance(link, FunctionType) or id(link) in owned:
                continue
            if link.__defaults__ or link.__kwdefaults__:
                merged = [n for n, default in read_defaults(link).items() if default is MERGED]
                left |= {name: merged} if merged else {}
    if not left:
        return
    # After the call that applies the last decorator of a `class` statement, the class is stored;
    # after any other one, the next decorator is called. Before it, another call made the class,
    # out of a function with its body.
    # 3.11 calls in two steps, and while a call runs the frame is at the last of its caches.
    code = [
        item
        for item in dis.get_instructions(frame.f_code)
        if item.opname not in {"PRECALL", "EXTENDED_ARG"}
    ]
    before = [item.opname for item in code if item.offset <= frame.f_lasti]
    after = code[len(before)].opname
    statement = list(itertools.takewhile(lambda op: not op.startswith("STORE_"), before[::-1]))
    is_last = before[-2].startswith("CALL") and after.startswith("STORE_")
    if is_last and "MAKE_FUNCTION" in statement:
        name, names = next(iter(left.items()))
        listed = {item.method.name for item in declarations}
        fix = f"Name it in the decorator{'' if name in listed else f', with {name!r} in method='}"
        raise MergeDefinitionError(
            f"{cls.__qualname__}.{name}() gives {', '.join(map(repr, names))} the default MERGED, "
            f"and no @mergeable names it. {fix}, or write another default."
        )


def make_params(given: tuple[object, ...], by_name: Callable[[str], Param]) -> tuple[Param, ...]:
    """Return a decorator's parameters as `Param`s; its options are for those given by name."""
    params: list[Param] = []
    names = 0
    for item in given:
        if not isinstance(item, str | Param):
            raise MergeDefinitionError(
                f"@mergeable got {shorten(item)}, which is no parameter. Put it on top of a "
                f"class, and give names or Params: @mergeable('deterministic')."
            )
        names += isinstance(item, str)
        params.append(by_name(item) if isinstance(item, str) else item)
    if params and not names and by_name("name") != Param("name"):
        raise MergeDefinitionError(
            f"@mergeable got options for parameters that are given by name, and none is. Write "
            f"them in the Param: Param({params[0].name!r}, ...)."
        )
    if names != 1 and by_name("name").attribute != "name":
        raise MergeDefinitionError(
            f"@mergeable got attribute=, which is for one parameter that is given by name, and "
            f"there are {names}. Write Param('...', attribute='...') for each."
        )
    return tuple(params)


def refuse_options(unknown: Iterable[str]) -> NoReturn:
    """Say which options the decorator has, and which one may be meant."""
    options = ("method", "attribute", "unset", "on_conflict", "default", "provide", "inject")
    name, *_ = unknown
    hint = near(name, options)
    if name in attrs.fields_dict(Param):
        hint = f", and Param has: write Param('...', {name}=...)"
    raise MergeDefinitionError(
        f"@mergeable has no option {name!r}{hint}. It has {', '.join(options)}."
    )


def _by_function(methods: list[Method]) -> list[list[Method]]:
    """Return the methods in groups, each of which has one merge in common."""
    own = {id(method.function) for method in methods if method.ownership == "own"}
    groups: dict[tuple[int, str], list[Method]] = {}
    for method in methods:
        if id(method.function) in own:
            # The class's own function is changed in place: an alias, such as `__call__ = forward`,
            # and a wrapper have its merge.
            key = id(method.function), ""
        else:
            # Else the class gets another one under every name that it has for it, in its own
            # namespace.
            key = id(method.found), "" if method.definer is method.cls else method.name
        groups.setdefault(key, []).append(method)
    return [sorted(group, key=lambda one: one.ownership != "own") for group in groups.values()]


def _declare_in(
    methods: list[Method], wanted: list[Param], by_name: Callable[[str], Param]
) -> Declaration:
    """Return what is to be merged in one method: of what is wanted, what it declares.

    Its aliases come along. They run the same function.
    """
    method, *aliases = methods
    candidates = [name for name in method.parameters.named if name != method.receiver]
    named = {param.name: param for param in [_in_body(method, param) for param in wanted]}
    params: list[Param] = []
    names: list[str] = []
    marked: list[str] = []
    unnamed: list[str] = []
    for name in candidates:
        is_marked = method.defaults.get(name) is MERGED
        if name in named or (is_marked and not wanted):
            params.append(named.get(name) or by_name(name))
            names.append(name)
            marked += [name] * is_marked
        elif is_marked:
            unnamed.append(name)
    if not params and wanted:
        missing = [param.name for param in wanted]
        raise _undeclared(f"{method.label} has no parameter", missing, method, candidates)
    if not params:
        raise MergeDefinitionError(
            f"Bare @mergeable merges the parameters whose default is MERGED, and {method.label} "
            f"has none. Write def {method.name}(self, x, *, deterministic=MERGED), or name the "
            f"parameters: @mergeable('deterministic'){_suggest_other_method(method, ())}."
        )
    handed_on: list[str] = []
    for one in methods:
        if len(one.chain) > 1:
            handed_on = marked
    whose = method, tuple(aliases)
    return Declaration(*whose, tuple(params), tuple(names), tuple(handed_on), tuple(unnamed))


def _in_body(method: Method, param: Param) -> Param:
    """Return a parameter with private names as the compiler writes them in the method's body."""
    if "__" not in param.name + param.attribute:
        return param
    # The compiler takes the name that the class had in its `class` statement.
    code, otherwise = method.function.__code__, method.function.__qualname__
    owner = f".{qualified_name(code, otherwise)}".split(".")[-2]
    names = [mangle(name, owner) for name in (param.name, *param.attribute.split("."))]
    return attrs.evolve(param, name=names[0], attribute=".".join(names[1:]))


def _undeclared(
    who: str, missing: list[str], method: Method, declared: list[str]
) -> MergeDefinitionError:
    """Say which parameters are missing, what may be meant, and how to declare the first."""
    name, var_keyword = missing[0], method.parameters.var_keyword
    # `**kwargs` does not help.
    hint = "" if var_keyword is None else f" (**{var_keyword} does not declare one)"
    hint += near(name, declared)
    return MergeDefinitionError(
        f"{who} {', '.join(map(repr, missing))}{hint}. Declare it in the signature: "
        f"def {method.name}(self, ..., *, {name}=MERGED){_suggest_other_method(method, missing)}."
    )


def _suggest_other_method(method: Method, names: Sequence[str]) -> str:
    """Name another method with one of the names, else with a `MERGED`, as PyTorch's modules do."""
    for name, held in inspect.getmembers_static(method.cls, inspect.isfunction):
        function = unwrap(held)[-1]
        is_special = name.startswith("__") and name != "__call__"
        if not is_special and name != method.name and isinstance(function, FunctionType):
            defaults = read_defaults(function)
            for other in read_parameters(function.__code__).named:
                if other in names or (not names and defaults.get(other) is MERGED):
                    return f", or name the method that has it: method={name!r}"
    return ""


def _check(declaration: Declaration) -> None:
    """Refuse parameters that cannot be merged in their method."""
    method, params, names = declaration.method, declaration.params, declaration.names
    cls, (fields, says) = method.cls, _fields_of(method.cls)
    merged, defaults = merged_names(method.function), method.defaults
    for param in params:
        if param.name in merged:
            where = "" if method.definer is cls else f" by {method.definer.__qualname__}"
            raise MergeDefinitionError(
                f"{method.label} has {param.name!r} merged already{where}. "
                f"Leave it out of this @mergeable, or override the method."
            )
        default = defaults.get(param.name, MERGED)
        if default is not MERGED and default is not param.unset:
            raise MergeDefinitionError(
                f"{method.label} gives {param.name!r} the default {shorten(default)}, which would "
                f"count as set in every call. Write {param.name}=MERGED; for a value where "
                f"neither is set, declare Param({param.name!r}, default={shorten(default)})."
            )
        attribute = param.attribute.partition(".")[0]
        if says and attribute not in fields and not _may_have(method, attribute):
            raise MergeDefinitionError(
                f"{cls.__qualname__} has no attribute {attribute!r} for {param.name!r} to be "
                f"merged with. Declare it as a field ({attribute}: ... | None = None), or say "
                f"where the constructor's value lives: Param({param.name!r}, attribute='...')."
            )
        _check_constructor(cls, param, fields.get(param.attribute, attrs.NOTHING))
        for adapter in adapters:
            adapter.check_param(method, param)

    required = None
    for name in reversed(method.parameters.positional):
        if name in names and required is not None:
            raise MergeDefinitionError(
                f"{method.label} cannot make {name!r} optional, because the required "
                f"positional parameter {required!r} follows. Move {name!r} behind it, or "
                f"make it keyword-only: def {method.name}(..., *, {name}=MERGED)."
            )
        if name not in names and name not in defaults:
            required = name
    if method.ownership == "opaque" and not callable(method.found):
        raise MergeDefinitionError(
            f"{method.label} is {shorten(method.found)}, which is no callable, so that no wrapper "
            f"can go around it. Write the method with def in {cls.__qualname__}."
        )


def _fields_of(cls: type) -> tuple[dict[str, object], bool]:
    """Return the fields of a class (attrs, dataclass, named tuple) with their defaults.

    And whether it says by them what attributes its objects have (attrs, dataclass, Linen).
    """
    fields: dict[str, object] = {}
    # A metaclass may answer to every name, so their marks are looked for in the namespaces.
    if issubclass(cls, tuple) and (named := find_definer(cls, "_field_defaults")) is not None:
        fields |= vars(named)["_field_defaults"]
    is_of_attrs = find_definer(cls, "__attrs_attrs__") is not None
    is_dataclass = find_definer(cls, "__dataclass_fields__") is not None
    for field in attrs.fields(cls) if is_of_attrs else ():
        fields[field.name] = field.default
    if is_dataclass:
        import dataclasses  # noqa: PLC0415 - the class has it imported already

        for field in dataclasses.fields(cls):
            is_missing = field.default is dataclasses.MISSING
            fields[field.name] = attrs.NOTHING if is_missing else field.default
    return fields, is_of_attrs or is_dataclass


def _check_constructor(cls: type, param: Param, default: object) -> None:
    """Refuse a constructor default that would count as set in every object."""
    # A factory decides for itself.
    if default is attrs.NOTHING or isinstance(default, attrs.Factory):  # type: ignore[arg-type]  # a class at run time
        return
    attribute, unset = param.attribute, param.attribute_unset
    if default is MERGED:
        raise MergeDefinitionError(
            f"{cls.__qualname__} gives the field {attribute!r} the default MERGED, which is for "
            f"parameters of methods. Write {attribute}: ... | None = {shorten(unset)}."
        )
    if default is not unset and param.on_conflict in RAISING:
        giver = f"{cls.__qualname__} gives the field {attribute!r}"
        raise MergeDefinitionError(counts_as_set(giver, default, param, f"{attribute}: ... = "))


def counts_as_set(giver: str, default: object, param: Param, instead: str) -> str:
    """Say that a constructor default counts as set in every object, and what to write."""
    # What a constructor leaves at None is mostly not set, even where None is a value in the call.
    other = "; or, for None that means 'not set' here, attribute_unset=None" * (default is None)
    return (
        f"{giver} the default {shorten(default)}, which counts as set in every object, so that "
        f"each call that gives {param.name!r} is a conflict. Write "
        f"{instead}{shorten(param.attribute_unset)}; for a value where neither is set, declare "
        f"Param({param.name!r}, default={shorten(default)}), and for one that calls overrule, "
        f"on_conflict='use_call'{other}."
    )


def _may_have(method: Method, name: str) -> bool:
    """Whether instances may have an attribute that is no field: set or computed by a method."""
    # The constructor takes an `InitVar` and does not keep it, though the class has its default.
    is_kept = name not in getattr(method.cls, "__dataclass_fields__", ())
    for base in method.cls.__mro__:
        space = vars(base)
        # Linen's `Module` has a `__getattr__` for its own purposes, and makes dataclasses of its
        # subclasses.
        is_maker = hasattr(base, "__dataclass_transform__") and "__dataclass_fields__" not in space
        if "__getattr__" in space and not is_maker:
            return True
        if is_kept and (name in space or name in get_annotations(base, format=Format.FORWARDREF)):
            return True
        # Another method than the merged one that mentions the name may set it. What evaluates
        # annotations mentions every field and sets nothing.
        for key, held in space.items():
            if callable(held) and not key.startswith("__annotate"):
                function = unwrap(held)[-1]
                is_other = isinstance(function, FunctionType) and function is not method.function
                if is_other and _mentions(function.__code__, name):
                    return True
    return False


def _mentions(held: object, name: str) -> bool:
    """Whether code has a name, also as a string, in other constants and in functions inside."""
    if isinstance(held, CodeType):
        return name in held.co_names or _mentions(held.co_consts, name)
    if isinstance(held, tuple):
        return any([_mentions(item, name) for item in held])
    return held == name
