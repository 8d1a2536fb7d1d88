"""Bodies that are taken step by step, without a method around them."""

import asyncio
import sys
import types

import pytest
from mergeparam._provide import provided
from mergeparam._steps import AsyncGeneratorSteps, CoroutineSteps, GeneratorSteps


def read():
    """Return what is provided."""
    return provided("flag", None)


def body():
    """Yield what is provided, and what was sent or thrown."""
    got = None
    while got != "end":
        try:
            got = yield read(), got
        except KeyError as error:
            got = error.args[0]
    return read(), "result"


async def async_body():
    """Do the same, and wait."""
    got = None
    while got != "end":
        await asyncio.sleep(0)
        try:
            got = yield read(), got
        except KeyError as error:
            got = error.args[0]


def throw(steps, error):
    """Throw an error as an except clause does."""
    try:
        raise error
    except type(error):
        steps.throw()


def test_generator():
    """Each step is taken in the scope, and its value can be taken once."""
    steps = GeneratorSteps(body(), {"flag": 1})

    assert steps.advance()
    assert (1, None) == steps.take()
    assert steps.take() is None
    steps.send("sent")
    assert steps.advance()
    assert (1, "sent") == steps.take()
    throw(steps, KeyError("thrown"))
    assert steps.advance()
    assert (1, "thrown") == steps.take()
    assert read() is None
    steps.send("end")
    assert not steps.advance()
    assert (1, "result") == steps.take()


def test_generator_that_fails():
    """What the body does not catch comes out of the step, with the scope closed."""
    steps = GeneratorSteps(body(), {"flag": 1})
    steps.advance()
    throw(steps, ZeroDivisionError())

    with pytest.raises(ZeroDivisionError):
        steps.advance()
    assert read() is None
    assert sys.exception() is None


def test_what_is_sent_is_sent_once():
    """A step without an answer goes on with nothing."""
    steps = GeneratorSteps(body(), {"flag": 1})
    steps.advance()
    steps.send("sent")
    steps.advance()
    steps.advance()

    assert (1, None) == steps.take()


def test_coroutine():
    """What is awaited inside is handed on, and what comes back, too."""

    @types.coroutine
    def wait():
        return (yield read())

    async def awaiting():
        return await wait(), read()

    running = CoroutineSteps(awaiting(), {"flag": 1}).__await__()

    assert 1 == next(running)
    assert read() is None
    with pytest.raises(StopIteration) as stop:
        running.send("sent")
    assert ("sent", 1) == stop.value.value


def test_async_generator():
    """Each step may wait; the scope is open neither then nor in between."""

    async def drive():
        steps = AsyncGeneratorSteps(async_body(), {"flag": 1})
        found = []
        for answer in ("sent", KeyError("thrown"), "end"):
            assert await steps.advance()
            found.append(steps.take())
            if isinstance(answer, KeyError):
                throw(steps, answer)
            else:
                steps.send(answer)
            assert read() is None
        assert not await steps.advance()
        return found

    assert [(1, None), (1, "sent"), (1, "thrown")] == asyncio.run(drive())
