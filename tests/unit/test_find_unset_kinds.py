"""`find_unset` looks at each type once, and finds no less for it."""

import collections
import gc
import weakref

import attrs
import pytest

from mergeparam import MERGED, _find_unset, _frameworks, find_unset, mergeable
from mergeparam._frameworks import Adapter


@mergeable("flag")
@attrs.define(slots=False)
class Layer:
    """A layer that may need a flag."""

    flag: object = None

    def __call__(self, *, flag=MERGED): ...


class Proxy:
    """It says that it is what it stands for."""

    def __init__(self, target):
        object.__setattr__(self, "_target", target)

    @property
    def __class__(self):
        return type(object.__getattribute__(self, "_target"))

    def __getattribute__(self, name):
        if name == "__class__":
            return type(object.__getattribute__(self, "_target"))
        return getattr(object.__getattribute__(self, "_target"), name)

    def __len__(self):
        return len(object.__getattribute__(self, "_target"))

    def __iter__(self):
        return iter(object.__getattribute__(self, "_target"))


class Holder:
    """An object with attributes."""

    def __init__(self, **attributes):
        vars(self).update(attributes)


class Slots:
    """An object with slots, which may be empty."""

    __slots__ = ("first", "second")


class Fields(tuple):  # noqa: SLOT001 - its objects have attributes
    """A tuple whose objects have names for their items, or not."""


def paths(model):
    """Return the paths that are found."""
    return [path for path, _, _ in find_unset(model)]


@pytest.mark.parametrize(
    ("targets", "expected"),
    [
        ([len, "text", Holder(layer=Layer())], ["[2].layer"]),
        ([[1], {"a": Layer()}, [Layer()]], ["[1]['a']", "[2][0]"]),
        ([{"a": 1}, (Layer(),), Holder(layer=Layer())], ["[1][0]", "[2].layer"]),
    ],
)
def test_proxies_of_one_type(targets, expected):
    """Each is what it stands for, whatever the one before it was."""
    assert expected == paths([Proxy(target) for target in targets])


def test_weak_proxies():
    """So are those of the standard library."""
    held = Holder(layer=Layer())

    assert ["[1].layer"] == paths([weakref.proxy(paths), weakref.proxy(held)])


def test_objects_of_one_type():
    """Objects of one type may hold their parts in different places."""
    empty, second, both = Slots(), Slots(), Slots()
    second.second = both.first = Layer()
    both.second = Layer()
    named, unnamed = Fields([1, Layer()]), Fields([Layer()])
    named._fields = ("one", "two")

    assert ["[1].second", "[2].second"] == paths([empty, second, both])
    assert ["[0].two", "[1][0]"] == paths([named, unnamed])
    assert ["[1].late"] == paths([Holder(), Holder(late=Layer()), Holder(late=Layer(1))])


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
    model = [Holder(layer=Layer(index or None), number=index) for index in range(50)]

    assert ["[0].layer"] == paths(model)
    assert len(set(asked)) == len(asked)
    assert {list, Holder, Layer, int} <= set(asked)


def test_classes_are_not_kept():
    """What a walk has seen may die behind it."""
    cls = type("Short", (Holder,), {})
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

    class Sealed(Holder):
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

    model = Holder(blocks=[Layer(True), Large()])

    assert "[Unset('.blocks[1]', Large, ('flag',))]" == repr(find_unset(model))
    assert (".blocks[1]", model.blocks[1], ("flag",)) == find_unset(model)[0]
