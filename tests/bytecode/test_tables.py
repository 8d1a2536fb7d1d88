"""The private helpers of the splicer, where whole functions seldom lead."""

import dis
import types

import pytest

from mergeparam import Param, _splice
from mergeparam._prologue import Merge, make_merges
from mergeparam._splice import Instruction, SpliceError, cut, entry_point, splice

NOP, EXTENDED_ARG = dis.opmap["NOP"], dis.opmap["EXTENDED_ARG"]
LOAD_CONST, LOAD_GLOBAL = dis.opmap["LOAD_CONST"], dis.opmap["LOAD_GLOBAL"]
LOAD_ATTR, STORE_FAST = dis.opmap["LOAD_ATTR"], dis.opmap["STORE_FAST"]
JUMP = dis.opmap["JUMP_FORWARD"]
FIRST_LINE = 1000
DIGITS = [0, 1, 62, 63, 64, 65, 4095, 4096, 262143, 262144]


def function_code(source):
    """Return the code of the only function in `source`."""
    (code,) = (
        item
        for item in compile(source, "<target>", "exec").co_consts
        if isinstance(item, types.CodeType)
    )
    return code


def plain_code(**changes):
    """Return the code of a small method, with some of its fields replaced."""
    return function_code("def f(self, d=None): return d\n").replace(**changes)


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
ENTRIES = [(kind, payload) for kind, payloads in PAYLOADS.items() for payload in payloads]
NEIGHBOURS = entry(13, 1, signed(7)), entry(14, 2, signed(-3) + varint(1) + varint(9) + varint(9))


def positions(table, units):
    """Return what CPython reads from a line table for a code of so many units."""
    code = plain_code(
        co_code=bytes((NOP, 0)) * units, co_linetable=table, co_firstlineno=FIRST_LINE
    )
    return list(code.co_positions())


def expected_positions(table, units, at, size):
    """Return the old positions with those of the merge in between."""
    old = positions(table, units)
    # The line goes on counting where an entry says "nowhere".
    line = next((item[0] for item in reversed(old[:at]) if item[0] is not None), FIRST_LINE)
    return old[:at] + [(line, line, None, None)] * size + old[at:]


@pytest.mark.parametrize("size", [1, 8, 9, 20])
@pytest.mark.parametrize("at", [1, 2, 5, 6, 7])
@pytest.mark.parametrize(("kind", "payload"), ENTRIES)
def test_lines_around_every_kind_of_entry(kind, payload, at, size):
    """An entry of five units after one of one unit, cut in every way."""
    before, after = NEIGHBOURS
    table = before + entry(kind, 5, payload) + after
    shifted = _splice._shift_lines(table, at, size)

    assert expected_positions(table, 8, at, size) == positions(shifted, 8 + size)


@pytest.mark.parametrize("at", range(1, 8))
@pytest.mark.parametrize(("kind", "payload"), ENTRIES)
def test_lines_inside_the_longest_entry(kind, payload, at):
    """The first and last entry of a table, eight units long."""
    table = entry(kind, 8, payload)
    shifted = _splice._shift_lines(table, at, 3)

    assert expected_positions(table, 8, at, 3) == positions(shifted, 11)


def test_lines_behind_the_last_entry():
    """A table that ends where the merge begins."""
    table = entry(13, 2, signed(5))

    assert table + entry(13, 1, signed(0)) == _splice._shift_lines(table, 2, 1)


def test_lines_that_end_too_early():
    """A table that is shorter than the code is refused."""
    with pytest.raises(SpliceError, match="line table ends before the body begins"):
        _splice._shift_lines(entry(13, 2, signed(5)), 3, 1)


def test_lines_of_nothing():
    """A merge of no instructions leaves the table as it is."""
    table = b"".join(NEIGHBOURS)

    assert table == _splice._shift_lines(table, 1, 0)


# Exception table. `dis` says what an entry means.


