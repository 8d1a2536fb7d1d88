"""Class, names and methods in, declarations out; every check that a declaration must pass."""

from __future__ import annotations

from types import CodeType, FunctionType
from typing import TYPE_CHECKING, NamedTuple

import attrs

from mergeparam._compat import annotated_names, qualified_name
from mergeparam._declare.methods import Method, find_method, merged_names, unwrap
from mergeparam._declare.signature import read_defaults, read_parameters
from mergeparam._sentinels import MERGED
from mergeparam._spec import Param
from mergeparam.errors import MergeDefinitionError, shorten

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator


class Declaration(NamedTuple):
    """A method and the parameters to merge in it, in the order of its signature."""

    method: Method
    params: tuple[Param, ...]

    @property
    def names(self) -> tuple[str, ...]:
        """The names of the parameters."""
        return tuple([param.name for param in self.params])

    @property
    def may_receive_merged(self) -> frozenset[str]:
        """The names whose default `MERGED` a wrapper may have read before, and may hand on."""
        if len(self.method.chain) == 1:
            return frozenset()
        defaults = read_defaults(self.method.function)
        return frozenset(name for name in self.names if defaults.get(name) is MERGED)


def declare(
    cls: type, given: tuple[str | Param, ...], methods: str | Iterable[str]
) -> tuple[Declaration, ...]:
    """Return what is to be merged in each method of a class.

    Args:
        cls: the class.
        given: names of parameters, or `Param`s; none at all stands for those whose default is
            `MERGED`.
        methods: the name of a method, or several.

    Raises:
        MergeDefinitionError: the declaration cannot be right.
    """
    wanted: list[Param] = []
    for item in given:
        param = Param(item) if isinstance(item, str) else item
        if any(param.name == other.name for other in wanted):
            msg = (
                f"@mergeable on {cls.__qualname__} names {param.name!r} twice. "
                f"Name each parameter once."
            )
            raise MergeDefinitionError(msg)
        wanted.append(param)

    found: list[Declaration] = []
    for name in _method_names(cls, methods):
        method = find_method(cls, name)
        # An alias, such as `__call__ = forward`, has the merge of the function that it names.
        if not any(method.function is other.method.function for other in found):
            found.append(Declaration(method, _declared(method, wanted)))
    for param in wanted:
        _check_declared_somewhere(cls, param, found)
    for declaration in found:
        _check(declaration)
    return tuple(found)


def check_params(place: str, params: tuple[object, ...]) -> None:
    """Refuse anything but a name or a `Param`, such as a function under the decorator."""
    for given in params:
        if not isinstance(given, str | Param):
            msg = (
                f"{place} got {shorten(given)}, which is no parameter. Put it on top of a class, "
                f"and give names or Params: @mergeable('deterministic')."
            )
            raise MergeDefinitionError(msg)


def _method_names(cls: type, methods: str | Iterable[str]) -> tuple[str, ...]:
    names = (methods,) if isinstance(methods, str) else tuple(methods)
    if not names or not all(isinstance(name, str) for name in names):
        msg = (
            f"@mergeable(method={shorten(methods)}) on {cls.__qualname__} names no method. "
            f"Give a method's name or several: method=('__call__', 'encode')."
        )
        raise MergeDefinitionError(msg)
    if len(set(names)) < len(names):
        msg = (
            f"@mergeable(method={shorten(methods)}) on {cls.__qualname__} names a method twice. "
            f"Name each method once."
        )
        raise MergeDefinitionError(msg)
    return names


def _declared(method: Method, wanted: list[Param]) -> tuple[Param, ...]:
    """Return the wanted parameters that a method declares, in the order of its signature."""
    names = [name for name in method.parameters.named if name != method.receiver]
    if not wanted:
        defaults = read_defaults(method.function)
        found = [Param(name) for name in names if defaults.get(name) is MERGED]
        if not found:
            other = _suggest_other_method(method, lambda _, default: default is MERGED)
            msg = (
                f"Bare @mergeable merges the parameters whose default is MERGED, and "
                f"{method.label} has none. Write def {method.name}(self, x, *, "
                f"deterministic=MERGED), or name the parameters: @mergeable('deterministic')"
                f"{other}."
            )
            raise MergeDefinitionError(msg)
        return tuple(found)

    by_name = {_mangled(method, param.name): param for param in wanted}
    found = []
    for name in names:
        if name in by_name:
            param = by_name[name]
            path = ".".join([_mangled(method, part) for part in param.attribute.split(".")])
            is_same = (name, path) == (param.name, param.attribute)
            found.append(param if is_same else attrs.evolve(param, name=name, attribute=path))
    if not found:
        missing = ", ".join(repr(param.name) for param in wanted)
        other = _suggest_other_method(method, lambda name, _: name in by_name)
        msg = (
            f"{method.label} has no parameter {missing}{_kwargs_hint(method)}"
            f"{_near_match(wanted[0].name, names)}. Declare it in the "
            f"signature: def {method.name}(self, ..., *, {wanted[0].name}=MERGED){other}."
        )
        raise MergeDefinitionError(msg)
    return tuple(found)


