"""A generator or coroutine is taken step by step, in a scope that is open only while it runs.

What runs between two steps, such as the consumer of a generator or another task, sees nothing
of what is provided in the body.
"""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any

from mergeparam._provide import ProvideStep

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Awaitable, Coroutine, Generator


def steps(body: Generator[Any, Any, Any], values: dict[str, object]) -> Generator[Any, Any, Any]:
    """Hand on what the body yields, and what it is sent; its result is the result."""
    scope = ProvideStep(**values)
    advance, argument = body.send, None
    while True:
        try:
            with scope:
                item = advance(argument)
        except StopIteration as stop:
            return stop.value
        try:
            advance, argument = body.send, (yield item)
        except GeneratorExit:
            with scope:
                body.close()
            raise
        except BaseException as error:  # noqa: BLE001 - the body decides on it
            advance, argument = body.throw, error


class CoroutineSteps:
    """An awaitable: what the body of a coroutine awaits, in its scope."""

    def __init__(self, body: Coroutine[Any, Any, Any], values: dict[str, object]) -> None:
        self._body = body
        self._values = values

    def __await__(self) -> Generator[Any, Any, Any]:
        """Run the body."""
        return steps(self._body.__await__(), self._values)


class AsyncGeneratorSteps:
    """Takes the body of an async generator from one `yield` to the next.

    `value` is what it has yielded, and `running` whether it has not ended yet.
    """

    def __init__(self, body: AsyncGenerator[Any, Any], values: dict[str, object]) -> None:
        self._body = body
        self._values = values
        self.running = True
        self.value: Any = None

    async def send(self, sent: object) -> None:
        """Go on to the next `yield`, or to the end."""
        await self._advance(self._body.asend(sent))

    def throw(self) -> Awaitable[bool]:
        """Throw the exception that is being handled into the body.

        Returns:
            Whether the body is closed, and the exception is to go on.
        """
        error = sys.exception()
        if isinstance(error, GeneratorExit):
            return self._close()
        return self._throw(error)

    async def _close(self) -> bool:
        await CoroutineSteps(self._body.aclose(), self._values)
        return True

    async def _throw(self, error: Any) -> bool:  # noqa: ANN401 - there is one, in an except clause
        await self._advance(self._body.athrow(error))
        return False

    async def _advance(self, step: Coroutine[Any, Any, Any]) -> None:
        try:
            self.value = await CoroutineSteps(step, self._values)
        except StopAsyncIteration:
            self.running = False
