"""A function and values in, a function out that calls it with them and takes no other for them.

Where the parameters are known, it is generated with the very same ones: to hand on `*args` and
`**kwargs` costs several times what a `functools.partial` does. A default that is handed on is the
same object as one that is left out.
"""

from __future__ import annotations

import functools
import inspect
import keyword
from types import FunctionType, MethodType
from typing import TYPE_CHECKING, Any, NamedTuple, NoReturn

from mergeparam._declare.signature import Parameters, read_defaults, read_parameters
from mergeparam._inject.codegen import fresh_name, function_source

if TYPE_CHECKING:
    from collections.abc import Callable, Container

    Refuse = Callable[[str, object], None]

_INDENT = " " * 4


class _Free:
    """The default of a bound name, and of a required one that has lost its position."""


class _Shape(NamedTuple):
    """The parameters that a function is called with, and the defaults that some of them have."""

    parameters: Parameters
    defaults: dict[str, object]


def strict_function(
    function: Callable[..., Any],
    values: dict[str, Any],
    signature: inspect.Signature | None,
    refuse: Refuse,
) -> Callable[..., Any]:
    """Return a function that calls `function` with `values`.

    Args:
        function: what is called.
        values: names and values.
        signature: that of `function`; `None` where it cannot be read.
        refuse: is called with a name and a value, where a call gives a bound name again; raises.
    """
    shape = _shape(function)
    if shape is None or not _can_declare(shape.parameters, values, signature):
        return _handing_on(function, values, signature, refuse)
    return _with_parameters(function, values, shape, refuse)


def _can_declare(
    parameters: Parameters, values: dict[str, Any], signature: inspect.Signature | None
) -> bool:
    """Whether every bound name can be a parameter, in the place that it has for callers.

    Only in a function that takes any name may a bound one be no parameter itself. If that has
    wrapped another one, its signature may still have a place for the name.
    """
    undeclared = values.keys() - {*parameters.positional_or_keyword, *parameters.keyword_only}
    taken = {*parameters.all, *_positions(signature, undeclared).values()}
    return undeclared.isdisjoint(taken) and all(map(_is_plain, undeclared))


def _is_plain(name: str) -> bool:
    """Whether the compiler takes the name as it stands; it folds what is not ASCII."""
    is_name = name.isascii() and name.isidentifier() and not keyword.iskeyword(name)
    return is_name and name != "__debug__"


def _shape(function: Callable[..., Any]) -> _Shape | None:
    """Return the parameters of the Python function that a call comes to, where that is plain."""
    if isinstance(function, FunctionType):
        return _Shape(read_parameters(function.__code__), read_defaults(function))
    called = function.__func__ if isinstance(function, MethodType) else _initializer(function)
    if not isinstance(called, FunctionType):
        return None
    parameters = read_parameters(called.__code__)
    if not parameters.positional:
        return None
    receiver = parameters.positional[0]
    rest = parameters._replace(
        positional_only=parameters.positional_only[1:],
        positional_or_keyword=parameters.positional_or_keyword[not parameters.positional_only :],
    )
    defaults = read_defaults(called)
    return _Shape(rest, {name: value for name, value in defaults.items() if name != receiver})


def _initializer(function: Callable[..., Any]) -> object:
    """Return the `__init__` of a class that nothing else is called for with the arguments."""
    if not isinstance(function, type):
        return None
    creates: tuple[object, ...] = type(function).__call__, function.__new__
    return (
        inspect.getattr_static(function, "__init__")
        if creates == (type.__call__, object.__new__)
        else None
    )


def _with_parameters(
    function: Callable[..., Any], values: dict[str, Any], shape: _Shape, refuse: Refuse
) -> Callable[..., Any]:
    parameters = _open_parameters(shape.parameters, tuple(values))
    known = {*shape.parameters.keyword_only, *shape.defaults, *values}
    required = [name for name in parameters.keyword_only if name not in known]
    wishes = ("function", "free", "refuse", "miss", *(f"bound_{name}" for name in values))
    names = _fresh_names(wishes, (*shape.parameters.all, *parameters.all))
    call = _call(shape.parameters, {name: names[f"bound_{name}"] for name in values})
    lines = [
        *(_check(name, "is not", names["free"], names["refuse"]) for name in values),
        *(_check(name, "is", names["free"], names["miss"]) for name in required),
        f"return {names['function']}({call})\n",
    ]
    factory = _factory(tuple(names.values()), function_source("def", parameters, "".join(lines)))
    miss = functools.partial(_miss, function)
    strict = factory(function, _Free, refuse, miss, *values.values())
    _set_defaults(strict, parameters, shape.defaults | dict.fromkeys((*values, *required), _Free))
    strict.__name__ = strict.__qualname__ = getattr(function, "__qualname__", "function")
    return strict


