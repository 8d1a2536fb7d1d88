"""The checks that a declaration must pass; every message holds the fix."""

import dataclasses
import functools

import attrs
import pytest
from typing_extensions import dataclass_transform

from mergeparam import MERGED, UNSET, MergeDefinitionError, Param, mergeable


class RefusesOfClass:
    """An attribute that must not be read of the class."""

    def __get__(self, instance, owner):
        if instance is None:
            raise RuntimeError("asked")
        return 4


class Computes:
    """A class whose objects have every attribute."""

    def __getattr__(self, name):
        return name.upper()


@dataclass_transform()
class Makes:
    """A base that makes dataclasses of its subclasses, and has a `__getattr__` for itself."""

    __getattr__ = Computes.__getattr__


class Annotates:
    """A base that says what its subclasses are to have."""

    flag: object


def make(source):
    """Return the class `C` that is defined in a source text."""
    namespace = {"functools": functools, **globals()}
    exec(source if "class C" in source else f"class C:\n    flag = None\n    {source}", namespace)
    return namespace["C"]


CALL = "def __call__(self, *, flag=MERGED):\n        return flag"
INIT_VAR = (
    f"@dataclasses.dataclass\nclass C:\n    flag: dataclasses.InitVar[object] = None\n    {CALL}"
)
# As PyTorch has them: what users write is another method than what is called.
MODULE = """
    other = None
    def __init__(self, flag=None): ...
    def __call__(self, *args, **kwargs): ...
    @staticmethod
    def wrapped(): ...
    around = functools.wraps(wrapped)(lambda *args: 0)
    around_a_builtin = functools.wraps(print)(lambda *args: 0)
    forward = lambda self, x, *, other=MERGED: 0
"""
MANY = (
    "def __call__(self, x, *, flag=MERGED, other=1, **kwargs): ...\n    def forward(self, x): ..."
)
BOTH = {"method": ("__call__", "forward")}
TYPO = (
    r"no parameter 'flg' \(\*\*kwargs does not declare one\) \(did you mean 'flag'\?\).*flg=MERGED"
)


@pytest.mark.parametrize(
    ("source", "params", "options", "match"),
    [
        # Names
        (MANY, ["flg"], {}, TYPO),
        (MANY, ["flag", "mode"], {}, r"No listed method.*'mode' \(\*\*kwargs.*mode=MERGED"),
        (MANY, ["flag"], BOTH, r"forward\(\) has no parameter 'flag'\."),
        (MANY, ["self"], {}, "no parameter 'self'"),
        (MANY, ["kwargs"], {}, "no parameter 'kwargs'"),
        (MANY, ["x y"], {}, "no parameter's name"),
        (MANY, [""], {}, "no parameter's name"),
        (MANY, ["class"], {}, "no parameter's name"),
        (MANY, ["flag", Param("flag", default=1)], {}, "names 'flag' twice"),
        (MANY, [], {"method": "forward"}, r"default is MERGED, and C\.forward\(\) has none"),
        (MODULE, ["other"], {}, "name the method that has it: method='forward'"),
        (MODULE, [], {}, "name the method that has it: method='forward'"),
        (MODULE, ["flag"], {}, r"flag=MERGED\)\.$"),
        # Methods
        (MANY, ["flag"], {"method": ()}, "names no method"),
        (MANY, ["flag"], {"method": ("__call__", 3)}, "names no method"),
        (
            "__call__ = type('Holder', (), {'__wrapped__': staticmethod(lambda s, flag: 0)})()",
            ["flag"],
            {},
            "which is no callable, so that no wrapper",
        ),
        # Defaults and the order of parameters
        (MANY, ["other"], {}, r"'other' the default 1.*other=MERGED.*Param\('other', default=1\)"),
        ("def __call__(self, flag, x, y=1): ...", ["flag"], {}, "'flag' opt.*'x' foll.*flag=MERG"),
        # Merged already
        (f"{CALL}\nmergeable('flag')(C)", ["flag"], {}, r"merged already\. Leave it out"),
        (
            f"class B:\n    flag = None\n    {CALL}\nclass C(mergeable('flag')(B)): ...",
            ["flag"],
            {},
            r"merged already by B\..*override",
        ),
        (
            (
                f"class B:\n    flag = None\n    {CALL}\nmergeable('flag')(B)\n"
                f"class C:\n    flag = None\n    __call__ = B.__call__"
            ),
            ["flag"],
            {},
            "merged already",
        ),
        # Attributes
        *[
            (f"@{maker}\nclass C:\n    other: int = 1\n    {CALL}", ["flag"], {}, match)
            for match in [r"no attribute 'flag'.*flag: \.\.\. \| None"]
            for maker in ("attrs.define", "attrs.define(slots=False)", "dataclasses.dataclass")
        ],
        (
            f"@dataclasses.dataclass\nclass C(Makes):\n    {CALL}",
            ["flag"],
            {},
            "no attribute 'flag'",
        ),
        (INIT_VAR, ["flag"], {}, "no attribute 'flag'"),
        (INIT_VAR.replace("C:", "C(Annotates):"), ["flag"], {}, "C has no attribute 'flag'"),
        # Defaults of the constructor
        *[
            (f"@{maker}\nclass C:\n    flag: object = {value}\n    {CALL}", ["flag"], {}, match)
            for maker in (
                "attrs.define",
                "dataclasses.dataclass",
                "attrs.define(slots=False)\n@dataclasses.dataclass",
            )
            for value, match in [
                ("False", r"default False, which counts as set.*= None;.*default=False.*use_call"),
                ("MERGED", r"default MERGED, which is for.*flag: \.\.\. \| None = None"),
            ]
        ],
    ],
)
def test_refused(source, params, options, match):
    """Nothing of the class, nor of a method that was right, has changed."""
    cls = make(source)
    before = dict(vars(cls)), [getattr(held, "__code__", 0) for held in vars(cls).values()]

    with pytest.raises(MergeDefinitionError, match=match):
        mergeable(*params, **options)(cls)
    assert before == (
        dict(vars(cls)),
        [getattr(held, "__code__", 0) for held in vars(cls).values()],
    )


