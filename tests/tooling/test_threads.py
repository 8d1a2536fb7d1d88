"""Classes are defined and called from several threads at once."""

from mergeparam import MergeError, Param, mergeable

ROUNDS = 25


def define(inject, number=0):
    """Return a class that forwards to its base."""

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

    return Layer


def exercise(layer, value):
    """Return the four outcomes of a class."""
    outcomes = []
    for flag, given in ((value, {}), (None, {"flag": value}), (None, {}), (value, {"flag": 0})):
        try:
            outcomes.append(layer(flag)(1, **given))
        except MergeError as error:
            outcomes.append((type(error).__name__, error.attribute_value, error.call_value))
    return outcomes


def expected_outcomes(value):
    """Return the outcomes of a class that works."""
    return [
        *[(1, value, -1)] * 2,
        ("MissingParamError", None, None),
        ("ConflictingParamError", value, 0),
    ]


def test_defined_and_called_at_once(at_once, inject):
    """Classes merge by their own declarations while others are defined and go away."""

    def work(number):
        layers = [define(inject, 1000 + number) for _ in range(ROUNDS)]
        return [(exercise(layer, number + 1), layer(7, 999)(1), layer(7).mask) for layer in layers]

    expected = [
        [(expected_outcomes(number + 1), (1, 7, 999), 1000 + number)] * ROUNDS
        for number in range(8)
    ]

    assert expected == at_once(work)


def test_bases_are_decorated_at_once(at_once, inject):
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

    expected = [[(0, number + 1)] * ROUNDS for number in range(8)]

    assert expected == at_once(work)
    assert code is Base.__call__.__code__
    assert (0, None) == Base(True)(0)
