"""pydantic: merged methods of models, of its dataclasses, and under `validate_call`."""

import copy
import json
import pickle
import sys
from typing import Generic, TypeVar

import pytest

from mergeparam import (
    MERGED,
    UNSET,
    ConflictingParamError,
    MergeDefinitionError,
    MergeWarning,
    MissingParamError,
    Param,
    UnsetType,
    find_unset,
    mergeable,
    merged_params,
    merged_signature,
    unset_params,
)

pydantic = pytest.importorskip("pydantic", minversion="2", reason="pydantic 2 is not installed")

T = TypeVar("T")


@pytest.fixture
def scale(inject, monkeypatch):
    """Return a merged model that can be pickled."""

    @mergeable("deterministic")
    class Scale(pydantic.BaseModel):
        __qualname__ = "Scale"

        rate: float
        deterministic: bool | None = None

        def __call__(self, x: float, *, deterministic: bool = MERGED) -> float:
            return x if deterministic else x * self.rate

    monkeypatch.setattr(sys.modules[__name__], "Scale", Scale, raising=False)
    return Scale


def test_either_place(scale):
    """A field is the constructor's value, validated like any other."""
    assert 0.5 == scale(rate=0.5, deterministic="no")(1.0)
    assert 1.0 == scale(rate=0.5, deterministic=True)(1.0)
    assert 0.5 == scale(rate=0.5)(1.0, deterministic=False)


def test_neither_and_both(scale):
    """Both errors name the model and the field."""
    with pytest.raises(MissingParamError, match=r"Scale\.__call__\(\): 'deterministic'"):
        scale(rate=0.5)(1.0)
    with pytest.raises(ConflictingParamError, match=r"self\.deterministic is False"):
        scale(rate=0.5, deterministic=False)(1.0, deterministic=False)


def test_fields_and_schema(scale):
    """The merge adds no field, and nothing to what is dumped and compared."""
    model = scale(rate=0.5, deterministic=True)

    assert ["rate", "deterministic"] == list(scale.model_fields)
    assert {"rate", "deterministic"} == scale.model_json_schema()["properties"].keys()
    assert {"rate": 0.5, "deterministic": True} == json.loads(model.model_dump_json())
    assert model == scale.model_validate_json(model.model_dump_json())
    assert "Scale(rate=0.5, deterministic=True)" == repr(model)


def test_copies(scale):
    """Copies hold the constructor's value, or the one that they are made with."""
    set_, unset = scale(rate=0.5, deterministic=True), scale(rate=0.5)

    for made in (
        copy.copy(set_),
        copy.deepcopy(set_),
        pickle.loads(pickle.dumps(set_)),
        set_.model_copy(deep=True),
        unset.model_copy(update={"deterministic": True}),
        scale.model_construct(rate=0.5, deterministic=True),
    ):
        assert 1.0 == made(1.0)
    with pytest.raises(MissingParamError):
        set_.model_copy(update={"deterministic": None})(1.0)
    with pytest.raises(MissingParamError):
        scale.model_construct(rate=0.5)(1.0)


def test_introspection(scale):
    """A model tells what it still needs."""
    model = scale(rate=0.5)

    assert "(x: float, *, deterministic: bool | None) -> float" == str(merged_signature(model))
    assert ("deterministic",) == unset_params(model)
    assert [("[0]", ("deterministic",))] == [
        (path, names) for path, _, names in find_unset([model])
    ]


def test_frozen(inject):
    """A frozen model stays frozen and hashable: the merge sets nothing on it."""

    @mergeable("flag")
    class Frozen(pydantic.BaseModel):
        model_config = pydantic.ConfigDict(frozen=True)

        flag: int | None = None

        def __call__(self, *, flag=MERGED):
            return flag

    assert (1, 2) == (Frozen(flag=1)(), Frozen()(flag=2))
    assert hash(Frozen(flag=1)) == hash(Frozen(flag=1))


def test_private_attribute(inject):
    """A private attribute, which pydantic finds in `__getattr__`."""

    @mergeable(Param("flag", attribute="_flag"))
    class Private(pydantic.BaseModel):
        _flag: int | None = pydantic.PrivateAttr(None)

        def __call__(self, *, flag=MERGED):
            return flag

        def pin(self, flag):
            self._flag = flag
            return self

    assert (1, 2) == (Private().pin(1)(), Private()(flag=2))
    with pytest.raises(ConflictingParamError):
        Private().pin(1)(flag=2)