def parsed(table):
    """Return what `dis` reads from an exception table, in code units."""
    return [
        (item.start // 2, item.end // 2, item.target // 2, item.depth, item.lasti)
        for item in dis._parse_exception_table(plain_code(co_exceptiontable=table))
    ]


def assembled(*entries):
    """Encode entries of (start, end, target, depth, lasti)."""
    table = bytearray()
    for start, end, target, depth, lasti in entries:
        first = len(table)
        for number in (start, end - start, target, depth << 1 | lasti):
            table += _splice._varint_big_endian(number)
        table[first] |= 0x80
    return bytes(table)


@pytest.mark.parametrize("number", DIGITS)
def test_varints(number):
    """Numbers are read back by `dis`."""
    encoded = _splice._varint_big_endian(number)

    assert number == dis._parse_varint(iter(encoded))


@pytest.mark.parametrize("number", DIGITS)
def test_start_bit_is_no_part_of_the_number(number):
    """The bit that marks an entry's begin is set anew, however long its number is."""
    old, new = (number + 5, number + 9, number + 7, 3, True), 100
    shifted = tuple(unit + new for unit in old[:3])

    assert [(*shifted, 3, True)] == parsed(_splice._shift_handlers(assembled(old), 1, new))


def test_no_handlers():
    """An empty table stays empty."""
    assert b"" == _splice._shift_handlers(b"", 3, 10)


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ((0, 2, 3, 0, False), (0, 2, 13, 0, False)),
        ((0, 2, 2, 0, False), (0, 2, 2, 0, False)),
        ((2, 3, 5, 0, True), (2, 13, 15, 0, True)),
        ((2, 9, 9, 1, True), (2, 19, 19, 1, True)),
        ((3, 9, 9, 2, False), (13, 19, 19, 2, False)),
        ((7, 9, 3, 0, False), (17, 19, 13, 0, False)),
        ((60, 120, 4090, 31, True), (70, 130, 4100, 31, True)),
    ],
)
def test_handlers_before_around_and_behind(old, new):
    """The merge of ten units goes in before unit three, where the body begins."""
    shifted = _splice._shift_handlers(assembled(old), 3, 10)

    assert assembled(new) == shifted
    assert [new] == parsed(shifted)


def test_handlers_keep_their_order():
    """The first entry that holds an instruction is the one that counts."""
    old = [(2, 3, 40, 0, True), (3, 9, 20, 0, False), (9, 60, 40, 0, True)]
    new = [(2, 103, 140, 0, True), (103, 109, 120, 0, False), (109, 160, 140, 0, True)]

    assert new == parsed(_splice._shift_handlers(assembled(*old), 3, 100))


# Instructions


@pytest.mark.parametrize("prefix", [0, 1, 2, 3])
def test_operand_takes_the_extended_args_it_needs(prefix):
    """Each further byte of an operand is one `EXTENDED_ARG`."""
    arg = int.from_bytes(bytes((1, 2, 3, 4)[: prefix + 1]), "big")
    raw = _splice._encode(Instruction(LOAD_CONST, arg), arg)

    assert [EXTENDED_ARG] * prefix + [LOAD_CONST] == list(raw[::2])
    assert [1, 2, 3, 4][: prefix + 1] == list(raw[1::2])
    assert [(0, Instruction(LOAD_CONST, arg))] == list(_splice._decode(raw, 0))


def test_inner_zero_byte_keeps_its_extended_arg():
    """Only leading zeros are left out."""
    raw = _splice._encode(Instruction(LOAD_CONST, 0x010005), 0x010005)

    assert bytes((EXTENDED_ARG, 1, EXTENDED_ARG, 0, LOAD_CONST, 5)) == raw


@pytest.mark.parametrize(("distance", "size"), [(0, 2), (255, 2), (256, 4), (65536, 6)])
def test_jump_takes_the_extended_args_it_needs(distance, size):
    """A jump is as long as its distance needs."""
    merge = [Instruction(JUMP, distance + 1), *[Instruction(NOP, 0)] * distance]
    raw = _splice._assemble(merge)

    assert size + 2 * distance == len(raw)
    assert len(raw) in dis.findlabels(raw)