def _check_declared_somewhere(cls: type, param: Param, found: list[Declaration]) -> None:
    """Refuse a parameter that none of the methods declares."""
    for method, params in found:
        name = _mangled(method, param.name)
        if any([name == declared.name for declared in params]):
            return
    methods = ", ".join(declaration.method.name for declaration in found)
    first = found[0].method
    names = [name for item in found for name in item.method.parameters.named]
    msg = (
        f"No listed method of {cls.__qualname__} ({methods}) has a parameter "
        f"{param.name!r}{_kwargs_hint(first)}{_near_match(param.name, names)}. Declare it in the "
        f"signature: def {first.name}(self, ..., *, {param.name}=MERGED)."
    )
    raise MergeDefinitionError(msg)


def _near_match(name: str, names: Iterable[str]) -> str:
    import difflib  # noqa: PLC0415 - only for messages

    near = difflib.get_close_matches(name, list(names), n=1)
    return f" (did you mean {near[0]!r}?)" if near else ""


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


def _kwargs_hint(method: Method) -> str:
    """Say why `**kwargs` does not help, where there is one."""
    name = method.parameters.var_keyword
    return "" if name is None else f" (**{name} does not declare one)"


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
    method, params = declaration
    merged = merged_names(method.function)
    defaults = read_defaults(method.function)
    for param in params:
        if param.name in merged:
            where = f" by {method.definer.__qualname__}" if method.inherited else ""
            msg = (
                f"{method.label} has {param.name!r} merged already{where}. "
                f"Leave it out of this @mergeable, or override the method."
            )
            raise MergeDefinitionError(msg)
        default = defaults.get(param.name, MERGED)
        if default is not MERGED and default is not param.unset:
            msg = (
                f"{method.label} gives {param.name!r} the default {shorten(default)}, which would "
                f"count as set in every call. Write {param.name}=MERGED; for a value where "
                f"neither is set, declare Param({param.name!r}, default={shorten(default)})."
            )
            raise MergeDefinitionError(msg)
        _check_attribute(method, param)
    _check_order(declaration, defaults)
    if method.ownership == "opaque" and not callable(method.found):
        msg = (
            f"{method.label} is {shorten(method.found)}, which is no callable, so that no wrapper "
            f"can go around it. Write the method with def in {method.cls.__qualname__}."
        )
        raise MergeDefinitionError(msg)


def _check_order(declaration: Declaration, defaults: dict[str, object]) -> None:
    """Refuse to make a positional parameter optional where a required one follows."""
    method, names = declaration.method, declaration.names
    required = None
    for name in reversed(method.parameters.positional):
        if name in names and required is not None:
            msg = (
                f"{method.label} cannot make {name!r} optional, because the required "
                f"positional parameter {required!r} follows. Move {name!r} behind it, or "
                f"make it keyword-only: def {method.name}(..., *, {name}=MERGED)."
            )
            raise MergeDefinitionError(msg)
        if name not in names and name not in defaults:
            required = name


def _check_attribute(method: Method, param: Param) -> None:
    """Refuse an attribute that the class does not have, where it says what it has."""
    cls, name = method.cls, param.attribute.partition(".")[0]
    says = hasattr(cls, "__attrs_attrs__") or hasattr(cls, "__dataclass_fields__")
    if says and not any(map(_computes_attributes, cls.__mro__)) and not _has(method, name):
        msg = (
            f"{cls.__qualname__} has no attribute {name!r} for {param.name!r} to be "
            f"merged with. Declare it as a field ({name}: ... | None = None), or say where the "
            f"constructor's value lives: Param({param.name!r}, attribute='...')."
        )
        raise MergeDefinitionError(msg)


def _computes_attributes(cls: type) -> bool:
    """Whether a class has a `__getattr__` that may have any attribute."""
    # Linen's `Module` has one for its own purposes, and makes dataclasses of its subclasses.
    is_maker = hasattr(cls, "__dataclass_transform__") and "__dataclass_fields__" not in vars(cls)
    return "__getattr__" in vars(cls) and not is_maker


def _has(method: Method, name: str) -> bool:
    """Whether instances have an attribute: a field, a class attribute, or what a method sets."""
    cls = method.cls
    dataclass_fields = getattr(cls, "__dataclass_fields__", {})
    not_kept = set()
    if name in dataclass_fields:
        import dataclasses  # noqa: PLC0415 - the class has it imported already

        # The constructor takes an `InitVar` and does not keep it.
        not_kept = {*dataclass_fields} - {field.name for field in dataclasses.fields(cls)}
    for base in cls.__mro__:
        if any(field.name == name for field in vars(base).get("__attrs_attrs__", ())):
            return True
        declares = name in vars(base) or name in annotated_names(base)
        if name not in not_kept and (declares or name in dataclass_fields):
            return True
        if _may_assign(base, name, method):
            return True
    return False


def _may_assign(cls: type, name: str, merged: Method) -> bool:
    """Whether another method than the merged one mentions `name`, and so may set it."""
    for key, held in vars(cls).items():
        # What evaluates annotations mentions every field and sets nothing.
        if not callable(held) or key.startswith("__annotate"):
            continue
        function = unwrap(held)[-1]
        if isinstance(function, FunctionType) and function is not merged.function:
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
