"""The function `merge_param`, and the private methods that a merge calls."""

import types

import attrs
import pytest
from packages import np

from mergeparam import (
    MERGED,
    UNSET,
    ConflictingParamError,
    MergeDefinitionError,
    MissingParamError,
    Param,
    merge_param,
    mergeable,
    provide,
)
from mergeparam._call import resolve
from mergeparam._call.resolve import make_conflict, make_missing
from mergeparam._spec import MergedClass, MergedMethod, PrivateNames


@pytest.mark.parametrize("value", [0, False, "", np.zeros(2)])
@pytest.mark.parametrize("unset", [None, UNSET])
def test_merge_param(value, unset):
    """The value that is set comes out, as the very object; `None` is one beside another unset."""
    assert value is merge_param("flag", value, unset, unset=unset)
    assert value is merge_param("flag", unset, value, unset=unset)
    assert None is merge_param("flag", None, UNSET, unset=UNSET)
    with pytest.raises(MissingParamError, match="'flag' is set in neither place"):
        merge_param("flag", unset, unset, unset=unset)
    with pytest.raises(ConflictingParamError, match="'flag' is set in both places"):
        merge_param("flag", value, value, unset=unset)


def declared(param, suffix="_7"):
    """Return a class that carries a declaration of `param`, and the declaration."""
    method = MergedMethod("call", "Layer", (param,), "inline", 0, PrivateNames(suffix, {}), None)
    cls = type("Layer", (), {param.attribute: param.unset, "size": 3})
    cls.__mergeable__ = MergedClass("Layer", (method,))
    return cls, method


FACTORY = attrs.Factory(lambda self: self.size or None, takes_self=True)


@pytest.mark.parametrize(
    ("options", "provided", "expected"),
    [
        ({}, {}, MissingParamError),
        ({}, {"flag": 1}, 1),
        ({}, {"other": 1}, MissingParamError),
        ({"default": 2}, {}, 2),
        ({"default": 2}, {"flag": 1}, 1),
        # The `unset` object may be provided: then a default would hide a mistake.
        ({"default": 2}, {"flag": None}, MissingParamError),
        ({"default": attrs.Factory(list)}, {}, []),
        ({"default": FACTORY}, {}, 3),
        ({"default": attrs.Factory(lambda: None)}, {}, MissingParamError),
        ({"unset": UNSET}, {"flag": None}, None),
        ({"unset": UNSET, "default": None}, {}, None),
    ],
)
def test_neither(options, provided, expected):
    """What is provided comes first, then the default, then the error."""
    param = Param("flag", **options)
    cls, method = declared(param)
    missing = make_missing(method, param)
    with provide(**provided):
        if expected is MissingParamError:
            with pytest.raises(
                MissingParamError, match=r"Layer\.call\(\): 'flag' is set in neither"
            ):
                missing(cls())
        else:
            assert expected == missing(cls())


def strange(compare):
    """Return a value with a comparison and a shape of its own."""
    return type("Strange", (), {"shape": np.zeros(3), "__eq__": compare, "__hash__": None})()


SAME = strange(lambda self, other: 1 / 0)
TRACER = strange(lambda self, other: types.SimpleNamespace(all=lambda: 1 / 0))


@pytest.mark.parametrize(
    ("call", "attribute", "is_equal"),
    [
        (1, 1.0, True),
        (1, 2, False),
        (np.ones(2), np.ones(2), True),
        (np.ones(2), np.zeros(2), False),
        (np.ones(2), np.ones(3), False),
        (np.ones(2), 1, False),
        (float("nan"), float("nan"), False),
        (SAME, strange(lambda self, other: True), False),
        (SAME, 1, False),
        (TRACER, TRACER, False),
    ],
)
def test_both(call, attribute, is_equal):
    """Equal values pass where the policy asks for it, and what cannot be compared is different."""
    for policy in ("raise", "raise_if_different"):
        param = Param("flag", on_conflict=policy)
        cls, method = declared(param)
        conflict = make_conflict(method, param)
        if is_equal and policy == "raise_if_different":
            assert call is conflict(cls(), call, attribute)
        else:
            with pytest.raises(ConflictingParamError, match=r"Layer\.call\(\): 'flag'") as caught:
                conflict(cls(), call, attribute)
            assert call is caught.value.call_value
            assert attribute is caught.value.attribute_value


