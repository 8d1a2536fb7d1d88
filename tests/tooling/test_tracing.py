"""Tracers, profilers and the debugger see in a merged class what they see in a plain one.

The spliced merge is on the `def` line, so tracers report that line once more, between the call
and the first line of the body, as they would for a merge that is written by hand.
"""

import bdb
import cProfile
import dis
import inspect
import io
import itertools
import pdb  # noqa: T100 - the debugger is under test
import pstats
import sys
from pathlib import Path

import pytest

import mergeparam

SOURCE = '''"""Layers to be traced."""

import mergeparam

METHODS = ("plain", "cells", "one_line", "looping", "generator", "coroutine", "async_generator")


@DECORATE
class Layer:
    def __init__(self, flag=None):
        self.flag = flag

    def plain(self, x, *, flag=None):
        """Take every branch."""
        total = x + 1
        for step in range(3):
            if step == flag:
                total += step
            else:
                total -= step
        try:
            total /= 0
        except ZeroDivisionError:
            total = [
                total,
                flag,
            ]
        return total

    def cells(self, x, flag=None):
        def inner(y):
            return flag + y

        return [inner(y) for y in (x, x)], (lambda: flag)()

    def one_line(self, x, flag=None): return x if flag else -x

    def looping(self, x, flag=None):
        while x < flag:
            x += 1
        return x

    def generator(self, x, *, flag=None):
        sent = yield x
        yield from (sent, flag)

    async def coroutine(self, x, *, flag=None):
        await pause()
        return flag

    async def async_generator(self, x, *, flag=None):
        for item in (x, flag):
            yield item
            await pause()


async def pause():
    pass
'''
METHODS = (
    *("plain", "cells", "one_line", "looping", "generator", "coroutine"),
    "async_generator",
)
HAS_MONITORING = hasattr(sys, "monitoring")
needs_monitoring = pytest.mark.skipif(not HAS_MONITORING, reason="sys.monitoring is of 3.12")


@pytest.fixture(autouse=True)
def _keep_tracing():
    """Give an outer tracer, such as coverage's, back what a test takes from it."""
    tracer, profiler = sys.gettrace(), sys.getprofile()
    yield
    sys.setprofile(profiler)
    sys.settrace(tracer)


def run(layer, method, **flag):
    """Call a method of any kind and run it to its end, without an event loop."""
    result = getattr(layer, method)(1, **flag)
    if inspect.isgenerator(result):
        return list(result)
    if inspect.isasyncgen(result):
        result = drain(result)
    if inspect.iscoroutine(result):
        with pytest.raises(StopIteration) as stopped:
            result.send(None)
        return stopped.value.value
    return result


async def drain(items):
    return [item async for item in items]


def run_plain(module, method):
    return run(module.Layer(), method, flag=2)


def run_called(module, method):
    return run(module.Layer(), method, flag=2)


def run_set_up(module, method):
    return run(module.Layer(2), method)


def trace(module, method, how, *, opcodes=False):
    """Return what a tracer is told of the module: name, event, line."""
    events = []

    def tracer(frame, event, arg):
        if frame.f_code.co_filename != module.__file__:
            return None
        frame.f_trace_opcodes = opcodes
        events.append((frame.f_code, event, frame.f_lineno, frame.f_lasti))
        return tracer

    # Python 3.12 traces no opcodes unless a frame has asked for it before tracing begins.
    sys._getframe().f_trace_opcodes = opcodes
    sys.settrace(tracer)
    try:
        how(module, method)
    finally:
        sys.settrace(None)
    return events


def profile(module, method, how):
    """Return what a profiler is told of the module."""
    events = []

    def profiler(frame, event, arg):
        if frame.f_code.co_filename == module.__file__:
            events.append((frame.f_code, event, frame.f_lineno, frame.f_lasti))

    sys.setprofile(profiler)
    try:
        how(module, method)
    finally:
        sys.setprofile(None)
    return events


MONITORED = ("PY_START", "PY_RESUME", "PY_RETURN", "PY_YIELD", "LINE")


def monitor(module, method, how, *, local, instructions=False):
    """Return what a tool of `sys.monitoring` is told of the module."""
    names = (*MONITORED, "INSTRUCTION") if instructions else MONITORED
    flags = {name: getattr(sys.monitoring.events, name) for name in names}
    events, codes, tool = [], codes_of(module), 4

    def listener(name):
        def listen(code, where, *value):
            if code in codes:
                line, at = (where, 0) if name == "LINE" else (0, where)
                events.append((code, name, line, at))

        return listen

    sys.monitoring.use_tool_id(tool, "test")
    try:
        for name, flag in flags.items():
            sys.monitoring.register_callback(tool, flag, listener(name))
        listen_to(tool, sum(flags.values()), codes if local else ())
        how(module, method)
    finally:
        listen_to(tool, 0, codes if local else ())
        for flag in flags.values():
            sys.monitoring.register_callback(tool, flag, None)
        sys.monitoring.free_tool_id(tool)
    return events