def test_jump_lengthens_a_jump_around_it():
    """The inner jump needs `EXTENDED_ARG`, and for that the outer one does."""
    nops = [Instruction(NOP, 0)] * 256
    raw = _splice._assemble([Instruction(JUMP, 258), Instruction(JUMP, 258), *nops])
    short = _splice._assemble([Instruction(JUMP, 257), Instruction(JUMP, 257), *nops[:-1]])

    assert 4 + 4 + 2 * 256 == len(raw)
    assert 4 + 2 + 2 * 255 == len(short)
    assert [len(raw)] == dis.findlabels(raw)
    assert [len(short)] == dis.findlabels(short)


def test_jump_over_a_lengthened_operand():
    """A constant's new index makes the jump over it longer."""
    merge = [Instruction(JUMP, 2), Instruction(LOAD_CONST, 300), Instruction(NOP, 0)]

    assert bytes((JUMP, 2, EXTENDED_ARG, 1, LOAD_CONST, 44, NOP, 0)) == _splice._assemble(merge)


def test_jump_to_an_extended_arg():
    """A jump leads to the `EXTENDED_ARG` of its target, not behind it."""
    merge = [Instruction(JUMP, 1), Instruction(LOAD_CONST, 300)]

    assert bytes((JUMP, 0, EXTENDED_ARG, 1, LOAD_CONST, 44)) == _splice._assemble(merge)


def test_caches_are_stepped_over():
    """An operation in a cache is none."""
    caches = _splice.CACHES[LOAD_GLOBAL]
    raw = bytes((LOAD_GLOBAL, 0)) + bytes((NOP, 1)) * caches + bytes((STORE_FAST, 7))
    expected = [(0, Instruction(LOAD_GLOBAL, 0)), (2 + 2 * caches, Instruction(STORE_FAST, 7))]

    assert caches > 0
    assert expected == list(_splice._decode(raw, 0))


@pytest.mark.parametrize("source", ["f(x)", "f.x", "f[x]", "x += f", "x < f", "x, f = f"])
def test_caches_are_those_of_the_interpreter(source):
    """`dis` and the splicer find the same instructions."""
    code = compile(source, "<test>", "exec")
    shown = [item for item in dis.get_instructions(code) if item.opcode != EXTENDED_ARG]
    decoded = _splice._decode(code.co_code, 0)

    assert [(item.offset, item.opcode) for item in shown] == [
        (offset, item.op) for offset, item in decoded
    ]


@pytest.mark.parametrize("body", ["pass", "return x(d, d, d, d, d, d, d, d, d, d, d, d)"])
def test_stack_is_deep_enough_for_both(body):
    """The merge runs on an empty stack, so the deeper of the two is enough."""
    code = function_code(f"def f(self, d): {body}\n")
    (merge,) = make_merges(code, "K", "self", (Param("d"),))
    deeper = max(code.co_stacksize, merge.template.co_stacksize)

    assert deeper == splice(code, [merge]).co_stacksize


# Names and constants


def spliced(source, *params):
    """Return the code of a method with its merge, and what `dis` shows of the merge."""
    code = function_code(source)
    new = splice(code, make_merges(code, "K", "self", params))
    begin = entry_point(code)
    end = begin + len(new.co_code) - len(code.co_code)
    shown = [item for item in dis.get_instructions(new) if begin <= item.offset < end]
    return code, new, shown


def test_old_names_are_used_again():
    """Names that the target has already are not added."""
    code, new, _ = spliced(
        "def f(self, d): return self.d._mergeparam_both._mergeparam_neither\n", Param("d")
    )

    assert code.co_names == new.co_names


