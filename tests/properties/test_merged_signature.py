"""`merged_signature` of an instance tells the truth."""

import inspect

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from strategies import cases, values
from test_against_by_hand import decorated, run

from mergeparam import MergeError, merged_signature, provide, route, unset_params

VALUE = object()


def call_with(instance, signature, names, unset):
    """Call the instance with those names, by position where it can be.

    What is set already and cannot be left out is given its `unset` object.
    """
    args, kwargs = [], {}
    for name, parameter in signature.parameters.items():
        value = unset.get(name, VALUE)
        if name in names and parameter.kind is parameter.KEYWORD_ONLY:
            kwargs[name] = value
        elif name in names:
            args.append(value)
    signature.bind(*args, **kwargs)
    return run(instance(*args, **kwargs))


def plain_parameters(signature):
    """Return the parameters that hold one argument each."""
    variadic = (inspect.Parameter.VAR_POSITIONAL, inspect.Parameter.VAR_KEYWORD)
    return [item for item in signature.parameters.values() if item.kind not in variadic]


@st.composite
def providing(draw, case):
    """Return a scope that provides values, or `unset` objects, to parameters of a case."""
    names = draw(st.lists(st.sampled_from([*case.merged]), unique=True))
    return provide(other=1, **{name: draw(values(case.merged[name].unset)) for name in names})


def is_required(parameter):
    """Whether callers must give it."""
    return parameter.default is parameter.empty


@settings(max_examples=100, deadline=None)
@given(case=cases(), data=st.data())
def test_what_it_accepts_never_raises(case, data):
    """A call with all that is required, and any part of the rest, is merged."""
    instance = decorated(case, data.draw(st.sampled_from(("inline", "wrap"))))(case.attributes)
    unset = {
        name: param.unset
        for name, param in case.merged.items()
        if param.on_conflict.startswith("raise")
        and case.attributes[param.attribute] is not param.unset
    }
    with data.draw(providing(case)):
        signature = merged_signature(instance)
        call_with(instance, signature, chosen_names(signature, data), unset)


def chosen_names(signature, data):
    """Return all that is required, and some of the rest."""
    chosen, skipped_positional = set(), False
    for parameter in plain_parameters(signature):
        by_position = parameter.kind is not parameter.KEYWORD_ONLY
        wanted = is_required(parameter) or data.draw(st.booleans())
        if wanted and not (by_position and skipped_positional):
            chosen.add(parameter.name)
        else:
            skipped_positional = skipped_positional or by_position
    return chosen


@settings(max_examples=60, deadline=None)
@given(case=cases(), data=st.data())
def test_leaving_out_what_it_requires_raises(case, data):
    """Without one of the required parameters the call is a `MergeError`."""
    instance = decorated(case, data.draw(st.sampled_from(("inline", "wrap"))))(case.attributes)
    with data.draw(providing(case)):
        signature = merged_signature(instance)
        needed = [
            item.name
            for item in plain_parameters(signature)
            if item.name in case.merged and is_required(item)
        ]
        assume(needed)
        left_out = data.draw(st.sampled_from(needed))

        kwargs = {}
        for name in needed:
            kind = signature.parameters[name].kind
            if name != left_out and kind is not inspect.Parameter.POSITIONAL_ONLY:
                kwargs[name] = VALUE
        with pytest.raises(MergeError):
            run(instance(**kwargs))


@settings(max_examples=100, deadline=None)
@given(case=cases(), data=st.data())
def test_agreement(case, data):
    """What is unset is what the signature requires, and `route` passes all of it."""
    instance = decorated(case, "auto")(case.attributes)
    before = route(instance, **dict.fromkeys(case.merged, VALUE))
    with data.draw(providing(case)):
        required = {
            item.name
            for item in plain_parameters(merged_signature(instance))
            if item.name in case.merged and is_required(item)
        }
        unset = set(unset_params(instance))

        assert unset <= required
        assert unset <= before.keys()
        assert before == route(instance, **dict.fromkeys(case.merged, VALUE))


@settings(max_examples=100, deadline=None)
@given(case=cases(), data=st.data())
def test_what_is_provided_is_not_needed(case, data):
    """A provided value takes a name off those that are needed; an `unset` object adds it."""
    instance = decorated(case, "auto")(case.attributes)
    name = data.draw(st.sampled_from([*case.merged]))
    param = case.merged[name]
    is_set = case.attributes[param.attribute] is not param.unset
    before = set(unset_params(instance))

    with provide(**{name: VALUE}):
        assert before - {name} == set(unset_params(instance))
    with provide(**{name: param.unset}):
        assert before | ({name} if not is_set else set()) == set(unset_params(instance))
    assert before == set(unset_params(instance))
