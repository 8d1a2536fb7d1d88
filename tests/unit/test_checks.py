"""The checks that a definition must pass; every message holds the fix."""

import dataclasses

import attrs
import pytest
from typing_extensions import dataclass_transform

from mergeparam import MERGED, MergeDefinitionError, Param, mergeable


def refuses(*params, match, cls=None, **options):
    """Assert that `mergeable` refuses the class with a text that matches."""
    with pytest.raises(MergeDefinitionError, match=match):
        mergeable(*params, **options)(Layer if cls is None else cls)


class Layer:
    """A class that nothing may change."""

    flag = None

    def __call__(self, x, *, flag=MERGED, other=1, **kwargs): ...

    def forward(self, x): ...

    @staticmethod
    def static(flag=MERGED): ...


def test_undeclared_name():
    """A name that no method declares; `**kwargs` does not count."""
    refuses("flg", match=r"no parameter 'flg' \(\*\*kwargs does not declare one\).*flg=MERGED")


def test_one_of_several_names_undeclared():
    """Every name must be declared by one of the methods."""
    refuses("flag", "mode", match=r"No listed method.*'mode' \(\*\*kwargs.*mode=MERGED")


class Module:
    """As PyTorch has them: what users write is another method than what is called."""

    flag = other = None

    def __init__(self, flag=None): ...

    def __call__(self, *args, **kwargs): ...

    def forward(self, x, *, other=MERGED): ...


def test_method_that_is_forgotten():
    """The method that has the parameter is named; `__init__` and wrappers' inner ones are not."""
    refuses("other", cls=Module, match="name the method that has it: method='forward'")
    refuses(cls=Module, match="name the method that has it: method='forward'")
    refuses("flag", cls=Module, match=r"flag=MERGED\)\.$")


def test_method_that_declares_nothing():
    """Every listed method must declare at least one name."""
    refuses("flag", method=("__call__", "forward"), match=r"forward\(\) has no parameter 'flag'\.")


def test_the_object_itself_is_no_parameter():
    """`self` cannot be merged."""
    refuses("self", match=r"no parameter 'self'")


@pytest.mark.parametrize("name", ["kwargs", "x y", "", 3])
def test_no_such_name(name):
    """Catch-alls, and what is no name at all."""
    refuses(name, match="no parameter")


def test_bare_without_sentinel():
    """Bare `@mergeable` needs at least one `MERGED`."""
    refuses(method="forward", match=r"default is MERGED, and Layer\.forward\(\) has none")


def test_other_default():
    """A default that would count as set."""
    refuses("other", match=r"'other' the default 1.*other=MERGED.*Param\('other', default=1\)")


def test_order_of_positional_parameters():
    """A default that cannot be made optional, because a required parameter follows."""

    class Ordered:
        flag = None

        def __call__(self, flag, x, y=1): ...

    refuses("flag", match=r"'flag' optional.*'x' follows.*\*, flag=MERGED", cls=Ordered)


@pytest.mark.parametrize("make", [attrs.define, attrs.define(slots=False), dataclasses.dataclass])
def test_no_such_attribute(make):
    """A class that declares its attributes has none of that name."""

    @make
    class Declared:
        other: int = 1

        def __call__(self, *, flag=MERGED): ...

    refuses("flag", match=r"no attribute 'flag'.*flag: \.\.\. \| None", cls=Declared)


def test_attribute_found():
    """Fields, class attributes, properties, and what a set-up method sets are attributes."""

    @attrs.define(slots=False)
    class Declared:
        field: int = 1
        __by_hand = 2

        def __attrs_post_init__(self):
            self.late = 3

        @property
        def computed(self):
            return 4

        def __call__(self, *, field=MERGED, by_hand=MERGED, late=MERGED, computed=MERGED):
            return field, by_hand, late, computed

    mergeable("field", "late", "computed", Param("by_hand", attribute="__by_hand"))(Declared)

    assert (1, 2, 3, 4) == Declared()()


def test_attribute_of_a_required_field():
    """A dataclass field without a default is no class attribute, and is found."""

    @mergeable("flag")
    @dataclasses.dataclass
    class Declared:
        flag: object

        def __call__(self, *, flag=MERGED):
            return flag

    assert 1 == Declared(1)()


def test_attribute_that_is_computed_on_demand():
    """A class with a `__getattr__` of its own may have any attribute."""

    @mergeable("flag")
    @attrs.frozen
    class Proxy:
        def __getattr__(self, name):
            return name.upper()

        def __call__(self, *, flag=MERGED):
            return flag

    assert "FLAG" == Proxy()()


