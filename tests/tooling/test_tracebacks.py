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
    "plain", "many_lines", "cells", "comprehension", "handler", "finally_", "loop", "one_line",
    "generator", "resumed", "coroutine", "async_generator", "wrapped", "positional", "group",
    "nested", "at_once",
)


def logged(function):
    @functools.wraps(function)
    def log(*args, **kwargs):
        return function(*args, **kwargs)

    return log


@DECORATE
class Layer:
    def __init__(self, flag=None):
        self.flag = flag

    def given(self, flag):
        return {"flag": flag} if self.flag is None else {}

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

    def comprehension(self, x, *, flag=None):
        return [y for x in [[x], [flag]] for y in x if y / 0]

    def handler(self, x, *, flag=None):
        try:
            return x / 0
        except ZeroDivisionError as error:
            raise KeyError(flag) from error

    def finally_(self, x, *, flag=None):
        try:
            with open(__file__) as file:
                return file + x
        finally:
            x = [flag].index(x)

    def loop(self, x, *, flag=None):
        while True:
            for index in range(3):
                x = 1 / (index - 1)

    def one_line(self, x, *, flag=None): return x + flag + "1"

    def generator(self, x, *, flag=None):
        return (yield x) + (yield flag).nothing

    def resumed(self, x, *, flag=None):
        for item in (yield from self.generator(x, **(self.given(flag)))):
            yield item

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

    def nested(self, x, *, flag=None):
        return self.plain(x, **(self.given(flag)))

    def at_once(self, x, *, flag=None):
        raise RuntimeError(f"{x} {flag}")
