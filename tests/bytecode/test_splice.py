"""What the splicer makes of tables, operands and code that compilers seldom or never write."""

import dis
import itertools
import operator
import sys
import types

import pytest
import sweep
from sweep import MergeForm

from mergeparam import Param, _compat
from mergeparam._inject import splice as splicer
from mergeparam._inject.splice import SpliceError, can_splice, entry_point, extract_merge, splice

NOP, POP_TOP, RESUME = dis.opmap["NOP"], dis.opmap["POP_TOP"], dis.opmap["RESUME"]
EXTENDED_ARG = dis.opmap["EXTENDED_ARG"]
FIRST_LINE = 1000
# The nearest to the begin of its code that a body can be: on 3.15 `RESUME` has a cache.
NEAREST = 1 + sweep.resume_caches()


def function_code(source):
    """Return the code of the only function in `source`."""
    (code,) = (
        item
        for item in compile(source, "<target>", "exec").co_consts
        if isinstance(item, types.CodeType)
    )
    return code


def function_of(source):
    """Return the only function in `source`, called `f`."""
    namespace = {}
    exec(source, namespace)
    return namespace["f"]


def bare_code(units, at, **tables):
    """Return code of so many units that do nothing, whose body begins at unit `at`."""
    begin = bytes((POP_TOP, 0)) * (at - NEAREST) + bytes((RESUME, 0)) + bytes(2 * (NEAREST - 1))
    raw = begin + bytes((NOP, 0)) * (units - at)
    code = function_code("def f(self, d=None): return d\n")
    return code.replace(co_code=raw, co_firstlineno=FIRST_LINE, **tables)


def merge_of_size(size):
    """Return a merge of so many code units."""
    source = "d = None\n" * (size // 2) + "del d\n" * (size % 2)
    return extract_merge(source, "self, d", ())


# Line table. CPython's own reader says what an entry means.


def varint(number):
    """Encode as the line table does: little end first, six bits a byte."""
    head, rest = number & 63, number >> 6
    return bytes((head | 64,)) + varint(rest) if rest else bytes((head,))


def signed(number):
    """Encode with the sign in the lowest bit."""
    return varint(-number << 1 | 1 if number < 0 else number << 1)


def entry(kind, length, rest=b""):
    """Return one entry of a line table."""
    return bytes((0x80 | kind << 3 | length - 1,)) + rest


PAYLOADS = {
    **{kind: [bytes((0x35,)), bytes((0x00,))] for kind in range(10)},
    **{kind: [bytes((5, 90)), bytes((0, 127))] for kind in (10, 11, 12)},
    13: [signed(delta) for delta in (0, 1, -1, 31, 32, -40, 5000, -900)],
    14: [
        signed(delta) + varint(lines) + varint(begin) + varint(end)
        for delta, lines, begin, end in [
            (0, 0, 1, 2),
            (3, 2, 0, 0),
            (-40, 70, 200, 5000),
            (9000, 0, 64, 63),
        ]
    ],
    15: [b""],
}
NEIGHBOURS = entry(13, 1, signed(7)), entry(14, 2, signed(-3) + varint(1) + varint(9) + varint(9))
ENTRIES = [(kind, rest) for kind, payloads in PAYLOADS.items() for rest in payloads]


@pytest.mark.parametrize("alone", [False, True], ids=["between others", "alone"])
@pytest.mark.parametrize(("kind", "rest"), ENTRIES)
def test_lines(kind, rest, alone):
    """Lines stay, and so do columns, but those of what shares the entry of the `RESUME`."""
    before, after = NEIGHBOURS
    table = entry(kind, 8, rest) if alone else before + entry(kind, 5, rest) + after
    for at, size in itertools.product(range(NEAREST, 8), [0, 1, 8, 9, 20]):
        code = bare_code(8, at, co_linetable=table)
        old = list(code.co_positions())
        # The line goes on counting where an entry says "nowhere".
        line = next((item[0] for item in reversed(old[:at]) if item[0] is not None), FIRST_LINE)
        new, inserted = splice(code, merge_of_size(size))
        expected = old[:at] + [(line, line, None, None)] * size + old[at:]
        found = list(new.co_positions())
        if alone or at not in (1, 6):
            # No compiler has "nowhere" at a `RESUME`.
            expected = [item[0] or line for item in expected]
            found = [item[0] or line for item in found]

        assert expected == found
        assert 2 * size == inserted == len(new.co_code) - len(code.co_code)


def test_lines_behind_the_last_entry():
    """A table may end where the body begins, but not before."""
    table = entry(13, 3, signed(5))
    new, _ = splice(bare_code(3, 3, co_linetable=table), merge_of_size(1))

    assert table + entry(13, 1, signed(0)) == new.co_linetable
    with pytest.raises(SpliceError, match="line table ends before the body begins"):
        splice(bare_code(8, 4, co_linetable=table), merge_of_size(1))


# Exception table. `dis` says what an entry means.


def exception_table(*entries):
    """Encode entries of (start, end, target, depth, lasti): big end first, six bits a byte."""
    table = bytearray()
    for start, end, target, depth, lasti in entries:
        first = len(table)
        for number in (start, end - start, target, depth << 1 | lasti):
            digits = [number >> shift & 63 for shift in (24, 18, 12, 6, 0)]
            digits = list(itertools.dropwhile(lambda digit: not digit, digits)) or [0]
            table += bytes([digit | 64 for digit in digits[:-1]] + digits[-1:])
        table[first] |= 0x80
    return bytes(table)


def spliced_handlers(entries, at, size):
    """Return the table that a merge of `size` units at `at` leaves, and what `dis` reads there."""
    code = bare_code(20, at, co_exceptiontable=exception_table(*entries))
    new, _ = splice(code, merge_of_size(size))
    read = [
        (item.start // 2, item.end // 2, item.target // 2, item.depth, item.lasti)
        for item in dis._parse_exception_table(new)
    ]
    return new.co_exceptiontable, read


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ([], []),
        ([(0, 2, 3, 0, False)], [(0, 2, 13, 0, False)]),
        ([(0, 2, 2, 0, False)], [(0, 2, 2, 0, False)]),
        ([(2, 3, 5, 0, True)], [(2, 13, 15, 0, True)]),
        ([(2, 9, 9, 1, True)], [(2, 19, 19, 1, True)]),
        ([(3, 9, 9, 2, False)], [(13, 19, 19, 2, False)]),
        ([(7, 9, 3, 0, False)], [(17, 19, 13, 0, False)]),
        ([(60, 120, 4090, 31, True)], [(70, 130, 4100, 31, True)]),
        # The first entry that holds an instruction is the one that counts.
        (
            [(2, 3, 40, 0, True), (3, 9, 20, 0, False), (9, 60, 40, 0, True)],
            [(2, 13, 50, 0, True), (13, 19, 30, 0, False), (19, 70, 50, 0, True)],
        ),
    ],
)
def test_handlers_before_around_and_behind(old, new):
    """The merge of ten units goes in before unit three, where the body begins."""
    assert (exception_table(*new), new) == spliced_handlers(old, 3, 10)