def test_attribute_that_is_not_there(inject):
    """A private attribute that was never set, or a misspelt field, is no missing parameter."""

    @mergeable(Param("flag", attribute="_flag"))
    class NeverSet(pydantic.BaseModel):
        _flag: int = pydantic.PrivateAttr()

        def __call__(self, *, flag=MERGED):
            return flag

    @mergeable("flag")
    class Misspelt(pydantic.BaseModel):
        flga: int | None = None

        def __call__(self, *, flag=MERGED):
            return flag

    for model, name in ((NeverSet(), "_flag"), (Misspelt(), "flag")):
        with pytest.raises(AttributeError, match=f"no attribute '{name}'"):
            model()


def test_extra_and_alias(inject):
    """Extra values are attributes; under an alias the attribute keeps the field's name."""

    @mergeable("flag")
    class Extra(pydantic.BaseModel):
        model_config = pydantic.ConfigDict(extra="allow")

        def __call__(self, *, flag=MERGED):
            return flag

    @mergeable("flag")
    class Alias(pydantic.BaseModel):
        flag: int | None = pydantic.Field(None, alias="wire-name", exclude=True)

        def __call__(self, *, flag=MERGED):
            return flag

    assert (1, 2) == (Extra(flag=1)(), Extra(flag=None)(flag=2))
    assert (1, 2) == (Alias(**{"wire-name": 1})(), Alias()(flag=2))


def test_root_model(inject):
    """The only value of a root model."""

    @mergeable(Param("flag", attribute="root"))
    class Root(pydantic.RootModel[int | None]):
        root: int | None = None

        def __call__(self, *, flag=MERGED):
            return flag

    assert (1, 2) == (Root(1)(), Root()(flag=2))


def test_generic(inject):
    """Each parametrization of a generic model inherits the merge."""

    @mergeable("flag")
    class Box(pydantic.BaseModel, Generic[T]):
        value: T
        flag: bool | None = None

        def __call__(self, *, flag: bool = MERGED) -> T | None:
            return self.value if flag else None

    assert (1, "a") == (Box[int](value=1, flag=True)(), Box[str](value="a")(flag=True))
    assert merged_params(Box) == merged_params(Box[int])
    with pytest.raises(MissingParamError, match=r"Box\[int\]\.__call__\(\) \(merged by .*Box\)"):
        Box[int](value=1)()


def test_subclasses(scale):
    """A subclass forwards to `super()`; one made by `create_model` inherits the merge."""

    @mergeable("deterministic")
    class Shifted(scale):
        def __call__(self, x, *, deterministic: bool = MERGED):
            return super().__call__(x, deterministic=deterministic) + 1

    created = pydantic.create_model("Created", __base__=scale, more=(int, 3))

    assert 1.5 == Shifted(rate=0.5, deterministic=False)(1.0)
    assert 1.5 == Shifted(rate=0.5)(1.0, deterministic=False)
    assert 0.5 == created(rate=0.5)(1.0, deterministic=False)
    with pytest.raises(ConflictingParamError):
        Shifted(rate=0.5, deterministic=False)(1.0, deterministic=False)


def test_method_of_the_model_itself(inject):
    """A merged override of one of pydantic's methods."""

    @mergeable("flag", method="model_dump")
    class Dumping(pydantic.BaseModel):
        flag: int | None = None

        def model_dump(self, *, flag=MERGED, **options):
            return flag, super().model_dump(**options)

    assert (1, {"flag": 1}) == Dumping(flag=1).model_dump()
    assert (2, {}) == Dumping().model_dump(flag=2, exclude={"flag"})


def test_called_by_a_validator(inject):
    """A merged method runs while the model is validated, and its errors are pydantic's then."""

    @mergeable("flag", method="check")
    class Checked(pydantic.BaseModel):
        flag: int | None = None

        def check(self, flag=MERGED):
            return flag

        @pydantic.model_validator(mode="after")
        def _run_check(self):
            assert self.check() > 0
            return self

    assert 1 == Checked(flag=1).check()
    with pytest.raises(pydantic.ValidationError, match="'flag' is set in neither place"):
        Checked()