@pytest.mark.parametrize("number", [126, 127, 128, 255, 256, 257])
def test_names_at_the_limits_of_a_byte(number):
    """Attributes are found by their names, whatever index these have got."""
    names = "".join(f"    self.n{index} = 0\n" for index in range(number))
    _, new, shown = spliced(f"def f(self, d):\n{names}", Param("d"))
    read = [item.argval for item in shown if item.opname in {"LOAD_ATTR", "LOAD_METHOD"}]
    prefixed = any(item.opcode == EXTENDED_ARG for item in shown)
    shift = int(LOAD_ATTR in _splice.SHIFTED)

    assert {"d", "_mergeparam_neither", "_mergeparam_both"} == set(read)
    assert prefixed == ((number + 2) << shift > 255)
    assert number + 3 == len(new.co_names)


def test_constants_are_shared_among_the_merges():
    """Each new constant is added once, behind the old ones."""
    source = "def f(self, d, e): return 1, 2.5, x\n"
    code, new, _ = spliced(source, Param("d"), Param("e"))
    added = new.co_consts[len(code.co_consts) :]

    assert code.co_consts == new.co_consts[: len(code.co_consts)]
    assert ["K", "d", "e"] == [constant for constant in added if isinstance(constant, str)]
    assert sorted(set(added), key=repr) == sorted(added, key=repr)


@pytest.mark.parametrize("unset", [True, False])
def test_equal_constants_stay_apart(unset):
    """1 and True are equal, and are two constants."""
    source = "def f(self, d):\n    x(0.0, 1.0, 0, 1, 0.5)\n"
    _, _, shown = spliced(source, Param("d", unset=unset))
    loaded = [item.argval for item in shown if item.opname.startswith("LOAD_")]

    assert [unset] == list({id(item): item for item in loaded if item in {0, 1}}.values())
    assert 2 == _splice._index_of_const(unset, [int(unset), float(unset)], 0)


def test_old_constants_are_not_compared():
    """The target's own constants may be many, and arrays that refuse to be compared."""
    consts = ["K", object()]

    assert 2 == _splice._index_of_const("K", consts, 2)
    assert ["K", "K"] == consts[::2]


@pytest.mark.parametrize("slot", [3, 15, 16, 63, 64, 255, 256, 300])
def test_slots_of_the_target(slot):
    """The merge loads and stores the target's own slots, wherever these are."""
    before = ", ".join(f"p{index}" for index in range(slot - 1))
    source = f"def f(self, {before}, d, e): return d\n"
    _, _, shown = spliced(source, Param("d"))
    loaded = {item.argval for item in shown if "_FAST" in item.opname}

    assert {"self", "d"} == loaded


def test_template_with_operands_over_a_byte():
    """A long path to the attribute: many names, and jumps too long for one byte."""
    names = [f"n{index}" for index in range(300)]
    _, new, shown = spliced("def f(self, d): pass\n", Param("d", attribute=".".join(names)))
    read = [item.argval for item in shown if item.opname in {"LOAD_ATTR", "LOAD_METHOD"}]
    jumps = [item.argval for item in shown if item.opcode in _splice._JUMPS]

    assert names == read[:300]
    assert {*names, "_mergeparam_neither", "_mergeparam_both"} == {*new.co_names}
    assert all(shown[0].offset < target <= shown[-1].offset + 2 for target in jumps)


# What the splicer does not know


def merge_of(code):
    """Return a merge whose template is any function of two parameters."""
    return Merge(code, names={}, consts={}, slots=(0, 1))


def test_entry_point_is_behind_the_prefix():
    """Cells, free variables and the making of a generator come before the body."""
    parameters = ", ".join(f"p{index}" for index in range(300))
    (outer,) = (
        item
        for item in compile(
            f"def outer(y):\n def f({parameters}):\n  yield lambda: ({parameters}, y)\n",
            "<target>",
            "exec",
        ).co_consts
        if isinstance(item, types.CodeType)
    )
    (code,) = (item for item in outer.co_consts if isinstance(item, types.CodeType))
    names = [item.opname for item in dis.get_instructions(code) if item.offset < entry_point(code)]

    assert "RESUME" == names[-1]
    assert 1 == names.count("RESUME")
    assert {"MAKE_CELL", "EXTENDED_ARG", "COPY_FREE_VARS", "RETURN_GENERATOR"} <= set(names)