@pytest.mark.parametrize("size", [1, 23, 62, 63, 64, 65, 200, 4031, 4032, 4095])
def test_numbers_that_grow_by_a_digit(size):
    """Starts and targets grow, lengths and depths stay, and order with them."""
    numbers = [number for limit in (64, 4096, 262144) for number in range(limit - 67, limit + 2)]
    starts = [number for number in numbers if number >= 3]
    old = [(number, 2 * number, number + 1, number % 99, number % 2 == 0) for number in starts]
    new = [(start + size, end + size, target + size, *rest) for start, end, target, *rest in old]

    assert (exception_table(*new), new) == spliced_handlers(old, 3, size)


# Operands and jumps


def spliced(source, *params):
    """Return the code of a method with its merge, and what `dis` shows of the merge."""
    code = function_code(source)
    new, size = MergeForm("self", params).splice_into(code)
    begin = entry_point(code)
    shown = [item for item in dis.get_instructions(new) if begin <= item.offset < begin + size]
    return code, new, shown


@pytest.mark.parametrize(
    ("length", "odd"),
    [*itertools.product([1, *range(120, 132)], [False, True]), (32768, True)],
)
def test_jumps_are_as_long_as_the_compiler_makes_them(length, odd):
    """A jump over 255 takes `EXTENDED_ARG`, which may lengthen the jump around it."""
    lines = ["if self:", "    if self:", *["        d = None"] * length, *["        del d"] * odd]
    source = "\n".join([*lines, "    d = None", ""])
    code = function_code("def f(self, d): pass\n")
    new, size = splice(code, extract_merge(source, "self, d", ()))
    by_hand, at = sweep.compile_by_hand(code, source), entry_point(code)

    assert by_hand.co_code[at : at + size : 2] == new.co_code[at : at + size : 2]
    assert sweep.before_marker(by_hand) == sweep.decode(new, at, at + size)