def listen_to(tool, flags, codes):
    for code in codes:
        sys.monitoring.set_local_events(tool, code, flags)
    if not codes:
        sys.monitoring.set_events(tool, flags)


def codes_of(module):
    """Return the code of the methods, of what is nested in it, and of their wrappers."""
    found = [vars(module.Layer)[method].__code__ for method in METHODS]
    found += [inspect.unwrap(vars(module.Layer)[method]).__code__ for method in METHODS]
    for code in found:
        found += [const for const in code.co_consts if inspect.iscode(const)]
    return set(found)


def named(events):
    """Return name, event and line; not where in the code, which the merge has moved."""
    return [(code.co_name, event, line) for code, event, line, _ in events]


def with_merge(events, method, line_event):
    """Return what is told of the plain class, with the merge's line behind the first call."""
    told = named(events)
    if method == "one_line":
        return told
    at = next(index for index, (name, *_) in enumerate(told, 1) if name == method)
    return [*told[:at], (method, line_event, first_line(events, method)), *told[at:]]


def first_line(events, method):
    return next(code.co_firstlineno for code, *_ in events if code.co_name == method)


def in_body(events):
    """Return what is told of the lines behind the `def` line."""
    return [
        (code.co_name, dis.opname[code.co_code[at]], line)
        for code, event, line, at in events
        if event == "opcode" and line != code.co_firstlineno
    ]


