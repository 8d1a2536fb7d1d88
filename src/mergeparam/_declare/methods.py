"""Find a method, what is around its function, and whose function that is."""

from __future__ import annotations

import inspect
from types import CodeType, FunctionType
from typing import TYPE_CHECKING, Any, Literal, NamedTuple

from mergeparam._compat import qualified_name
from mergeparam._declare.signature import Parameters, read_defaults, read_parameters
from mergeparam.errors import MergeDefinitionError, near, shorten

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from types import FrameType

    from mergeparam._spec import MergedMethod, Param

MERGED_NAMES = "__merged_params__"
"""The attribute of a function that lists the names that are merged in it."""

PRIVATE = "_mergeparam_"
"""How the names begin that the decorator adds to classes and modules; every merge mentions one."""

CARRIER_MODULE = "mergeparam.carrier"
"""What a base that carries the private methods of a protocol names as its module."""

Ownership = Literal["own", "foreign", "opaque"]
"""Whose function a method runs, by where the code was written: `own`, in the body of this class
(it is merged in place, so that whoever holds it has the merge); `foreign`, a plain function from
elsewhere (this class gets a merged copy); `opaque`, anything else (a wrapper goes around it)."""

_LONGEST_CHAIN = 100
"""How many wrappers are looked through. Mocks and proxies answer to every attribute, so that a
walk along `__wrapped__` need never end."""

_RUN_WHAT_THEY_WRAP = (
    "functools",
    "jax",
    "jaxlib",
    "flax",
    "equinox",
    "haiku",
    "torch",
    "numba",
    "sklearn",
)
"""Packages whose callable objects run the one function in their `__wrapped__`. Of other callable
objects nobody knows: a dispatcher has a function for each type of argument."""


class Method(NamedTuple):
    """A method as the class has it when the decorator comes."""

    cls: type  # that is decorated
    name: str
    definer: type  # the class whose namespace holds the method: `cls` or one of its bases
    found: Callable[..., Any]  # what that namespace holds
    chain: tuple[Callable[..., Any], ...]  # the same, and what is inside along `__wrapped__`
    function: Any  # the FunctionType in the chain that declares the parameters
    ownership: Ownership
    parameters: Parameters
    defaults: dict[str, object]  # of the function
    receiver: str  # the expression that is the object: `self`, or `args[0]`
    label: str  # the method's name in messages


def find_method(cls: type, name: str, frame: FrameType | None = None) -> Method:
    """Find the method `name` of a class, and the function that declares its parameters.

    The class may have been written in this `frame`, and have other names by now.
    """
    given, name = name, mangle(name, cls.__name__)
    definer = find_definer(cls, name)
    label = f"{cls.__qualname__}.{name}()"
    if definer is None:
        known = [key for key in dir(cls) if key[0] != "_" or key == "__call__"]
        own = [key for key, held in vars(cls).items() if key in known and callable(held)]
        listed = f"It has {', '.join(map(repr, own))}. " if own else ""
        fix = f"name another one with method={(own or ['forward'])[0]!r}"
        if not name.isidentifier():
            fix = "give several as a tuple: method=('encode', 'decode')"
        raise MergeDefinitionError(
            f"{cls.__qualname__} has no method {given!r} to merge parameters in"
            f"{near(given, known)}. "
            f"{listed}Define it, or {fix}."
        )
    found = vars(definer)[name]
    if isinstance(found, staticmethod | classmethod | property):
        raise MergeDefinitionError(
            f"{label} is a {type(found).__name__}, and merging reads an attribute of the object "
            f"that the method is called on. Make it a plain method with self, and put @mergeable "
            f"on top of the class."
        )
    chain = unwrap(found)
    function, ownership = _whose(cls, definer, chain, frame)
    if function is None:
        raise MergeDefinitionError(
            f"{label} is {shorten(found)}, a callable whose signature cannot be read. "
            f"Write the method with def, and declare the merged parameters in it."
        )
    parameters = read_parameters(function.__code__)
    if parameters.positional:
        receiver = parameters.positional[0]
    elif parameters.var_positional is not None:
        receiver = f"{parameters.var_positional}[0]"
    else:
        raise MergeDefinitionError(
            f"{label} has no parameter for the object itself. Add self as the first one."
        )
    whose = definer, found, chain, function, ownership
    return Method(cls, name, *whose, parameters, read_defaults(function), receiver, label)


def find_definer(cls: type, name: str) -> type | None:
    """Return the class whose namespace holds `name`, as attribute lookup finds it."""
    for base in cls.__mro__:
        if name in vars(base) and base is not object:
            return base
    return None


def unwrap(found: Callable[..., Any]) -> tuple[Callable[..., Any], ...]:
    """Return `found` and what is inside of it along `__wrapped__`."""
    chain = [found]
    inner = getattr(found, "__wrapped__", None)
    while callable(inner) and len(chain) < _LONGEST_CHAIN:
        chain.append(inner)
        inner = getattr(inner, "__wrapped__", None)
    return tuple(chain)


def mangle(name: str, owner: str) -> str:
    """Return a private name as the compiler writes it in the body of a class."""
    owner = owner.lstrip("_")
    is_private = name.startswith("__") and not name.endswith("__")
    return f"_{owner}{name}" if is_private and owner.isidentifier() else name


