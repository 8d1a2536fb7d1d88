"""`find_unset`: everything is found once, by a path that reads like code."""

import collections
import dataclasses
import gc
import operator
import sys
import typing
import weakref

import attrs
import pytest

from mergeparam import MERGED, Param, _find_unset, _frameworks, find_unset, mergeable
from mergeparam._frameworks import Adapter


@mergeable("flag")
@attrs.define(slots=False)
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


# Each type is looked at once, and no less is found for it.


class Proxy:
    """It says that it is what it stands for."""

    def __init__(self, target):
        object.__setattr__(self, "_target", target)

    def __getattribute__(self, name):
        if name == "__class__":
            return type(object.__getattribute__(self, "_target"))
        return getattr(object.__getattribute__(self, "_target"), name)

    def __len__(self):
        return len(object.__getattribute__(self, "_target"))

    def __iter__(self):
        return iter(object.__getattribute__(self, "_target"))

    def __getitem__(self, key):
        return object.__getattribute__(self, "_target")[key]


class Fields(tuple):  # noqa: SLOT001 - its objects have attributes
    """A tuple whose objects have names for their items, or not."""

    two = property(operator.itemgetter(1))


@pytest.mark.parametrize(
    ("targets", "expected"),
    [
        ([len, "text", Plain(layer=Layer())], ["[2].layer"]),
        ([[1], {"a": Layer()}, [Layer()]], ["[1]['a']", "[2][0]"]),
        ([{"a": 1}, (Layer(),), Plain(layer=Layer())], ["[1][0]", "[2].layer"]),
    ],
)
def test_proxies_of_one_type(targets, expected):
    """Each is what it stands for, whatever the one before it was."""
    assert expected == paths([Proxy(target) for target in targets])


def test_weak_proxies():
    """So are those of the standard library."""
    held = Plain(layer=Layer())

    assert ["[1].layer"] == paths([weakref.proxy(paths), weakref.proxy(held)])


def test_objects_of_one_type():
    """Objects of one type may hold their parts in different places."""
    empty, late, both = (Slotted(None) for _ in range(3))
    late.late = both.layer = Layer()
    both.late = Layer()
    named, unnamed = Fields([1, Layer()]), Fields([Layer()])
    named._fields = ("one", "two")

    assert ["[1].late", "[2].late"] == paths([empty, late, both])
    assert ["[0].two", "[1][0]"] == paths([named, unnamed])
    assert ["[1].late"] == paths([Plain(), Plain(late=Layer()), Plain(late=Layer(1))])


def test_attributes_of_builtin_containers():
    """Where a container of the standard library can have attributes, these are parts, too."""
    ordered = collections.OrderedDict()
    ordered.layer = Layer()
    counted = collections.Counter()
    counted.layer = Layer()

    assert ["[2].layer", "[3].layer"] == paths([[], {}, ordered, counted])


@pytest.mark.parametrize("key", ["{}", "{x!r}", "'", "]", 3, (1, "{0}"), None])
def test_keys(key):
    """A path shows any key as it is written."""
    assert [f"[{key!r}]['{{}}']"] == paths({key: {"{}": Layer()}})


def test_each_type_is_asked_for_once(monkeypatch):
    """However many objects there are, introspection looks at their types."""
    asked = []

    def call_methods(cls):
        asked.append(cls)
        return ("__call__",) if cls is Layer else ()

    monkeypatch.setattr(_find_unset, "call_methods", call_methods)
    model = [Plain(layer=Layer(index or None), number=index) for index in range(50)]

    assert ["[0].layer"] == paths(model)
    assert len(set(asked)) == len(asked)
    assert {list, Plain, Layer} <= set(asked)


def test_classes_are_not_kept():
    """What a walk has seen may die behind it."""
    cls = type("Short", (Plain,), {})
    find_unset([cls(layer=Layer())])
    reference = weakref.ref(cls)
    del cls
    gc.collect()

    assert reference() is None


def test_adapters_are_asked(monkeypatch):
    """A framework says where parts are that no attribute shows, and what holds none."""

    class Hidden:
        __slots__ = ()
        parts = (Layer(), Layer(True))

    class Sealed(Plain):
        pass

    class HiddenAdapter(Adapter):
        opaque_types = (Sealed,)

        def children(self, obj):
            if isinstance(obj, Hidden):
                yield from ((f".parts[{index}]", part) for index, part in enumerate(obj.parts))

    monkeypatch.setattr(_frameworks, "adapters", [Adapter(), HiddenAdapter()])

    assert [".parts[0]"] == paths(Hidden())
    assert ["[0].parts[0]"] == paths([Hidden(), Sealed(layer=Layer())])


def test_repr():
    """It is one short line, and asks no object for a `repr` that may be as long as the model."""

    class Large(Layer):
        def __repr__(self):
            raise AssertionError("asked")

    model = Plain(blocks=[Layer(True), Large()])

    assert "[Unset('.blocks[1]', Large, ('flag',))]" == repr(find_unset(model))
    assert (".blocks[1]", model.blocks[1], ("flag",)) == find_unset(model)[0]
    assert ("path", "obj", "names") == find_unset(model)[0]._fields
