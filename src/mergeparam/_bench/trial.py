"""A call of a method that is tried out, and then measured, in every way to merge."""

from __future__ import annotations

import inspect
import sys
import types
from typing import TYPE_CHECKING, Any

import attrs

from mergeparam._bench import Refusal, method, refusing
from mergeparam._bench.sampling import call_sampler, sample
from mergeparam.errors import shorten

if TYPE_CHECKING:
    from collections.abc import Iterable

    from mergeparam._bench.calls import Call
    from mergeparam._bench.method import Subject
    from mergeparam._bench.sampling import Benchmarks, Sampler

_SEEN = "_mergeparam_bench_seen"
_SUSPENDED = inspect.CO_GENERATOR | inspect.CO_COROUTINE | inspect.CO_ASYNC_GENERATOR


@attrs.frozen
class Trial:
    """A call of a method, and what came out when it was tried."""

    subject: Subject
    call: Call
    values: dict[str, object]  # what the call merges
    executions: int  # how often one call runs the method
    lost_wrappers: int  # how many wrappers are not there when the method is measured

    @property
    def title(self) -> str:
        """What is measured, in a line."""
        names = ", ".join(param.name for param in self.subject.params)
        return f"{self.subject.label}, {names} {self.call.given}"

    def measure(self, seconds: float, runs: Iterable[object], turns: int) -> Benchmarks:
        """Measure the call in every way, with classes and objects made anew for each run."""
        with refusing(f"after some calls the call {self.call.expression!r} raises"):
            return sample(lambda: self.samplers(seconds), runs=runs, turns=turns)

    def samplers(self, seconds: float) -> dict[str, Sampler]:
        """Return a sampler for each way to merge."""
        return {
            way: call_sampler(
                self.call.expression, _prepare(self.subject, self.call, variant), seconds
            )
            for way, variant in make_ways(self.subject, self.values).items()
        }


def try_out(subject: Subject, call: Call) -> Trial:
    """Run a call in every way, to see what it merges and that it can be compared."""
    seen = list[dict[str, object]]()
    pairs = ", ".join(f"{param.name!r}: {param.name}" for param in subject.params)
    telling = method.inline(subject, f"{_SEEN}({{{pairs}}})\n", **{_SEEN: seen.append})
    watched = _subclass(subject, telling)
    names = _prepare(subject, call, watched)
    _run(call, names)
    # The second call counts, as what the first one compiles or caches may take the method's place.
    seen.clear()
    _run(call, names)
    if not seen:
        cls = subject.cls
        msg = f"the call {call.expression!r} does not run {subject.label}"
        if subject.function.__code__.co_flags & _SUSPENDED:
            msg += ", whose body begins only where it is awaited or iterated"
        elif cls.__name__ not in f"{call.setup} {call.expression}":
            msg += f"; make the object with {cls.__name__}(...) in --setup or --call"
        raise Refusal(msg)
    values = seen[0]
    for name, value in ((name, other[name]) for other in seen for name in values):
        if value is not values[name]:
            both = f"{shorten(values[name])} and with {shorten(value)}"
            msg = f"the call runs {subject.label} with {name!r} {both}; compare one"
            raise Refusal(msg)
    for way, variant in make_ways(subject, values).items():
        _run(call, _prepare(subject, call, variant), f"{way}: ")
    around = method.read_subject(watched, subject.name).chain
    lost = 0 if subject.is_wrapped_by_us else len(subject.chain) - len(around)
    return Trial(subject, call, values, len(seen), lost)


def _prepare(subject: Subject, call: Call, variant: type) -> dict[str, Any]:
    """Run the setup with the variant under the name of the class; return all names."""
    cls = subject.cls
    names = {**vars(sys.modules[cls.__module__]), cls.__name__: variant}
    with refusing(f"the setup {call.setup!r} raises"):
        exec(compile(call.setup, "--setup", "exec", dont_inherit=True), names)  # noqa: S102 - what the user asks for
    return names


def _run(call: Call, names: dict[str, Any], way: str = "") -> None:
    with refusing(f"{way}the call {call.expression!r} raises"):
        eval(compile(call.expression, "--call", "eval", dont_inherit=True), names)  # noqa: S307 - likewise


def make_ways(subject: Subject, values: dict[str, object]) -> dict[str, type]:
    """Return a subclass for each way to merge; the undecorated one has `values` as defaults."""
    made = {
        "undecorated": method.make_function(subject, "", defaults=values),
        "inline by hand": method.inline(subject),
        "@mergeable": method.decorated(subject),
    }
    # merge_param always raises where both are set, and knows no default.
    if all(p.on_conflict == "raise" and p.default is attrs.NOTHING for p in subject.params):
        made["merge_param by hand"] = method.by_hand(subject)
    return {way: _subclass(subject, function) for way, function in made.items()}


def _subclass(subject: Subject, function: Any) -> type:  # noqa: ANN401 - what a class holds
    """Return a subclass that has the function as its method, and differs in nothing else."""
    cls = subject.cls
    namespace = {"__module__": cls.__module__, "__qualname__": cls.__qualname__}
    namespace |= {subject.name: function} | ({} if cls.__dictoffset__ else {"__slots__": ()})
    with refusing(f"{cls.__qualname__} does not let itself be subclassed:"):
        return types.new_class(cls.__name__, (cls,), {}, lambda empty: empty.update(namespace))
