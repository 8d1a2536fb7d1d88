"""Tracebacks of a merged class point to the lines and columns of the undecorated one."""

import asyncio
import inspect
import itertools
import traceback

import pytest

from mergeparam import MergeError

SOURCE = '''"""Layers that fail."""

import functools
import math

import mergeparam

METHODS = (
    "plain", "many_lines", "cells", "handler", "one_line", "generator", "coroutine",
    "async_generator", "wrapped", "positional", "group",
)


# LOGGED


@DECORATE
class Layer:
    def __init__(self, flag=None):
        self.flag = flag

    def plain(self, x, *, flag=None):
        """Fail in the middle of a line."""
        y = x + 1
        return y + (flag + 2) / (x - x) + y

    def many_lines(
        self,
        x,
        *,
        flag=None,
    ):
        return [
            x,
            math.sqrt(
                -x - flag
            ),
        ]

    def cells(self, x, flag=None):
        def inner():
            return (lambda: x + flag)() + {}[repr]

        return inner()

    def handler(self, x, *, flag=None):
        try:
            return x / 0
        except ZeroDivisionError as error:
            raise KeyError(flag) from error

    def one_line(self, x, *, flag=None): return x + flag + "1"

    def generator(self, x, *, flag=None):
        return (yield x) + (yield flag).nothing

    async def coroutine(self, x, *, flag=None):
        async with x.nothing as y:
            return flag

    async def async_generator(self, x, *, flag=None):
        yield x
        async for item in x + flag:
            yield item

    @logged
    def wrapped(self, x, *, flag=None):
        return x + flag + x.nothing

    def positional(self, x, flag=None, /, *args, **kwargs):
        return args[2] + kwargs["a"] + flag

    def group(self, x, *, flag=None):
        try:
            raise ExceptionGroup("several", [ValueError(x), TypeError(flag)])
        except* ValueError:
            x = flag.nothing
'''
METHODS = (
    *("plain", "many_lines", "cells", "handler", "one_line", "generator", "coroutine"),
    *("async_generator", "wrapped", "positional", "group"),
)
methods = pytest.mark.parametrize("method", METHODS)


@pytest.fixture(scope="module")
def layers(import_variants):
    """Return the layers that fail, in every variant."""
    return import_variants(SOURCE)


def drive(result):
    """Run what a method of any kind returns to its end."""
    if inspect.isgenerator(result):
        list(result)
    elif inspect.iscoroutine(result):
        asyncio.run(result)
    elif inspect.isasyncgen(result):
        asyncio.run(drain(result))


async def drain(items):
    return [item async for item in items]


def fail(module, method, held=None, given=None):
    """Return what the method raises with a flag that the object holds, or the call gives."""
    by_position = method == "positional"
    args = (given,) if by_position and given is not None else ()
    named = {} if given is None or by_position else {"flag": given}
    with pytest.raises(Exception) as caught:
        drive(getattr(module.Layer(held), method)(3, *args, **named))
    return caught.value


def first_line(module, method):
    """Return where a method begins: at its decorator, or else at its `def`."""
    return inspect.unwrap(vars(module.Layer)[method]).__code__.co_firstlineno


def frames(error, module):
    """Return name, lines and columns of each frame in the module, of causes and contexts too."""
    summary = traceback.TracebackException.from_exception(error)
    found = [
        (frame.name, frame.lineno, frame.end_lineno, frame.colno, frame.end_colno, frame.line)
        for frame in summary.stack
        if frame.filename == module.__file__
    ]
    for other in (error.__cause__, error.__context__, *getattr(error, "exceptions", ())):
        found += [] if other is None else frames(other, module)
    return found


def is_added(frame, module):
    """Tell a frame that merges and calls the body: at a method's beginning, with no columns."""
    beginnings = {first_line(module, method) for method in METHODS}
    return frame[1] in beginnings and frame[3] == frame[4]


def text(error, module):
    """Return the traceback as it is printed, without this file's frames and the paths."""
    step = error.__traceback__
    while step is not None and step.tb_frame.f_code.co_filename == __file__:
        step = step.tb_next
    error.__traceback__ = step
    return "".join(traceback.format_exception(error)).replace(module.__file__, "layers.py")


def below(line, error):
    """Return the lines that are printed below a source line of a traceback."""
    printed = "".join(traceback.format_exception(error)).splitlines()
    return [after for before, after in itertools.pairwise(printed) if before.strip() == line]


@methods
@pytest.mark.parametrize("flag", [{"given": 7}, {"held": 7}], ids=["call", "object"])
def test_tracebacks_are_those_of_the_undecorated_class(layers, inject, flag, method):
    """Names, lines, columns and source lines of every frame, after one wrapper at most."""
    plain, merged = layers["plain"], layers[inject]
    expected, actual = fail(plain, method, given=7), fail(merged, method, **flag)
    found = frames(actual, merged)

    assert frames(expected, plain) == [frame for frame in found if not is_added(frame, merged)]
    if inject == "inline":
        assert text(expected, plain) == text(actual, merged)


@methods
def test_wrapper_shows_as_the_beginning(layers, method):
    """The frame that a wrapper adds shows where the method begins, with nothing underlined."""
    module = layers["wrap"]
    error = fail(module, method, given=7)
    added = [frame for frame in frames(error, module) if is_added(frame, module)]
    source = inspect.getsource(inspect.unwrap(vars(module.Layer)[method]).__code__)
    first = source.splitlines()[0].strip()

    assert (first_line(module, method), first) == (added[0][1], added[0][5])
    assert not any(set(line.strip()) == {"^"} for line in below(first, error))


@pytest.mark.parametrize("flag", [{}, {"held": 7, "given": 7}], ids=["neither", "both"])
@methods
def test_merge_errors_show_the_beginning(layers, inject, flag, method):
    """The last frame of a `MergeError` shows the `def` line, or a decorator's above, bare."""
    module = layers[inject]
    error = fail(module, method, **flag)
    *outer, last = frames(error, module)
    source = inspect.getsource(inspect.unwrap(vars(module.Layer)[method]))
    first = source.splitlines()[0].strip()

    assert isinstance(error, MergeError)
    assert (first_line(module, method), first) == (last[1], last[5])
    assert inject == "wrap" or method == last[0]
    assert method == "wrapped" or [] == outer
    assert not any("^" in after for after in below(first, error))
