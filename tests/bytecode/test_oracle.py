"""The splicer and the PyPI package `bytecode`, which decodes everything, agree.

The package gets the merge as the compiler makes it from the source that a wrapper begins with; the
splicer has to get there from the source that methods of the same signature share.
"""

import dis
import sys
import textwrap
import types

import bytecode
import pytest
import sweep
from sweep import MergeForm

from mergeparam import UNSET, Param
from mergeparam._inject.source import PrivateNames
from mergeparam._spec import POLICIES

JUMPS = {*dis.hasjrel, *dis.hasjabs}

TARGETS = {
    "simple": """
        def target(self, x, *, d=None):
            return x if d else self.rate
        """,
    "empty body": """
        def target(self, d): pass
        """,
    "docstring only": """
        def target(self, d):
            "Return nothing."
        """,
    "decorated over several lines": """
        @(lambda f:
            f)
        def target(
            self,
            x,
            d=None,
        ):
            return (
                x,
                d,
            )
        """,
    "lambda": """
        target = lambda self, x, d=None: (x and d) or self.y
        """,
    "merged parameter in a cell": """
        def target(self, x, d=None):
            return lambda: d
        """,
    "receiver in a cell": """
        def target(self, x, d=None):
            return [lambda: self for _ in x]
        """,
    "all in cells and local cells": """
        def target(self, x, d=None):
            y = z = x
            return lambda: (self, x, d, y, z)
        """,
    "rebinds its cells": """
        def target(self, x, d=None):
            def inner():
                nonlocal d, self
                d = self = x
            inner()
            del x
            return d
        """,
    "free variables": """
        def outer(y, z):
            def target(self, x, d=None):
                return x, d, y, z
            return target
        """,
    "free variables and cells": """
        def outer(y, z):
            def target(self, x, d=None):
                nonlocal y
                y = d
                return lambda: (self, d, z)
            return target
        """,
    "implicit __class__": """
        class C:
            def target(self, x, d=None):
                return super().target(x, d=d), __class__
        """,
    "generator": """
        def target(self, x, d=None):
            got = yield d
            yield from x
            return got
        """,
    "generator with cells and free variables": """
        def outer(y):
            def target(self, x, d=None):
                yield lambda: (self, d, y)
            return target
        """,
    "generator that tries at once": """
        def target(self, x, d=None):
            try:
                yield d
            except GeneratorExit:
                self.close()
        """,
    "coroutine": """
        async def target(self, x, d=None):
            async with x as y:
                return await y(d)
        """,
    "asynchronous generator": """
        async def target(self, x, d=None):
            async for y in x:
                yield y, d
            yield [z async for z in self]
        """,
    "tries at once": """
        def target(self, x, d=None):
            try:
                return x(d)
            except (ValueError, TypeError) as error:
                self.report(error)
                raise
            finally:
                self.done()
        """,
    "try in try": """
        def target(self, x, d=None):
            try:
                try:
                    x()
                except* ValueError as group:
                    d = group
            except OSError:
                return 1
            else:
                return 2
        """,
    "loops at once": """
        def target(self, x, d=None):
            while True:
                if x(d):
                    continue
                if self.stop:
                    break
        """,
    "loops at once, on the merged parameter": """
        def target(self, x, d=None):
            while d:
                d = d - 1
            for y in x:
                self.use(y)
        """,
    "loop and try at once": """
        def target(self, x, d=None):
            while True:
                try:
                    return x(d)
                except ValueError:
                    pass
        """,
    "with": """
        def target(self, x, d=None):
            with self.lock, x as y:
                return y(d)
        """,
    "match": """
        def target(self, x, d=None):
            match x:
                case {"a": [first, *_], **rest} if d:
                    return first, rest
                case self.Point(a=0, b=b) | [_, b]:
                    return b
                case None | "none":
                    return d
            return -1
        """,
    "comprehensions": """
        def target(self, x, d=None):
            return [y for y in x if y is d], {k: d for k in self}, (d for _ in x)
        """,
    "positional-only": """
        def target(self, x, d, /, y=1):
            return self, x, d, y
        """,
    "variadic": """
        def target(self, *args, d=None, **kwargs):
            return lambda: (args, d, kwargs)
        """,
    "every kind": """
        def target(self, x, /, y, *args, d=None, z=1, **kwargs):
            return args, d, kwargs, x, y, z
        """,
    "uses the names of the merge": """
        def target(self, x, d=None):
            self.e = self.d = self.inner.d = self.d(self.e)
            return self._mergeparam_missing_d(None, "identity", True), self._mergeparam_conflict_d
        """,
    "imports and globals": """
        def target(self, x, d=None):
            global y
            import os.path as path
            from os import sep
            y = path, sep, f"{x!r:>{d}}", x[1:d], lambda *, a=d: a
        """,
    "annotations and defaults inside": """
        def target(self, x, d=None):
            class Inner[T](x):
                y: d = self
            def inner(a: x, /, b: d = d) -> self: ...
            return Inner, inner
        """,
    "over 255 names": "def target(self, x, d=None):\n"
    + "".join(f"    x.n{i} = n{i}\n" for i in range(300)),
    "just under 128 names": "def target(self, x, d=None):\n"
    + "".join(f"    x.n{i} = 0\n" for i in range(126)),
    "over 255 constants": "def target(self, x, d=None):\n    x("
    + "".join(f"{i}.5, " for i in range(300))
    + ")\n",
    "over 255 of both, as a generator in a loop": "def target(self, x, d=None):\n"
    "    while True:\n        try:\n"
    + "".join(f"            yield x.n{i}({i}.5, lambda: d)\n" for i in range(300))
    + "        except ValueError:\n            pass\n",
    "over 65535 constants": "def target(self, x, d=None):\n    x("
    + "".join(f"{i}.5, " for i in range(66000))
    + ")\n",
    "over 16 parameters": f"def target(self, {', '.join(f'p{i}' for i in range(20))}, d):\n"
    "    return p0, p17, d\n",
    "over 255 parameters": f"def target(self, {', '.join(f'p{i}' for i in range(300))}, d):\n"
    "    return p0, p270, d\n",
    "over 255 parameters in cells": "def target("
    f"self, {', '.join(f'p{i}' for i in range(300))}, d):\n"
    f"    return lambda: (self, {', '.join(f'p{i}' for i in range(300))}, d)\n",
}
NEEDS_312 = {"annotations and defaults inside"}

