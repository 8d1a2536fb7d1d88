"""The class of a case, decorated and merged by hand, and what its call comes to."""

import asyncio
import inspect

import attrs

from mergeparam import MERGED, ConflictingParamError, MissingParamError, mergeable
from mergeparam._inject.splice import can_splice

INJECTIONS = [{"inject": "wrap"}] + [{"inject": "inline"}] * can_splice()


def value_for(self, declared):
    """Return a declared value, which a factory may make."""
    if isinstance(declared, attrs.Factory):
        return declared.factory(*[self] * declared.takes_self)
    return declared


def by_hand(self, param, call, provided, forwarded=()):
    """Merge one parameter as the table of the documentation says, in the plainest way."""
    if param.when is not None and not param.when(self):
        return value_for(self, param.otherwise)
    attribute = getattr(self, param.attribute)
    call_is_set, attribute_is_set = call is not param.unset, attribute is not param.attribute_unset
    if not call_is_set and not attribute_is_set:
        if param.name in provided:
            found = provided[param.name]
        elif param.default is attrs.NOTHING:
            found = param.unset
        else:
            found = value_for(self, param.default)
        if found is param.unset and param.default is not param.unset:
            raise MissingParamError(param.name, param=param.name)
        return found
    if not call_is_set or not attribute_is_set:
        return call if call_is_set else attribute
    if param.on_conflict == "raise_if_different" and call == attribute:
        return call
    if param.name in forwarded and call is attribute:
        return call
    if param.on_conflict.startswith("raise"):
        raise ConflictingParamError(param.name, param=param.name)
    return call if param.on_conflict == "use_call" else attribute


def unset_objects(case):
    """Return the object that means "not set" to callers, by the name of a global."""
    return {f"unset_{name}": param.unset for name, param in case.merged.items()} | {
        f"again_{name}": param.unset for name, param in case.again.items()
    }


def merged_by_hand(case, provided=None):
    """Return the class with one line of hand-written merge for each parameter."""
    order = [name for name, _ in case.parameters if name in case.merged]
    # The decorator on top is applied last, and its merge comes first.
    order.sort(key=lambda name: name in case.below)
    line = "{0} = by_hand(self, {1}[{0!r}], {0}, provided, {2})"
    merge = [line.format(name, "merged", "again") for name in order]
    again = [line.format(name, "again", "()") for name, _ in case.parameters if name in case.again]
    names = case.namespace | unset_objects(case)
    names |= {"by_hand": by_hand, "merged": case.merged, "again": case.again}
    names |= {"provided": provided or {}}
    exec(case.source(lambda name: f"unset_{name}", merge), names)
    if not case.again:
        return names["Layer"]
    exec(
        case.subclass(lambda name: f"{'again' * (name in case.again) or 'unset'}_{name}", again),
        names,
    )
    return names["Child"]


def decorated(case, **options):
    """Return the class with `@mergeable` on top."""
    names = case.namespace | unset_objects(case) | {"MERGED": MERGED}
    exec(case.source(lambda _: "MERGED", []), names)
    above = [param for name, param in case.merged.items() if name not in case.below]
    below = [case.merged[name] for name in case.below]
    if below:
        names["Layer"] = mergeable(*above, **options)(mergeable(*below, **options)(names["Layer"]))
    else:
        names["Layer"] = mergeable(*above, **options)(names["Layer"])
    if not case.again:
        return names["Layer"]
    exec(
        case.subclass(lambda name: "MERGED" if name in case.again else f"unset_{name}", []), names
    )
    # A subclass that provides its values would provide them to the base.
    inject = {name: value for name, value in options.items() if name != "provide"}
    return mergeable(*case.again.values(), **inject)(names["Child"])


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
