"""The scopes behind `provide`, and what frameworks that follow them hear."""

import contextvars
import gc

import pytest
from mergeparam._provide import (
    _CURRENT,
    NOTHING_PROVIDED,
    ProvideStep,
    Scope,
    is_provided,
    provided,
)

from mergeparam import _frameworks, provide

UNSET = object()


@pytest.fixture
def heard(monkeypatch):
    """Return what a follower hears: owners and values, innermost first."""
    heard = []

    class Follower:
        def opening(self, scope, innermost):
            heard.append(("opening", scope.owner, innermost.values))

        def closed(self, owner, scope, innermost, left):
            heard.append(("closed", owner, scope and scope.own, innermost.values, left.values))

        def reading(self, scope, name):
            heard.append(("reading", name, scope.values))

    monkeypatch.setattr(_frameworks, "followers", [Follower()])
    return heard


def test_values_shadow():
    """A scope holds its own values and those around it."""
    outer = Scope(provide(), {"a": 1, "b": 1}, NOTHING_PROVIDED)
    inner = Scope(provide(), {"b": 2}, outer)

    assert {"a": 1, "b": 2} == inner.values
    assert {"b": 2} == inner.own
    assert {"a": 1, "b": 1} == outer.values


def test_living():
    """A scope is counted as long as it is there; the root is none."""
    gc.collect()
    before = len(Scope.living)
    root = Scope(None, {}, None)
    inside = Scope(provide(), {}, Scope(provide(), {}, root))

    assert before + 2 == len(Scope.living)
    del inside, root
    assert before == len(Scope.living)


def test_reading():
    """What is not provided is the object that was asked with."""
    assert UNSET is provided("flag", UNSET)
    assert not is_provided("flag")
    with provide(flag=None):
        assert provided("flag", UNSET) is None
        assert UNSET is provided("other", UNSET)
        assert is_provided("flag")
        assert not is_provided("other")


def test_nobody_is_asked_where_nothing_is_left(heard):
    """Without any scope in the process a reading is not even looked up."""
    assert UNSET is provided("flag", UNSET)
    assert [] == heard
    with provide(flag=1):
        provided("flag", UNSET)

    assert [("reading", "flag", {"flag": 1})] == heard[1:2]


def test_followers_hear_of_scopes(heard):
    """They hear before a scope opens, and after it has closed."""
    one, two = provide(a=1), provide(b=2)
    one.__enter__()
    two.__enter__()
    one.__exit__(None, None, None)
    two.__exit__(None, None, None)

    assert [
        ("opening", one, {"a": 1}),
        ("opening", two, {"a": 1, "b": 2}),
        ("closed", one, {"a": 1}, {"a": 1, "b": 2}, {"b": 2}),
        ("closed", two, {"b": 2}, {"b": 2}, {}),
    ] == heard


def test_followers_hear_of_steps(heard):
    """A step opens and closes with what its body has open inside."""
    step, inner = ProvideStep({"a": 1}), provide(b=2)
    with step:
        inner.__enter__()
    with step:
        inner.__exit__(None, None, None)

    assert [
        ("opening", step, {"a": 1}),
        ("opening", inner, {"a": 1, "b": 2}),
        ("closed", step, {"a": 1}, {"a": 1, "b": 2}, {}),
        ("opening", step, {"a": 1, "b": 2}),
        ("closed", inner, {"b": 2}, {"a": 1, "b": 2}, {"a": 1}),
        ("closed", step, {"a": 1}, {"a": 1}, {}),
    ] == heard


def test_followers_hear_of_what_closes_elsewhere(heard):
    """There is no scope then, and the innermost one is left as it is."""
    with provide(a=1):
        scope = provide(b=2)
        scope.__exit__(None, None, None)
        ProvideStep({"c": 3}).__exit__(None, None, None)

        assert {"a": 1} == _CURRENT.get().values
    assert ("closed", scope, None, {"a": 1}, {"a": 1}) == heard[1]
    assert (None, {"a": 1}, {"a": 1}) == heard[2][2:]


def test_follower_that_refuses(heard):
    """A scope that a follower refuses is not open."""

    class Refusing:
        def opening(self, scope, innermost):
            raise RuntimeError

    _frameworks.followers.append(Refusing())
    with pytest.raises(RuntimeError), provide(a=1):
        pass

    assert not is_provided("a")


def test_marks_go_along(heard):
    """What a follower has noted of a scope is there when it opens again."""
    step, inner = ProvideStep({"a": 1}), provide(b=2)
    with step:
        inner.__enter__()
        _CURRENT.get().mark = "noted"
    with step:
        assert "noted" == _CURRENT.get().mark
        inner.__exit__(None, None, None)


def test_contexts_are_apart():
    """A context sees what was open where it was copied."""
    with provide(a=1):
        inside = contextvars.copy_context()
    with provide(b=2):
        assert inside.run(is_provided, "a")
        assert not inside.run(is_provided, "b")
        assert not contextvars.Context().run(is_provided, "b")