LONG_PATH = ".".join(f"part{i}" for i in range(140))
GLOBAL = PrivateNames("", {"d": "_mergeparam_UNSET"})
PARAMS = {
    **{policy: Param("d", on_conflict=policy) for policy in POLICIES},
    **{f"{policy}, UNSET": Param("d", unset=UNSET, on_conflict=policy) for policy in POLICIES},
    "other literals": Param("d", unset=False, default=1),
    "ellipsis": Param("d", unset=...),
    "dotted": Param("d", attribute="inner.d"),
    "dotted, pinned": Param("d", attribute="inner._d", on_conflict="use_attribute"),
    "jumps over 255": Param("d", attribute=LONG_PATH),
}
MERGES = {
    **{name: MergeForm("self", (param,)) for name, param in PARAMS.items()},
    **{
        f"{key}, global": MergeForm("self", (PARAMS[key],), GLOBAL)
        for key in PARAMS
        if "UN" in key
    },
    "names that a base has taken": MergeForm("self", (PARAMS["raise"],), PrivateNames("_2", {})),
    "own object, names taken": MergeForm(
        "self", (PARAMS["raise, UNSET"],), PrivateNames("_3", {})
    ),
    "behind a wrapper": MergeForm("self", (PARAMS["raise"],), may_receive_merged=frozenset({"d"})),
}


def compile_target(source):
    """Return the code of the function `target`, or of the only lambda, in `source`."""
    module = compile(textwrap.dedent(source), "<target>", "exec", dont_inherit=True)
    by_name = {code.co_name: code for code in codes_in(module)}
    return by_name.get("target") or by_name["<lambda>"]


def codes_in(code):
    """Yield every code object inside `code`, the outer ones first."""
    inner = [constant for constant in code.co_consts if isinstance(constant, types.CodeType)]
    yield from inner
    for constant in inner:
        yield from codes_in(constant)


def with_the_package(code, template):
    """Insert the merge of a handwritten template symbolically, with labels for jumps.

    The package is told the stack's depth in exception handlers, which the merge does not
    change: `test_package_misjudges_the_depth_of_handlers` shows why.
    """
    target = bytecode.Bytecode.from_code(code, conserve_exception_block_stackdepth=True)
    at = behind_resume(target)
    line = target[at - 1].lineno
    location = bytecode.instr.InstrLocation(line, line, None, None)
    target[at:at] = [moved(item, location) for item in merge_of(template)]
    return target.to_code(
        stacksize=max(code.co_stacksize, template.co_stacksize),
        compute_exception_stack_depths=False,
    )


def merge_of(template):
    """Return the template's items between its `RESUME` and its marker."""
    items = bytecode.Bytecode.from_code(template)
    end = next(index for index, item in enumerate(items) if loads(item, sweep.MARKER))
    return list(items)[behind_resume(items) : end]


def behind_resume(items):
    """Return the index of the first item of the body."""
    resumes = (index for index, item in enumerate(items) if starts_body(item))
    return next(resumes) + 1


def starts_body(item):
    """Whether this is the `RESUME` at a function's start, not behind a `yield`."""
    return isinstance(item, bytecode.Instr) and (item.name, item.arg) == ("RESUME", 0)


def loads(item, name):
    """Whether this loads the global `name`."""
    return isinstance(item, bytecode.Instr) and item.name == "LOAD_GLOBAL" and item.arg[1] == name


