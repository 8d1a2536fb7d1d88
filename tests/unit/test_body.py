"""`MergeWarning`: found where it is, and nowhere else."""

import enum
import sys
import warnings

import attrs
import pytest
from packages import written_for_cpython

from mergeparam import MERGED, UNSET, MergeWarning, Param, mergeable


def warned(body, *params, head="self, x=None, *, flag=None", init=""):
    """Return the warnings for a method with that body, its first line being number 2."""
    lines = body.replace("\n", "\n        ")
    source = f"class C:\n    def __call__({head}):\n        {lines}\n    {init}"
    namespace = {"MERGED": MERGED}
    exec(compile(source, "user.py", "exec"), namespace)
    namespace["C"].flag = namespace["C"].inner = None
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        mergeable(*params or ["flag"])(namespace["C"])
    assert all((MergeWarning, "user.py") == (item.category, item.filename) for item in caught)
    return caught


NOT_PYPY = pytest.mark.skipif(
    sys.implementation.name == "pypy", reason="there dis gives cells of comprehensions wrong names"
)
INNER = Param("flag", attribute="inner.flag")
OVERRULED = Param("flag", on_conflict="use_call")
LONG = "\n".join([f"x.n{index} = x.flag" for index in range(400)])


@pytest.mark.parametrize(
    ("body", "params", "lines"),
    [
        ("y = x if self.flag else 1\nreturn (\n    y,\n    self.flag,\n)", [], [3, 6]),
        ("self.flag = 1\nself.flag += x", [], [4]),
        ("def inner():\n    return self.flag\nreturn inner", [], [4]),
        pytest.param("return [self.flag for _ in x]", [], [3], marks=NOT_PYPY),
        ("for y in x: self.flag", [], [3]),
        ("y = x; self.flag", [], [3]),
        ("return self.flag(x)", [], [3]),
        (f"{LONG}\nif self.flag: pass\nreturn self.flag(x)", [], [403, 404]),
        ("self.inner.other()\nreturn self.inner.flag", [INNER], [4]),
        ("return self.flag", [INNER], []),
        ("return flag", [], []),
        ("self.flag = flag", [], []),
        ("return x.flag, [y.flag for y in x], self.other.flag, self.flagged", [], []),
        ("del self.flag", [], []),
        ("self = x; y = 1; return flag", [], []),
        ("return (lambda self: self.flag)(x)", [], []),
        ("return min(flag, self.flag)", [], [3]),
        ("return min(flag, self.flag)", [Param("flag", on_conflict="use_attribute")], [3]),
        ("return min(flag, self.flag)", [OVERRULED], []),
        ("return lambda: min(flag, self.flag)", [OVERRULED], []),
        ("flag = x; return self.flag", [OVERRULED], [3]),
    ],
)
def test_raw_reads(body, params, lines):
    """Every line that reads the raw attribute is named; writing it is no mistake."""
    assert lines == sorted({item.lineno for item in warned(body, *params)})


@pytest.mark.parametrize("number", [0, 14, 15, 16, 17, 255, 256, 300])
def test_many_parameters_and_names(number):
    """Operands that pairs of locals share, and that take more than a byte."""
    names = "".join(f", p{index}" for index in range(number))
    body = "".join(f"self.n{index} = 0\n" for index in range(number))
    (caught,) = warned(f"{body}return flag, self.flag", head=f"self{names}, *, flag=None")

    assert number + 3 == caught.lineno


@pytest.mark.parametrize(
    ("body", "message"),
    [
        (
            "return self.flag",
            (
                "C.__call__() merges 'flag', and line 3 reads the raw self.flag, which is unset "
                "whenever the call gave the value. Read 'flag' there: in the body it is the "
                "merged value."
            ),
        ),
        *[
            (
                f"flag = {name}('flag', self.flag, flag)",
                (
                    f"C.__call__() merges 'flag', and line 3 merges it once more, by {name}(...). "
                    f"Delete that line: in the body 'flag' is the merged value."
                ),
            )
            for name in ("merge_param", "first_from")
        ],
    ],
)
def test_messages(body, message):
    """They name class, method, parameter, attribute, line and the fix."""
    assert [message] == [str(item.message) for item in warned(body)]


HEAD = "self, *, flag=MERGED"


class Uncopied:
    """What refuses to be copied."""

    def __deepcopy__(self, memo):
        raise TypeError("on purpose")


class Kind(enum.Enum):
    MISSING = 1