ATTRS, DATA = "@attrs.define(slots=False)\nclass C:", "@dataclasses.dataclass\nclass C:"
COMPUTES, SUB = "@attrs.frozen\nclass C(Computes):", "@dataclasses.dataclass\nclass C(B):"
NEW = """def __new__(cls):
        self = object.__new__(cls)
        self.flag = 5
        return self"""
MERGED_BASE = f"@mergeable('flag')\n@dataclasses.dataclass\nclass B(Annotates):\n    {CALL}\n{SUB}"


@pytest.mark.parametrize(
    ("head", "body", "attribute", "expected"),
    [
        ("@attrs.define\nclass C:", "flag: int", "flag", 1),
        (DATA, "flag: object", "flag", 1),
        (ATTRS, "__own = 2", "__own", 2),
        (ATTRS, "def __attrs_post_init__(self): self.flag = 3", "flag", 3),
        (ATTRS, "flag = property(lambda self: 4)", "flag", 4),
        (ATTRS, "flag = RefusesOfClass()", "flag", 4),
        (COMPUTES, "", "flag", "FLAG"),
        (ATTRS, "__getattr__ = Computes.__getattr__", "flag", "FLAG"),
        (DATA, "def __init__(self): self._set()\n    def _set(self): self.flag = 5", "flag", 5),
        (DATA, NEW, "flag", 5),
        (DATA, "def __post_init__(self): [setattr(self, n, 5) for n in ('x', 'flag')]", "flag", 5),
        (DATA, "def __post_init__(self):\n        def f(): self.flag = 5\n        f()", "flag", 5),
        (MERGED_BASE, "flag: object = None", None, 1),
    ],
)
def test_attribute_found(head, body, attribute, expected, inject):
    """Fields, class attributes, properties, and what a method may set are attributes."""
    cls = make(f"{head}\n    {body}\n    {CALL if attribute else ''}")
    if attribute is not None:
        mergeable(Param("flag", attribute=attribute))(cls)

    assert expected == cls(*[1] * (expected == 1))()


@pytest.mark.parametrize("unset", [None, UNSET])
@pytest.mark.parametrize("policy", ["raise", "raise_if_different", "use_call", "use_attribute"])
@pytest.mark.parametrize("default", [None, UNSET, False, attrs.Factory(int)])
@pytest.mark.parametrize("maker", ["attrs", "dataclass"])
def test_constructor_default(default, policy, unset, maker):
    """One that counts as set in every object is refused where every call would conflict."""
    value = default
    if maker == "dataclass" and isinstance(default, attrs.Factory):
        value = dataclasses.field(default_factory=int)
    make_class = {"attrs": attrs.define, "dataclass": dataclasses.dataclass}[maker]
    body = {"__annotations__": {"flag": object}, "flag": value, "__call__": make(CALL).__call__}
    cls = make_class(type("C", (), body))
    decorate = mergeable(Param("flag", unset=unset, on_conflict=policy))

    conflicts = default not in (unset, attrs.Factory(int)) and policy.startswith("raise")
    if conflicts:
        with pytest.raises(MergeDefinitionError, match="counts as set in every object"):
            decorate(cls)
    else:
        assert cls is decorate(cls)


LEFT = """
@attrs.define
class C:
    flag: object = None
    mode: object = 1
    def __call__(self, *, flag=MERGED, mode=MERGED):
        return flag, mode
"""


@pytest.mark.parametrize("names", [0, 300], ids=["few names", "many names"])
@pytest.mark.parametrize(
    ("above", "refused"),
    [
        ("@mergeable('flag')", True),
        ("@mergeable(Param('flag'))", True),
        ("@functools.partial(lambda cls: cls)\n@mergeable('flag')", False),
        ("@mergeable(Param('mode', on_conflict='use_call'))\n@mergeable('flag')", False),
    ],
)
def test_parameter_that_is_left_at_merged(above, refused, names):
    """It is refused at the class, where the decorator is the last one; else when it is called."""
    source = "\n".join([f"n{index} = 0" for index in range(names)]) + LEFT.replace(
        "@attrs", f"{above}\n@attrs"
    )
    if refused:
        with pytest.raises(MergeDefinitionError, match=r"gives 'mode' the default MERGED, and no"):
            make(source)
        return
    cls = make(source)
    if "mode" in above:
        assert (1, 1) == cls(1)()
    else:
        assert (1, 2) == cls(1)(mode=2)
        with pytest.raises(MergeDefinitionError, match="C was called without 'mode'"):
            cls(1)()


@pytest.mark.parametrize("given", [b"flag", None, 3, ["flag"], lambda flag=MERGED: flag, print])
def test_what_is_no_parameter(given):
    """Names and `Param`s only; a function under the decorator is none."""
    with pytest.raises(MergeDefinitionError, match="is no parameter.*on top of a class"):
        mergeable(given)


@pytest.mark.parametrize("cls", [print, 3, Computes()])
def test_what_is_no_class(cls):
    """The decorator is for classes."""
    with pytest.raises(MergeDefinitionError, match="decorates a class"):
        mergeable("flag")(cls)
