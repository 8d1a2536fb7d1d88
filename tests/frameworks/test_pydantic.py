"""pydantic: merged methods of models, of its dataclasses, and under `validate_call`."""

import json
from typing import Generic, TypeVar

import frameworks
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
    mergeable,
    merged_params,
    merged_signature,
)

pydantic = pytest.importorskip("pydantic", minversion="2", reason="pydantic 2 is not installed")

T = TypeVar("T")


def test_fields_and_schema(inject):
    """A field is validated like any other; the merge adds nothing to it, and is no part of it."""

    @mergeable("deterministic")
    class Scale(pydantic.BaseModel):
        rate: float
        deterministic: bool | None = None

        def __call__(self, x: float, *, deterministic: bool = MERGED) -> float:
            return x if deterministic else x * self.rate

    model = Scale(rate=0.5, deterministic="no")
    created = pydantic.create_model("Created", __base__=Scale, more=(int, 3))

    assert 0.5 == model(1.0) == created(rate=0.5)(1.0, deterministic=False)
    assert ["rate", "deterministic"] == list(Scale.model_fields)
    assert {"rate", "deterministic"} == Scale.model_json_schema()["properties"].keys()
    assert {"rate": 0.5, "deterministic": False} == json.loads(model.model_dump_json())
    assert model == Scale.model_validate_json(model.model_dump_json())
    assert "Scale(rate=0.5, deterministic=False)" == repr(model)
    assert "(x: float, *, deterministic: bool | None) -> float" == str(
        merged_signature(Scale(rate=1))
    )
    with pytest.raises(MissingParamError):
        model.model_copy(update={"deterministic": None})(1.0)


def frozen():
    """A frozen model stays frozen and hashable: the merge sets nothing on it."""

    @mergeable("flag")
    class Model(pydantic.BaseModel):
        model_config = pydantic.ConfigDict(frozen=True)

        flag: int | None = None

        def __call__(self, *, flag=MERGED):
            return flag

    return Model


def private():
    """A private attribute, which pydantic finds in `__getattr__`."""

    @mergeable(Param("flag", attribute="_flag"))
    class Model(pydantic.BaseModel):
        _flag: int | None = pydantic.PrivateAttr(None)

        def __init__(self, flag=None):
            super().__init__()
            self._flag = flag

        def __call__(self, *, flag=MERGED):
            return flag

    return Model


def extra():
    """Extra values are attributes."""

    @mergeable("flag")
    class Model(pydantic.BaseModel):
        model_config = pydantic.ConfigDict(extra="allow")

        def __call__(self, *, flag=MERGED):
            return flag

    return lambda flag=None: Model(flag=flag)


def alias():
    """Under an alias the attribute keeps the field's name."""

    @mergeable("flag")
    class Model(pydantic.BaseModel):
        flag: int | None = pydantic.Field(None, alias="wire-name", exclude=True)

        def __call__(self, *, flag=MERGED):
            return flag

    return lambda flag=None: Model(**{"wire-name": flag})


def root():
    """The only value of a root model."""

    @mergeable(Param("flag", attribute="root"))
    class Model(pydantic.RootModel[int | None]):
        root: int | None = None

        def __call__(self, *, flag=MERGED):
            return flag

    return lambda flag=None: Model(flag)


def late():
    """A model that is only complete later."""

    @mergeable("flag")
    class Model(pydantic.BaseModel):
        flag: "Late | None" = None

        def __call__(self, *, flag=MERGED):
            return flag

    Late = int
    Model.model_rebuild(_types_namespace={"Late": Late})
    return Model


def dataclass(**options):
    """Pydantic's dataclasses validate what the constructor gets."""

    @mergeable("flag")
    @pydantic.dataclasses.dataclass(**options)
    class Model:
        flag: int | None = None

        def __call__(self, *, flag: int = MERGED):
            return flag

    return lambda flag=None: Model(str(flag) if flag else None)


def dataclass_with_slots():
    """So do frozen ones, with slots."""
    return dataclass(frozen=True, slots=True)