def _whose(
    cls: type, definer: type, chain: tuple[Callable[..., Any], ...], frame: FrameType | None
) -> tuple[FunctionType | None, Ownership]:
    """Tell which function in the chain is meant, and whose it is."""
    # PyPy has functions that are not written in Python, with code that tells almost nothing.
    functions = [
        link
        for link in chain
        if isinstance(link, FunctionType) and isinstance(link.__code__, CodeType)
    ]
    if not functions:
        return None, "opaque"
    # The one that is written in this class's body is meant, wherever it stands in the chain:
    # others lie around it as wrappers, or inside where `@wraps` has only borrowed their docs.
    ownership: Ownership = "own"
    for link in chain if definer is cls else ():
        if isinstance(link, FunctionType):
            if _is_written_in(cls, link, frame):
                return link, ownership
        # Of callable objects that nobody knows there is no telling whether the function inside is
        # all that they run.
        elif type(link).__module__.partition(".")[0] not in _RUN_WHAT_THEY_WRAP:
            ownership = "opaque"
    # A wrapper that takes `*args` or `**kwargs` speaks for what is inside of it.
    variadic = inspect.CO_VARARGS | inspect.CO_VARKEYWORDS
    exact = [function for function in functions if not function.__code__.co_flags & variadic]
    function = exact[0] if exact else functions[-1]
    # The outermost function can be copied. What is inside of a wrapper cannot: only its author
    # can make another wrapper like that.
    return function, "foreign" if function is chain[0] else "opaque"


def _is_written_in(cls: type, function: FunctionType, frame: FrameType | None) -> bool:
    """Whether the code of a function was written in the body of a class."""
    # `functools.wraps` changes the names of a function, but never those of its code and globals.
    name = qualified_name(function.__code__, function.__qualname__)
    owner = name.rpartition(".")[0]
    # Where code is run without a module, a class finds the name among the builtins.
    place = function.__globals__.get("__name__", "builtins"), owner
    if place != (cls.__module__, cls.__qualname__) and not _is_renamed(
        cls, function, owner, frame
    ):
        return False
    # A base may be a namesake: `class Dropout(Dropout)`, or the class of before a reload.
    for base in cls.__mro__[1:-1]:
        space, own_name = vars(base), function.__code__.co_name
        # A lambda stands there under another name.
        names = space if base.__name__ == cls.__name__ else [own_name] * (own_name in space)
        for name in names:
            if any([function is link for link in unwrap(space[name])]):
                return False
    return True


def _is_renamed(cls: type, function: FunctionType, owner: str, frame: FrameType | None) -> bool:
    """Whether the owner of a function is the class, which its body or a decorator has renamed."""
    while frame is not None and owner.rpartition(".")[2] == cls.__name__:
        code = frame.f_code
        scope = qualified_name(code, code.co_name)
        # The statement is in this code: that of a module, of a class or of a function. A function
        # may also be a decorator's, which was called by the statement.
        is_function = code.co_flags & inspect.CO_OPTIMIZED
        outer = f"{scope}.<locals>." if is_function else "" if scope[0] == "<" else f"{scope}."
        if function.__globals__ is frame.f_globals and owner == outer + cls.__name__:
            return True
        frame = frame.f_back if is_function else None
    return False


def merged_names(function: object) -> tuple[str, ...]:
    """Return the names that are merged in a function."""
    if not isinstance(function, FunctionType) or MERGED_NAMES not in vars(function):
        return ()
    # `functools.wraps` copies the attribute to functions that merge nothing.
    if not any([name.startswith(PRIVATE) for name in function.__code__.co_names]):
        return ()
    names: tuple[str, ...] = vars(function)[MERGED_NAMES]
    return names


def carrier_of(cls: type) -> type:
    """Return the class whose namespace has what a merged class carries."""
    # `isinstance` with a protocol asks for every attribute that stands in its namespace and in
    # those of its bases, and so do protocols that inherit from it. Only bases that are called
    # `Protocol` are passed over (typing and typing_extensions go by the name). So a protocol
    # gets a base of that name, which `install` makes.
    first = cls.__bases__[0]
    return first if first.__module__ == CARRIER_MODULE else cls


def own_methods(cls: type) -> tuple[MergedMethod, ...]:
    """Return the merged methods that a class itself has declared."""
    spec = vars(carrier_of(cls)).get("__mergeable__")
    return () if spec is None else spec.methods


def merged_methods_of(cls: type) -> Iterator[MergedMethod]:
    """Yield every merged method of the class and its bases, the most derived first."""
    for base in cls.__mro__:
        if "__mergeable__" in vars(base):
            yield from vars(base)["__mergeable__"].methods


def declarations(cls: type, method: str) -> tuple[tuple[MergedMethod, Param], ...]:
    """Return the declarations that hold in a method, in the order of its signature."""
    definer = find_definer(cls, method)
    if definer is None:
        return ()
    function = next((link for link in unwrap(vars(definer)[method]) if merged_names(link)), None)
    if function is None:
        if method in [level.name for level in own_methods(definer)]:
            raise MergeDefinitionError(
                f"{definer.__qualname__}.{method}() was merged, and its function has lost the "
                f"merge: a tool has compiled it anew from its source, or another one was put in "
                f"its place. Run the module again, with its decorators."
            )
        return ()
    # From the bases on, so that the declaration of the most derived class counts.
    found: dict[str, tuple[MergedMethod, Param]] = {}
    for level in reversed(list(merged_methods_of(definer))):
        # Under another name the class may have the same function, as in `evaluate = forward`.
        holder = find_definer(definer, level.name)
        held = () if holder is None else unwrap(vars(holder)[level.name])
        if level.name == method or any([function is link for link in held]):
            found |= {param.name: (level, param) for param in level.params}
    order = function.__code__.co_varnames
    names = found.keys() & {*merged_names(function)}
    return tuple([found[name] for name in sorted(names, key=order.index)])
