"""The texts of the errors of a call."""

import dataclasses

import attrs
import pytest

from mergeparam import (
    ConflictingParamError,
    MergeError,
    MissingParamError,
    _frameworks,
    merge_param,
    mergeable,
    provide,
)
from mergeparam._call import messages
from mergeparam._call.messages import CallState, bound_again_error, conflict_error, missing_error

HEAD = "Model.Dropout.__call__()"
NEITHER = "'flag' is set in neither place:\n  self.flag is None and the call gave None.\n  "
SET_IT = "Set it in one of them:"
FLAG_OR = ", or flag=... in the call"
HOW = f"{SET_IT} Dropout(..., flag=...){FLAG_OR};\n  "
PROVIDE = "or provide it to all calls inside `with provide(flag=...):`."
FIND = "\n  find_unset(model) lists every object in a model that still needs something."
LEAVE_OUT = f"{SET_IT} leave flag= out of the call, or leave it out of"
BOTH = "'flag' is set in both places:\n  self.flag is 1 and the call gave [2].\n  " + LEAVE_OUT

PLAIN = CallState("flag", None, None, "flag", "Model.Dropout", "__call__", "Model.Dropout")
SET = PLAIN._replace(attribute_value=1, call_value=[2])
INHERITED = {"attribute": "inner._flag", "declared_by": "Base"}
MERGED_BY = f"{HEAD} (merged by Base): "
NEITHER_INNER, BOTH_INNER = (x.replace("self.", "self.inner._") for x in (NEITHER, BOTH))
NEITHER_BY_HAND, BOTH_BY_HAND = (
    text.replace("self.flag", "the constructor attribute") for text in (NEITHER, BOTH)
)
INNER = "the constructor (self.inner._flag)"
PROVIDED = "the innermost `provide` of it gives None, which here means 'not set'."


@pytest.mark.parametrize(
    ("state", "others", "expected"),
    [
        (PLAIN, [], f"{HEAD}: {NEITHER}{HOW}{PROVIDE}{FIND}"),
        (
            PLAIN,
            ["a", "b"],
            f"{HEAD}: {NEITHER}{HOW}{PROVIDE}\n  Also missing in this call: 'a', 'b'.{FIND}",
        ),
        (
            PLAIN._replace(**INHERITED),
            [],
            f"{MERGED_BY}{NEITHER_INNER}{SET_IT} {INNER}{FLAG_OR};\n  {PROVIDE}{FIND}",
        ),
        (PLAIN._replace(is_provided=True), [], f"{HEAD}: {NEITHER}{HOW}{PROVIDED}{FIND}"),
        (
            CallState("flag", None, None),
            [],
            f"{NEITHER_BY_HAND}{SET_IT} the constructor{FLAG_OR}.",
        ),
        (SET, None, f"{HEAD}: {BOTH} Dropout(..., flag=...)."),
        (SET._replace(**INHERITED), None, f"{MERGED_BY}{BOTH_INNER} {INNER}."),
        (CallState("flag", 1, [2]), None, f"{BOTH_BY_HAND} the constructor."),
    ],
)
def test_text(state, others, expected):
    """Class, method, parameter, both values and the fix; and all of it as fields."""
    error = conflict_error(state) if others is None else missing_error(state, others)

    assert expected == str(error)
    assert ("flag", *(others or ())) == error.params
    for name in ("owner", "method", "param", "attribute_value", "call_value"):
        assert getattr(state, name) == getattr(error, name)


CONSTRUCTORS = {
    "@attrs.frozen\nclass A:\n  _flag: int | None = None": "A(..., flag=...)",
    "@attrs.define\nclass A:\n  _flag = attrs.field(default=None, alias='on')": "A(..., on=...)",
    "@attrs.define\nclass A:\n  _flag = attrs.field(default=None, init=False)": None,
    "class A:\n  def __init__(self, on=None): self._flag = on": "A(..., on=...)",
    "class A:\n  def __init__(self, on=None): self._flag = on and [on]": None,
    "class A:\n  _flag = None": None,
    "@dataclasses.dataclass\nclass A:\n  _flag: int | None = None": "A(..., _flag=...)",
}


