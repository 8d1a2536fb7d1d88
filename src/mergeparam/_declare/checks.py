"""Class, names and methods in, declarations out; every check that a declaration must pass."""

from __future__ import annotations

import dis
import functools
import itertools
from types import CodeType, FunctionType
from typing import TYPE_CHECKING, NamedTuple

import attrs

from mergeparam._compat import annotated_names, qualified_name
from mergeparam._declare.methods import Method, find_method, merged_names, unwrap
from mergeparam._declare.signature import read_defaults, read_parameters
from mergeparam._sentinels import MERGED
from mergeparam._spec import RAISING, Param
from mergeparam.errors import MergeDefinitionError, shorten

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator
    from types import FrameType


class Declaration(NamedTuple):
    """A method and the parameters to merge in it, in the order of its signature.

    Some parameters `may_receive_merged`: a wrapper may have read their default `MERGED` before,
    and hand it on. Others with that default are `unnamed`: no `@mergeable` has named them yet.
    """

    method: Method
    params: tuple[Param, ...]
    names: tuple[str, ...]
    may_receive_merged: tuple[str, ...]
    unnamed: tuple[str, ...]


def declare(  # noqa: C901 - one check after the other
    cls: type, given: tuple[str | Param, ...], methods: str | Iterable[str]
) -> tuple[Declaration, ...]:
    """Return what is to be merged in each method of a class, or refuse what cannot be right."""
    wanted: list[Param] = []
    for item in given:
        param = Param(item) if isinstance(item, str) else item
        if any(param.name == other.name for other in wanted):
            raise MergeDefinitionError(
                f"@mergeable on {cls.__qualname__} names {param.name!r} twice. "
                f"Name each parameter once."
            )
        wanted.append(param)

    names = (methods,) if isinstance(methods, str) else tuple(methods)
    problem = None
    if not names or not all([isinstance(name, str) for name in names]):
        problem = "no method. Give a method's name or several: method=('__call__', 'encode')."
    elif len(set(names)) < len(names):
        problem = "a method twice. Name each method once."
    if problem is not None:
        raise MergeDefinitionError(
            f"@mergeable(method={shorten(methods)}) on {cls.__qualname__} names {problem}"
        )

    found: list[Declaration] = []
    for name in names:
        method = find_method(cls, name)
        # An alias, such as `__call__ = forward`, has the merge of the function that it names.
        if not any([method.function is other.method.function for other in found]):
            found.append(_declare_in(method, wanted))
    for param in wanted:
        for declaration in found:
            if _mangled(declaration.method, param.name) in declaration.names:
                break
        else:
            listed = ", ".join([declaration.method.name for declaration in found])
            who = f"No listed method of {cls.__qualname__} ({listed}) has a parameter"
            declared = [name for item in found for name in item.method.parameters.named]
            raise _undeclared(who, [param.name], found[0].method, declared)
    for declaration in found:
        _check(declaration)
    return tuple(found)


def check_all_named(cls: type, declarations: tuple[Declaration, ...], frame: FrameType) -> None:
    """Refuse parameters that are left at `MERGED`, if no decorator above can name them."""
    left = {item.method.name: list(item.unnamed) for item in declarations if item.unnamed}
    owned = {id(item.method.function) for item in declarations if item.method.ownership == "own"}
    replaced = {id(item.method.found) for item in declarations}
    for name, held in vars(cls).items():
        runs = held
        if isinstance(held, functools.partialmethod | functools.cached_property):
            runs = held.func
        is_private = name.startswith("_mergeparam_")
        if is_private or not callable(runs) or id(held) in replaced:
            continue
        for link in unwrap(runs) if hasattr(runs, "__wrapped__") else (runs,):
            if isinstance(link, FunctionType) and id(link) not in owned:
                defaults = (link.__defaults__ or (), (link.__kwdefaults__ or {}).values())
                if any([value is MERGED for values in defaults for value in values]):
                    left[name] = [n for n, value in read_defaults(link).items() if value is MERGED]
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


