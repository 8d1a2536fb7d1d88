"""What runs in a merged call, instruction by instruction: a guard that no busy machine can trip.

The interpreter itself tells each instruction that it executes.
"""

import dis
import functools
import gc
import re
import sys
import textwrap

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


def prepared(made, names, place):
    """Let the constructor's values be as the case has them; return what the call gives."""
    for name in names:
        setattr(made, name, None if place == "call" else True)
    return {} if place == "constructor" else dict.fromkeys(names, True)


def executed(made, given):
    """Return each instruction that a call runs, with the name of the function that it is in."""
    found, before = [], sys.gettrace()

    def trace(frame, event, _):
        frame.f_trace_opcodes = True
        if event == "opcode":
            found.append((frame.f_code, frame.f_lasti))
        return trace

    # Python 3.12 traces no opcodes unless a frame has asked for it before tracing begins.
    sys._getframe().f_trace_opcodes = True
    # A collection would call what is recorded, too, such as callbacks of weak references.
    gc.disable()
    sys.settrace(trace)
    try:
        made(1.0, **given)
    finally:
        sys.settrace(before)
        gc.enable()
    return [(code.co_name, names_in(code)[offset]) for code, offset in found]


@functools.cache
def names_in(code):
    """Return the name of the operation at each offset of a code object."""
    return {item.offset: item.opname for item in dis.get_instructions(code)}


@pytest.mark.parametrize("count", COUNTS)
@pytest.mark.parametrize(("policy", "place"), CASES)
def test_the_same_as_by_hand(policy, place, count):
    """The very operations run that the merge by hand takes, none of which calls or allocates.

    They are as many where the author raises in place. Only `raise_if_different` takes a jump
    more then, on some Pythons: the compiler does without it where what is jumped over never
    comes back. And it makes a pair where the call has set the value.
    """
    names = [f"p{number}" for number in range(count)]
    asking, raising = (
        [name for _, name in executed(made, prepared(made, names, place))]
        for made in (by_hand(names, policy, rarely) for rarely in (ASKING, RAISING))
    )
    made = decorated(names, policy)
    instructions = executed(made, prepared(made, names, place))
    actual = [name for _, name in instructions]
    more = count if (policy, place) in PAIR else 0

    assert asking == actual
    assert 0 <= len(actual) - len(raising) <= more
    assert len(actual) > 2 * count
    assert {"__call__"} == {name for name, _ in instructions}
    others = [name for name in actual if not HARMLESS.match(name)]
    assert {*others} <= ({"BUILD_TUPLE", "BINARY_SUBSCR", "BINARY_OP"} if more else set())


def test_calls_are_recorded():
    """Of a method that does call and allocate it is told."""
    calling = layer(["p0"], "{0} = [(lambda x: x)(abs(self.{0} or 1))]\n")
    instructions = executed(calling, prepared(calling, ["p0"], "call"))
    names = [name for _, name in instructions]

    assert {"__call__", "<lambda>"} <= {name for name, _ in instructions}
    assert any(name.startswith("CALL") for name in names)
    assert "BUILD_LIST" in names
    assert [] != [name for name in names if not HARMLESS.match(name)]
