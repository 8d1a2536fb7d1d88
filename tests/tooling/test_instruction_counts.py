"""What runs in a merged call, instruction by instruction: a guard that no busy machine can trip.

The interpreter itself tells each instruction that it executes: through `sys.monitoring` since
3.12, through opcode tracing on 3.11.
"""

import contextlib
import dis
import gc
import re
import sys
import textwrap
import tracemalloc

import pytest

from mergeparam import MERGED, Param, mergeable
from mergeparam._inject.splice import can_splice
from mergeparam._spec import POLICIES

pytestmark = [
    pytest.mark.slow,  # and counted on one Python only
    pytest.mark.skipif(
        not can_splice(), reason="this interpreter's bytecode is not one that is tested"
    ),
]

COUNTS = (1, 2, 8)
BODY = "        x = x\n" * 5
"""Long enough that the compiler does not copy it to every jump that leads to it."""

BY_HAND = {
    "raise": """
        if {0} is None:
            {0} = self.{0}
            if {0} is None:
                NEITHER
        elif self.{0} is not None:
            BOTH
        """,
    "raise_if_different": """
        if {0} is None:
            {0} = self.{0}
            if {0} is None:
                NEITHER
        else:
            {0} = ({0}, self.{0})
            if {0}[1] is None or {0}[1] is {0}[0]:
                {0} = {0}[0]
            else:
                BOTH
        """,
    "use_call": """
        if {0} is None:
            {0} = self.{0}
            if {0} is None:
                NEITHER
        """,
    "use_attribute": """
        match self.{0}:
            case None:
                if {0} is None:
                    NEITHER
            case {0}:
                pass
        """,
}
"""The merge as an author would write it, but for what is done on the rare paths."""

ASKING = {"NEITHER": "{0} = self.neither()", "BOTH": "{0} = self.both()"}
RAISING = {
    "NEITHER": "raise ValueError('{0} is set in neither place')",
    "BOTH": "raise ValueError('{0} is set in both places')",
}
PLACES = ("call", "constructor", "both")
CASES = [
    (policy, place)
    for policy in POLICIES
    for place in PLACES
    if (policy, place) != ("raise", "both")
]
PAIR = [("raise_if_different", "call"), ("raise_if_different", "both")]
"""Where a pair lets the attribute be read once, so that a tuple is made."""

OURS = {__file__, contextlib.__file__}
"""Where what belongs to the recording is."""

HARMLESS = re.compile(
    "RESUME|NOP|NOT_TAKEN|COPY|SWAP|POP_TOP|LOAD_(COMMON_)?CONST|LOAD_SMALL_INT|LOAD_FAST"
    "|LOAD_ATTR|STORE_FAST|IS_OP|JUMP_FORWARD|POP_JUMP(_FORWARD)?_IF_(NOT_)?(NONE|TRUE|FALSE)|RETURN_VALUE|RETURN_CONST"
)
"""What neither calls nor allocates: it moves references, compares them, and jumps."""


def layer(names, statements, decorate=lambda cls: cls, default="None"):
    """Return a layer whose method returns nothing but its last parameter."""
    parameters = ", ".join(f"{name}={default}" for name in names)
    body = "".join(textwrap.dedent(statements.format(name)) for name in names)
    source = (
        f"class Layer:\n"
        f"    __slots__ = ({', '.join(map(repr, names))},)\n"
        f"    def __call__(self, x, *, {parameters}):\n"
        f"{textwrap.indent(body, ' ' * 8)}\n"
        f"{BODY}"
        f"        return {names[-1]}\n"
    )
    namespace = {"MERGED": MERGED}
    exec(compile(source, "<layer>", "exec", dont_inherit=True), namespace)
    return decorate(namespace["Layer"])()


def by_hand(names, policy, rarely):
    """Return a layer whose merge is written by hand, and what it does on the rare paths."""
    text = BY_HAND[policy]
    for place, statement in rarely.items():
        text = text.replace(place, statement)
    return layer(names, text)


def decorated(names, policy):
    """Return a layer whose merge is spliced in."""
    params = [Param(name, on_conflict=policy) for name in names]
    return layer(names, "", mergeable(*params, inject="inline"), "MERGED")


def names_of(count):
    """Return the names of so many parameters."""
    return [f"p{number}" for number in range(count)]


def prepared(made, names, place):
    """Let the constructor's values be as the case has them; return what the call gives."""
    for name in names:
        setattr(made, name, None if place == "call" else True)
    return {} if place == "constructor" else dict.fromkeys(names, True)


