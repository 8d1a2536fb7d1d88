"""What holds in every framework: the same layer, merged, called, copied and looked at."""

import copy
import inspect
import pickle

import cloudpickle
import frameworks
import pytest
from frameworks import X

from mergeparam import (
    MERGED,
    UNSET,
    ConflictingParamError,
    MergeError,
    MissingParamError,
    Param,
    find_unset,
    mergeable,
    merged_signature,
    provide,
    route,
    strict_partial,
    unset_params,
)

pytestmark = pytest.mark.filterwarnings("ignore:__array__ impl:DeprecationWarning:keras")

SET, NOT_SET = X.tolist(), (-X).tolist()
RIGHT = [SET, NOT_SET, SET, NOT_SET, "MissingParamError", "ConflictingParamError"]
COPIES = {
    "copy": copy.copy,
    "deepcopy": copy.deepcopy,
    "pickle": lambda layer: pickle.loads(pickle.dumps(layer)),
    "cloudpickle": lambda layer: cloudpickle.loads(cloudpickle.dumps(layer)),
}


@pytest.fixture(params=frameworks.ALL, ids=lambda framework: framework.name)
def framework(request):
    """Return each framework in turn."""
    return request.param()


@pytest.fixture
def merge(framework, inject, monkeypatch):
    """Return a function that makes a merged layer, which pickle finds."""

    def merge(param="flag", **how):
        layer = mergeable(param, method=framework.method)(framework.layer(**how))
        layer.__qualname__ = "Layer"
        monkeypatch.setattr(frameworks, "Layer", layer, raising=False)
        return layer

    return merge


@pytest.fixture
def layer(merge):
    """Return the merged layer of a framework."""
    return merge()


def attempt(framework, make, *args, **kwargs):
    """Return what a call comes to: its result, or the name of the error."""
    try:
        return framework.call(make, *args, **kwargs)
    except MergeError as error:
        return type(error).__name__


def outcomes(framework, cls, *, by_position=False):
    """Return what the four kinds of call come to, for either value."""

    def given(value):
        return ([value], {}) if by_position else ([], {"flag": value})

    calls = [
        ({"flag": True}, ([], {})),
        ({"flag": False}, ([], {})),
        ({}, given(True)),
        ({}, given(False)),
        ({}, ([], {})),
        ({"flag": True}, given(True)),
    ]
    return [
        attempt(framework, lambda held=held: cls(**held), *args, **kwargs)
        for held, (args, kwargs) in calls
    ]


def test_outcomes(framework, layer):
    """Either place, neither and both; a call that gives `None` gives nothing."""
    # Keras takes nothing but tensors by position.
    for by_position in (False, framework.name != "keras"):
        assert RIGHT == outcomes(framework, layer, by_position=by_position)
    assert SET == framework.call(lambda: layer(flag=True), flag=None)


def test_errors(framework, layer):
    """Both errors name the class, the method, the parameter and the values."""
    name = rf"Layer\.{framework.method}\(\).*: 'flag' is set in"

    with pytest.raises(MissingParamError, match=rf"{name} neither"):
        framework.call(layer)
    with pytest.raises(ConflictingParamError, match=rf"(?s){name} both.*self\.flag is False"):
        framework.call(lambda: layer(flag=False), flag=True)


def test_forwarding_to_super(framework, layer):
    """A merged subclass hands its value on to the merged base, at any height."""
    decorate = mergeable("flag", method=framework.method)
    twice = decorate(framework.twice(layer))
    four_times = decorate(framework.twice(twice))

    for cls, factor in ((twice, 2), (four_times, 4)):
        expected = [(factor * value).tolist() for value in (X, -X, X, -X)]
        assert [*expected, *RIGHT[4:]] == outcomes(framework, cls)
    assert RIGHT == outcomes(framework, layer)


def test_subclass_that_does_not_merge(framework, layer):
    """It inherits the merge."""

    class Same(layer):
        pass

    assert RIGHT == outcomes(framework, Same)


@pytest.mark.parametrize("inject", ["auto", "wrap"])
def test_method_of_a_base(framework, inject):
    """A subclass may merge a method that it inherits; the base goes on as it was."""
    base = framework.layer(default=None)

    class Layer(base):
        pass

    merged = mergeable("flag", method=framework.method, inject=inject)(Layer)

    assert RIGHT == outcomes(framework, merged)
    assert [NOT_SET, NOT_SET, SET, NOT_SET, NOT_SET, SET] == outcomes(framework, base)