def test_forward_reference(inject):
    """A model that is only complete later."""

    @mergeable("flag")
    class Early(pydantic.BaseModel):
        flag: "Late | None" = None

        def __call__(self, *, flag=MERGED):
            return flag

    class Late(pydantic.BaseModel):
        pass

    Early.model_rebuild(_types_namespace={"Late": Late})

    assert Late() == Early(flag=Late())()
    assert 2 == Early()(flag=2)


def test_sentinel(inject):
    """`UNSET` is a field's default, and survives a dump to JSON."""

    @mergeable(Param("mask", unset=UNSET))
    class Masked(pydantic.BaseModel):
        mask: list[int] | UnsetType | None = UNSET

        def __call__(self, mask=MERGED):
            return mask

    loaded = Masked.model_validate_json(Masked().model_dump_json())

    assert UNSET is loaded.mask is Masked().model_copy(deep=True).mask
    assert None is loaded(None) is Masked(mask=None)()
    assert [1] == Masked(mask=[1])()


def test_raw_read(inject):
    """The shipped bug is found in a model's body too."""
    with pytest.warns(MergeWarning, match=r"reads the raw self\.flag"):

        @mergeable("flag")
        class Raw(pydantic.BaseModel):
            flag: int | None = None

            def __call__(self, *, flag=MERGED):
                return self.flag


@pytest.mark.parametrize("options", [{}, {"frozen": True, "slots": True}])
def test_dataclass(inject, options):
    """Pydantic's dataclasses validate what the constructor gets; misspelt fields are found."""

    @mergeable("flag")
    @pydantic.dataclasses.dataclass(**options)
    class Layer:
        flag: bool | None = None

        def __call__(self, *, flag: bool = MERGED):
            return flag

    assert (True, 2) == (Layer(flag="yes")(), Layer()(flag=2))
    with pytest.raises(MissingParamError):
        Layer()()
    with pytest.raises(ConflictingParamError):
        Layer(flag=True)(flag=True)
    with pytest.raises(MergeDefinitionError, match="has no attribute 'mode'"):

        @mergeable("mode")
        @pydantic.dataclasses.dataclass(**options)
        class Misspelt:
            flag: bool | None = None

            def __call__(self, *, mode: bool = MERGED): ...


def test_dataclass_on_top(inject):
    """A dataclass that is made of a merged class."""

    @pydantic.dataclasses.dataclass
    @mergeable("flag")
    class Layer:
        flag: bool | None = None

        def __call__(self, *, flag: bool = MERGED):
            return flag

    assert (True, 2) == (Layer(flag="yes")(), Layer()(flag=2))


@pytest.fixture(params=[None, MERGED], ids=["None", "MERGED"])
def validated(inject, request):
    """Return a class whose merged method validates its arguments.

    Its annotation allows for `None`, because it is the arguments of the call that are validated.
    """

    @mergeable("count", method="run")
    class Validated:
        def __init__(self, count=None):
            self.count = count

        @pydantic.validate_call
        def run(self, x: int, *, count: int | None = request.param):
            return x, count

    return Validated


def test_validate_call(validated):
    """`validate_call` sees what the call gave, and the body what is merged."""
    assert (3, 1) == validated(1).run("3")
    assert (3, 4) == validated().run("3", count="4")
    assert (3, 4) == validated().run(3, count=4)
    assert (3, 1) == validated(1).run(3, count=None)
    with pytest.raises(pydantic.ValidationError, match="valid integer"):
        validated().run("x", count=1)
    with pytest.raises(pydantic.ValidationError, match="valid integer"):
        validated().run(3, count="x")


def test_validate_call_of_neither_and_both(validated):
    """The errors of the merge are not taken for failed validations of an argument."""
    with pytest.raises(MissingParamError):
        validated().run(3)
    with pytest.raises(ConflictingParamError):
        validated(1).run(3, count=1)


def test_validate_call_on_top(inject):
    """`validate_call` around a merged method takes the signature that callers see."""

    @mergeable("count", method="run")
    class Layer:
        def __init__(self, count=None):
            self.count = count

        def run(self, x: int, count: int = MERGED):
            return x, count

    Layer.run = pydantic.validate_call(Layer.run)

    assert (3, 1) == Layer(1).run("3")
    assert (3, 4) == Layer().run("3", "4")
    with pytest.raises(MissingParamError):
        Layer().run(3)
    with pytest.raises(pydantic.ValidationError, match="valid integer"):
        Layer().run(3, "x")