@pytest.mark.parametrize(
    "raw",
    [
        bytes((NOP, 0)),
        bytes((dis.opmap["POP_TOP"], 0)) * 3,
        bytes((dis.opmap["RESUME"], 1)),
        b"",
    ],
    ids=["other operation", "nothing else", "RESUME of a yield", "empty"],
)
def test_strange_begin(raw):
    """Code that some tool has rewritten is refused."""

    class Rewritten:
        co_code = raw
        co_qualname = "C.f"

    with pytest.raises(SpliceError, match="C.f does not begin as compiled functions do"):
        entry_point(Rewritten)


def test_strange_target():
    """A target without `RESUME` is refused by the splicer as a whole."""
    merges = make_merges(plain_code(), "K", "self", (Param("d"),))
    code = plain_code(co_code=bytes((NOP, 0)) + plain_code().co_code)

    with pytest.raises(SpliceError, match="does not begin"):
        splice(code, merges)


def test_marker_is_gone():
    """A template whose end cannot be found is refused."""
    with pytest.raises(SpliceError, match="the template's marker is gone"):
        splice(plain_code(), [merge_of(plain_code())])


@pytest.mark.parametrize(
    "body",
    [
        "if d:\n  __end__\n self.x",
        "while d:\n  d = self.d\n __end__",
        "while True:\n  self()\n  if d: __end__",
        "for d in self:\n  d()\n __end__",
    ],
    ids=["forward", "conditional backward", "loop", "for"],
)
def test_jump_out_of_the_merge(body):
    """What jumps behind the marker, or back, is no merge."""
    code = function_code(f"def merge(self, d):\n {body}\n __end__\n")

    with pytest.raises(SpliceError, match=r"[A-Z_]+ leads out of the merge"):
        splice(plain_code(), [merge_of(code)])


def test_backward_jump_is_no_forward_jump():
    """Read as a forward jump, this one would stay in the merge."""
    back = dis.opmap["JUMP_BACKWARD_NO_INTERRUPT"]
    begin = plain_code().co_code[: entry_point(plain_code())]
    items = [(NOP, 0), (back, 1), (NOP, 0), (NOP, 0), (LOAD_GLOBAL, 0)]
    # With its caches: the interpreter writes to them when the code object is made.
    body = b"".join(_splice._encode(Instruction(op, arg), arg) for op, arg in items)
    code = plain_code(co_code=begin + body, co_names=("__end__",))

    with pytest.raises(SpliceError, match="JUMP_BACKWARD_NO_INTERRUPT leads out of the merge"):
        splice(plain_code(), [merge_of(code)])


def test_cut_jumps_to_the_marker():
    """A jump to the merge's end is given as the index behind its last instruction."""
    code = function_code("def merge(self, d):\n if d:\n  self.x\n __end__\n __end__\n __end__\n")
    merge = cut(code).instructions
    targets = {item.arg for item in merge if item.op in _splice._JUMPS}

    assert {len(merge)} == targets


def test_marker_beyond_a_byte():
    """A marker whose name takes `EXTENDED_ARG` is found at that, not behind it."""
    names = "\n".join(f" self.n{index}" for index in range(300))
    code = function_code(f"def merge(self, d):\n{names}\n __end__\n")
    merge = cut(code).instructions

    assert 300 == sum(item.op == LOAD_ATTR for item in merge)
    assert EXTENDED_ARG not in {item.op for item in merge}


def test_two_locals_in_one_operand(monkeypatch):
    """Four bits for each do not suit every target; the compilers since 3.13 pair locals so."""
    renamed = ["LOAD_FAST_LOAD_FAST" if name == "IS_OP" else name for name in dis.opname]
    monkeypatch.setattr(_splice.opcode, "opname", renamed)
    code = function_code("def merge(self, d):\n self is d\n __end__\n")

    with pytest.raises(SpliceError, match="has no room for every slot"):
        splice(plain_code(), [merge_of(code)])
