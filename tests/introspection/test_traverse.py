"""`find_unset`: everything is found once, by a path that reads like code."""

import collections
import dataclasses
import sys
import typing

import attrs
import pytest

from mergeparam import MERGED, Param, find_unset, mergeable


@mergeable("flag")
@attrs.define
class Layer:
    """A layer that may need a flag."""

    flag: object = None

    def __call__(self, *, flag=MERGED): ...


def paths(model):
    """Return the paths that are found, after checking that each leads to its object."""
    found = find_unset(model)
    for path, obj, _ in found:
        assert obj is eval(f"model{path}", {"model": model})
    return [path for path, _, _ in found]


@attrs.define
class Slotted:
    """An attrs class with slots, one of them empty."""

    layer: object
    late: object = attrs.field(init=False)


@attrs.define
class SlottedChild(Slotted):
    """Slots on two levels."""

    other: object = None


Data = dataclasses.make_dataclass("Data", ["layer"])


class Named(typing.NamedTuple):
    first: object
    second: object


class Plain:
    """A plain class with a property that must not be called."""

    def __init__(self, **attributes):
        vars(self).update(attributes)

    @property
    def trap(self):
        raise AssertionError("called")


@pytest.mark.parametrize(
    ("model", "expected"),
    [
        (Layer(), [""]),
        (Layer(True), []),
        (3, []),
        ([Layer(True), Layer()], ["[1]"]),
        ((Layer(), [Layer()]), ["[0]", "[1][0]"]),
        ({"a": Layer(), 3: {"b": Layer()}}, ["['a']", "[3]['b']"]),
        (Slotted(Layer()), [".layer"]),
        (SlottedChild(Layer(), Layer()), [".other", ".layer"]),
        (Data(Layer()), [".layer"]),
        (Named(Layer(), Layer(1)), [".first"]),
        (Plain(blocks=[1, Plain(dropout=Layer())]), [".blocks[1].dropout"]),
        (collections.OrderedDict(x=Layer()), ["['x']"]),
        (Plain(cls=Layer, module=sys, function=len, method=Layer().__call__), []),
    ],
)
def test_found(model, expected):
    """Through attributes, slots, fields, lists, tuples and dicts."""
    assert sorted(expected) == sorted(paths(model))


def test_shape_of_the_result():
    """Path, object and names."""
    layer = Layer()

    assert [(".layer", layer, ("flag",))] == find_unset(Data(layer))
    assert ("path", "obj", "names") == find_unset(layer)[0]._fields


def test_once_by_the_shortest_path():
    """A model that contains itself is walked through once, and the nearest way is told."""
    layer, model = Layer(), Plain(layer=Layer())
    model.self = model
    model.parts = [model, {"again": model.layer}]
    model.parts.append(model.parts)

    assert [".layer"] == paths(model)
    assert ["['b']"] == paths({"a": [[layer]], "b": layer})


def test_several_methods():
    """Every name that some merged method needs, once."""

    @mergeable("one", "two", method=("encode", "decode"))
    class Coder:
        one = two = None

        def encode(self, one=MERGED, two=MERGED): ...

        def decode(self, two=MERGED): ...

    assert [("", ("one", "two"))] == [(path, names) for path, _, names in find_unset(Coder())]


def test_attribute_that_is_not_there_says_where():
    """The path of the object that cannot be asked is added to the error."""

    @mergeable(Param("flag", attribute="wrapped.flag"))
    class Wrapping:
        wrapped = None

        def __call__(self, *, flag=MERGED): ...

    with pytest.raises(AttributeError) as caught:
        find_unset([Wrapping()])

    assert ["asked by find_unset of [0]"] == caught.value.__notes__


def test_long_chain():
    """Depth is no matter of recursion."""
    model = Layer()
    for _ in range(5000):
        model = [model]

    assert ["[0]" * 5000] == [path for path, _, _ in find_unset(model)]


def test_strange_objects():
    """Only named tuples have named items, and `__dict__` may be anything."""
    fields = type("Fields", (list,), {"_fields": ("one",)})
    strange = type("Strange", (), {"__slots__": (), "__dict__": property(lambda self: 3)})

    assert ["[1]"] == paths(fields([1, Layer()]))
    assert [] == find_unset(strange())
