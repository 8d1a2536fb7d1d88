"""A generator or coroutine is taken step by step, in a scope that is open only while it runs.

What runs between two steps, such as the consumer of a generator or another task, sees nothing
of what is provided in the body. What is sent or thrown reaches the body as if nothing were
around it.
"""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any

from mergeparam._provide import ProvideStep

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Awaitable, Callable, Coroutine, Generator, Mapping


class _Steps:
    """What a body has come to, and how it is to go on."""

    def __init__(self, send: Callable[[Any], Any], throw: Callable[[Any], Any]) -> None:
        self._send = self._go_on = send
        self._throw = throw
        self._argument: Any = None
        self._value: Any = None

    def take(self) -> Any:  # noqa: ANN401 - values are any object
        """Return what the body has yielded or returned, and keep it no longer."""
        value, self._value = self._value, None
        return value

    def send(self, sent: object) -> None:
        """Let the next step send this into the body."""
        self._go_on, self._argument = self._send, sent

    def throw(self) -> None:
        """Let the next step throw what is being handled into the body."""
        self._go_on, self._argument = self._throw, sys.exception()

    def _step(self) -> Any:  # noqa: ANN401 - of any kind of body
        """Take the next step."""
        argument, self._argument = self._argument, None
        try:
            return self._go_on(argument)
        finally:
            # Where it was thrown and comes out again, it leads to this frame.
            del argument


class _GeneratorSteps(_Steps):
    """Takes what has `send` and `throw` from one `yield` to the next."""

    def __init__(self, body: Generator[Any, Any, Any], scope: ProvideStep) -> None:
        super().__init__(body.send, body.throw)
        self._scope = scope

    def advance(self) -> bool:
        """Run the body until it yields or returns; return whether it has yielded."""
        try:
            with self._scope:
                self._value = self._step()
        except StopIteration as stop:
            self._value = stop.value
            return False
        return True


class _Awaited:
    """Awaits something in a scope."""

    def __init__(self, awaitable: Awaitable[Any], scope: ProvideStep) -> None:
        self._awaitable = awaitable
        self._scope = scope

    def __await__(self) -> Generator[Any, Any, Any]:
        """Hand on what is awaited inside, and what comes back; the result is the result."""
        steps = _GeneratorSteps(self._awaitable.__await__(), self._scope)
        while steps.advance():
            try:
                steps.send((yield steps.take()))
            except BaseException:  # noqa: BLE001 - what is awaited decides on it
                steps.throw()
        return steps.take()


class GeneratorSteps(_GeneratorSteps):
    """Takes the body of a generator from one `yield` to the next."""

    def __init__(self, body: Generator[Any, Any, Any], values: Mapping[str, object]) -> None:
        """Provide the values in every step."""
        super().__init__(body, ProvideStep(values))


class CoroutineSteps(_Awaited):
    """Awaits the body of a coroutine."""

    def __init__(self, body: Coroutine[Any, Any, Any], values: Mapping[str, object]) -> None:
        """Provide the values in every step."""
        super().__init__(body, ProvideStep(values))


class AsyncGeneratorSteps(_Steps):
    """Takes the body of an async generator from one `yield` to the next."""

    def __init__(self, body: AsyncGenerator[Any, Any], values: Mapping[str, object]) -> None:
        """Provide the values in every step."""
        super().__init__(body.asend, body.athrow)
        self._scope = ProvideStep(values)
        self._go_on = self._begin

    async def advance(self) -> bool:
        """Run the body until it yields or returns; return whether it has yielded."""
        try:
            self._value = await _Awaited(self._step(), self._scope)
        except StopAsyncIteration:
            return False
        return True

    def _begin(self, sent: None) -> Awaitable[Any]:
        """Take the first step, and let no event loop hear of it.

        Event loops close the generators that they know, and are to close the one around.
        """
        hooks = sys.get_asyncgen_hooks()
        sys.set_asyncgen_hooks(None, _leave_open)
        try:
            return self._send(sent)  # type: ignore[no-any-return]  # an awaitable
        finally:
            sys.set_asyncgen_hooks(*hooks)


def _leave_open(body: AsyncGenerator[Any, Any]) -> None:
    """Do nothing to a body that is not closed; it goes with what is around it."""
