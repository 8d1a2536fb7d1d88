"""Class and names in, specification out; every check that a definition must pass."""

from __future__ import annotations

import inspect
import sys
from types import CodeType, FunctionType
from typing import TYPE_CHECKING, NamedTuple

import attrs

from mergeparam._locate import Located, locate
from mergeparam._lookup import merged_names
from mergeparam._parameters import read_defaults, read_parameters
from mergeparam._sentinels import MERGED
from mergeparam._spec import Param
from mergeparam.errors import MergeDefinitionError, shorten

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator


class Target(NamedTuple):
    """A method and the parameters to merge in it, in the order of its signature."""

    located: Located
    params: tuple[Param, ...]

    @property
    def remembered(self) -> frozenset[str]:
        """The names whose default `MERGED` something around the method may have read before."""
        if not self.located.is_wrapped:
            return frozenset()
        defaults = read_defaults(self.located.function())
        names = (param.name for param in self.params)
        return frozenset(name for name in names if defaults.get(name) is MERGED)


def collect(
    cls: type, params: tuple[str | Param, ...], methods: str | Iterable[str]
) -> tuple[Target, ...]:
    """Return what is to be merged in each method, or say what is wrong with the declaration."""
    wanted = _normalised(cls, params)
    places = [locate(cls, method) for method in _method_names(cls, methods)]
    targets = tuple(Target(place, _declared(place, wanted)) for place in places)
    _check_all_declared(cls, wanted, targets)
    for target in targets:
        _check(target)
    return targets


def check_params(place: str, params: tuple[object, ...]) -> None:
    """Refuse what is neither a name nor a `Param`, such as a function under the decorator."""
    for given in params:
        if not isinstance(given, str | Param):
            msg = (
                f"{place} got {shorten(given)}, which is no parameter. Put it on top of a class, "
                f"and give names or Params: @mergeable('deterministic')."
            )
            raise MergeDefinitionError(msg)


def _normalised(cls: type, params: tuple[str | Param, ...]) -> tuple[Param, ...]:
    wanted: list[Param] = []
    for given in params:
        param = Param(given) if isinstance(given, str) else given
        if any(param.name == other.name for other in wanted):
            msg = (
                f"@mergeable on {cls.__qualname__} names {param.name!r} twice. "
                f"Name each parameter once."
            )
            raise MergeDefinitionError(msg)
        wanted.append(param)
    return tuple(wanted)


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


def _declared(place: Located, wanted: tuple[Param, ...]) -> tuple[Param, ...]:
    """Return the wanted parameters that this method declares, in the order of its signature."""
    candidates = [name for name in place.parameters.named if name != place.receiver]
    if not wanted:
        return _declared_with_sentinel(place, candidates)
    mangled = {_mangled(place, param.name): param for param in wanted}
    found = tuple(
        _as_mangled(place, name, mangled[name]) for name in candidates if name in mangled
    )
    if not found:
        names = ", ".join(repr(param.name) for param in wanted)
        msg = (
            f"{place.place} has no parameter {names}{_catch_all(place)}. Declare it in the "
            f"signature: def {place.method}(self, ..., *, {wanted[0].name}=MERGED)"
            f"{_elsewhere(place, lambda name, _: name in mangled)}."
        )
        raise MergeDefinitionError(msg)
    return found


def _as_mangled(place: Located, name: str, param: Param) -> Param:
    path = ".".join(_mangled(place, part) for part in param.attribute.split("."))
    if (name, path) == (param.name, param.attribute):
        return param
    return attrs.evolve(param, name=name, attribute=path)


def _declared_with_sentinel(place: Located, candidates: list[str]) -> tuple[Param, ...]:
    defaults = read_defaults(place.function())
    found = tuple(Param(name) for name in candidates if defaults.get(name) is MERGED)
    if not found:
        msg = (
            f"Bare @mergeable merges the parameters whose default is MERGED, and "
            f"{place.place} has none. Write def {place.method}(self, x, *, "
            f"deterministic=MERGED), or name the parameters: @mergeable('deterministic')"
            f"{_elsewhere(place, lambda _, default: default is MERGED)}."
        )
        raise MergeDefinitionError(msg)
    return found


def _check_all_declared(cls: type, wanted: tuple[Param, ...], targets: tuple[Target, ...]) -> None:
    for param in wanted:
        if not any(_names(target, param) for target in targets):
            methods = ", ".join(target.located.method for target in targets)
            hint = _catch_all(targets[0].located)
            msg = (
                f"No listed method of {cls.__qualname__} ({methods}) has a parameter "
                f"{param.name!r}{hint}. Declare it in the signature: "
                f"def {targets[0].located.method}(self, ..., *, {param.name}=MERGED)."
            )
            raise MergeDefinitionError(msg)


def _names(target: Target, param: Param) -> bool:
    name = _mangled(target.located, param.name)
    return any(name == declared.name for declared in target.params)


def _elsewhere(place: Located, is_meant: Callable[[str, object], bool]) -> str:
    """Name another method that has what is looked for, as PyTorch's modules do."""
    for base in place.cls.__mro__:
        for method, held in vars(base).items():
            function = inspect.unwrap(held) if isinstance(held, FunctionType) else None
            is_special = method.startswith("__") and method != "__call__"
            if not isinstance(function, FunctionType) or is_special or method == place.method:
                continue
            defaults = read_defaults(function)
            names = read_parameters(function.__code__).named
            if any(is_meant(name, defaults.get(name)) for name in names):
                return f", or name the method that has it: method={method!r}"
    return ""


def _catch_all(place: Located) -> str:
    """Say why `**kwargs` does not help, where there is one."""
    name = place.parameters.var_keyword
    return "" if name is None else f" (**{name} does not declare one)"


