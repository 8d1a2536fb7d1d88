"""What a measurement is made of: groups of comparisons, and how long to measure."""

from __future__ import annotations

import contextvars
import functools
import importlib
from typing import TYPE_CHECKING, Any, NamedTuple

import attrs

from mergeparam._bench.sampling import Samplers, call_sampler

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

SEPARATOR = "/"

# What could not be imported in this process, and why.
left_out: dict[str, str] = {}


class Effort(NamedTuple):
    """How long to measure: in how many processes, and what each of them does."""

    processes: int
    runs: int
    turns: int
    slow_turns: int  # how many turns there are, in a single run, where one takes long
    seconds: float  # how long one turn of calls takes


THOROUGH, FAST = Effort(2, 6, 11, 5, 1e-3), Effort(2, 2, 5, 3, 2e-4)


@attrs.frozen
class Comparison:
    """Ways to do the same, which take turns."""

    name: str
    make: Callable[[Effort], Samplers]
    """Makes new samplers for a run, one for each way."""

    unit: str = "second"
    is_slow: bool = False


@attrs.frozen
class Group:
    """One question, and the comparisons that answer it; `report.md` has its words."""

    name: str
    comparisons: Callable[[], Iterable[Comparison]]
    """Imports what is compared, so that only the process that measures needs it."""

    base: str | None = None  # the way from which on the others' overhead is counted
    reference: str | None = None  # the way to which the others' ratios are given


def timed(
    name: str,
    make: Callable[[], Mapping[str, object]],
    call: str | Mapping[str, str] = "layer(x)",
    prepare: Callable[[], object] = lambda: None,
    **names: object,
) -> Comparison:
    """Compare calls of a layer for each way, which `make` makes anew for each run.

    They run in a context of their own, in which `prepare` may open scopes.
    """

    def samplers(effort: Effort) -> Samplers:
        found, context = {}, contextvars.copy_context()
        context.run(prepare)
        for way, layer in make().items():
            known = {"x": 1.0, **names, "layer": layer}
            text = call if isinstance(call, str) else call[way]
            sampler = context.run(call_sampler, text, known, effort.seconds)
            found[way] = sampler._replace(take=functools.partial(context.run, sampler.take))
        return found

    return Comparison(name, samplers)


def optional(name: str) -> Any:
    """Return a module, or `None` where it is not installed or does not run on this Python."""
    try:
        return importlib.import_module(name)
    except Exception as error:  # noqa: BLE001 - whatever an import that fails raises
        reason = f"{type(error).__name__}: {error}"
        left_out[name.partition(".")[0]] = " ".join(reason.split())
        return None
