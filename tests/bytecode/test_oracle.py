"""The splicer and the PyPI package `bytecode`, which decodes everything, agree.

The package gets the merge as the compiler makes it from the source that a wrapper begins with; the
splicer has to get there from the source that methods of the same signature share.
"""

import dis
import sys
import textwrap

import bytecode
import pytest
import sweep
from sweep import MergeForm

from mergeparam import UNSET, Param
from mergeparam._declare.signature import read_parameters
from mergeparam._spec import POLICIES, PrivateNames

# Beside the shapes that the standard library is full of, which the sweep splices into; no
# t-string is among them, because the package cannot read one.
SHORT = """
def simple(self, x, *, d=None): return x if d else self.rate
def empty(self, d): pass
def docstring_only(self, d): "Return nothing."
@(lambda f:
    f)
def decorated_over_several_lines(
    self, x,
    d=None,
):
    return (x,
        d)
def parameter_in_a_cell(self, x, d=None): return lambda: d
def rebinds_its_cells(self, x, d=None):
    def inner():
        nonlocal d, self
        d = self = x
    inner()
    del x
    return d
def outer(y, z):
    def free_variables_and_cells(self, x, d=None):
        nonlocal y
        y = d
        return lambda: (self, d, z)
    def generator_with_both(self, x, d=None): yield lambda: (self, d, y)
class C:
    def implicit_class(self, x, d=None): return super().target(x, d=d), __class__
def generator_that_tries_at_once(self, x, d=None):
    try: yield d
    except GeneratorExit: self.close()
async def coroutine(self, x, d=None):
    async with x as y: return await y(d)
async def asynchronous_generator(self, x, d=None):
    async for y in x: yield y, d
    yield [z async for z in self]
def try_in_try(self, x, d=None):
    try:
        try: x()
        except* ValueError as group: d = group
    except OSError: return 1
    else: return 2
def loop_and_try_at_once(self, x, d=None):
    while True:
        try: return x(d)
        except ValueError: pass
def variadic(self, *args, d=None, **kwargs): return lambda: (args, d, kwargs)
def every_kind(self, x, /, y, *args, d=None, z=1, **kwargs): return args, d, kwargs, x, y, z
def uses_the_names_of_the_merge(self, x, d=None):
    self.e = self.d = self.inner.d = self.d(self.e)
    return self._mergeparam_missing_d(None, "identity", True), self._mergeparam_conflict_d
"""
NEEDS_312 = """
def annotations_and_defaults_inside(self, x, d=None):
    class Inner[T](x):
        y: d = self
    def inner(a: x, /, b: d = d) -> self: ...
    return Inner, inner
"""
MANY = [f"p{i}" for i in range(300)]
EVERY = ", ".join(["self", *MANY, "d"])
LONG = f"""
def over_255_names_and_constants_in_a_generator(self, x, d=None):
    while True:
        try: {"; ".join(f"yield x.n{i}({i}.5, d)" for i in range(260))}
        except ValueError: pass
"""
TARGETS = "".join(
    [
        SHORT,
        LONG,
        NEEDS_312 if sys.version_info >= (3, 12) else "",
        f"def over_255_parameters({EVERY}): return p0, p270, d\n",
        f"def over_255_cells({EVERY}): return lambda: ({EVERY})\n",
    ]
)

LONG_PATH = ".".join(f"part{i}" for i in range(140))
GLOBAL = PrivateNames("", {"_mergeparam_unset_d": "_mergeparam_UNSET"})
PARAMS = {
    **{policy: Param("d", on_conflict=policy) for policy in POLICIES},
    **{f"{policy}, UNSET": Param("d", unset=UNSET, on_conflict=policy) for policy in POLICIES},
    "other literals": Param("d", unset=False, default=1),
    "ellipsis": Param("d", unset=...),
    **{
        f"{policy}, condition": Param(
            "d", on_conflict=policy, attribute_unset=UNSET, when=callable, otherwise=otherwise
        )
        for policy, otherwise in zip(POLICIES, (None, True, 1, UNSET), strict=True)
    },
    "default": Param("d", default=1),
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
    **{
        f"{key}, through {'the class' if through_class else 'the object'}, in its own module": (
            MergeForm("self", (PARAMS[key],), PrivateNames("_4", {}, True, through_class))
        )
        for key in ("raise", "default", "use_call, condition")
        for through_class in (False, True)
    },
    "names that a base has taken": MergeForm("self", (PARAMS["raise"],), PrivateNames("_2", {})),
    "own object, names taken": MergeForm(
        "self", (PARAMS["raise, UNSET"],), PrivateNames("_3", {})
    ),
    "behind a wrapper": MergeForm("self", (PARAMS["raise"],), may_receive_merged=("d",)),
    "beside an unnamed one": MergeForm("self", (PARAMS["raise"],), unnamed=("self",)),
}


def functions_of(source):
    """Return the code of every function in a source text that has a parameter `d`, by name."""
    module = compile(textwrap.dedent(source), "<target>", "exec", dont_inherit=True)
    return {
        code.co_name: code
        for code in sweep.functions_in(module)
        if {"d", "p0"} & {*read_parameters(code).named}
    }


def one_function(source):
    """Return the code of the only function in a source text."""
    return functions_of(source).popitem()[1]


CODES = functions_of(TARGETS)


def with_the_package(code, template):
    """Insert the merge of a handwritten template symbolically, with labels for jumps.

    The package is told the stack's depth in exception handlers, which the merge does not change.
    By itself it gives a bare `except` around a `return` in a loop another depth.
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
    instructions = [(item.opname, *sweep.argument(item, indices)) for item in items]
    handlers = [
        (*(indices[offset] for offset in entry[:3]), *entry[3:]) for entry in sweep.handlers(code)
    ]
    positions = [sweep.without_width(*item.positions) for item in items]
    return instructions, positions, handlers


def assert_agreement(code, merge):
    """Compare the two results, part by part."""
    by_hand = sweep.compile_by_hand(code, merge.source())
    expected = listing(with_the_package(code, by_hand))
    actual = listing(merge.splice_into(code)[0])

    for expected_part, actual_part in zip(expected, actual, strict=True):
        assert expected_part == actual_part


@pytest.mark.parametrize("merge", MERGES)
@pytest.mark.parametrize("target", CODES)
def test_agreement(target, merge):
    """Every kind of merge in every kind of function."""
    assert_agreement(CODES[target], MERGES[merge])


def test_agreement_on_two_extended_args():
    """Constants that take two `EXTENDED_ARG` each; once, since the package needs a second."""
    constants = ", ".join(f"{i}.5" for i in range(66000))
    code = one_function(f"def target(self, x, d=None): x({constants})")
    assert_agreement(code, MERGES["raise"])


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

    assert_agreement(one_function(source), MergeForm(receiver, params))


TRIES = """
def target(self, x, d=None):
    try: return x(d)
    except (ValueError, TypeError) as error: raise
    finally: self.done()
"""


@pytest.mark.parametrize(
    ("part", "old", "new"),
    [(0, "x(d)", "x(1)"), (0, "raise", "x()"), (1, "def", "\ndef"), (2, "self.done()", "pass")],
)
def test_listing_tells_codes_apart(part, old, new):
    """The comparison sees an argument, an operation, a position and a handler that differ."""
    own, other = (listing(one_function(text)) for text in (TRIES, TRIES.replace(old, new)))

    assert own[part] != other[part]