def _mangled(place: Located, name: str) -> str:
    """Return a private name as the compiler writes it in the class that holds the method."""
    owner = place.definer.__name__.lstrip("_")
    private = name.startswith("__") and not name.endswith("__")
    return f"_{owner}{name}" if private and owner else name


def _check(target: Target) -> None:
    place = target.located
    defaults = read_defaults(place.function())
    for param in target.params:
        _check_not_merged(place, param)
        _check_default(place, param, defaults)
        _check_attribute(place, param)
    _check_order(place, target.params, defaults)
    held: object = place.chain[0]
    if place.is_borrowed and not callable(held):
        msg = (
            f"{place.place} is {shorten(held)}, which a base holds and which is no "
            f"callable, so that nothing can go around it. Override the method in "
            f"{place.cls.__qualname__}, or put @mergeable on the base."
        )
        raise MergeDefinitionError(msg)


def _check_not_merged(place: Located, param: Param) -> None:
    if param.name in merged_names(place.function()):
        where = f" by {place.definer.__qualname__}" if place.inherited else ""
        msg = (
            f"{place.place} has {param.name!r} merged already{where}. "
            f"Leave it out of this @mergeable, or override the method."
        )
        raise MergeDefinitionError(msg)


def _check_default(place: Located, param: Param, defaults: dict[str, object]) -> None:
    default = defaults.get(param.name, MERGED)
    if default is not MERGED and default is not param.unset:
        msg = (
            f"{place.place} gives {param.name!r} the default {shorten(default)}, which would "
            f"count as set in every call. Write {param.name}=MERGED; for a value where neither "
            f"is set, declare Param({param.name!r}, default={shorten(default)})."
        )
        raise MergeDefinitionError(msg)


def _check_order(place: Located, params: tuple[Param, ...], defaults: dict[str, object]) -> None:
    optional = {param.name for param in params}
    required = None
    for name in reversed(place.parameters.positional):
        if name in optional and required is not None:
            msg = (
                f"{place.place} cannot make {name!r} optional, because the required "
                f"positional parameter {required!r} follows. Move {name!r} behind it, or "
                f"make it keyword-only: def {place.method}(..., *, {name}=MERGED)."
            )
            raise MergeDefinitionError(msg)
        if name not in optional and name not in defaults:
            required = name


def _check_attribute(place: Located, param: Param) -> None:
    name = param.attribute.partition(".")[0]
    if _declares_attributes(place.cls) and not _has_attribute(place, name):
        msg = (
            f"{place.cls.__qualname__} has no attribute {name!r} for {param.name!r} to be "
            f"merged with. Declare it as a field ({name}: ... | None = None), or say where the "
            f"constructor's value lives: Param({param.name!r}, attribute='...')."
        )
        raise MergeDefinitionError(msg)


def _declares_attributes(cls: type) -> bool:
    """Whether the class says what attributes its instances have (attrs, dataclass, Linen)."""
    declares = hasattr(cls, "__attrs_attrs__") or hasattr(cls, "__dataclass_fields__")
    return declares and not any(map(_computes_attributes, cls.__mro__))


def _computes_attributes(cls: type) -> bool:
    """Whether a class has a `__getattr__`; a base that makes dataclasses of others does not count.

    Linen's `Module` is such a base: it has one for its own purposes, and declares attributes.
    """
    is_maker = hasattr(cls, "__dataclass_transform__") and "__dataclass_fields__" not in vars(cls)
    return "__getattr__" in cls.__dict__ and not is_maker


def _has_attribute(place: Located, name: str) -> bool:
    bases = place.cls.__mro__
    if any(name in _field_names(base) for base in bases):
        return True
    is_held = any(name in base.__dict__ or name in _annotated(base) for base in bases)
    is_held = is_held and name not in _init_only(place.cls)
    return is_held or any(_speaks_of(name, base, place) for base in bases)


def _annotated(cls: type) -> dict[str, object]:
    """Return what the class annotates, such as an attribute that its subclasses are to have."""
    if sys.version_info >= (3, 14):
        import annotationlib  # noqa: PLC0415 - a module of 3.14, needed only here

        return annotationlib.get_annotations(cls, format=annotationlib.Format.FORWARDREF)
    return inspect.get_annotations(cls)


def _field_names(cls: type) -> tuple[str, ...]:
    fields = cls.__dict__.get("__attrs_attrs__", ())
    declared = cls.__dict__.get("__dataclass_fields__", ())
    return (
        *(field.name for field in fields),
        *(name for name in declared if name not in _init_only(cls)),
    )


def _init_only(cls: type) -> set[str]:
    """Return the names that a dataclass's constructor takes and does not keep."""
    declared = set(getattr(cls, "__dataclass_fields__", ()))
    if not declared:
        return declared
    import dataclasses  # noqa: PLC0415 - the class has it imported already

    return declared - {field.name for field in dataclasses.fields(cls)}


def _speaks_of(name: str, cls: type, place: Located) -> bool:
    """Whether another method than the merged one speaks of `name`, and so may set it."""
    methods = (value for key, value in vars(cls).items() if not key.startswith("__annotate"))
    functions = (inspect.unwrap(method) for method in methods if callable(method))
    return any(
        name in _words(function.__code__)
        for function in functions
        if isinstance(function, FunctionType) and function is not place.function()
    )


def _words(held: object) -> Iterator[object]:
    """Yield the names and texts in a function's code, those inside other constants too."""
    if isinstance(held, CodeType):
        yield from held.co_names
        held = held.co_consts
    if isinstance(held, tuple):
        for item in held:
            yield from _words(item)
    else:
        yield held
