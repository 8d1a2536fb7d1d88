"""`strict_partial` is `functools.partial` until what is bound is given again."""

import functools
import inspect

import attrs
from hypothesis import given
from hypothesis import strategies as st
from wrappers import logged

from mergeparam import ConflictingParamError, strict_partial

NAMES = ("alpha", "a0", "bound_0", "others", "function", "named", "not_given", "größe", "_")
UNDECLARED = ("extra", "values", "class", "args", "kwargs", "not a name")
KINDS = (
    inspect.Parameter.POSITIONAL_ONLY,
    inspect.Parameter.POSITIONAL_OR_KEYWORD,
    inspect.Parameter.KEYWORD_ONLY,
)


@attrs.frozen
class Case:
    """A function, what is bound of it, and one call."""

    parameters: tuple[inspect.Parameter, ...]
    bound: dict[str, int]
    args: tuple[int, ...]
    kwargs: dict[str, int]

    @property
    def signature(self):
        """Return the function's signature."""
        return inspect.Signature(self.parameters)

    @property
    def has_kwargs(self):
        """Whether the function takes any name."""
        return any(item.kind is item.VAR_KEYWORD for item in self.parameters)

    @property
    def given_by_position(self):
        """Return the bound names whose places the call fills."""
        positional = [item for item in self.parameters if item.kind in KINDS[:2]]
        filled = positional[: len(self.args)]
        return self.bound.keys() & {item.name for item in filled if item.kind is KINDS[1]}

    @property
    def given_again(self):
        """Return the bound names that the call gives."""
        return self.given_by_position | (self.bound.keys() & self.kwargs.keys())

    @property
    def names_what_has_no_name(self):
        """Whether the call gives a positional-only parameter by name.

        No `inspect.Signature` from Python 3.11 to 3.15 can always tell what comes of that.
        """
        hidden = {item.name for item in self.parameters if item.kind is KINDS[0]}
        return bool(hidden & self.kwargs.keys())

    def is_right_but_for_that(self):
        """Whether what the call gives has places, and all that is required is given."""
        if self.names_what_has_no_name:
            return False
        try:
            arguments = self.signature.bind_partial(*self.args, **self.kwargs).arguments
        except TypeError:
            return False
        return all(
            item.name in {*arguments, *self.bound}
            for item in self.parameters
            if item.default is item.empty and item.kind in KINDS
        )


@st.composite
def signatures(draw):
    """Return the parameters of a function."""
    names = draw(st.lists(st.sampled_from(NAMES), max_size=6, unique=True))
    kinds = sorted(draw(st.sampled_from(KINDS)) for _ in names)
    parameters, has_default = [], False
    for name, kind in zip(names, kinds, strict=True):
        if kind is inspect.Parameter.KEYWORD_ONLY:
            has_default = False
        has_default = has_default or draw(st.booleans())
        default = -1 if has_default else inspect.Parameter.empty
        parameters.append(inspect.Parameter(name, kind, default=default))
        if kind is inspect.Parameter.KEYWORD_ONLY:
            has_default = False
    if draw(st.booleans()):
        positional = sum(kind in KINDS[:2] for kind in kinds)
        parameters.insert(positional, inspect.Parameter("args", inspect.Parameter.VAR_POSITIONAL))
    if draw(st.booleans()):
        parameters.append(inspect.Parameter("kwargs", inspect.Parameter.VAR_KEYWORD))
    return tuple(parameters)


@st.composite
def cases(draw):
    """Return a function, names to bind that it accepts, and a call."""
    parameters = draw(signatures())
    by_name = [item.name for item in parameters if item.kind in KINDS[1:]]
    if any(item.kind is item.VAR_KEYWORD for item in parameters):
        by_name += UNDECLARED
    bound = draw(st.lists(st.sampled_from(by_name), unique=True)) if by_name else []
    # Bound names are among them often enough that a test may ask for calls that give one again.
    names = (*NAMES, *UNDECLARED[:2], *bound, *bound)
    named = draw(st.lists(st.sampled_from(names), max_size=4, unique=True))
    return Case(
        parameters,
        {name: 100 + index for index, name in enumerate(bound)},
        tuple(range(draw(st.integers(0, 5)))),
        {name: 10 + index for index, name in enumerate(named)},
    )


def define(case, receiver=None, body="return"):
    """Return a function that returns, or keeps, what it was given."""
    parameters = list(case.parameters)
    if receiver is not None:
        kind = parameters[0].kind if parameters else KINDS[1]
        parameters.insert(
            0, inspect.Parameter(receiver, KINDS[0] if kind is KINDS[0] else KINDS[1])
        )
    given = ", ".join(f"{item.name!r}: {item.name}" for item in case.parameters)
    namespace: dict = {}
    exec(f"def call{inspect.Signature(parameters)}: {body} {{{given}}}", namespace)
    return namespace["call"]


def wrapped(case):
    """Return a wrapper that takes anything."""
    return logged(define(case))


MAKERS = {
    "function": define,
    "wrapper": wrapped,
    "method": lambda case: type("Layer", (), {"call": define(case, "this")})().call,
    "instance": lambda case: type("Layer", (), {"__call__": define(case, "this")})(),
    "class": lambda case: type("Layer", (), {"__init__": define(case, "this", "this.given =")}),
}


def outcome(call, case, *, without=()):
    """Return what the call was given in the end, or which error it was."""
    kwargs = {name: value for name, value in case.kwargs.items() if name not in without}
    try:
        result = call(*case.args, **kwargs)
    except ConflictingParamError as error:
        return error.param
    except TypeError:
        return TypeError
    return getattr(result, "given", result)


def is_accepted(strict, case):
    """Whether the signature accepts the call."""
    try:
        inspect.signature(strict).bind(*case.args, **case.kwargs)
    except TypeError:
        return False
    return True


@given(case=cases(), maker=st.sampled_from([*MAKERS]))
def test_calls(case, maker):
    """It does what `functools.partial` does, and what its signature says, or has a conflict.

    A bound name that `**kwargs` would take is accepted by the signature, and not by the call.
    """
    function = MAKERS[maker](case)
    strict, partial = (
        kind(function, **case.bound) for kind in (strict_partial, functools.partial)
    )
    found = outcome(strict, case)

    if not case.given_by_position:
        expected = outcome(partial, case, without=case.bound)
        assert expected == outcome(strict, case, without=case.bound)
    if case.given_again and case.is_right_but_for_that():
        assert found in case.given_again
    elif case.given_again:
        assert found in {*case.given_again, TypeError}
    takes_bound = case.has_kwargs and case.bound.keys() & case.kwargs.keys()
    if not (case.names_what_has_no_name or takes_bound):
        assert is_accepted(strict, case) == isinstance(found, dict)
        assert isinstance(found, dict) or found is TypeError or found in case.bound
