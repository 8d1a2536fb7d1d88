"""Merged classes go away, with all that was made for them."""

import contextlib
import gc
import itertools
import linecache
import statistics
import sys
import tracemalloc
import weakref

import pytest

from mergeparam import UNSET, MergeError, MissingParamError, Param, mergeable

pytestmark = pytest.mark.usefixtures("small_heap")

SMALLEST_OBJECT = 32
FEW = 80


def define(inject):
    """Return a class, of a name that many have."""

    class Layer:
        flag = None

        def __init__(self, flag=None, mask=UNSET):
            self.flag, self.mask = flag, mask

        def __call__(self, x, *, flag=None, mask: int = UNSET):
            return flag, mask

    return mergeable("flag", Param("mask", unset=UNSET, default=1), inject=inject)(Layer)


def define_and_use(inject):
    """Return a class that has been called with every outcome."""
    layer = define(inject)
    layer(True)(1)
    layer()(1, flag=True)
    for flag, given in ((None, {}), (True, {"flag": True})):
        with contextlib.suppress(MergeError):
            layer(flag)(1, **given)
    return layer


def collected():
    """Collect until nothing is left to collect."""
    while gc.collect():
        pass


def test_nothing_is_left_of_a_class(inject):
    """The number of objects, the memory in use and the lines of source stay flat."""
    objects, memory = [], []
    spend(inject)
    lines = len(linecache.cache)
    tracemalloc.start()
    try:
        for _ in range(5):
            spend(inject)
            objects.append(len(gc.get_objects()))
            memory.append(tracemalloc.get_traced_memory()[0])
    finally:
        tracemalloc.stop()

    assert lines == len(linecache.cache)
    assert least_growth(objects) <= 0
    assert least_growth(memory) < SMALLEST_OBJECT * FEW


def spend(inject):
    for _ in range(FEW):
        define_and_use(inject)
    collected()


def least_growth(numbers):
    """Return by how much the numbers grow each time; what is filled up but once is no leak."""
    return min(after - before for before, after in itertools.pairwise(numbers))


@pytest.mark.slow
def test_each_of_many_classes_takes_the_same(inject):
    """10,000 classes that stay alive take as much memory as ten times a thousand."""
    kept, memory = [define(inject) for _ in range(1000)], []
    tracemalloc.start()
    try:
        for _ in range(9):
            before, _ = tracemalloc.get_traced_memory()
            kept += [define(inject) for _ in range(1000)]
            memory.append(tracemalloc.get_traced_memory()[0] - before)
    finally:
        tracemalloc.stop()

    assert 10_000 == len(kept)
    # The median, because tables that grow with the classes double their size now and then.
    assert statistics.median(memory[5:]) < 1.05 * statistics.median(memory[:4])


def test_an_inherited_method_keeps_no_subclass(inject):
    """A base does not know the subclasses that have merged a method of its."""

    class Base:
        flag = None

        def __call__(self, *, flag=None):
            return flag

    subclass = mergeable("flag", inject=inject)(type("Subclass", (Base,), {}))
    reference = weakref.ref(subclass)
    del subclass
    collected()

    assert reference() is None
    assert not Base.__subclasses__()


def test_calls_leave_nothing(inject):
    """Neither a call nor an error holds on to the object or the values."""
    layer = define(inject)
    value, instance = define(inject)(), layer()
    references = weakref.ref(value), weakref.ref(instance)
    instance(1, flag=value)
    with pytest.raises(MissingParamError) as caught:
        instance(1)
    del value, instance, caught
    collected()

    assert [None, None] == [reference() for reference in references]


def test_calls_leave_reference_counts_as_they_were(inject):
    """The merge gives back every reference that it takes."""
    layer, value = define(inject), object()
    set_up, unset = layer(value), layer()
    before = sys.getrefcount(value)
    for _ in range(1000):
        set_up(1)
        unset(1, flag=value)

    assert before == sys.getrefcount(value)
