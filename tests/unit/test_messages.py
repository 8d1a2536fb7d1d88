"""The texts of the errors of a call."""

import pytest

from mergeparam import MissingParamError, Param, merge_param, mergeable
from mergeparam._call import messages
from mergeparam._call.messages import CallState, conflict_error, missing_error

PLAIN = CallState("flag", None, None, "flag", "Model.Dropout", "__call__", "Model.Dropout")
BOTH = PLAIN._replace(attribute_value=True, call_value=[1])
MISSING = {
    "every part": (
        PLAIN,
        (),
        (
            "Model.Dropout.__call__(): 'flag' is set in neither place: self.flag is None and the call "
            "gave None. Set it in one of them: Dropout(..., flag=...), or flag=... in the call; or "
            "provide it to all calls inside `with provide(flag=...):`."
        ),
    ),
    "others are missing too": (
        PLAIN,
        ("mode", "mask"),
        (
            "Model.Dropout.__call__(): 'flag' is set in neither place: self.flag is None and the call "
            "gave None. Set it in one of them: Dropout(..., flag=...), or flag=... in the call; or "
            "provide it to all calls inside `with provide(flag=...):`. Also missing in this call: "
            "'mode', 'mask'."
        ),
    ),
    "merged by a base, under another name": (
        PLAIN._replace(attribute="inner._flag", declared_by="Base"),
        (),
        (
            "Model.Dropout.__call__() (merged by Base): 'flag' is set in neither place: "
            "self.inner._flag is None and the call gave None. Set it in one of them: the constructor "
            "(self.inner._flag), or flag=... in the call; or provide it to all calls inside "
            "`with provide(flag=...):`."
        ),
    ),
    "provided as not set": (
        PLAIN._replace(is_provided=True),
        (),
        (
            "Model.Dropout.__call__(): 'flag' is set in neither place: self.flag is None and the call "
            "gave None. Set it in one of them: Dropout(..., flag=...), or flag=... in the call; the "
            "innermost `provide` of it gives None, which here means 'not set'."
        ),
    ),
    "of merge_param": (
        CallState("flag", None, None),
        (),
        (
            "'flag' is set in neither place: the constructor attribute is None and the call gave "
            "None. Set it in one of them: the constructor, or flag=... in the call."
        ),
    ),
}


@pytest.mark.parametrize(("state", "others", "expected"), MISSING.values(), ids=MISSING)
def test_missing(state, others, expected):
    """Class, method, parameter, both values and the fix."""
    error = missing_error(state, others)

    assert expected == str(error)
    assert ("flag", ("flag", *others)) == (error.param, error.params)


@pytest.mark.parametrize(
    ("state", "expected"),
    [
        (
            BOTH,
            (
                "Model.Dropout.__call__(): 'flag' is set in both places: self.flag is True and the "
                "call gave [1]. Set it in one of them: leave flag= out of the call, or leave it out "
                "of Dropout(..., flag=...)."
            ),
        ),
        (
            BOTH._replace(attribute="_flag"),
            (
                "Model.Dropout.__call__(): 'flag' is set in both places: self._flag is True and the "
                "call gave [1]. Set it in one of them: leave flag= out of the call, or leave it out "
                "of the constructor (self._flag)."
            ),
        ),
        (
            CallState("flag", 1, 2),
            (
                "'flag' is set in both places: the constructor attribute is 1 and the call gave 2. "
                "Set it in one of them: leave flag= out of the call, or leave it out of the "
                "constructor."
            ),
        ),
    ],
)
def test_conflict(state, expected):
    """Class, method, parameter, both values and the fix; and all of it as fields."""
    error = conflict_error(state)

    assert expected == str(error)
    fields = error.owner, error.method, error.param, error.attribute_value, error.call_value
    assert (state.owner, state.method, "flag", state.attribute_value, state.call_value) == fields


def test_merge_param_message():
    """The function knows neither class nor method."""
    with pytest.raises(MissingParamError) as caught:
        merge_param("flag", None, None)

    assert None is caught.value.owner
    assert MISSING["of merge_param"][2] == str(caught.value)


class Adapter:
    """A framework that may have touched an argument."""

    def __init__(self, text):
        self.text = text

    def missing_hint(self, state):
        if isinstance(self.text, Exception):
            raise self.text
        return self.text and self.text + state.param

    conflict_hint = missing_hint


@pytest.mark.parametrize(
    ("texts", "tracing", "expected"),
    [
        ([], False, ""),
        ([None], False, ""),
        ([None, "Look at "], False, " Look at flag"),
        (["Look at ", "Other "], False, " Look at flag"),
        ([RuntimeError("no"), "Other "], False, " Other flag"),
        (["Look at "], True, ""),
    ],
)
def test_hints_of_frameworks(texts, tracing, expected, monkeypatch):
    """The first one that knows adds a sentence; one that fails does no harm."""
    monkeypatch.setattr(messages, "adapters", [Adapter(text) for text in texts])
    monkeypatch.setattr(messages, "is_tracing", lambda: tracing)

    assert MISSING["every part"][2] + expected == str(missing_error(PLAIN))
    assert str(conflict_error(BOTH)).endswith(f"flag=...).{expected}")


def test_values_are_shortened(inject):
    """Long values, and those whose `repr` raises, fit into the message."""

    class Rude:
        def __repr__(self):
            raise RuntimeError("no")

    @mergeable("flag", Param("mode", default=1))
    class Layer:
        flag = "x" * 1000
        mode = None

        def __call__(self, *, flag=None, mode=None): ...

    with pytest.raises(ValueError, match=r"gave <Rude instance at \w+>\.") as caught:
        Layer()(flag=Rude())
    assert 500 > len(str(caught.value))