@pytest.mark.parametrize("cls", frameworks.ALL, ids=lambda cls: cls.name)
def test_decorators_of_the_framework(cls, inject):
    """What a framework puts on a method inside the class stays there, around the merge."""
    framework = cls()
    for decorate in framework.decorators.values():
        layer = framework.layer(decorate=decorate)
        kind = type(vars(layer)[framework.method])
        merged = mergeable("flag", method=framework.method)(layer)

        assert kind is type(vars(merged)[framework.method])
        assert RIGHT == outcomes(framework, merged, by_position=True)


@pytest.mark.parametrize(
    "framework",
    # A module of Haiku belongs to the function that made it.
    [framework for framework in frameworks.ALL if framework is not frameworks.Haiku],
    ids=lambda framework: framework.name,
    indirect=True,
)
@pytest.mark.parametrize("flag", [True, False, None])
def test_copies(framework, layer, flag):
    """Copies, pickles and what a framework makes hold the constructor's value, or none."""
    makes = ({} if framework.name == "keras" else COPIES) | framework.copies
    original = layer(flag=flag)

    for name, make in makes.items():
        made = make(original)
        assert (name, flag) == (name, made.flag)
        assert (() if flag is not None else ("flag",)) == unset_params(made, framework.method)
        if flag is None:
            assert SET == framework.call(lambda made=made: made, flag=True)
            assert "MissingParamError" == attempt(framework, lambda made=made: made)
        else:
            assert framework.call(lambda: original) == framework.call(lambda made=made: made)


def test_unset_where_none_is_a_value(framework, merge):
    """`UNSET` is told from `None`, also in copies."""
    layer = merge(Param("flag", unset=UNSET), unset=UNSET)
    # A configuration of Keras is JSON.
    copies = {} if framework.name == "keras" else framework.copies

    for make in (frameworks.same, *copies.values()):
        assert NOT_SET == framework.call(lambda make=make: make(layer(flag=None)))
        assert NOT_SET == framework.call(lambda make=make: make(layer()), flag=None)
        assert SET == framework.call(lambda make=make: make(layer()), flag=True)
        assert "MissingParamError" == attempt(framework, lambda make=make: make(layer()))
    assert "ConflictingParamError" == attempt(framework, lambda: layer(flag=None), flag=None)


def test_introspection(framework, layer):
    """A layer tells what it still needs, and a model which of its parts do."""

    def look():
        set_, unset = layer(flag=True), layer()
        model = framework.model([set_, unset])
        signatures = [merged_signature(of, framework.method) for of in (layer, set_, unset)]
        return model, unset, find_unset(model), [*map(str, signatures)]

    model, unset, found, signatures = framework.here(look)
    [(path, part, names)] = found

    assert ["(x, flag=None)", "(x)", "(x, flag)"] == signatures
    assert (framework.paths.format(1), ("flag",)) == (path, names)
    assert part is unset is eval(f"model{path}", {"model": model})
    assert {"flag": True} == route(unset, flag=True, other=1)


def test_provided(framework, layer):
    """A provided value is taken where nobody has set one, and holds for its scope only."""
    for _ in range(2):
        with provide(flag=True):
            assert SET == framework.call(layer)
            with provide(flag=False):
                assert NOT_SET == framework.call(layer)
                assert SET == framework.call(lambda: layer(flag=True))
            assert SET == framework.call(layer)
            assert NOT_SET == framework.call(layer, flag=False)
        assert "MissingParamError" == attempt(framework, layer)


def test_providing_methods(framework, inject):
    """`provide=True` gives the flag to what the body calls, from either place."""
    inner = mergeable("flag")(frameworks.Plain().layer())()
    cls = framework.layer(decorate=lambda _: lambda self, x, flag=MERGED: inner(x))
    providing = mergeable("flag", method=framework.method, provide=True)(cls)

    assert RIGHT == outcomes(framework, providing)
    with provide(flag=True):
        assert SET == framework.call(providing)
        assert NOT_SET == framework.call(providing, flag=False)


def test_strict_partial(framework, layer):
    """A template with the flag in it cannot be overruled, neither by name nor in the call."""
    template = strict_partial(layer, flag=True)

    assert SET == framework.call(template)
    assert "flag" not in inspect.signature(template).parameters
    with pytest.raises(ConflictingParamError, match="strict_partial"):
        template(flag=False)
    assert "ConflictingParamError" == attempt(framework, template, flag=True)


def test_strict_partial_of_the_call(framework, layer):
    """A layer whose flag is bound for its calls is a function without it."""

    def look():
        bound = strict_partial(getattr(layer(), framework.method), flag=True)
        with pytest.raises(ConflictingParamError, match="strict_partial"):
            bound(X, flag=False)
        with provide(flag=False):
            return bound(X)

    assert SET == framework.here(look).tolist()
