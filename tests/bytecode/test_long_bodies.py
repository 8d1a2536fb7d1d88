"""What the splicer does at one stroke for a long body: its handlers, and its instructions."""

import dis
import sys
import types

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mergeparam import Param, _splice
from mergeparam._opcodes import SPECIALISED
from mergeparam._prologue import make_merges
from mergeparam._splice import entry_point, splice

NEAR_A_LIMIT = st.sampled_from([0, 64, 4096, 262144]).flatmap(
    lambda limit: st.integers(max(0, limit - 70), limit + 70)
)
NUMBERS = st.one_of(NEAR_A_LIMIT, st.integers(0, 300_000))
ENTRIES = st.lists(st.tuples(NUMBERS, NUMBERS, NUMBERS, st.integers(0, 200)), max_size=40)


def assembled(entries):
    """Encode entries of four numbers."""
    table = bytearray()
    for entry in entries:
        first = len(table)
        table += b"".join(map(_splice._varint_big_endian, entry))
        table[first] |= 0x80
    return bytes(table)


@given(ENTRIES, st.sampled_from([0, 1, 23, 62, 63, 64, 65, 200, 4031, 4032, 4095, 9000]))
def test_all_handlers_move_alike(entries, size):
    """Starts and targets grow by the size of the merge, lengths and depths stay."""
    expected = assembled(
        (start + size, length, target + size, depth) for start, length, target, depth in entries
    )

    assert expected == _splice._moved(assembled(entries), size)


SOURCES = {
    "plain": "def f(self, d=None):\n    x = 1.5\n    return x * 2, d\n",
    "loop": "def f(self, d=None):\n    for i in range(9):\n        d = len(self.items)\n",
    "text": "def f(self, d=None):\n    t = ''\n    for i in self.items:\n        t += i\n",
    "generator": "def f(self, d=None):\n    yield from self.items\n    yield d\n",
    "handler": "def f(self, d=None):\n    try:\n        self.x\n    except AttributeError:\n"
    "        return d\n",
}


class Subject:
    """What the functions are run with."""

    def __init__(self):
        self.items = list("some text that is longer than a word")


def function(source):
    """Return the only function in `source`, which has not run."""
    namespace = {}
    exec(source, namespace)
    return namespace["f"]


def run(function, times=500):
    """Run a function so often that the interpreter specialises it."""
    for _ in range(times):
        made = function(Subject())
        if isinstance(made, types.GeneratorType):
            list(made)


def spliced(code):
    """Return the code with a merge in it."""
    return splice(code, make_merges(code, "K", "self", (Param("d"),)))


@pytest.mark.parametrize("source", SOURCES.values(), ids=SOURCES)
def test_code_that_has_run(source):
    """What the interpreter has specialised is turned back, whenever the class is decorated."""
    fresh, used = function(source), function(source)
    run(used)

    for name in ("co_code", "co_exceptiontable", "co_linetable", "co_names"):
        assert getattr(spliced(fresh.__code__), name) == getattr(spliced(used.__code__), name)
    body = fresh.__code__.co_code[entry_point(fresh.__code__) :]
    assert spliced(used.__code__).co_code.endswith(body)


@pytest.mark.parametrize("source", SOURCES.values(), ids=SOURCES)
def test_spliced_code_is_clean(source):
    """Nothing specialised gets into the new code: it runs, and shows what the compiler wrote."""
    method = function(source)
    run(method)
    method.__code__ = spliced(method.__code__)
    Subject.d = True
    try:
        run(method)
    finally:
        del Subject.d
    shown = [item.opname for item in dis.get_instructions(method, adaptive=False)]

    assert set(shown) <= set(dis.opmap)


@pytest.mark.skipif(sys.version_info < (3, 12), reason="all code is read by co_code before 3.12")
def test_every_specialised_operation_is_told_apart():
    """Also where nothing else in the code is specialised, or watched by a debugger."""
    code = function(SOURCES["text"]).__code__
    raw = bytearray(code._co_code_adaptive)
    place = 2 * raw[::2].index(dis.opmap["BINARY_OP"])

    class Specialised:
        co_code = code.co_code

    for op in SPECIALISED:
        raw[place] = op
        Specialised._co_code_adaptive = bytes(raw)
        assert Specialised.co_code == _splice._code_units(Specialised), op


@pytest.mark.skipif(sys.version_info < (3, 12), reason="all code is read by co_code before 3.12")
@pytest.mark.parametrize("source", SOURCES.values(), ids=SOURCES)
def test_fresh_code_is_copied_as_it_stands(source):
    """The instructions are those of `co_code`; what is in the caches does not get about."""
    code = function(source).__code__
    raw = _splice._code_units(code)

    assert code._co_code_adaptive == raw
    assert code.co_code == code.replace(co_code=raw).co_code
