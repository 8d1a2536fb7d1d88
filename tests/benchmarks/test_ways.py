"""What is compared does the same, in every way."""

import functools

import pytest

from benchmarks.groups import alternatives, body, calls, definition, partial, provide
from benchmarks.layers import BY_HAND, DECORATED, INLINE, UNDECORATED, WAYS, WRAPPER, make_class
from benchmarks.optional import optional


def without_flax(name):
    """Import a library, but none that imports JAX, which other tests could notice."""
    return None if name.startswith("flax") else optional(name)


@pytest.fixture
def other_ways(monkeypatch):
    """Return the ways of other libraries."""
    monkeypatch.setattr(alternatives, "optional", without_flax)
    return dict(alternatives.ways())


@pytest.mark.parametrize("case", calls.CASES, ids=str)
def test_calls_return_the_same(case):
    """Every way returns the input and every merged parameter."""
    expected = (1.0, *[True] * case.count)

    for name, way in case.ways.items():
        with case.context(name):
            assert expected == eval(case.call, {"layer": case.make_layer(way), "x": 1.0})


@pytest.mark.parametrize("name", [INLINE, DECORATED, BY_HAND, WRAPPER])
def test_merges_refuse_the_same(name):
    """Every merge raises where neither or both are set."""
    cls = make_class(WAYS[name], ("train",))

    with pytest.raises(ValueError, match="'?train'? is set in neither place"):
        cls()(1.0)
    with pytest.raises(ValueError, match="'?train'? is set in both places"):
        cls(train=True)(1.0, train=True)


def test_wrappers_of_other_libraries(other_ways):
    """They merge too, wherever the value is from, and all but one refuse what we refuse."""
    name = alternatives.NAME
    for way, written in other_ways.items():
        cls = make_class(written, (name,))

        assert (1.0, True) == cls()(1.0, **{name: True})
        assert (1.0, True) == cls(**{name: True})(1.0)
        if way != UNDECORATED:
            with pytest.raises(ValueError, match=name):
                cls()(1.0)
            with pytest.raises(ValueError, match=name):
                cls(**{name: True})(1.0, **{name: True})


@pytest.mark.parametrize("levels", provide.LEVELS)
def test_every_way_through_the_levels(levels, tiny):
    """The innermost layer gets the value in every way, or the sampler would raise."""
    for name, sampler in provide.level_samplers(levels, tiny).items():
        assert sampler.take() > 0, name


def test_nested_layers():
    """So many layers are around the innermost as it says."""
    layer = provide.nested(3, provide.Passing, len)

    assert len is layer.inner.inner.inner
    assert 2 == layer("ab")


def test_reading_a_provided_value(tiny):
    """Both ways to find a provided value find it, and only where it is provided."""
    for name, way in ((INLINE, provide.BY_HAND), (DECORATED, WAYS[DECORATED])):
        layer = make_class(way, (provide.NAME,))()
        with provide.CONTEXTS[name]():
            assert (1.0, True) == layer(1.0)
        with pytest.raises(ValueError, match=provide.NAME):
            layer(1.0)


def test_partials_give_the_same():
    """A function, both partials of it, and what the samplers are made of."""
    function = partial.make_dropout()
    expected = (1.0, 0.5, True)

    assert expected == function(1.0, 0.5, deterministic=True)
    for make in (functools.partial, partial.strict_partial):
        assert expected == make(function, deterministic=True)(1.0, 0.5)


@pytest.mark.parametrize(("lines", "tries"), [(1, 0), (2, 0), (2000, 0), (2000, 50)])
def test_long_body_has_its_length(lines, tries):
    """The bodies that are compared have as many lines as it says, and compile."""
    text = body.long_body(lines, tries)

    assert lines == len(text.splitlines())
    assert tries == text.splitlines().count("try:")
    definition.make_class(definition.source_of("MERGED", text))


@pytest.mark.parametrize("tries", [0, 2])
def test_the_package_bytecode_splices_the_same(tries):
    """The rival of the definition benchmark makes a class that merges."""
    pytest.importorskip("bytecode.instr", reason="the package bytecode is not installed")
    bytecode = optional("bytecode")
    source = definition.source_of("None", body.long_body(20, tries))
    decorate = definition.splice_with(bytecode)
    layer = decorate(definition.ATTRS.decorate(definition.make_class(source)))()

    assert isinstance(layer(1.0, **{definition.NAME: True}), float)
    with pytest.raises(ValueError, match="is set in neither place"):
        layer(1.0)


def test_undecorated_has_what_the_constructor_gives():
    """What is undecorated runs the same body with the same value."""
    layer = make_class(WAYS[UNDECORATED], ("train",))()

    assert (1.0, True) == layer(1.0)