def executed(call):
    """Return each instruction that runs in a call, with the name of the function that it is in."""
    found = []
    recording = recorded_by_monitoring if sys.version_info >= (3, 12) else recorded_by_tracing
    with without_garbage_collection(), recording(found):
        call()
    names = {
        code: {item.offset: item.opname for item in dis.get_instructions(code)}
        for code in {code for code, _ in found}
        if code.co_filename not in OURS
    }
    return [(code.co_name, names[code][offset]) for code, offset in found if code in names]


@contextlib.contextmanager
def without_garbage_collection():
    """Keep what a collection calls, such as callbacks of weak references, from being recorded."""
    gc.disable()
    try:
        yield
    finally:
        gc.enable()


@contextlib.contextmanager
def recorded_by_monitoring(found):
    """Append the code and the offset of every instruction."""
    monitoring = sys.monitoring
    tool, event = 4, monitoring.events.INSTRUCTION
    monitoring.use_tool_id(tool, "test of instruction counts")
    monitoring.register_callback(tool, event, lambda code, offset: found.append((code, offset)))
    monitoring.set_events(tool, event)
    try:
        yield
    finally:
        monitoring.set_events(tool, 0)
        monitoring.register_callback(tool, event, None)
        monitoring.free_tool_id(tool)


@contextlib.contextmanager
def recorded_by_tracing(found):
    """Append the code and the offset of every instruction."""

    def trace(frame, event, _):
        frame.f_trace_opcodes = True
        if event == "opcode":
            found.append((frame.f_code, frame.f_lasti))
        return trace

    before = sys.gettrace()
    sys.settrace(trace)
    try:
        yield
    finally:
        sys.settrace(before)


def operations(made, names, place):
    """Return the names of all operations that a call of a layer executes."""
    given = prepared(made, names, place)
    return [name for _, name in executed(lambda: made(1.0, **given))]


@pytest.mark.parametrize("count", COUNTS)
@pytest.mark.parametrize(("policy", "place"), CASES)
def test_the_same_as_by_hand(policy, place, count):
    """The very operations run that the merge by hand takes, none of which calls or allocates.

    They are as many where the author raises in place. Only `raise_if_different` takes a jump
    more then, on some Pythons: the compiler does without it where what is jumped over never
    comes back. And it makes a pair where the call has set the value.
    """
    names = names_of(count)
    asking, raising = (
        operations(by_hand(names, policy, rarely), names, place) for rarely in (ASKING, RAISING)
    )
    made = decorated(names, policy)
    given = prepared(made, names, place)
    instructions = executed(lambda: made(1.0, **given))
    actual = [name for _, name in instructions]
    more = count if (policy, place) in PAIR else 0

    assert asking == actual
    assert 0 <= len(actual) - len(raising) <= more
    assert len(actual) > 2 * count
    assert {"__call__"} == {name for name, _ in instructions}
    others = [name for name in actual if not HARMLESS.match(name)]
    assert {*others} <= ({"BUILD_TUPLE", "BINARY_SUBSCR", "BINARY_OP"} if more else set())


@pytest.mark.parametrize("count", [1, 8])
@pytest.mark.parametrize(("policy", "place"), CASES)
def test_memory_has_no_peak(policy, place, count):
    """A call allocates no more, not even for a moment, than without the merge."""
    names = names_of(count)
    plain = layer(names, "", default="True")
    peaks = [
        peak_of(made, prepared(made, names, place)) for made in (plain, decorated(names, policy))
    ]

    assert peaks[0] == peaks[1]


def peak_of(made, given):
    """Return how many bytes at most a call holds that were not held before."""
    for _ in range(100):
        made(1.0, **given)
    with nothing_traced():
        tracemalloc.start()
        try:
            made(1.0, **given)
            before, _ = tracemalloc.get_traced_memory()
            tracemalloc.reset_peak()
            made(1.0, **given)
            _, peak = tracemalloc.get_traced_memory()
        finally:
            tracemalloc.stop()
    return peak - before


@contextlib.contextmanager
def nothing_traced():
    """Keep coverage from allocating what it notes."""
    before = sys.gettrace()
    sys.settrace(None)
    try:
        yield
    finally:
        sys.settrace(before)


def test_the_recorders_see_calls():
    """Of a method that does call and allocate they tell it, and that it takes more."""
    calling = layer(["p0"], "{0} = [(lambda x: x)(abs(self.{0} or 1))]\n")
    given = prepared(calling, ["p0"], "call")
    instructions = executed(lambda: calling(1.0, **given))
    names = [name for _, name in instructions]

    assert {"__call__", "<lambda>"} <= {name for name, _ in instructions}
    assert any(name.startswith("CALL") for name in names)
    assert "BUILD_LIST" in names
    assert [] != [name for name in names if not HARMLESS.match(name)]
    assert len(names) > len(operations(decorated(["p0"], "raise"), ["p0"], "call"))
