"""Splice a merge into every function of the standard library and compare with the original.

python tests/bytecode/sweep.py [--sample N]

What is expected is worked out here anew, from the documented layout of code objects and with
`dis`; of the splicer only its result is used.
"""

import argparse
import collections
import dis
import functools
import itertools
import multiprocessing
import operator
import pathlib
import platform
import random
import sys
import sysconfig
import time
import types
import typing
import warnings

from mergeparam import UNSET, Param
from mergeparam._declare.signature import read_parameters
from mergeparam._inject.source import merge_source
from mergeparam._inject.splice import extract_merge, splice
from mergeparam._spec import POLICIES, PrivateNames

STDLIB = pathlib.Path(sysconfig.get_path("stdlib"))
RESUME = dis.opmap["RESUME"]
EXTENDED_ARG = dis.opmap["EXTENDED_ARG"]
JUMPS = {*dis.hasjrel, *dis.hasjabs}
FUNCTION_FLAGS = 0x03  # CO_OPTIMIZED and CO_NEWLOCALS, which modules and classes lack
CHANGED = {
    "co_code",
    "co_consts",
    "co_exceptiontable",
    "co_linetable",
    "co_lnotab",  # says less than the line table does, and warns
    "co_names",
    "co_stacksize",
}
METHODS = {"co_branches", "co_lines", "co_positions"}
UNCHANGED = sorted(
    {name for name in dir(types.CodeType) if name.startswith("co_")} - CHANGED - METHODS
)
UNSETS = (None, UNSET, False, ...)
CONDITIONS = ({}, {}, {"when": callable, "otherwise": True}, {"when": callable, "otherwise": 1})
UNCOMPILABLE = (SyntaxError, ValueError, RecursionError, MemoryError, OSError)
SHOWN_FAILURES = 10
MARKER = "__behind_the_merge__"


class FileResult(typing.NamedTuple):
    """What became of some files."""

    swept: int = 0
    skipped: collections.Counter = collections.Counter()  # noqa: RUF012 - only ever added
    failures: tuple[str, ...] = ()

    def __add__(self, other):
        return FileResult(*map(operator.add, self[:], other[:]))


# What is swept


def stdlib_files():
    """Return the files of the standard library, without what was installed beside it."""
    return sorted(
        path
        for path in STDLIB.rglob("*.py")
        if not {"site-packages", "dist-packages"} & {*path.relative_to(STDLIB).parts}
    )