def dataclass_on_top():
    """A dataclass that is made of a merged class."""

    @pydantic.dataclasses.dataclass
    @mergeable("flag")
    class Model:
        flag: int | None = None

        def __call__(self, *, flag: int = MERGED):
            return flag

    return lambda flag=None: Model(str(flag) if flag else None)


WAYS = [
    *(frozen, private, extra, alias, root, late),
    *(dataclass, dataclass_with_slots, dataclass_on_top),
]


@pytest.mark.parametrize("way", WAYS)
def test_ways_to_hold_a_value(inject, way):
    """However a model holds a value, that is the constructor's."""
    cls = way()

    assert (1, 2) == (cls(flag=1)(), cls()(flag=2))
    assert way is not frozen or hash(cls(flag=1)) == hash(cls(flag=1))
    with pytest.raises(MissingParamError):
        cls()()
    with pytest.raises(ConflictingParamError):
        cls(flag=1)(flag=2)


def test_attribute_that_is_not_there(inject):
    """A private attribute that was never set, or a misspelt field, is no missing parameter.

    A misspelt field of a dataclass is found while the class is being defined.
    """

    @mergeable(Param("flag", attribute="_flag"))
    class NeverSet(pydantic.BaseModel):
        _flag: int = pydantic.PrivateAttr()

        def __call__(self, *, flag=MERGED): ...

    @mergeable("flag")
    class Misspelt(pydantic.BaseModel):
        flga: int | None = None

        def __call__(self, *, flag=MERGED): ...

    for model, name in ((NeverSet(), "_flag"), (Misspelt(), "flag")):
        with pytest.raises(AttributeError, match=f"no attribute '{name}'"):
            model()
    for options in ({}, {"slots": True}):
        with pytest.raises(MergeDefinitionError, match="has no attribute 'mode'"):

            @mergeable("mode")
            @pydantic.dataclasses.dataclass(**options)
            class Layer:
                flag: bool | None = None

                def __call__(self, *, mode: bool = MERGED): ...


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


def test_methods_that_pydantic_calls(inject):
    """A merged method may override one of pydantic's, and may run in a validator.

    Its errors are pydantic's then.
    """

    @mergeable("flag", method=("model_dump", "check"))
    class Model(pydantic.BaseModel):
        flag: int | None = None

        def model_dump(self, *, flag=MERGED, **options):
            return flag, super().model_dump(**options)

        def check(self, flag=MERGED):
            return flag

        @pydantic.model_validator(mode="after")
        def _run_check(self):
            assert self.check() > 0
            return self

    unset = Model.model_construct()

    assert (1, {"flag": 1}) == Model(flag=1).model_dump()
    assert (2, {}) == unset.model_dump(flag=2, exclude={"flag"})
    with pytest.raises(pydantic.ValidationError, match="'flag' is set in neither place"):
        Model()


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


@pytest.mark.parametrize("place", [None, MERGED, "on top"])
def test_validate_call(inject, place):
    """`validate_call` sees what the call gave, and the body what is merged.

    Inside, the parameter's annotation allows for `None`; on top, it sees the merged signature.
    The errors of the merge are not taken for failed validations of an argument.
    """
    validate = frameworks.same if place == "on top" else pydantic.validate_call

    @mergeable("count", method="run")
    class Layer:
        def __init__(self, count=None):
            self.count = count

        @validate
        def run(self, x: int, count: int | None = None if place is None else MERGED):
            return x, count

    if place == "on top":
        Layer.run = pydantic.validate_call(Layer.run)

    assert (3, 1) == Layer(1).run("3") == Layer(1).run(3, count=None)
    assert (3, 4) == Layer().run("3", "4") == Layer().run(3, count=4)
    for arguments in (("x", 1), (3, "x")):
        with pytest.raises(pydantic.ValidationError, match="valid integer"):
            Layer().run(*arguments)
    with pytest.raises(MissingParamError):
        Layer().run(3)
    with pytest.raises(ConflictingParamError):
        Layer(1).run(3, count=1)
