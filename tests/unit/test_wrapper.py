"""The wrapper, where a method has the names that generated code would like to have."""

import asyncio

import pytest

from mergeparam import MERGED, mergeable

NAMES = "steps, value, sent, error, steps_, outer, wrapper, flag"


@pytest.mark.parametrize(
    ("kind", "expected"),
    [("def", "return"), ("def", "yield"), ("async def", "return"), ("async def", "yield")],
)
def test_taken_names(kind, expected):
    """The body sees what was given, whatever its parameters are called."""
    namespace = {"MERGED": MERGED}
    exec(
        f"def outer_most(error, free):\n"
        f"    class Layer:\n"
        f"        flag = 7\n"
        f"        {kind} __call__(self, {NAMES}=MERGED):\n"
        f"            {expected} [{NAMES}, free]\n"
        f"    return Layer\n",
        namespace,
    )
    layer = mergeable("flag", inject="wrap")(namespace["outer_most"](0, "free"))
    result = layer()(*range(7))
    if kind == "def":
        found = result if expected == "return" else next(result)
    else:
        found = asyncio.run(result if expected == "return" else anext(result))

    assert [*range(8), "free"] == found
