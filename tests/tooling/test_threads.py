"""Classes are defined and called from several threads at once."""

import concurrent.futures
import sys
import threading

import pytest

from mergeparam import ConflictingParamError, MissingParamError, Param, mergeable

THREADS, ROUNDS = 8, 60


@pytest.fixture(autouse=True)
def _switch_often():
    """Let threads take turns after a few instructions."""
    interval = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    yield
    sys.setswitchinterval(interval)


def at_once(work):
    """Return what the work gives in every thread, all of which start together."""
    barrier = threading.Barrier(THREADS)

    def start(number):
        barrier.wait()
        return work(number)

    with concurrent.futures.ThreadPoolExecutor(THREADS) as pool:
        return list(pool.map(start, range(THREADS)))


def define(inject, number=0):
    """Return two classes of which the second forwards to the first."""

    @mergeable("flag", Param("mask", unset=number, default=-1), inject=inject)
    class Base:
        def __init__(self, flag=None, mask=number):
            self.flag, self.mask = flag, mask

        def __call__(self, x, *, flag: "bool | None" = None, mask: "int" = number):
            return x, flag, mask

    @mergeable("flag", inject=inject)
    class Layer(Base):
        def __call__(self, x, *, flag=None):
            return super().__call__(x, flag=flag)

    return Base, Layer


def exercise(layer, value):
    """Return the four outcomes of a class."""
    outcomes = [layer(value)(1), layer()(1, flag=value)]
    for flag, given in ((None, {}), (value, {"flag": 0})):
        try:
            layer(flag)(1, **given)
        except (MissingParamError, ConflictingParamError) as error:
            outcomes.append((type(error), error.attribute_value, error.call_value))
    return outcomes


def expected_outcomes(value):
    return [
        (1, value, -1),
        (1, value, -1),
        (MissingParamError, None, None),
        (ConflictingParamError, value, 0),
    ]


def test_defined_at_once(inject):
    """Every class gets a key of its own, and merges as it does alone."""
    made = at_once(lambda number: [define(inject, 1000 + number) for _ in range(ROUNDS)])
    pairs = [pair for pairs in made for pair in pairs]
    keys = [method.key.text for pair in pairs for cls in pair for method in methods(cls)]

    assert 2 * THREADS * ROUNDS == len(set(keys))
    assert len(keys) == len(set(keys))
    assert all(expected_outcomes(7) == exercise(layer, 7) for _, layer in pairs)


def methods(cls):
    return vars(cls)["__mergeable__"].methods


def test_defined_and_called_at_once(inject):
    """Classes work while others are defined and go away."""

    def work(number):
        return [exercise(define(inject, 1000 + number)[1], number + 1) for _ in range(ROUNDS)]

    expected = [[expected_outcomes(number + 1)] * ROUNDS for number in range(THREADS)]

    assert expected == at_once(work)


def test_called_at_once(inject):
    """Calls of one class, and of one object, do not get into each other's way."""
    _, layer = define(inject)
    shared = layer()

    def work(number):
        return [
            (exercise(layer, number + 1), shared(number, flag=number + 1)) for _ in range(ROUNDS)
        ]

    expected = [
        [(expected_outcomes(number + 1), (number, number + 1, -1))] * ROUNDS
        for number in range(THREADS)
    ]

    assert expected == at_once(work)


def test_bases_are_decorated_at_once(inject):
    """An inherited method is merged in many subclasses at once, and the base stays as it is."""

    class Base:
        def __init__(self, flag=None):
            self.flag = flag

        def __call__(self, x, *, flag=None):
            return x, flag

    code = Base.__call__.__code__

    def work(number):
        made = [
            mergeable("flag", inject=inject)(type(f"Layer{number}", (Base,), {}))
            for _ in range(ROUNDS)
        ]
        return [layer(number + 1)(0) for layer in made]

    expected = [[(0, number + 1)] * ROUNDS for number in range(THREADS)]

    assert expected == at_once(work)
    assert code is Base.__call__.__code__
    assert (0, None) == Base(True)(0)