def check_params(params: tuple[object, ...]) -> None:
    """Refuse anything but a name or a `Param`, such as a function under the decorator."""
    for given in params:
        if not isinstance(given, str | Param):
            raise MergeDefinitionError(
                f"@mergeable got {shorten(given)}, which is no parameter. Put it on top of a "
                f"class, and give names or Params: @mergeable('deterministic')."
            )


def _declare_in(method: Method, wanted: list[Param]) -> Declaration:
    """Return what is to be merged in one method: of what is wanted, what it declares."""
    candidates = [name for name in method.parameters.named if name != method.receiver]
    defaults = read_defaults(method.function)
    by_name = {_mangled(method, param.name): param for param in wanted}
    found: list[Param] = []
    unnamed: list[str] = []
    for name in candidates:
        is_marked = defaults.get(name) is MERGED
        if name in by_name:
            param = by_name[name]
            path = ".".join([_mangled(method, part) for part in param.attribute.split(".")])
            is_same = (name, path) == (param.name, param.attribute)
            found.append(param if is_same else attrs.evolve(param, name=name, attribute=path))
        elif is_marked and not wanted:
            found.append(Param(name))
        elif is_marked:
            unnamed.append(name)
    if not found and not wanted:
        other = _suggest_other_method(method, lambda _, default: default is MERGED)
        raise MergeDefinitionError(
            f"Bare @mergeable merges the parameters whose default is MERGED, and {method.label} "
            f"has none. Write def {method.name}(self, x, *, deterministic=MERGED), or name the "
            f"parameters: @mergeable('deterministic'){other}."
        )
    if not found:
        missing = [param.name for param in wanted]
        other = _suggest_other_method(method, lambda name, _: name in by_name)
        raise _undeclared(f"{method.label} has no parameter", missing, method, candidates, other)
    names = tuple([param.name for param in found])
    handed_on: tuple[str, ...] = ()
    if len(method.chain) > 1:
        handed_on = tuple([name for name in names if defaults.get(name) is MERGED])
    return Declaration(method, tuple(found), names, handed_on, tuple(unnamed))


def _undeclared(
    who: str, missing: list[str], method: Method, declared: list[str], other: str = ""
) -> MergeDefinitionError:
    """Say which parameters are missing, what may be meant, and how to declare the first."""
    import difflib  # noqa: PLC0415 - only for messages

    name, var_keyword = missing[0], method.parameters.var_keyword
    # `**kwargs` does not help.
    hint = "" if var_keyword is None else f" (**{var_keyword} does not declare one)"
    for near in difflib.get_close_matches(name, declared, n=1):
        hint += f" (did you mean {near!r}?)"
    return MergeDefinitionError(
        f"{who} {', '.join(map(repr, missing))}{hint}. Declare it in the signature: "
        f"def {method.name}(self, ..., *, {name}=MERGED){other}."
    )


def _suggest_other_method(method: Method, is_meant: Callable[[str, object], bool]) -> str:
    """Name another method that has the parameter, as PyTorch's modules do."""
    for base in method.cls.__mro__:
        for name, held in vars(base).items():
            is_special = name.startswith("__") and name != "__call__"
            if is_special or name == method.name or not isinstance(held, FunctionType):
                continue
            function = unwrap(held)[-1]
            if isinstance(function, FunctionType):
                defaults = read_defaults(function)
                names = read_parameters(function.__code__).named
                if any(is_meant(other, defaults.get(other)) for other in names):
                    return f", or name the method that has it: method={name!r}"
    return ""


def _mangled(method: Method, name: str) -> str:
    """Return a private name as the compiler writes it in the body that holds the method."""
    if not name.startswith("__") or name.endswith("__"):
        return name
    # The compiler takes the name that the class had in its `class` statement.
    function = method.function
    path = qualified_name(function.__code__, function.__qualname__).split(".")
    owner = path[-2].lstrip("_") if len(path) > 1 else ""
    return f"_{owner}{name}" if owner and owner != "<locals>" else name


