"""The decorated class does what the same class merged by hand does."""

import asyncio
import inspect

import attrs
from hypothesis import given, settings
from strategies import cases

from mergeparam import MERGED, ConflictingParamError, MissingParamError, mergeable


def by_hand(self, param, call):
    """Merge one parameter as the table of the documentation says, in the plainest way."""
    attribute = getattr(self, param.attribute)
    call_is_set, attribute_is_set = call is not param.unset, attribute is not param.unset
    if not call_is_set and not attribute_is_set:
        if param.default is attrs.NOTHING:
            raise MissingParamError(param.name, param=param.name)
        return param.default
    if not call_is_set or not attribute_is_set:
        return call if call_is_set else attribute
    if param.on_conflict == "raise_if_different" and call == attribute:
        return call
    if param.on_conflict.startswith("raise"):
        raise ConflictingParamError(param.name, param=param.name)
    return call if param.on_conflict == "use_call" else attribute


def build(case, default, merge, names):
    """Return the class of a case."""
    exec(case.source(default, merge), names)
    return names["Layer"]


def decorated(case, inject):
    """Return the class with `@mergeable` on top."""
    cls = build(case, lambda _: "MERGED", [], {"MERGED": MERGED})
    return mergeable(*case.merged.values(), inject=inject)(cls)


def merged_by_hand(case):
    """Return the class with one line of hand-written merge for each parameter."""
    order = [name for name, _ in case.parameters if name in case.merged]
    merge = [f"{name} = by_hand(self, merged[{name!r}], {name})" for name in order]
    unsets = {f"unset_{name}": param.unset for name, param in case.merged.items()}
    names = {"by_hand": by_hand, "merged": case.merged, **unsets}
    return build(case, lambda name: f"unset_{name}", merge, names)


async def collect(generator):
    """Return what an async generator yields."""
    return [item async for item in generator]


def run(result):
    """Return what a call of any kind comes to."""
    if inspect.iscoroutine(result):
        return asyncio.run(result)
    if inspect.isasyncgen(result):
        return asyncio.run(collect(result))
    return list(result) if inspect.isgenerator(result) else result


def outcome(cls, case):
    """Return the result of the case's call, or its error's type and parameter."""
    args, kwargs = case.arguments()
    try:
        values, captured = flat(run(cls(case.attributes)(*args, **kwargs)))
    except (MissingParamError, ConflictingParamError) as error:
        return type(error), error.param
    return values, [value for value in captured if not isinstance(value, type)]


def flat(result):
    """Return the pair that a body returns or yields."""
    return result[0] if isinstance(result, list) else result


@settings(max_examples=200, deadline=None)
@given(case=cases())
def test_same_outcome(case):
    """Both strategies give what the hand-written merge gives: values and errors."""
    expected = outcome(merged_by_hand(case), case)

    assert expected == outcome(decorated(case, "inline"), case)
    assert expected == outcome(decorated(case, "wrap"), case)


@settings(max_examples=100, deadline=None)
@given(case=cases())
def test_same_signature(case):
    """Both strategies show the signature that one would write by hand."""
    expected = inspect.signature(merged_by_hand(case).__call__)

    assert expected == inspect.signature(decorated(case, "inline").__call__)
    assert expected == inspect.signature(decorated(case, "wrap").__call__)


@settings(max_examples=100, deadline=None)
@given(case=cases())
def test_same_kind(case):
    """Both strategies keep the kind of the method."""
    hand = merged_by_hand(case).__call__
    for inject in ("inline", "wrap"):
        merged = decorated(case, inject).__call__

        for predicate in (
            inspect.isgeneratorfunction,
            inspect.iscoroutinefunction,
            inspect.isasyncgenfunction,
        ):
            assert predicate(hand) == predicate(merged)