@pytest.mark.parametrize("where", ["unset", "attribute_unset"])
@pytest.mark.parametrize(
    "unset", [None, ..., UNSET, attrs.NOTHING, Kind.MISSING, Kind, len, "text", 1]
)
def test_unset_object_that_stays_itself(unset, where):
    """Enum members, classes, functions and the like may mean "not set" in copies of an object."""
    assert [] == warned("return flag", Param("flag", **{where: unset}), head=HEAD)
    assert [] == warned("return flag", Param("flag", **{where: Uncopied()}), head=HEAD)


def test_unset_object_that_is_copied():
    """A copy of it counts as set in a copy of the object, so the object should not hold it."""
    unset = object()
    (caught,) = warned("return flag", Param("flag", unset=unset), head=HEAD)

    assert (2, True) == (
        caught.lineno,
        "__call__() takes self.flag to be un" in str(caught.message),
    )
    assert "Use UNSET" in str(caught.message)
    assert [] == warned("return flag", Param("flag", unset=unset, attribute_unset=None), head=HEAD)


def test_body_without_line_numbers():
    """Code whose instructions have no lines is warned about at its first line."""

    def call(self, *, flag=None):
        return self.flag

    table = b"\xff" * (len(call.__code__.co_code) // 16 + 1)
    call.__code__ = call.__code__.replace(co_linetable=table, co_firstlineno=7)
    layer = type("Layer", (), {"flag": None, "__call__": call})

    with pytest.warns(MergeWarning, match="line 7 reads"):
        mergeable("flag")(layer)


def on_cpython(*values):
    """Return a row of a table that other Pythons have other operations for."""
    return pytest.param(*values, marks=written_for_cpython)


MANY = "; ".join([f"self.n{index} = x" for index in range(300)])
STORES = "def __init__(self, x=0, flag=False): self.flag = flag"


@pytest.mark.parametrize(
    ("init", "options", "stored"),
    [
        (STORES, {}, "flag"),
        (STORES, {"on_conflict": "raise_if_different"}, "flag"),
        (STORES, {"on_conflict": "use_call"}, None),
        (STORES, {"on_conflict": "use_attribute"}, None),
        (STORES, {"unset": False}, None),
        (STORES.replace("False", "None"), {}, None),
        (STORES.replace("False", "None"), {"unset": UNSET}, "flag"),
        (STORES.replace("False", "MERGED"), {"on_conflict": "use_call"}, "flag"),
        ("def __init__(self, flag, x=0): self.flag = flag", {}, None),
        (STORES.replace("self.flag", "self._flag"), {}, None),
        (STORES.replace("self.flag", "self._flag"), {"attribute": "_flag"}, "flag"),
        (STORES.replace("= flag", "= x"), {}, "x"),
        (STORES.replace("= flag", "= not flag"), {}, None),
        (STORES.replace("= flag", "= 1"), {}, None),
        (STORES.replace("self.flag", "x.flag"), {}, None),
        (STORES.replace("self.flag", "self.x = x; self.flag"), {}, "flag"),
        (STORES.replace("self.flag", "flag = flag or None; self.flag"), {}, None),
        (STORES.replace("self.flag", "\n        if flag: self.flag"), {}, None),
        (STORES.replace("self.flag", f"{MANY}; self.flag"), {}, "flag"),
        on_cpython(STORES.replace("self.flag", "self.x, self.flag = x, flag; self.y"), {}, "flag"),
        on_cpython(
            STORES.replace("self.flag", "x.y, self.z, self.flag = x, 1, flag; self.y"), {}, "flag"
        ),
        on_cpython(STORES.replace("self.flag", "self.flag = self.y"), {}, "flag"),
        (STORES.replace("self.flag", "\n        if x: raise x\n        self.flag"), {}, "flag"),
        (STORES.replace("self.flag", "\n        for x in (): self.flag"), {}, None),
        (STORES.replace("= flag", "= flag; self.flag = None"), {}, None),
        (STORES.replace("= flag", "= flag if x else None"), {}, None),
        ("def __init__(*args): args[0].flag = args", {}, None),
        ("__init__ = dict.__init__", {}, None),
    ],
)
def test_stored_defaults(init, options, stored):
    """A default that `__init__` stores as it is, and that counts as set, is worth a warning."""
    caught = warned("pass", Param("flag", **options), head="self, *, flag=MERGED", init=init)

    assert [stored] * (stored is not None) == [str(item.message).split("'")[1] for item in caught]
    for item in caught:
        assert 4 == item.lineno
        assert str(item.message).startswith("C.__init__() stores its parameter")