'''
METHODS = (
    *("plain", "many_lines", "cells", "comprehension", "handler", "finally_", "loop", "one_line"),
    *("generator", "resumed", "coroutine", "async_generator", "wrapped", "positional", "group"),
    *("nested", "at_once"),
)


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


def fail(method, *args, **kwargs):
    """Return what a call raises."""
    with pytest.raises(Exception) as caught:
        drive(method(*args, **kwargs))
    return caught.value


def call(module, method):
    """Return what the method raises when the call sets the flag."""
    places, named = ((7,), {}) if method == "positional" else ((), {"flag": 7})
    return fail(getattr(module.Layer(), method), 3, *places, **named)


def call_set_up(module, method):
    """Return what the method raises when the constructor sets the flag."""
    return fail(getattr(module.Layer(7), method), 3)


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


def positions(error):
    """Return what `co_positions` says of the instruction of each frame."""
    return [
        list(frame.f_code.co_positions())[tb.tb_lasti // 2]
        for tb in walk(error.__traceback__)
        if (frame := tb.tb_frame).f_code.co_filename.endswith(".py")
        and "layers_" in frame.f_code.co_filename
        and not is_wrapper(frame.f_code)
    ]


def walk(tb):
    while tb is not None:
        yield tb
        tb = tb.tb_next


def is_wrapper(code):
    """Tell a wrapper around a method, and code that calls the body inside of what is around."""
    is_inside = any(name.startswith("_mergeparam_body") for name in code.co_names)
    return is_inside or code.co_qualname == "factory.<locals>.wrapper"


def text(error, module):
    """Return the traceback as it is printed, without this file's frames and the paths."""
    steps = (tb for tb in walk(error.__traceback__) if tb.tb_frame.f_code.co_filename != __file__)
    error.__traceback__ = next(steps, None)
    printed = "".join(traceback.format_exception(error))
    return printed.replace(module.__file__, "layers.py")


def without_wrappers(found, def_lines):
    """Drop the frames that only `inject="wrap"` adds: on a `def` line, and with no columns."""
    return [frame for frame in found if frame[:2] not in def_lines]


def wrapper_frames(module):
    """Return names and lines: code inside what is around a method has the method's name."""
    functions = [vars(module.Layer)[method] for method in METHODS]
    inner = [inspect.unwrap(function) for function in functions]
    return {("wrapper", first_line(function)) for function in functions} | {
        (function.__name__, first_line(function))
        for function in inner
        if is_wrapper(function.__code__)
    }


def first_line(function):
    return inspect.unwrap(function).__code__.co_firstlineno


@pytest.mark.parametrize("how", [call, call_set_up])
@pytest.mark.parametrize("method", METHODS)
def test_frames_are_those_of_the_undecorated_class(load, inject, how, method):
    """Names, lines, columns and source lines of every frame, after one wrapper at most."""
    plain, merged = load(SOURCE, "plain"), load(SOURCE, inject)
    wrappers = wrapper_frames(merged) if inject == "wrap" else set()
    expected, actual = call(plain, method), how(merged, method)

    assert frames(expected, plain) == without_wrappers(frames(actual, merged), wrappers)
    assert positions(expected) == positions(actual)


@pytest.mark.parametrize("how", [call, call_set_up])
@pytest.mark.parametrize("method", METHODS)
def test_printed_tracebacks_are_equal_to_the_caret(load, how, method):
    """The text that Python prints is the same for the spliced method."""
    plain, merged = load(SOURCE, "plain"), load(SOURCE, "inline")

    assert text(call(plain, method), plain) == text(how(merged, method), merged)


@pytest.mark.parametrize("method", METHODS)
def test_wrapper_shows_as_the_def_line(load, method):
    """The frame that a wrapper adds shows where the method begins, with nothing underlined."""
    module = load(SOURCE, "wrap")
    wrappers = wrapper_frames(module)
    added = [frame for frame in frames(call(module, method), module) if frame[:2] in wrappers]
    code = inspect.unwrap(vars(module.Layer)[method]).__code__
    first = inspect.getsource(code).splitlines()[0].strip()

    assert (code.co_firstlineno, first) == (added[0][1], added[0][5])
    assert not any(set(line.strip()) == {"^"} for line in below(first, call(module, method)))


def below(line, error):
    """Return the lines that are printed below a source line of a traceback."""
    printed = "".join(traceback.format_exception(error)).splitlines()
    return [after for before, after in itertools.pairwise(printed) if before.strip() == line]


@pytest.mark.parametrize("variant", ["inline", "wrap"])
@pytest.mark.parametrize("flag", [None, 7])
@pytest.mark.parametrize("method", sorted(set(METHODS) - {"wrapped", "nested", "resumed"}))
def test_merge_error_shows_the_def_line(load, variant, flag, method):
    """The method's frame in the traceback of a `MergeError` shows the user's `def` line."""
    module = load(SOURCE, variant)
    given = {} if flag is None or method == "positional" else {"flag": flag}
    places = () if flag is None or method != "positional" else (flag,)
    error = fail(getattr(module.Layer(flag), method), 3, *places, **given)
    (frame,) = frames(error, module)
    name = method if variant == "inline" else "wrapper"
    line = first_line(vars(module.Layer)[method])

    assert isinstance(error, MergeError)
    assert (name, line) == frame[:2]
    assert inspect.getsource(vars(module.Layer)[method]).splitlines()[0].strip() == frame[5]


@pytest.mark.parametrize("variant", ["inline", "wrap"])
def test_merge_error_of_a_decorated_method_shows_its_first_line(load, variant):
    """Under the user's own decorators the frame shows what Python takes for the first line."""
    module = load(SOURCE, variant)
    found = frames(fail(module.Layer().wrapped, 3), module)
    line = first_line(module.Layer.wrapped)

    assert line in [frame[1] for frame in found]
    assert "@logged" in [frame[5] for frame in found]


def test_merge_error_underlines_nothing(load, inject):
    """The merge has no columns, so that no caret points into the signature."""
    error = fail(load(SOURCE, inject).Layer().plain, 3)
    line = "def plain(self, x, *, flag=None):"

    assert "    " + line in "".join(traceback.format_exception(error))
    assert not any("^" in after for after in below(line, error))
