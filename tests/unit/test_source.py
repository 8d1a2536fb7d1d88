"""The merge as source text (golden), and as template code."""

import pytest

from mergeparam import UNSET, Param
from mergeparam._generate import signature_source
from mergeparam._parameters import read_parameters
from mergeparam._prologue import (
    fresh_name,
    make_merges,
    merge_source,
    unset_attributes,
)

GOLDEN = {
    "raise": (
        Param("flag"),
        """\
if flag is None:
    flag = self.flag
    if flag is None:
        flag = self._mergeparam_neither(flag, 'K', 'flag')
elif self.flag is not None:
    flag = self._mergeparam_both(flag, 'K', self.flag, 'flag')
""",
    ),
    "raise_if_different": (
        Param("flag", on_conflict="raise_if_different"),
        """\
if flag is None:
    flag = self.flag
    if flag is None:
        flag = self._mergeparam_neither(flag, 'K', 'flag')
elif None is not self.flag is not flag:
    flag = self._mergeparam_both(flag, 'K', self.flag, 'flag')
""",
    ),
    "use_call": (
        Param("flag", on_conflict="use_call"),
        """\
if flag is None:
    flag = self.flag
    if flag is None:
        flag = self._mergeparam_neither(flag, 'K', 'flag')
""",
    ),
    "use_attribute": (
        Param("flag", on_conflict="use_attribute"),
        """\
match self.flag:
    case None:
        if flag is None:
            flag = self._mergeparam_neither(flag, 'K', 'flag')
    case flag:
        pass
""",
    ),
    "use_attribute with another unset": (
        Param("flag", on_conflict="use_attribute", unset=UNSET),
        """\
if self._mergeparam_unset is flag:
    flag = self.flag
    if self._mergeparam_unset is flag:
        flag = self._mergeparam_neither(flag, 'K', 'flag')
else:
    flag = self._mergeparam_both(flag, 'K', self.flag, 'flag')
""",
    ),
    "dotted, and a literal unset": (
        Param("flag", attribute="wrapped.inner", unset=...),
        """\
if flag is ...:
    flag = self.wrapped.inner
    if flag is ...:
        flag = self._mergeparam_neither(flag, 'K', 'flag')
elif self.wrapped.inner is not ...:
    flag = self._mergeparam_both(flag, 'K', self.wrapped.inner, 'flag')
""",
    ),
}


@pytest.mark.parametrize(("param", "expected"), GOLDEN.values(), ids=GOLDEN)
def test_merge_source(param, expected):
    """The merge is what a careful author would write."""
    assert expected == merge_source("K", "self", (param,))


def test_parameters_one_after_the_other():
    """Several parameters merge in the order of the signature, on any receiver."""
    source = merge_source("K", "args[0]", (Param("one"), Param("two")))

    assert source.index("one = args[0].one") < source.index("two = args[0].two")
    assert 12 == len(source.splitlines())


def test_key_is_quoted():
    """A class's name never becomes code."""
    source = merge_source("<locals>'\"\n", "self", (Param("flag"),))

    assert repr("<locals>'\"\n") in source


def test_unset_attributes():
    """Objects that are no literals are reached through the class."""
    unset = object()
    found = unset_attributes(
        "K",
        (
            Param("one"),
            Param("two", unset=UNSET),
            Param("three", unset=unset),
            Param("four", unset=False),
        ),
    )

    assert [UNSET, unset] == list(found.values())
    assert "_mergeparam_unset" in found
    assert found != unset_attributes("L", (Param("three", unset=unset),))


@pytest.mark.parametrize(
    "signature",
    [
        "self",
        "self, /",
        "self, x, /, y, *args, z, **kwargs",
        "self, *, z",
        "*args, **kwargs",
        "*args, z",
    ],
)
def test_signature_source(signature):
    """The parameters come out as they were written."""
    namespace = {}
    exec(f"def function({signature}): pass", namespace)

    assert signature == signature_source(read_parameters(namespace["function"].__code__))


def test_fresh_name():
    """A name that is taken gets underscores."""
    assert "end" == fresh_name("end", ("a",))
    assert "end__" == fresh_name("end", ("end", "end_"))


def test_merges_know_their_slots():
    """Each has the slots of the object and its parameter, and a template with their cells."""

    def target(this, x, *args, flag, mode, **kwargs):
        return lambda: (this, flag)

    flag, mode = make_merges(target.__code__, "K", "this", (Param("flag"), Param("mode")))

    assert ((0, 2), (0, 3)) == (flag.slots, mode.slots)
    assert {"receiver", "param"} == set(flag.template.co_cellvars)
    assert ("receiver",) == mode.template.co_cellvars
    assert {"key": "K", "param": "mode"} == mode.consts


def test_templates_are_compiled_once():
    """Parameters that merge in the same way share a template, whatever they are called."""

    def target(*args, flag, mode):
        pass

    params = Param("flag", attribute="inner.flag"), Param("mode", attribute="other.mode")
    flag, mode = make_merges(target.__code__, "K", "args[0]", params)
    (other,) = make_merges(target.__code__, "K", "args[0]", (Param("mode"),))

    assert flag.template is mode.template
    assert other.template is not mode.template
    assert {"step0": "other", "step1": "mode"}.items() <= mode.names.items()