def test_attribute_that_a_base_computes():
    """A `__getattr__` may come from a mixin; that of a base that makes dataclasses is its own."""

    class Mixin:
        def __getattr__(self, name):
            return name.upper()

    @mergeable("flag")
    @attrs.frozen
    class Proxy(Mixin):
        def __call__(self, *, flag=MERGED):
            return flag

    @dataclass_transform()
    class Maker:
        def __getattr__(self, name):
            raise AttributeError(name)

    @dataclasses.dataclass
    class Made(Maker):
        def __call__(self, *, flag=MERGED): ...

    assert "FLAG" == Proxy()()
    refuses("flag", match="no attribute 'flag'", cls=Made)


@pytest.mark.parametrize(
    "body",
    [
        "def __init__(self): self._configure()\n    def _configure(self): self.flag = 5",
        (
            "def __new__(cls):\n        self = object.__new__(cls)\n        self.flag = 5\n"
            "        return self"
        ),
        "def __post_init__(self):\n        for name in ('mask', 'flag'): setattr(self, name, 5)",
        "def __post_init__(self):\n        def inner(): self.flag = 5\n        inner()",
    ],
)
def test_attribute_that_a_method_sets(body):
    """A method of the class that speaks of the attribute may set it, so there is no error."""
    source = f"class Declared:\n    {body}\n    def __call__(self, *, flag=MERGED): return flag"
    namespace = {"MERGED": MERGED}
    exec(source, namespace)
    declared = dataclasses.dataclass(namespace["Declared"])

    assert 5 == mergeable("flag")(declared)()()


def test_attribute_that_the_constructor_does_not_keep():
    """An `InitVar` is no attribute of the object."""

    @dataclasses.dataclass
    class Declared:
        flag: dataclasses.InitVar[object] = None

        def __call__(self, *, flag=MERGED): ...

    refuses("flag", match="no attribute 'flag'", cls=Declared)


def test_descriptor_that_refuses_to_be_read_of_the_class():
    """Nothing is asked of the class's attributes while it is checked."""

    class Refusing:
        def __get__(self, instance, owner):
            if instance is None:
                raise RuntimeError("asked")
            return 4

    @mergeable("flag")
    @attrs.define(slots=False)
    class Declared:
        flag = Refusing()

        def __call__(self, *, flag=MERGED):
            return flag

    assert 4 == Declared()()


def test_name_twice():
    """A name given twice."""
    refuses("flag", Param("flag", default=1), match=r"names 'flag' twice")


def test_merged_already():
    """A name that is merged already, by this class or by a base."""

    @mergeable("flag")
    class Base:
        flag = None

        def __call__(self, *, flag=MERGED): ...

    class Sub(Base):
        pass

    refuses("flag", match=r"merged already\. Leave it out", cls=Base)
    refuses("flag", match=r"merged already by .*Base\..*override", cls=Sub)


def test_merged_already_under_another_name():
    """A merged function that a second class shares."""

    @mergeable("flag")
    class One:
        flag = None

        def __call__(self, *, flag=MERGED): ...

    class Two:
        flag = None
        __call__ = One.__call__

    refuses("flag", match="merged already", cls=Two)


@pytest.mark.parametrize(
    ("method", "match"),
    [
        ((), "names no method"),
        (("__call__", 3), "names no method"),
        (("__call__", "__call__"), "names a method twice"),
    ],
)
def test_method(method, match):
    """One name, or several different ones."""
    refuses("flag", method=method, match=match)


@pytest.mark.parametrize("given", [b"flag", None, 3, ["flag"]])
def test_what_is_no_parameter(given):
    """Names and `Param`s only."""
    refuses(given, match="no parameter")


def test_function_under_the_decorator():
    """A function, or a class in a wrong place, is refused at once."""
    for given in (lambda flag=MERGED: flag, print):
        with pytest.raises(MergeDefinitionError, match="on top of a class"):
            mergeable(given)


@pytest.mark.parametrize("cls", [print, 3, Layer()])
def test_what_is_no_class(cls):
    """The decorator is for classes."""
    with pytest.raises(MergeDefinitionError, match="decorates a class"):
        mergeable("flag")(cls)


def test_nothing_changes_on_error():
    """A class that is refused is as it was, also where its first method was right."""
    before = dict(vars(Layer))

    refuses("flag", method=("__call__", "static"), match="staticmethod")

    assert before == dict(vars(Layer))
    assert MERGED is Layer.__call__.__kwdefaults__["flag"]


def test_attribute_that_is_only_annotated(inject):
    """A base may say what its subclasses are to have; an init-only name is not kept."""

    class Declares:
        flag: object

    @mergeable("flag")
    @dataclasses.dataclass
    class Base(Declares):
        rate: float = 0.5

        def __call__(self, *, flag=MERGED):
            return flag

    @dataclasses.dataclass
    class Child(Base):
        flag: object = None

    @dataclasses.dataclass
    class Forgets:
        flag: dataclasses.InitVar[object] = None

        def __call__(self, *, flag=MERGED): ...

    assert 3 == Child(flag=3)()
    refuses("flag", match="Forgets has no attribute 'flag'", cls=Forgets)