def compile_file(path):
    """Return the code of a module; raises one of `UNCOMPILABLE`."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return compile(path.read_bytes(), str(path), "exec", dont_inherit=True)


def functions_in(code):
    """Yield the code of every function with parameters inside `code`."""
    for constant in code.co_consts:
        if isinstance(constant, types.CodeType):
            if is_function(constant):
                yield constant
            yield from functions_in(constant)


def is_function(code):
    """Tell functions from modules, classes, and what has parameters that nobody can write."""
    names = read_parameters(code).all
    return (
        code.co_flags & FUNCTION_FLAGS == FUNCTION_FLAGS
        and bool(names)
        and all(map(str.isidentifier, names))
    )


class MergeForm(typing.NamedTuple):
    """Everything that a merge is made of."""

    receiver: str
    params: tuple[Param, ...]
    names: PrivateNames = PrivateNames("", {})
    may_receive_merged: tuple[str, ...] = ()
    unnamed: tuple[str, ...] = ()

    def source(self, **replaced):
        """Return the merge as a generated wrapper begins with it."""
        return merge_source(**{**self._asdict(), **replaced})

    def splice_into(self, code):
        """Return the code with the merge in it, and its size, as `mergeable` makes it."""
        parameters = read_parameters(code)
        source = self.source(names=self.names._replace(suffix=""))
        cells = tuple(name for name in parameters.all if name in code.co_cellvars)
        merge = extract_merge(source, parameters.as_signature(), cells)
        return splice(code, merge, suffix=self.names.suffix)


def merge_for(code):
    """Return a merge of the last parameter, or of the only one."""
    parameters = read_parameters(code)
    receiver = (*parameters.positional, parameters.var_positional or parameters.all[0])[0]
    *_, merged = receiver, *(name for name in parameters.named if name != receiver)
    draw = random.Random(code.co_qualname)
    shared = {f"_mergeparam_unset_{merged}": "_mergeparam_UNSET"}
    return MergeForm(
        f"{receiver}[0]" if receiver == parameters.var_positional else receiver,
        (
            Param(
                merged,
                on_conflict=draw.choice(POLICIES),
                unset=draw.choice(UNSETS),
                attribute_unset=draw.choice(UNSETS),
                **draw.choice(CONDITIONS),
            ),
        ),
        PrivateNames(
            draw.choice(["", "_2"]),
            draw.choice([{}, shared]),
            in_own_module=draw.choice([False, True]),
            through_class=draw.choice([False, True]),
        ),
        may_receive_merged=draw.choice([(), (merged,)]),
        unnamed=draw.choice([(), (parameters.all[0],)]),
    )


# What is expected


def differences(code):
    """Yield what is wrong with the code after a merge was spliced into it."""
    merge = merge_for(code)
    by_hand = compile_by_hand(code, merge.source())
    new, size = merge.splice_into(code)
    at = entry_point(code.co_code)
    yield from _header_differences(code, new, by_hand)
    yield from _instruction_differences(code, new, at, size)
    if before_marker(by_hand) != decode(new, at, at + size):
        yield "the merge"
    if handlers(new) != [shifted_handler(entry, at, size) for entry in handlers(code)]:
        yield "exception table"
    yield from _line_differences(code, new, at, size)


def entry_point(raw):
    """Return the offset behind the first `RESUME` and its caches; nothing before has caches."""
    offset = next(offset for offset in range(0, len(raw), 2) if raw[offset] == RESUME)
    return offset + 2 + 2 * resume_caches()


@functools.cache
def resume_caches():
    """Return how many code units of cache `dis` knows behind a `RESUME`."""
    resume, following = itertools.islice(dis.get_instructions(lambda: None), 2)
    return (following.offset - resume.offset) // 2 - 1


def _header_differences(code, new, by_hand):
    for name in UNCHANGED:
        if getattr(code, name) != getattr(new, name):
            yield name
    if new.co_names[: len(code.co_names)] != code.co_names:
        yield "co_names"
    old_consts = new.co_consts[: len(code.co_consts)]
    if len(old_consts) < len(code.co_consts) or not all(
        map(operator.is_, old_consts, code.co_consts)
    ):
        yield "co_consts"
    if new.co_stacksize < max(code.co_stacksize, by_hand.co_stacksize):
        yield "co_stacksize"


def _instruction_differences(code, new, at, size):
    """Relative jumps move along with the bytes, unless one crosses the place of insertion."""
    raw, new_raw = code.co_code, new.co_code
    if (raw[:at], raw[at:]) != (new_raw[:at], new_raw[at + size :]):
        yield "co_code"
    if any(target < at for target in dis.findlabels(raw)):
        yield "a jump before the merge"


def before_marker(by_hand):
    """Return the decoded instructions that the compiler makes of a merge's source text."""
    decoded = decode(by_hand, entry_point(by_hand.co_code))
    return list(itertools.takewhile(lambda item: item[:2] != ("LOAD_GLOBAL", MARKER), decoded))


def compile_by_hand(code, merge):
    """Compile a merge as the body of a function with the parameters and cells of `code`."""
    parameters = read_parameters(code)
    cells = ", ".join(name for name in parameters.all if name in code.co_cellvars)
    lines = [
        f"def by_hand({parameters.as_signature()}):",
        *merge.splitlines(),
        # Long enough that the compiler does not copy it to every jump that leads here.
        *[MARKER] * 5,
        f"lambda: ({cells})",
    ]
    module = compile("\n    ".join(lines), "<by hand>", "exec", dont_inherit=True)
    return next(item for item in module.co_consts if isinstance(item, types.CodeType))


def decode(code, begin, end=None):
    """Return (name of the operation, its argument) of each instruction in a part of the code.

    A jump's argument is the index of the instruction that it leads to, the end included.
    """
    raw = code.co_code[begin:end]
    part = code.replace(co_code=raw, co_linetable=b"", co_exceptiontable=b"")
    items, indices, start = [], {}, None
    for item in dis.get_instructions(part):
        start = item.offset if start is None else start
        if item.opcode != EXTENDED_ARG:
            indices[start], start = len(items), None
            items.append(item)
    indices[len(raw)] = len(items)
    return [(item.opname, *argument(item, indices)) for item in items]