def test_the_very_same_object():
    """It is a conflict, unless a subclass has merged it and hands it on."""
    param = Param("flag")
    cls, method = declared(param)
    for strangers in (cls, type("Stranger", (), {})):
        with pytest.raises(ConflictingParamError):
            make_conflict(method, param)(strangers(), SAME, SAME)

    assert SAME is make_conflict(method, param, forwarded=True)(cls(), SAME, SAME)
    sub = type("Sub", (cls,), {})
    sub.__mergeable__ = MergedClass(
        "Sub", (attrs.evolve(method, names=PrivateNames("_8", {}), owner="Sub"),)
    )
    assert SAME is make_conflict(method, param)(sub(), SAME, SAME)
    with pytest.raises(ConflictingParamError, match=r"Sub\.call\(\) \(merged by Layer\)"):
        make_conflict(method, param, forwarded=True)(sub(), SAME, 1)


def make(source, **names):
    """Return the last class in a source text, whose methods return their parameters."""
    namespace = {"MERGED": MERGED, "Param": Param, "mergeable": mergeable, **names}
    exec(source, namespace)
    return namespace["C"]


@pytest.mark.parametrize("policy", ["raise", "raise_if_different"])
def test_override_that_hands_on_merged(policy, inject):
    """The class that has left its own parameter unmerged is named."""
    override = make(f"""
@mergeable(Param("flag", on_conflict={policy!r}))
class Base:
    flag = 1
    def __call__(self, *, flag=MERGED): return flag
class C(Base):
    def __call__(self, *, flag=MERGED): return super().__call__(flag=flag)
""")

    with pytest.raises(MergeDefinitionError, match=r"^C\.__call__\(\) hands on MERGED for 'flag'"):
        override()()


LAYER = """
class C:
    one = two = three = None
    wrapped = type("Inner", (), {"four": None})
    def __call__(self, one=MERGED, *, two=MERGED, three=MERGED, four=MERGED):
        return one, two, three, four
"""
PARAMS = "one", Param("two"), Param("three", default=3), Param("four", attribute="wrapped.four")


@pytest.mark.parametrize(
    ("attributes", "call", "provided", "missing"),
    [
        ({}, {}, {}, ("one", "two", "four")),
        ({}, {"one": 1}, {}, ("two", "four")),
        ({}, {"two": 1}, {}, ("one", "four")),
        ({"two": 1}, {}, {}, ("one", "four")),
        ({}, {}, {"one": 1, "two": 2}, ("four",)),
        ({}, {}, {"four": 1}, ("one", "two")),
        ({"one": 1}, {"four": 1}, {}, ("two",)),
    ],
)
@pytest.mark.parametrize("stacked", [False, True])
def test_all_missing_parameters_are_named(attributes, call, provided, missing, stacked, inject):
    """One error names them all; in the order of the signature where one decorator has them."""
    cls = make(LAYER)
    for params in (PARAMS[2:], PARAMS[:2]) if stacked else [PARAMS]:
        mergeable(*params)(cls)
    vars(layer := cls()).update(attributes)
    with provide(**provided), pytest.raises(MissingParamError) as caught:
        layer(**call)

    assert missing == caught.value.params
    others = ", ".join(map(repr, missing[1:]))
    also = f"\n  Also missing in this call: {others}." if others else ""
    assert f":`.{also}\n  find_unset(model) lists" in str(caught.value)


def test_one_missing_parameter_is_named_while_tracing(monkeypatch):
    """Dynamo traces no frames, so that neither others nor the constructor are looked for."""
    monkeypatch.setattr(resolve, "is_tracing", lambda: True)
    layer = mergeable(*PARAMS)(make(LAYER))()
    with pytest.raises(MissingParamError) as caught:
        layer()
    assert ("one",) == caught.value.params

    layer.one = 1
    with pytest.raises(ConflictingParamError, match="'one' is set in both"):
        layer(one=2)


@pytest.mark.parametrize("error", [AttributeError, RuntimeError])
def test_other_attribute_that_cannot_be_read(error, inject):
    """The first parameter that is missing is the error, whatever an attribute behind it does."""
    layer = make(
        """
@mergeable
class C:
    flag = None
    @property
    def mode(self): raise error
    def __call__(self, *, flag=MERGED, mode=MERGED): ...
""",
        error=error,
    )

    with pytest.raises(MissingParamError) as caught:
        layer()()
    assert ("flag",) == caught.value.params