def _check(declaration: Declaration) -> None:
    """Refuse parameters that cannot be merged in their method."""
    method, params, names, *_ = declaration
    cls = method.cls
    merged = merged_names(method.function)
    defaults = read_defaults(method.function)
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
        # Where the class says what attributes its objects have (attrs, dataclass, Linen).
        says = hasattr(cls, "__attrs_attrs__") or hasattr(cls, "__dataclass_fields__")
        if says and not _may_have(method, attribute):
            raise MergeDefinitionError(
                f"{cls.__qualname__} has no attribute {attribute!r} for {param.name!r} to be "
                f"merged with. Declare it as a field ({attribute}: ... | None = None), or say "
                f"where the constructor's value lives: Param({param.name!r}, attribute='...')."
            )
        _check_constructor(cls, param)

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


def _check_constructor(cls: type, param: Param) -> None:
    """Refuse a constructor default that would count as set in every object."""
    attribute = param.attribute
    defaults = dict(getattr(cls, "_field_defaults", {}))  # of a named tuple
    defaults |= {field.name: field.default for field in getattr(cls, "__attrs_attrs__", ())}
    fields = getattr(cls, "__dataclass_fields__", {})
    if attribute in fields:
        import dataclasses  # noqa: PLC0415 - the class has it imported already

        held = fields[attribute].default
        defaults[attribute] = attrs.NOTHING if held is dataclasses.MISSING else held
    default = defaults.get(attribute, attrs.NOTHING)
    # A factory decides for itself.
    if default is attrs.NOTHING or isinstance(default, attrs.Factory):  # type: ignore[arg-type]  # a class at run time
        return
    if default is MERGED:
        raise MergeDefinitionError(
            f"{cls.__qualname__} gives the field {attribute!r} the default MERGED, which is for "
            f"parameters of methods. Write {attribute}: ... | None = {shorten(param.unset)}."
        )
    if default is not param.unset and param.on_conflict in RAISING:
        giver = f"{cls.__qualname__} gives the field {attribute!r}"
        raise MergeDefinitionError(counts_as_set(giver, default, param, f"{attribute}: ... = "))


def counts_as_set(giver: str, default: object, param: Param, instead: str) -> str:
    """Say that a constructor default counts as set in every object, and what to write."""
    return (
        f"{giver} the default {shorten(default)}, which counts as set in every object, so that "
        f"each call that gives {param.name!r} is a conflict. Write "
        f"{instead}{shorten(param.unset)}; for a value where neither is set, declare "
        f"Param({param.name!r}, default={shorten(default)}), and for one that calls overrule, "
        f"on_conflict='use_call'."
    )


def _may_have(method: Method, name: str) -> bool:
    """Whether instances may have an attribute: a field, or set or computed by a method."""
    cls = method.cls
    fields = getattr(cls, "__dataclass_fields__", {})
    not_kept = set()
    if name in fields:
        import dataclasses  # noqa: PLC0415 - the class has it imported already

        # The constructor takes an `InitVar` and does not keep it.
        not_kept = {*fields} - {field.name for field in dataclasses.fields(cls)}
    for base in cls.__mro__:
        space = vars(base)
        # Linen's `Module` has a `__getattr__` for its own purposes, and makes dataclasses of its
        # subclasses.
        is_maker = hasattr(base, "__dataclass_transform__") and "__dataclass_fields__" not in space
        if "__getattr__" in space and not is_maker:
            return True
        declared = {*space, *annotated_names(base), *fields} - not_kept
        if name in declared or name in [field.name for field in space.get("__attrs_attrs__", ())]:
            return True
        # Another method than the merged one that mentions the name may set it. What evaluates
        # annotations mentions every field and sets nothing.
        for key, held in space.items():
            if callable(held) and not key.startswith("__annotate"):
                function = unwrap(held)[-1]
                if not isinstance(function, FunctionType) or function is method.function:
                    continue
                if name in _names_and_strings(function.__code__):
                    return True
    return False


def _names_and_strings(held: object) -> Iterator[object]:
    """Yield the names and strings in a function's code, those inside of other constants too."""
    if isinstance(held, CodeType):
        yield from held.co_names
        held = held.co_consts
    if isinstance(held, tuple):
        for item in held:
            yield from _names_and_strings(item)
    else:
        yield held