def argument(item, indices):
    """Return the argument; only as text does `dis` show the flag beside a name."""
    if item.opcode in JUMPS:
        return (indices[item.argval],)
    return item.argval, item.argrepr


def handlers(code):
    """Return the exception table as (start, end, target, depth, lasti), in bytes."""
    return [
        (entry.start, entry.end, entry.target, entry.depth, entry.lasti)
        for entry in dis._parse_exception_table(code)
    ]


def shifted_handler(entry, at, size):
    """Move an entry behind the merge; one that holds the `RESUME` holds the merge, too."""
    start, end, target, depth, lasti = entry
    return (
        start + size * (start >= at),
        end + size * (end >= at),
        target + size * (target >= at),
        depth,
        lasti,
    )


def without_width(line, end_line, column, end_column):
    """Return a position; columns of no width, such as those of `RESUME`, may get lost."""
    return (line, end_line, *((column, end_column) if end_column else (None, None)))


def _line_differences(code, new, at, size):
    old, positions = list(code.co_positions()), list(new.co_positions())
    line = old[at // 2 - 1][0]
    inserted = [(line, line, None, None)] * (size // 2)
    expected = old[: at // 2] + inserted + old[at // 2 :]
    if [without_width(*item) for item in positions] != [without_width(*item) for item in expected]:
        yield "co_positions"


# How it is swept


def sweep_function(code):
    """Return the failures of one function, each as a line of text."""
    place = f"{code.co_filename}:{code.co_firstlineno} {code.co_qualname}"
    try:
        return tuple(f"{place}: {what}" for what in differences(code))
    except Exception as error:  # noqa: BLE001 - whatever goes wrong is a finding
        return (f"{place}: {error!r}",)


def sweep_functions(codes):
    """Splice into every one of `codes`."""
    findings = [sweep_function(code) for code in codes]
    return FileResult(len(findings), failures=tuple(itertools.chain.from_iterable(findings)))


def sweep_file(path):
    """Splice into every function of one file."""
    try:
        module = compile_file(path)
    except UNCOMPILABLE as error:
        return FileResult(skipped=collections.Counter([type(error).__name__]))
    return sweep_functions(functions_in(module))


def sweep_stdlib():
    """Splice into every function of the standard library, on all processors."""
    files = stdlib_files()
    random.Random(0).shuffle(files)
    with multiprocessing.Pool() as pool:
        results = pool.imap_unordered(sweep_file, files, chunksize=8)
        return functools.reduce(operator.add, results, FileResult())


def sweep_sample(number):
    """Splice into some of the functions, the same ones each time."""
    files = stdlib_files()
    random.Random(0).shuffle(files)
    return sweep_functions(itertools.islice(_sampled_functions(files), number))


def _sampled_functions(files):
    for path in files:
        try:
            module = compile_file(path)
        except UNCOMPILABLE:
            continue
        yield from itertools.islice(functions_in(module), 20)


def summary(result, seconds):
    """Return the one line that says what was swept."""
    skipped = ", ".join(f"{number} {reason}" for reason, number in result.skipped.items())
    return (
        f"{platform.python_implementation()} {platform.python_version()}: "
        f"{result.swept} code objects swept in {seconds:.0f} s, "
        f"{len(result.failures)} mismatches, "
        f"{result.skipped.total()} files skipped ({skipped or 'none'})"
    )


def main(arguments=None):
    """Sweep, report, and return the exit code."""
    parser = argparse.ArgumentParser(
        description="Splice a merge into every function of the standard library."
    )
    parser.add_argument("--sample", type=int, metavar="N", help="sweep only N functions")
    number = parser.parse_args(arguments).sample
    begin = time.perf_counter()
    result = sweep_stdlib() if number is None else sweep_sample(number)
    sys.stdout.write(summary(result, time.perf_counter() - begin) + "\n")
    for failure in result.failures[:SHOWN_FAILURES]:
        sys.stdout.write(f"{failure}\n")
    return int(bool(result.failures))


if __name__ == "__main__":
    sys.exit(main())