@pytest.mark.parametrize("source", CONSTRUCTORS)
def test_argument_of_the_constructor(source, inject):
    """Where a field or `__init__` shows how the constructor's argument is called, so do errors."""
    namespace = {"attrs": attrs, "dataclasses": dataclasses}
    exec(f"{source}\n  def __call__(self, *, flag=None): ...", namespace)
    cls = mergeable("flag", attribute="_flag")(namespace["A"])
    held = cls()
    object.__setattr__(held, "_flag", 1)
    how = CONSTRUCTORS[source] or "the constructor (self._flag)"

    with pytest.raises(MissingParamError) as missing:
        cls()()
    with pytest.raises(ConflictingParamError) as both:
        held(flag=2)
    assert f"{SET_IT} {how}{FLAG_OR}" in str(missing.value)
    assert str(both.value).endswith(f"leave it out of {how}.")


def test_bound_again():
    """A partial says what it has bound, and what was given again."""
    error = bound_again_error("strict_partial(f)", "flag", 1, [2])

    expected = "strict_partial(f) has bound 'flag' to 1, and flag=[2] was given again. Leave"
    assert str(error).startswith(expected)
    assert ("flag", 1, [2]) == (error.param, error.attribute_value, error.call_value)


def test_merge_param_has_the_same_texts():
    """The function knows neither class nor method."""
    with pytest.raises(MissingParamError) as caught:
        merge_param("flag", None, None)

    assert str(missing_error(CallState("flag", None, None))) == str(caught.value)


class Adapter:
    """A framework that may have touched an argument."""

    def __init__(self, text, *, tracing):
        self.text, self.tracing = text, tracing

    def is_tracing(self):
        return self.tracing

    def hint(self, state, *, is_missing):
        return self.text and self.text + state.param


@pytest.mark.parametrize(
    ("texts", "tracing", "expected"),
    [
        ([None], False, ""),
        ([None, "Look at ", "Other "], False, "\n  Look at flag"),
        ([b"raises", "Other "], False, "\n  Other flag"),
        (["Look at "], True, ""),
    ],
)
def test_hints_of_frameworks(texts, tracing, expected, monkeypatch):
    """The first one that knows adds a sentence; one that fails does no harm."""
    fakes = [Adapter(text, tracing=tracing) for text in texts]
    for module in messages, _frameworks:
        monkeypatch.setattr(module, "adapters", fakes)

    assert f"{HEAD}: {NEITHER}{HOW}{PROVIDE}{FIND}{expected}" == str(missing_error(PLAIN))
    assert f"{HEAD}: {BOTH} Dropout(..., flag=...).{expected}" == str(conflict_error(SET))


def test_values_are_shortened(inject):
    """Long values, and those whose `repr` raises, fit into the message."""
    cls = written()
    cls.flag = "x" * 1000
    rude = type("Rude", (), {"__repr__": lambda self: 1 / 0})()

    with pytest.raises(MergeError, match=r"gave <Rude instance at \w+>\.") as caught:
        mergeable("flag")(cls)()(flag=rude)
    assert 400 > len(str(caught.value))


@pytest.mark.parametrize(
    ("values", "says"),
    [
        ({"flga": 1}, "What is provided here: 'flga' (did you mean 'flag'?)."),
        ({"mode": 1, "x": 2}, "What is provided here: 'mode', 'x'."),
    ],
)
def test_what_is_provided_instead(values, says, inject):
    """A misspelled name in `provide` is not silent where the call inside gets nothing."""
    layer = mergeable("flag")(written())()
    with provide(**values), pytest.raises(MissingParamError) as caught:
        layer()

    assert str(caught.value).endswith(f"\n  {says}")
    with pytest.raises(MissingParamError) as caught:
        layer()
    assert "What is provided" not in str(caught.value)


def written():
    """Return a class whose method has a parameter that can be merged."""
    return type("Layer", (), {"flag": None, "__call__": lambda self, *, flag=None: flag})


def test_provide_without_with(inject):
    """The error of the next call says that it was never entered; entering any ends that."""
    layer, says = mergeable("flag")(written())(), "`provide(flag=...)` was never entered: write"
    scope = provide(flag=1)
    with pytest.raises(MissingParamError) as caught:
        layer()
    assert says in str(caught.value)

    with scope:
        assert 1 == layer()
    with pytest.raises(MissingParamError) as caught:
        layer()
    assert says not in str(caught.value)


@pytest.mark.parametrize("given", [True, {"flag": True}])
def test_provide_by_position(given):
    """It takes values by name, and says how."""
    with pytest.raises(
        TypeError, match=r"by name, and .* was given by position\. Write provide\("
    ):
        provide(given)
