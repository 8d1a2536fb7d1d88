"""`merged_signature` of an instance tells the truth."""

import inspect

import pytest
from by_hand import INJECTIONS, decorated, run
from hypothesis import given
from hypothesis import strategies as st
from strategies import cases, values

from mergeparam import MergeError, merged_signature, provide, route, unset_params

VALUE = object()


@st.composite
def instances(draw):
    """Return a case, an instance of it, and a scope that provides values or `unset` objects."""
    case = draw(cases(is_plain=True))
    cls = decorated(case, **draw(st.sampled_from(INJECTIONS)))
    names = draw(st.lists(st.sampled_from([*case.merged]), unique=True))
    provided = {name: draw(values(case.merged[name].unset)) for name in names}
    return case, cls(case.attributes), provide(other=1, **provided)


def is_set(case, instance, name):
    """Whether the constructor has set a parameter; `None` where a condition says it is unused."""
    param = case.merged[name]
    if param.when is not None and not param.when(instance):
        return None
    return case.attributes[param.attribute] is not param.attribute_unset


def required(case, signature):
    """Return the merged parameters that callers must give."""
    return [
        item
        for name, item in signature.parameters.items()
        if name in case.merged and item.default is item.empty
    ]


def plain_parameters(signature):
    """Return the parameters that hold one argument each."""
    variadic = (inspect.Parameter.VAR_POSITIONAL, inspect.Parameter.VAR_KEYWORD)
    return [item for item in signature.parameters.values() if item.kind not in variadic]


@given(drawn=instances(), data=st.data())
def test_calls(drawn, data):
    """All that is required, with any part of the rest, is accepted; less is a `MergeError`.

    What is set already and cannot be left out is given its `unset` object.
    """
    case, instance, scope = drawn
    with scope:
        signature = merged_signature(instance)
        args, kwargs, has_skipped = [], {}, False
        for item in plain_parameters(signature):
            name, by_name = item.name, item.kind is item.KEYWORD_ONLY
            value = VALUE
            if name in case.merged and is_set(case, instance, name):
                strict = case.merged[name].on_conflict.startswith("raise")
                value = case.merged[name].unset if strict else VALUE
            wanted = item.default is item.empty or data.draw(st.booleans())
            if wanted and by_name:
                kwargs[name] = value
            elif wanted and not has_skipped:
                args.append(value)
            else:
                has_skipped = has_skipped or not by_name
        signature.bind(*args, **kwargs)
        run(instance(*args, **kwargs))
        needed = required(case, signature)
        by_name = {item.name: VALUE for item in needed if item.kind is not item.POSITIONAL_ONLY}
        for item in needed:
            with pytest.raises(MergeError):
                run(instance(**{name: by_name[name] for name in by_name.keys() - {item.name}}))


@given(drawn=instances(), data=st.data())
def test_agreement(drawn, data):
    """What is unset is required and routed; what is provided is not needed."""
    case, instance, scope = drawn
    flags = dict.fromkeys(case.merged, VALUE)
    before, routed = set(unset_params(instance)), route(instance, **flags)
    name = data.draw(st.sampled_from([*case.merged]))
    unset = case.merged[name].unset

    with provide(**{name: VALUE}):
        assert before - {name} == set(unset_params(instance))
    with provide(**{name: unset}):
        is_open = is_set(case, instance, name) is False
        may_stay = case.merged[name].default is unset
        needed = before | {name} if is_open and not may_stay else before
        assert needed == set(unset_params(instance))
    assert before == set(unset_params(instance))
    with scope:
        needed = {item.name for item in required(case, merged_signature(instance))}
        unset_now = set(unset_params(instance))
        assert unset_now <= needed & routed.keys()
        assert routed == route(instance, **flags)
