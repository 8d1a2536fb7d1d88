"""The decorated class does what the same class merged by hand does, inside scopes or not."""

import contextlib
import inspect

from by_hand import every_way, merged_by_hand, outcome
from hypothesis import assume, given
from hypothesis import strategies as st
from strategies import NAMES, cases, values

from mergeparam import MERGED, MissingParamError, Param, mergeable, provide

KINDS = (inspect.isgeneratorfunction, inspect.iscoroutinefunction, inspect.isasyncgenfunction)


@given(case=cases())
def test_same_method(case):
    """Every kind of merge has the signature, the kind and the outcome of the one by hand."""
    hand = merged_by_hand(case)
    expected = outcome(hand, case)

    for cls in every_way(case):
        assert expected == outcome(cls, case)
        assert inspect.signature(hand.__call__) == inspect.signature(cls.__call__)
        assert [kind(hand.__call__) for kind in KINDS] == [kind(cls.__call__) for kind in KINDS]


@st.composite
def scopes(draw, case):
    """Return what scopes in each other provide, from the outermost on."""
    names = st.lists(st.sampled_from([*case.merged, "other"]), max_size=3, unique=True)
    return [
        {
            name: draw(values(case.merged[name].unset if name in case.merged else 0))
            for name in scope
        }
        for scope in draw(st.lists(names, max_size=3))
    ]


@given(case=cases(), data=st.data())
def test_inside_scopes(case, data):
    """What is provided is taken where the table says so, and nowhere else."""
    drawn = data.draw(scopes(case))
    provided = {name: value for scope in drawn for name, value in scope.items()}
    expected = outcome(merged_by_hand(case, provided), case)

    for cls in every_way(case):
        with contextlib.ExitStack() as stack:
            for scope in drawn:
                stack.enter_context(provide(**scope))
            assert expected == outcome(cls, case)


def ambient():
    """Return all that is provided, by the names that a case may have."""
    found = {}
    for name in NAMES:
        with contextlib.suppress(MissingParamError):
            found[name] = READERS[name]()
    return found


def reader(name):
    """Return an object that returns what is provided under a name."""
    absent = type("Absent", (), {})
    call = eval(f"lambda self, {name}=absent: {name}", {"absent": absent})
    return mergeable(Param(name, unset=absent))(
        type("Reader", (), {name: absent, "__call__": call})
    )()


READERS = {name: reader(name) for name in NAMES}


@given(case=cases(words=("return",), is_plain=True))
def test_what_the_body_sees(case):
    """Inside the body every merged value is provided, and nothing else; behind it nothing is."""
    names = {"MERGED": MERGED, "ambient": ambient}
    source = case.source(lambda _: "MERGED", [])
    exec(source.replace("read = lambda: (", "read = lambda: (ambient(), "), names)
    found = outcome(mergeable(*case.merged.values(), provide=True)(names["Layer"]), case)
    assume(not isinstance(found[0], type))
    seen = dict(zip([name for name, _ in case.parameters], found[0], strict=False))

    assert {name: seen[name] for name in case.merged} == found[1][0]
    assert {} == ambient()
