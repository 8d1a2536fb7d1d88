"""The class of a case, decorated and merged by hand, and what its call comes to."""

import asyncio
import inspect

import attrs

from mergeparam import MERGED, ConflictingParamError, MissingParamError, mergeable
from mergeparam._inject.splice import can_splice

INJECTIONS = [{"inject": "wrap"}] + [{"inject": "inline"}] * can_splice()


def by_hand(self, param, call, provided):
    """Merge one parameter as the table of the documentation says, in the plainest way."""
    attribute = getattr(self, param.attribute)
    call_is_set, attribute_is_set = call is not param.unset, attribute is not param.unset
    if not call_is_set and not attribute_is_set:
        found = provided.get(param.name, param.default)
        if found is attrs.NOTHING or (param.name in provided and found is param.unset):
            raise MissingParamError(param.name, param=param.name)
        return found
    if not call_is_set or not attribute_is_set:
        return call if call_is_set else attribute
    if param.on_conflict == "raise_if_different" and call == attribute:
        return call
    if param.on_conflict.startswith("raise"):
        raise ConflictingParamError(param.name, param=param.name)
    return call if param.on_conflict == "use_call" else attribute


def merged_by_hand(case, provided=None):
    """Return the class with one line of hand-written merge for each parameter."""
    order = [name for name, _ in case.parameters if name in case.merged]
    merge = [f"{name} = by_hand(self, merged[{name!r}], {name}, provided)" for name in order]
    names = {f"unset_{name}": param.unset for name, param in case.merged.items()}
    names |= {"by_hand": by_hand, "merged": case.merged, "provided": provided or {}}
    exec(case.source(lambda name: f"unset_{name}", merge), names)
    return names["Layer"]


def decorated(case, **options):
    """Return the class with `@mergeable` on top."""
    names = {"MERGED": MERGED}
    exec(case.source(lambda _: "MERGED", []), names)
    return mergeable(*case.merged.values(), **options)(names["Layer"])


def every_way(case):
    """Return the class decorated with every kind of merge that its method can have."""
    provides = [{"provide": True}] if case.word == "return" else []
    return [decorated(case, **options) for options in (*INJECTIONS, *provides)]


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
        result = run(cls(case.attributes)(*args, **kwargs))
    except (MissingParamError, ConflictingParamError) as error:
        return type(error), error.param
    values, captured = result[0] if isinstance(result, list) else result
    return values, [value for value in captured if not isinstance(value, type)]