class Subject:
    """An object whose attribute is set, and whose private methods say what they were given."""

    d = 5

    def _mergeparam_missing_d(self, *given):
        return "missing", *given

    def _mergeparam_conflict_d(self, *given):
        return "conflict", *given

    _mergeparam_conflict_e = _mergeparam_conflict_d


@pytest.mark.parametrize("slot", [1, 2, 3, 13, 14, 15, 16, 17, 63, 64, 65, 255, 256, 300])
def test_slots_of_the_target(slot):
    """Since 3.13 one instruction loads two locals; four bits for each do not suit every slot."""
    others = [f"p{index}" for index in range(slot - 1)]
    parameters = ", ".join(["self", *others, "d", "e"])
    function = function_of(f"def f({parameters}): return [*locals().values()]")
    code, _ = MergeForm("self", (Param("d"),)).splice_into(function.__code__)
    function.__code__ = code
    subject = Subject()
    loaded = [item.opname for item in dis.get_instructions(code) if "LOAD_FAST_" in item.opname]

    assert [subject, *others, 5, "e"] == function(subject, *others, None, "e")
    assert [subject, *others, ("conflict", 6, 5), "e"] == function(subject, *others, 6, "e")
    is_paired = sys.version_info >= (3, 13) and slot < 16
    assert is_paired == any(name.count("LOAD_FAST") == 2 for name in loaded)


# Names and constants


@pytest.mark.parametrize("number", [125, 126, 127, 128, 253, 254, 255, 256])
def test_names_at_the_limits_of_a_byte(number):
    """Attributes are found by their names, whatever index these have got."""
    names = "".join(f"    self.n{index} = 0\n" for index in range(number))
    _, new, shown = spliced(f"def f(self, d):\n{names}", Param("d"))
    read = [item.argval for item in shown if item.opname in {"LOAD_ATTR", "LOAD_METHOD"}]
    highest = number + 2 << (sys.version_info >= (3, 12))

    assert ["d", "_mergeparam_missing_d", "d", "_mergeparam_conflict_d", "d"] == read
    assert (highest > 255) == any(item.opcode == EXTENDED_ARG for item in shown)
    assert number + 3 == len(new.co_names)
    assert new.co_names == MergeForm("self", (Param("d"),)).splice_into(new)[0].co_names


class Refusing:
    """A constant that cannot be compared, as arrays cannot."""

    def __eq__(self, other):
        raise RuntimeError("compared")

    __hash__ = object.__hash__


def test_constants():
    """New ones are added once, by identity: 1 and True are equal, and are two constants."""
    function = function_of("def f(self, d, e): return 1, 2.5, 0, d, e\n")
    code = function.__code__.replace(co_consts=(*function.__code__.co_consts, Refusing()))
    params = Param("d", unset=True), Param("e", unset=False, attribute="d")
    function.__code__, _ = MergeForm("self", params).splice_into(code)
    added = function.__code__.co_consts[len(code.co_consts) :]

    assert all(map(operator.is_, code.co_consts, function.__code__.co_consts))
    assert {"True", "False"} >= set(map(repr, added))
    assert len(set(map(id, added))) == len(added)
    assert (1, 2.5, 0, 5, 5) == function(Subject(), True, False)
    conflicts = ("conflict", 1, 5), ("conflict", 0, 5)
    assert (1, 2.5, 0, *conflicts) == function(Subject(), 1, 0)


# What has run before


BODIES = {
    "plain": "x = 1.5\n    return x * 2, d",
    "loop": "for i in range(9):\n        d = len(self.items)",
    "text": "t = ''\n    for i in self.items:\n        t += i",
    "generator": "yield from self.items\n    yield d",
    "handler": "try:\n        self.x\n    except AttributeError:\n        return d",
}


@pytest.mark.parametrize("body", BODIES.values(), ids=BODIES)
def test_code_that_has_run(body):
    """What the interpreter has specialised is turned back, whenever the class is decorated."""
    source = f"def f(self, d=None):\n    {body}\n"
    used = function_of(source)
    subject = Subject()
    subject.items = list("some text that is longer than a word")

    def run():
        for _ in range(500):
            made = used(subject)
            list(made) if isinstance(made, types.GeneratorType) else None

    run()
    _, expected, _ = spliced(source, Param("d"))
    merged, _ = MergeForm("self", (Param("d"),)).splice_into(used.__code__)

    for name in ("co_code", "co_exceptiontable", "co_linetable", "co_names", "co_consts"):
        assert getattr(expected, name) == getattr(merged, name)
    used.__code__ = merged
    run()
    shown = {item.opname for item in dis.get_instructions(used, adaptive=False)}
    assert shown <= set(dis.opmap)