def moved(item, location):
    """Return the item with another location; a label has none."""
    if isinstance(item, bytecode.Label):
        return item
    return bytecode.Instr(item.name, item.arg, location=location)


def listing(code):
    """Return what `dis` shows of the instructions and of the exception table.

    Offsets are given as indices of instructions: the package numbers names and constants anew,
    so that it may need `EXTENDED_ARG` elsewhere.
    """
    items, indices, start = [], {}, None
    for item in dis.get_instructions(code):
        start = item.offset if start is None else start
        indices[start] = indices[item.offset] = len(items)
        if item.opcode != dis.EXTENDED_ARG:
            items.append(item)
            start = None
    indices[len(code.co_code)] = len(items)
    instructions = [(item.opname, *argument(item, indices)) for item in items]
    return instructions, [item.positions for item in items], handlers(code, indices)


def argument(item, indices):
    """Return the argument; only as text does `dis` show the flag beside a name."""
    if item.opcode in JUMPS:
        return (indices[item.argval],)
    return item.argval, item.argrepr


def handlers(code, indices):
    """Return the exception table, with indices of instructions."""
    return [
        (indices[entry.start], indices[entry.end], indices[entry.target], entry.depth, entry.lasti)
        for entry in dis._parse_exception_table(code)
    ]


def assert_agreement(code, merge):
    """Compare the two results, part by part."""
    by_hand = sweep.compile_by_hand(code, merge.source())
    expected = listing(with_the_package(code, by_hand))
    actual = listing(merge.splice_into(code)[0])

    for expected_part, actual_part in zip(expected, actual, strict=True):
        assert expected_part == actual_part


def target_named(name):
    """Return the code of one of `TARGETS`, where this Python has its syntax."""
    if name in NEEDS_312 and sys.version_info < (3, 12):
        pytest.skip("a statement that came with Python 3.12")
    return compile_target(TARGETS[name])


@pytest.mark.parametrize("merge", MERGES)
@pytest.mark.parametrize("target", [name for name in TARGETS if "65535" not in name])
def test_agreement(target, merge):
    """Every kind of merge in every kind of function."""
    assert_agreement(target_named(target), MERGES[merge])


def test_agreement_on_two_extended_args():
    """Constants that take two `EXTENDED_ARG` each; once, since the package needs a second."""
    assert_agreement(target_named("over 65535 constants"), MERGES["raise"])


MANY = [f"p{i}" for i in range(300)]


@pytest.mark.parametrize(
    ("source", "receiver", "names"),
    [
        (
            "def target(self, a, b, /, c, *args, d, e=None, **kw): return lambda: (a, c, d, args)",
            "self",
            "abcde",
        ),
        ("def target(module, d=None): return d, module", "module", "d"),
        ("def target(*args, d=None): return d, args", "args[0]", "d"),
        (f"def target(self, {', '.join(MANY)}): return self", "self", MANY),
    ],
    ids=["several", "another receiver", "receiver in args", "over 255 of everything"],
)
@pytest.mark.parametrize("kind", ["raise", "use_attribute", "raise, UNSET"])
def test_agreement_on_other_parameters(source, receiver, names, kind):
    """One merge behind the other, with the constants that they share; and other receivers."""
    options = {"unset": PARAMS[kind].unset, "on_conflict": PARAMS[kind].on_conflict}
    params = tuple(Param(name, **options) for name in names)

    assert_agreement(compile_target(source), MergeForm(receiver, params))


@pytest.mark.parametrize(
    ("part", "other"),
    [
        (0, TARGETS["tries at once"].replace("return x(d)", "return x(1)")),
        (0, TARGETS["tries at once"].replace("raise\n", "x()\n")),
        (1, "\n" + TARGETS["tries at once"]),
        (2, TARGETS["tries at once"].replace("        self.done()", "        pass")),
    ],
)
def test_listing_tells_codes_apart(part, other):
    """The comparison sees an argument, an operation, a position and a handler that differ."""
    own, other = (listing(compile_target(item)) for item in (TARGETS["tries at once"], other))

    assert own[part] != other[part]


# Where the package is wrong, with nothing inserted


def test_package_misjudges_the_depth_of_handlers():
    """The reason why `with_the_package` keeps the depths; drop that once this fails."""
    code = compile_target(
        """
        def target(self, d=None):
            while True:
                try:
                    return
                except:
                    pass
        """
    )
    own, again = (
        [entry.depth for entry in dis._parse_exception_table(item)]
        for item in (code, bytecode.Bytecode.from_code(code).to_code())
    )

    assert [1] == own
    assert own != again


@pytest.mark.skipif(sys.version_info < (3, 14), reason="t-strings came with Python 3.14")
def test_package_cannot_read_t_strings():
    """The reason why no t-string is among the targets; add one once this fails."""
    code = compile_target('def target(self, d=None): return t"{d!r:>5}"\n')

    with pytest.raises(ValueError, match="is not a valid FormatValue"):
        bytecode.Bytecode.from_code(code)