def _fresh_names(wishes: tuple[str, ...], taken: tuple[str, ...]) -> dict[str, str]:
    names: dict[str, str] = {}
    for wish in wishes:
        names[wish] = fresh_name(wish, (*taken, *names.values()))
    return names


def _check(name: str, comparison: str, free: str, call: str) -> str:
    return f"if {name} {comparison} {free}:\n    {call}({name!r}, {name})\n"


def _miss(function: Callable[..., Any], name: str, _: object) -> NoReturn:
    """Raise what Python raises; it is asked for last, so that what is given again comes first."""
    msg = f"{function.__qualname__}() missing a required keyword argument: {name!r}"
    raise TypeError(msg)


def _set_defaults(
    strict: FunctionType, parameters: Parameters, defaults: dict[str, object]
) -> None:
    positional = (defaults[name] for name in parameters.positional if name in defaults)
    strict.__defaults__ = tuple(positional)
    strict.__kwdefaults__ = {
        name: defaults[name] for name in parameters.keyword_only if name in defaults
    }


@functools.lru_cache(maxsize=256)
def _factory(names: tuple[str, ...], source: str) -> Callable[..., FunctionType]:
    """Compile a function that returns the one in `source`, once for all that look the same."""
    lines = "".join(f"{_INDENT}{line}\n" for line in source.splitlines())
    module = f"def factory({', '.join(names)}):\n{lines}{_INDENT}return wrapper\n"
    namespace: dict[str, Any] = {}
    exec(compile(module, "<strict_partial>", "exec", dont_inherit=True), namespace)  # noqa: S102 - our own source, in which the only foreign text is identifiers
    factory: Callable[..., FunctionType] = namespace["factory"]
    return factory


def _open_parameters(parameters: Parameters, bound: tuple[str, ...]) -> Parameters:
    """Return the parameters of the strict function; a bound one is there only to be refused.

    Behind the first that is bound and has a position, callers reach nothing by position.
    """
    undeclared = tuple(name for name in bound if name not in parameters.named)
    positions = [parameters.positional.index(n) for n in bound if n in parameters.positional]
    if not positions:
        return parameters._replace(keyword_only=parameters.keyword_only + undeclared)
    end = min(positions) + 1 - len(parameters.positional_only)
    behind = parameters.positional_or_keyword[end:]
    return parameters._replace(
        positional_or_keyword=parameters.positional_or_keyword[:end],
        var_positional=fresh_name("others", parameters.all + undeclared),
        keyword_only=behind + parameters.keyword_only + undeclared,
    )


def _call(parameters: Parameters, bound: dict[str, str]) -> str:
    """Return the arguments of the call, with the bound names in their places."""
    parts = [bound.get(name, name) for name in parameters.positional]
    if parameters.var_positional is not None and not bound.keys() & {*parameters.positional}:
        parts.append(f"*{parameters.var_positional}")
    undeclared = [name for name in bound if name not in parameters.named]
    names = (*parameters.keyword_only, *undeclared)
    parts += [f"{name}={bound.get(name, name)}" for name in names]
    if parameters.var_keyword is not None:
        parts.append(f"**{parameters.var_keyword}")
    return ", ".join(parts)


def _handing_on(
    function: Callable[..., Any],
    values: dict[str, Any],
    signature: inspect.Signature | None,
    refuse: Refuse,
) -> Callable[..., Any]:
    by_position = _positions(signature, values)
    end = min(by_position, default=None)

    def strict(*args: Any, **kwargs: Any) -> Any:  # noqa: ANN401 - whatever the function takes
        if end is not None and len(args) > end:
            refuse(by_position[end], args[end])
        for name in values.keys() & kwargs.keys():
            refuse(name, kwargs[name])
        return function(*args, **kwargs, **values)

    return strict


def _positions(signature: inspect.Signature | None, names: Container[str]) -> dict[int, str]:
    if signature is None:
        return {}
    kind = inspect.Parameter.POSITIONAL_OR_KEYWORD
    return {
        index: name
        for index, (name, parameter) in enumerate(signature.parameters.items())
        if name in names and parameter.kind is kind
    }