def monitored_in_body(events):
    """Return the instructions of the lines behind the `def` line."""
    return [
        (code.co_name, dis.opname[code.co_code[at]], line)
        for code, event, _, at in events
        if event == "INSTRUCTION"
        and (line := list(code.co_positions())[at // 2][0]) != code.co_firstlineno
    ]


def without_wrapper(events):
    return [event for event in events if event[0].co_name != "wrapper"]


hows = pytest.mark.parametrize("how", [run_called, run_set_up])
methods = pytest.mark.parametrize("method", METHODS)


@hows
@methods
def test_settrace_tells_of_the_same_lines(load, how, method):
    """One line more than in the plain class: the `def` line, where the merge is."""
    plain = trace(load(SOURCE, "plain"), method, run_plain)
    merged = trace(load(SOURCE, "inline"), method, how)

    assert with_merge(plain, method, "line") == named(merged)


@hows
@methods
def test_settrace_tells_of_a_wrapper_as_of_one_more_function(load, how, method):
    """The body's own events stay the same; the wrapper's are all on the `def` line."""
    plain = trace(load(SOURCE, "plain"), method, run_plain)
    merged = trace(load(SOURCE, "wrap"), method, how)
    added = [event for event in named(merged) if event[0] == "wrapper"]

    assert named(plain) == named(without_wrapper(merged))
    assert {first_line(plain, method)} == {line for _, _, line in added}


@hows
@methods
def test_opcodes_of_the_body_are_traced_in_the_same_order(load, inject, how, method):
    """Behind the merge, the same instructions run on the same lines."""
    plain = trace(load(SOURCE, "plain"), method, run_plain, opcodes=True)
    merged = trace(load(SOURCE, inject), method, how, opcodes=True)

    assert in_body(plain) == in_body(without_wrapper(merged))


@hows
@methods
def test_setprofile_tells_of_the_same_calls(load, inject, how, method):
    """Calls and returns are those of the plain class, besides the wrapper's."""
    plain = profile(load(SOURCE, "plain"), method, run_plain)
    merged = profile(load(SOURCE, inject), method, how)

    assert named(plain) == named(without_wrapper(merged))
    assert (inject == "wrap") == (len(plain) < len(merged))


@needs_monitoring
@pytest.mark.parametrize("local", [False, True], ids=["global", "local"])
@hows
@methods
def test_monitoring_tells_of_the_same_events(load, local, how, method):
    """One line more than in the plain class: the `def` line, where the merge is."""
    plain = monitor(load(SOURCE, "plain"), method, run_plain, local=local)
    merged = monitor(load(SOURCE, "inline"), method, how, local=local)

    assert with_merge(plain, method, "LINE") == named(merged)


@needs_monitoring
@pytest.mark.parametrize("local", [False, True], ids=["global", "local"])
@hows
@methods
def test_monitoring_tells_of_the_same_instructions(load, inject, local, how, method):
    """Behind the merge, the same instructions run on the same lines."""
    plain = monitor(load(SOURCE, "plain"), method, run_plain, local=local, instructions=True)
    merged = monitor(load(SOURCE, inject), method, how, local=local, instructions=True)

    assert monitored_in_body(plain) == monitored_in_body(without_wrapper(merged))


def profiled(module):
    """Return file, line and name of every function of the module, with its number of calls."""
    profiler = cProfile.Profile()
    profiler.enable()
    try:
        for method in METHODS:
            run_called(module, method)
    finally:
        profiler.disable()
    return {
        place[1:]: numbers[:2]
        for place, numbers in pstats.Stats(profiler).stats.items()
        if place[0] == module.__file__
    }


def test_cprofile_counts_the_same_calls(load, inject):
    """Every function of the plain class is counted as often at the same place."""
    plain, merged = profiled(load(SOURCE, "plain")), profiled(load(SOURCE, inject))
    added = {name for place, name in merged.keys() - plain.keys()}

    assert plain == {place: merged[place] for place in plain}
    assert ({"wrapper"} if inject == "wrap" else set()) == added


def debug(module, commands, how=run_called):
    """Return what the debugger prints, with the module's path left out."""
    bdb.Breakpoint.clearBreakpoints()
    output = io.StringIO()
    lines = io.StringIO("".join(f"{command}\n" for command in commands))
    debugger = pdb.Pdb(stdin=lines, stdout=output, nosigint=True, readrc=False)
    debugger.use_rawinput = False
    debugger.prompt = ""
    debugger.runcall(how, module, "plain")
    return output.getvalue().replace(module.__file__, "layers.py").splitlines()


def at_line(module, text):
    """Return the number of the first line that has `text`."""
    lines = inspect.getsource(module).splitlines()
    return next(number for number, line in enumerate(lines, 1) if text in line)


def from_breakpoint(printed):
    """Leave out where the debugger started: in this file."""
    return printed[printed.index(next(line for line in printed if "Breakpoint" in line)) :]


def debug_both(load, variant, how, commands):
    """Return what the debugger prints of the plain class, and of the merged one."""
    plain, merged = load(SOURCE, "plain"), load(SOURCE, variant)
    return (
        from_breakpoint(debug(module, commands(module), run))
        for module, run in ((plain, run_plain), (merged, how))
    )


def stop_in_body(module):
    line = at_line(module, "total = x + 1")
    return [
        f"break {module.__file__}:{line}",
        *(
            "continue",
            "p x, flag",
            "p sorted(locals())",
            "whatis flag",
            "n",
            "n",
            "p total",
            "s",
            "l .",
        ),
        *(f"until {line + 12}", "p total, flag", "return", "p total", "clear 1", "continue"),
    ]


def stop_on_condition(module):
    line = at_line(module, "total += step")
    return [
        f"tbreak {module.__file__}:{line}, flag == 2 and step == 2",
        *("continue", "p step", "!flag = 100", "n", "unt", "p total", "continue"),
    ]


@pytest.mark.parametrize("commands", [stop_in_body, stop_on_condition])
@hows
def test_debugger_prints_the_same_in_the_body(load, inject, how, commands):
    """A breakpoint in the body is hit, and stepping from there prints the same lines."""
    expected, actual = debug_both(load, inject, how, commands)

    assert expected == actual
    assert any(line.startswith("[0, 2]") or "flag = 2" in line or line == "2" for line in actual)


def stops(printed, name):
    """Return the places in a function where the debugger stopped, each run of one place once."""
    places = [line for line in printed if line.startswith("> layers.py") and name in line]
    return [place for place, _ in itertools.groupby(places)]


@hows
def test_debugger_steps_into_the_body_by_the_def_line(load, inject, how):
    """Stepping in from outside shows the `def` line, then the body, and never our own files."""
    plain, merged = load(SOURCE, "plain"), load(SOURCE, inject)
    steps = ["step"] * 40
    expected, actual = debug(plain, steps, run_plain), debug(merged, steps, how)

    assert stops(expected, "plain()")[:9] == stops(actual, "plain()")[:9]
    ours = str(Path(mergeparam.__file__).parent)
    assert not any(ours in line for line in actual if line.startswith("> "))


@hows
def test_breakpoint_on_a_method_stops_where_the_merge_is(load, how):
    """As for a merge by hand, the first stop is before it, and the next one behind it."""
    module = load(SOURCE, "inline")
    commands = [
        f"from {module.__name__} import Layer",
        *("break Layer.plain", "continue", "next", "p flag", "continue"),
    ]
    printed = from_breakpoint(debug(module, commands, how))
    line = at_line(module, "def plain")

    assert f"> layers.py({line})plain()" == printed[1]
    assert f"> layers.py({line + 2})plain()" == printed[3]
    expected = "2"
    assert expected == printed[5]
