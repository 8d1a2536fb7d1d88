"""Tracers, profilers and the debugger see in a merged class what they see in a plain one.

The spliced merge is on the `def` line, so tracers report that line once more, between the call
and the first line of the body, as they would for a merge that is written by hand.
"""

import bdb
import dis
import gc
import inspect
import io
import itertools
import pdb  # noqa: T100 - the debugger is under test
import sys
import types
from pathlib import Path

import pytest
from samples import METHODS

import mergeparam

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


def called(module, method):
    """Call with the flag; the undecorated class can be called in no other way."""
    return run(module.Layer(), method, flag=2)


def set_up(module, method):
    """Call an object that has the flag."""
    return run(module.Layer(2), method)


def watch(install, module, method, how):
    """Return what a tracer or profiler is told of the module: code, event, line, place."""
    events = []

    def tool(frame, event, arg):
        if frame.f_code.co_filename != module.__file__:
            return None
        events.append((frame.f_code, event, frame.f_lineno, frame.f_lasti))
        return tool

    install(tool)
    try:
        how(module, method)
    finally:
        install(None)
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
    """Return the code of every function of the module, and what is nested in it."""
    found = [
        function.__code__
        for function in gc.get_objects()
        if type(function) is types.FunctionType
        and function.__code__.co_filename == module.__file__
    ]
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
    """Return the instructions of the lines behind the `def` line."""
    return [
        (code.co_name, dis.opname[code.co_code[at]], line)
        for code, event, _, at in events
        if event == "INSTRUCTION"
        and (line := list(code.co_positions())[at // 2][0]) != code.co_firstlineno
    ]


def of_bodies(events, module, method):
    """Return what is told of anything but the code that merges and then calls the body."""
    if module.__name__ != "layers_wrap":
        return events
    merging = inspect.unwrap(vars(module.Layer)[method]).__code__
    return [event for event in events if event[0] is not merging]


hows = pytest.mark.parametrize("how", [called, set_up])
methods = pytest.mark.parametrize("method", METHODS)


@hows
@methods
def test_settrace(layers, how, method):
    """Spliced, tracers are told of the `def` line besides; a wrapper is one more function."""
    plain, inline, wrap = (
        watch(sys.settrace, layers["plain"], method, called),
        watch(sys.settrace, layers["inline"], method, how),
        watch(sys.settrace, layers["wrap"], method, how),
    )
    bodies = of_bodies(wrap, layers["wrap"], method)
    added = [event for event in wrap if event not in bodies]

    assert with_merge(plain, method, "line") == named(inline)
    assert named(plain) == named(bodies)
    assert {first_line(plain, method)} == {line for _, _, line, _ in added}


@hows
@methods
def test_setprofile(layers, inject, how, method):
    """Calls and returns are those of the plain class, besides the wrapper's."""
    plain = watch(sys.setprofile, layers["plain"], method, called)
    merged = watch(sys.setprofile, layers[inject], method, how)

    assert named(plain) == named(of_bodies(merged, layers[inject], method))
    assert (inject == "wrap") == (len(plain) < len(merged))


@needs_monitoring
@pytest.mark.parametrize("local", [False, True], ids=["global", "local"])
@hows
def test_monitoring(layers, inject, local, how):
    """The same lines and calls as in the plain class, and the same instructions behind."""
    for method in METHODS:
        plain = monitor(layers["plain"], method, called, local=local, instructions=True)
        lines = [event for event in plain if event[1] != "INSTRUCTION"]
        merged = monitor(layers[inject], method, how, local=local, instructions=True)
        bodies = of_bodies(merged, layers[inject], method)
        told = [event for event in bodies if event[1] != "INSTRUCTION"]
        expected = with_merge(lines, method, "LINE") if inject == "inline" else named(lines)

        assert expected == named(told)
        assert in_body(plain) == in_body(bodies)


def debug(module, commands, how):
    """Return what the debugger prints, with the module's path left out."""
    bdb.Breakpoint.clearBreakpoints()
    output = io.StringIO()
    lines = io.StringIO("".join(f"{command}\n" for command in commands))
    debugger = pdb.Pdb(stdin=lines, stdout=output, nosigint=True, readrc=False)
    debugger.use_rawinput = False
    debugger.prompt = ""
    debugger.runcall(how, module, "plain")
    text = output.getvalue().replace(module.__file__, "layers.py")
    return text.replace(module.__name__, "layers").splitlines()


def from_breakpoint(printed):
    """Leave out where the debugger started: in this file."""
    return printed[printed.index(next(line for line in printed if "Breakpoint" in line)) :]


def at_line(module, text):
    """Return the number of the first line that has `text`."""
    lines = inspect.getsource(module).splitlines()
    return next(number for number, line in enumerate(lines, 1) if text in line)


IN_BODY = (
    *("break {file}:{total}", "continue", "p x, flag", "p sorted(locals())", "whatis flag"),
    *("n", "n", "p total", "s", "l .", "until {until}", "p total, flag", "return", "p total"),
    *("clear 1", "continue"),
)
ON_CONDITION = (
    *("tbreak {file}:{step}, flag == 2 and step == 2", "continue", "p step", "!flag = 100"),
    *("n", "unt", "p total", "continue"),
)


@pytest.mark.parametrize(("commands", "prints"), [(IN_BODY, "1, 2"), (ON_CONDITION, "2")])
@hows
def test_debugger_in_the_body(layers, inject, how, commands, prints):
    """A breakpoint in the body is hit, and stepping from there prints the same lines."""
    total, step = (at_line(layers["plain"], text) for text in ("total = x + 1", "total += step"))
    places = {"total": total, "step": step, "until": total + 12}
    expected, actual = (
        from_breakpoint(
            debug(module, [text.format(file=module.__file__, **places) for text in commands], run)
        )
        for module, run in ((layers["plain"], called), (layers[inject], how))
    )

    assert expected == actual
    assert any(prints in line for line in actual)


def stops(printed):
    """Return the places in the method where the debugger stopped, each run of one once."""
    places = [line for line in printed if line.startswith("> layers.py") and "plain()" in line]
    return [place for place, _ in itertools.groupby(places)]


@hows
def test_debugger_steps_into_the_body_by_the_def_line(layers, inject, how):
    """Stepping in from outside shows the `def` line, then the body.

    Only a wrapper leads through one of our own functions on its way to the body.
    """
    steps = ["step"] * 40
    expected = debug(layers["plain"], steps, called)
    actual = debug(layers[inject], steps, how)
    ours = str(Path(mergeparam.__file__).parent)

    assert stops(expected)[:9] == stops(actual)[:9]
    is_ours = [ours in line for line in actual if line.startswith("> ")]
    assert any(is_ours) == (inject == "wrap")


@hows
def test_breakpoint_on_a_method_stops_where_the_merge_is(layers, how):
    """As for a merge by hand, the first stop is before it, and the next one behind it."""
    module = layers["inline"]
    commands = (
        *(f"from {module.__name__} import Layer", "break Layer.plain", "continue", "next"),
        *("p flag", "continue"),
    )
    printed = from_breakpoint(debug(module, commands, how))
    line, body = (at_line(module, text) for text in ("def plain", "total = x + 1"))

    assert f"> layers.py({line})plain()" == printed[1]
    assert f"> layers.py({body})plain()" == printed[3]
    assert "2" == printed[5]