# What the splicer does not know


def test_entry_point_is_behind_the_prefix():
    """Cells, free variables and the making of a generator come before the body."""
    parameters = ", ".join(f"p{index}" for index in range(300))
    outer = function_code(
        f"def outer(y):\n def f({parameters}):\n  yield lambda: ({parameters}, y)\n"
    )
    (code,) = (item for item in outer.co_consts if isinstance(item, types.CodeType))
    names = [item.opname for item in dis.get_instructions(code) if item.offset < entry_point(code)]
    prefix = [name for name in names if name != "CACHE"]

    assert "RESUME" == prefix[-1]
    assert 1 == names.count("RESUME")
    assert {"MAKE_CELL", "EXTENDED_ARG", "COPY_FREE_VARS", "RETURN_GENERATOR"} <= set(names)


@pytest.mark.parametrize(
    "raw",
    [bytes((NOP, 0)), bytes((POP_TOP, 0)) * 3, bytes((RESUME, 1)) + bytes(2), b""],
    ids=["other operation", "nothing else", "RESUME of a yield", "empty"],
)
def test_strange_begin(raw):
    """Code that some tool has rewritten is refused."""
    code = types.SimpleNamespace(co_code=raw, co_name="f", co_names=(), co_consts=())

    with pytest.raises(SpliceError, match="f does not begin as compiled functions do"):
        entry_point(code)
    with pytest.raises(SpliceError, match="f does not begin as compiled functions do"):
        splice(code, merge_of_size(2))


@pytest.mark.parametrize(
    ("source", "match"),
    [
        ("while d:\n    d = self.d\n", "[A-Z_]+"),
        ("for d in self:\n    d()\n", "[A-Z_]+"),
        (f"if d:\n    {splicer._MARKER}\nself.x\n", "[A-Z_]+"),
        # Read as a forward jump, this one would stay in the merge.
        ("d = yield from self\n", "JUMP_BACKWARD_NO_INTERRUPT"),
    ],
)
def test_jump_out_of_the_merge(source, match):
    """What jumps back, or behind the marker, is no merge."""
    with pytest.raises(SpliceError, match=f"^{match} leads out of the merge"):
        extract_merge(source, "self, d", ())


def test_parameter_with_the_name_of_the_marker():
    """Without its end in sight, nothing is taken for the merge: it would return from the body."""
    with pytest.raises(SpliceError, match="_mergeparam_end is no global in the merge"):
        extract_merge("d = None", "self, d, _mergeparam_end", ())


def test_merge_is_extracted_once():
    """Methods that look the same share the template; other cells or parameters need another."""
    source = "if d is None:\n    d = self.d\n"
    merge = extract_merge(source, "self, d", ())

    assert merge is extract_merge(source, "self, d", ())
    assert merge is not extract_merge(source, "self, d", ("d",))
    assert merge is not extract_merge(source, "self, x, d", ())


@pytest.mark.parametrize("name", ["merge", "end"])
def test_parameter_named_as_the_template_is(name):
    """What the template needs for itself does not get in the way of parameters."""
    by_hand = MergeForm("self", (Param(name),), unnamed=(name,))
    code = function_code(f"def f(self, {name}): pass\n")
    new, size = by_hand.splice_into(code)
    at = entry_point(code)

    expected = sweep.before_marker(sweep.compile_by_hand(code, by_hand.source()))
    assert expected == sweep.decode(new, at, at + size)


# Whether there is a splicer at all


@pytest.mark.parametrize("wrong", ["nothing", "version", "splicer raises", "splicer is wrong"])
def test_can_splice(wrong, monkeypatch):
    """CPython from 3.11 to 3.15 does; where a probe comes out wrong, the wrapper serves."""

    def broken(code, merge, **options):
        if wrong == "splicer raises":
            raise SpliceError(wrong)
        return code, 0

    if wrong == "version":
        monkeypatch.setattr(_compat, "SPLICED_VERSIONS", ((3, 9), (3, 10)))
    elif wrong != "nothing":
        monkeypatch.setattr(splicer, "splice", broken)
    tested = sys.implementation.name == "cpython" and sys.version_info < (3, 16)
    can_splice.cache_clear()
    try:
        assert (tested and wrong == "nothing") is can_splice()
    finally:
        can_splice.cache_clear()
