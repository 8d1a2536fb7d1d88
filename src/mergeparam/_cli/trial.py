"""A method and a call in; how the call is measured, in every way, out."""

from __future__ import annotations

import contextlib
import inspect
import sys
from typing import TYPE_CHECKING, Any, TypeAlias

import attrs

from mergeparam._cli.refusal import Refusal, one_line
from mergeparam._cli.sampling import Sampler, call_sampler, inside
from mergeparam._cli.variants import lost_wrappers, variants, watched
from mergeparam.errors import shorten

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from mergeparam._cli.derived_call import Call
    from mergeparam._cli.variants import Method

_SUSPENDED = inspect.CO_GENERATOR | inspect.CO_COROUTINE | inspect.CO_ASYNC_GENERATOR

Holders: TypeAlias = list[tuple[Any, str]]
"""The modules and classes that name a class, and the names."""


@attrs.frozen
class Trial:
    """A call that has been tried out."""

    method: Method
    call: Call
    holders: Holders
    values: dict[str, object]
    """What the call has merged."""

    executions: int
    """How often one call runs the method."""

    lost_wrappers: int

    def samplers(self, seconds: float) -> dict[str, Sampler]:
        """Return a sampler of each way to merge, with classes and objects made anew."""
        return {
            name: self._sampler(variant, seconds)
            for name, variant in variants(self.method, self.values).items()
        }

    def _sampler(self, variant: type, seconds: float) -> Sampler:
        def standing_in() -> contextlib.AbstractContextManager[None]:
            return _standing_in(self.holders, self.method.place.cls, variant)

        with standing_in():
            names = _prepared(self.method, self.call, variant)
            sampler = call_sampler(self.call.expression, names, seconds)
        return inside(standing_in, sampler)

    @contextlib.contextmanager
    def refusing(self) -> Iterator[None]:
        """Say it in one line where the call raises later than in the first two times."""
        try:
            yield
        except (Exception, SystemExit) as error:
            raise _raised(self.call, error, "after some calls: ") from error


def try_out(method: Method, call: Call) -> Trial:
    """Run a call in every way, to see what it merges and that it can be compared."""
    cls, seen = method.place.cls, list[dict[str, object]]()
    _prepared(method, call, cls)  # imports whatever it imports
    holders = _holders(cls)
    variant = watched(method, seen.append)
    # Twice, because what a first call compiles or caches may keep the second from the method.
    _run(method, call, holders, variant, then=seen.clear)
    if not seen:
        raise Refusal(_does_not_run(method, call))
    values = _same_values(method, seen)
    for way, other in variants(method, values).items():
        _run(method, call, holders, other, what=f"{way}: ")
    return Trial(method, call, holders, values, len(seen), lost_wrappers(method, variant))


def _does_not_run(method: Method, call: Call) -> str:
    msg = f"the call {call.expression!r} does not run {method.place.place}"
    flags = method.place.function().__code__.co_flags
    if flags & _SUSPENDED:
        return f"{msg}, whose body begins only where it is awaited or taken from"
    return msg


def _same_values(method: Method, seen: list[dict[str, object]]) -> dict[str, object]:
    first, *others = seen
    for other in others:
        for name, value in other.items():
            if value is not first[name]:
                values = f"{shorten(first[name])} and with {shorten(value)}"
                msg = f"the call runs {method.place.place} with {name!r} {values}; compare one"
                raise Refusal(msg)
    return first


def _run(  # noqa: PLR0917 - what is run, and as what
    method: Method,
    call: Call,
    holders: Holders,
    variant: type,
    what: str = "",
    then: Callable[[], object] = lambda: None,
) -> None:
    """Run the call twice with the variant in the class's place; in between call `then`."""
    with _standing_in(holders, method.place.cls, variant):
        names = _prepared(method, call, variant)
        try:
            code = compile(call.expression, "--call", "eval", dont_inherit=True)
            eval(code, names)  # noqa: S307 - what the user asks for
            then()
            eval(code, names)  # noqa: S307 - what the user asks for
        except (Exception, SystemExit) as error:
            raise _raised(call, error, what) from error


def _raised(call: Call, error: BaseException, what: str = "") -> Refusal:
    hint = "; say with --setup what it is" if isinstance(error, NameError) else ""
    return Refusal(f"{what}the call {call.expression!r} raises {one_line(error)}{hint}")


def _prepared(method: Method, call: Call, cls: type) -> dict[str, Any]:
    """Return the names of the class's module and those that the setup makes."""
    names = {**vars(sys.modules[method.place.cls.__module__]), cls.__name__: cls}
    try:
        exec(compile(call.setup, "--setup", "exec", dont_inherit=True), names)  # noqa: S102 - what the user asks for
    except (Exception, SystemExit) as error:
        msg = f"the setup {call.setup!r} raises {one_line(error)}"
        raise Refusal(msg) from error
    return names


def _holders(cls: type) -> Holders:
    owner: Any = sys.modules[cls.__module__]
    *path, name = cls.__qualname__.split(".")
    for part in path:
        # A class that a function has made is found nowhere under its qualified name.
        owner = getattr(owner, part, None)
    is_inside = bool(path) and getattr(owner, name, None) is cls
    return [(owner, name)] * is_inside + [
        (module, name)
        for module in list(sys.modules.values())
        for name, value in list(getattr(module, "__dict__", {}).items())
        if value is cls
    ]


@contextlib.contextmanager
def _standing_in(holders: Holders, cls: type, variant: type) -> Iterator[None]:
    """Let the variant stand in for the class wherever that is named."""
    for holder, name in holders:
        setattr(holder, name, variant)
    try:
        yield
    finally:
        for holder, name in holders:
            setattr(holder, name, cls)
