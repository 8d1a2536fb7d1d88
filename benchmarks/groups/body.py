"""What it costs to decorate a class, as the body of its method grows."""

from __future__ import annotations

import functools
from typing import TYPE_CHECKING

import attrs

from benchmarks.groups.definition import (
    BYTECODE,
    DECORATED,
    NAME,
    definition_sampler,
    make_class,
    source_of,
    splice_with,
)
from benchmarks.optional import optional
from benchmarks.plan import Comparison, Effort, Group
from mergeparam import mergeable

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from mergeparam._cli.sampling import Sampler

LINES = (2, 20, 200, 2000)
TRIES = 50

_BLOCK = ["x = x + 1", "y = [x, -x]", "if x > 3: x = abs(x)"]
_BLOCKS_TO_A_LOOP = 10


def long_body(lines: int, tries: int = 0) -> str:
    """Return a body of that many lines, with branches, loops and so many `try` statements."""
    handled = ["try:", "    x = -x", "except TypeError:", "    x = 0"] * tries
    block = [*_BLOCK * _BLOCKS_TO_A_LOOP, "for y in [x]: x = y"]
    return "\n".join([*[*handled, *block * lines][: lines - 1], "return x"])


def body_name(lines: int, tries: int = 0) -> str:
    """Return what the tables call such a body."""
    return f"{lines:,} lines, {tries} `try` among them" if tries else f"{lines:,} lines"


BODIES = {body_name(lines): long_body(lines) for lines in LINES} | {
    body_name(LINES[-1], TRIES): long_body(LINES[-1], TRIES)
}


def samplers(decorator: str, effort: Effort) -> Mapping[str, Sampler]:
    """Return samplers of one decorator for all bodies."""
    is_ours = decorator == DECORATED
    decorate = mergeable(NAME) if is_ours else splice_with(optional("bytecode"))
    classes = effort.classes if is_ours else 1
    default = "MERGED" if is_ours else "True"
    return {
        name: definition_sampler(
            functools.partial(make_class, source_of(default, body)),
            decorate,
            classes,
            attrs.define,
        )
        for name, body in BODIES.items()
    }


def comparisons() -> Iterator[Comparison]:
    """Yield a comparison of all bodies for each way to splice."""
    yield Comparison(DECORATED, functools.partial(samplers, DECORATED))
    if optional("bytecode"):
        yield Comparison(BYTECODE, functools.partial(samplers, BYTECODE))


GROUP = Group(
    "body",
    "Definition, by the length of the body",
    """\
The same, as the method's body grows. Its lines take as many bytes of instructions as those of the
standard library do on average, 18 to 20, and every 31st is a loop, as there; 50 `try` in 2,000
lines is the standard library's average too. mergeparam copies the body without decoding it: what
grows is the time that CPython takes to copy a code object, and to hand its instructions out.""",
    comparisons,
    reference=body_name(LINES[0]),
    most={"turns": 8, "runs": 1},
)
