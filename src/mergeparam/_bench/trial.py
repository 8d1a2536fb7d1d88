"""A call of a method that is tried out, and then measured, in every way to merge."""

from __future__ import annotations

import contextlib
import functools
import inspect
import sys
import types
from typing import TYPE_CHECKING, Any

import attrs

from mergeparam._bench import Refusal, method, refusing
from mergeparam._bench.sampling import call_sampler, sample
from mergeparam.errors import shorten

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

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
    holders: tuple[tuple[Any, str], ...] = ()  # what names the class, and the names
    values: dict[str, object] = attrs.field(factory=dict)  # what the call merges
    executions: int = 0  # how often one call runs the method
    lost_wrappers: int = 0  # how many wrappers are not there when the method is measured

    @property
    def title(self) -> str:
        """What is measured, in a line."""
        names = ", ".join(param.name for param in self.subject.params)
        return f"{self.subject.label}, {names} {self.call.given}"

    def measure(self, seconds: float, runs: Iterable[object], turns: int) -> Benchmarks:
        """Measure the call in every way, with classes and objects made anew for each run."""
        with self.refusing("after some calls: "):
            return sample(functools.partial(self.samplers, seconds), runs=runs, turns=turns)

    def samplers(self, seconds: float) -> dict[str, Sampler]:
        """Return a sampler for each way to merge."""
        samplers = {}
        for way, variant in make_ways(self.subject, self.values).items():
            with self.standing_in(variant) as names:
                self.prepare(names)
                sampler = call_sampler(self.call.expression, names, seconds)
            take = self.standing_in(variant)(sampler.take)
            samplers[way] = sampler._replace(take=take)
        return samplers

    def run(
        self, variant: type, way: str = "", between: Callable[[], object] = lambda: None
    ) -> None:
        """Run the call twice with the variant in the class's place."""
        with self.standing_in(variant) as names:
            self.prepare(names)
            with self.refusing(way):
                code = compile(self.call.expression, "--call", "eval", dont_inherit=True)
                eval(code, names)  # noqa: S307 - what the user asks for
                between()
                eval(code, names)  # noqa: S307 - what the user asks for

    def prepare(self, names: dict[str, Any]) -> None:
        """Run the setup."""
        with refusing(f"the setup {self.call.setup!r} raises"):
            exec(compile(self.call.setup, "--setup", "exec", dont_inherit=True), names)  # noqa: S102 - likewise

    def refusing(self, when: str) -> contextlib.AbstractContextManager[None]:
        """Say in one line that the call raises."""
        hint = "; say with --setup what it is"
        return refusing(f"{when}the call {self.call.expression!r} raises", hint)

    @contextlib.contextmanager
    def standing_in(self, variant: type) -> Iterator[dict[str, Any]]:
        """Let the variant stand in for the class wherever that is named; give those names."""
        cls = self.subject.cls
        for holder, name in self.holders:
            setattr(holder, name, variant)
        try:
            yield {**vars(sys.modules[cls.__module__]), cls.__name__: variant}
        finally:
            for holder, name in self.holders:
                setattr(holder, name, cls)


def try_out(subject: Subject, call: Call) -> Trial:
    """Run a call in every way, to see what it merges and that it can be compared."""
    # What the setup imports may name the class.
    with Trial(subject, call).standing_in(subject.cls) as names:
        Trial(subject, call).prepare(names)
    trial, seen = Trial(subject, call, _holders(subject.cls)), list[dict[str, object]]()
    pairs = ", ".join(f"{param.name!r}: {param.name}" for param in subject.params)
    telling = method.inline(subject, f"{_SEEN}({{{pairs}}})\n", **{_SEEN: seen.append})
    watched = _subclass(subject, telling)
    # The second call counts, as what the first one compiles or caches may take the method's place.
    trial.run(watched, between=seen.clear)
    if not seen:
        is_suspended = subject.function.__code__.co_flags & _SUSPENDED
        why = ", whose body begins only where it is awaited or iterated" if is_suspended else ""
        msg = f"the call {call.expression!r} does not run {subject.label}{why}"
        raise Refusal(msg)
    values = seen[0]
    for name, value in ((name, other[name]) for other in seen for name in values):
        if value is not values[name]:
            both = f"{shorten(values[name])} and with {shorten(value)}"
            msg = f"the call runs {subject.label} with {name!r} {both}; compare one"
            raise Refusal(msg)
    for way, variant in make_ways(subject, values).items():
        trial.run(variant, f"{way}: ")
    around = method.read_subject(watched, subject.name).chain
    lost = 0 if subject.is_wrapped_by_us else len(subject.chain) - len(around)
    return attrs.evolve(trial, values=values, executions=len(seen), lost_wrappers=lost)


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


def _holders(cls: type) -> tuple[tuple[Any, str], ...]:
    around: Any = sys.modules[cls.__module__]
    for part in cls.__qualname__.split(".")[:-1]:
        # A class that a function has made is not found under its qualified name.
        around = getattr(around, part, None)
    return tuple(
        (place, name)
        for place in [*sys.modules.values(), around]
        for name, value in list(getattr(place, "__dict__", {}).items())
        if value is cls
    )
