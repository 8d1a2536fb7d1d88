"""Provided values, and methods that provide, against the same written by hand."""

import inspect
from unittest import mock

from hypothesis import assume, given, settings
from hypothesis import strategies as st
from strategies import cases, values
from test_against_by_hand import build, by_hand, decorated, merged_by_hand, outcome

from mergeparam import MERGED, MissingParamError, mergeable, provide
from mergeparam._provide import _CURRENT


@st.composite
def scopes(draw, case):
    """Return what scopes in each other provide, from the outermost on."""
    names = st.sampled_from([*case.merged, "other"])
    scope = st.dictionaries(names, st.integers(0, 9), max_size=3)
    drawn = draw(st.lists(scope, max_size=3))
    return [
        {
            name: draw(values(case.merged[name].unset)) if name in case.merged else value
            for name, value in provided.items()
        }
        for provided in drawn
    ]


def inside(scopes, call, *args):
    """Call inside of all the scopes."""
    if not scopes:
        return call(*args)
    with provide(**scopes[0]):
        return inside(scopes[1:], call, *args)


def by_hand_inside(scopes):
    """Return the merge by hand, with what the table says of provided values."""
    provided = {name: value for scope in scopes for name, value in scope.items()}

    def merge(self, param, call):
        unset = param.unset
        if call is unset and getattr(self, param.attribute) is unset and param.name in provided:
            if provided[param.name] is unset:
                raise MissingParamError(param.name, param=param.name)
            return provided[param.name]
        return by_hand(self, param, call)

    return merge


@settings(max_examples=150, deadline=None)
@given(case=cases(), data=st.data())
def test_inside_scopes(case, data):
    """Both strategies take what is provided where the table says so, and nowhere else."""
    drawn = data.draw(scopes(case))
    with mock.patch("test_against_by_hand.by_hand", by_hand_inside(drawn)):
        expected = outcome(merged_by_hand(case), case)

    assert expected == inside(drawn, outcome, decorated(case, "inline"), case)
    assert expected == inside(drawn, outcome, decorated(case, "wrap"), case)
    assert expected == inside(drawn, outcome, providing(case), case)


def providing(case):
    """Return the class with `provide=True`."""
    cls = build(case, lambda _: "MERGED", [], {"MERGED": MERGED})
    return mergeable(*case.merged.values(), provide=True)(cls)


@settings(max_examples=100, deadline=None)
@given(case=cases())
def test_methods_that_provide_look_the_same(case):
    """Signature and kind are those of the method by hand."""
    hand, method = merged_by_hand(case).__call__, providing(case).__call__

    assert inspect.signature(hand) == inspect.signature(method)
    for predicate in (
        inspect.isgeneratorfunction,
        inspect.iscoroutinefunction,
        inspect.isasyncgenfunction,
    ):
        assert predicate(hand) == predicate(method)


@settings(max_examples=150, deadline=None)
@given(case=cases())
def test_what_the_body_sees(case):
    """Inside the body every merged value is provided, and nothing else; behind it nothing is."""
    names = {"MERGED": MERGED, "ambient": lambda: dict(_CURRENT.get().values)}
    source = case.source(lambda _: "MERGED", [])
    exec(source.replace("read = lambda: (", "read = lambda: (ambient(), "), names)
    found = outcome(mergeable(*case.merged.values(), provide=True)(names["Layer"]), case)
    assume(not isinstance(found[0], type))
    order = [name for name, _ in case.parameters]
    merged = dict(zip(order, found[0], strict=False))

    assert {name: merged[name] for name in case.merged} == found[1][0]
    assert {} == names["ambient"]()
