"""The merge as source text (golden), and the private names that it reads."""

import types

import pytest

from mergeparam import MERGED, UNSET, MissingParamError, Param, mergeable
from mergeparam._declare.checks import declare
from mergeparam._inject.source import PrivateNames, merge_source, share_unset

NO_NAMES = PrivateNames("", {})
GOLDEN = {
    "raise": (
        {"params": (Param("flag"),)},
        """\
if flag is None:
    flag = self.flag
    if flag is None:
        flag = self._mergeparam_missing_flag(7)
elif self.flag is not None:
    flag = self._mergeparam_conflict_flag(7, flag, self.flag)
""",
    ),
    "raise_if_different": (
        {"params": (Param("flag", on_conflict="raise_if_different"),)},
        """\
if flag is None:
    flag = self.flag
    if flag is None:
        flag = self._mergeparam_missing_flag(7)
else:
    flag = (flag, self.flag)
    if flag[1] is None or flag[1] is flag[0]:
        flag = flag[0]
    else:
        flag = self._mergeparam_conflict_flag(7, *flag)
""",
    ),
    "use_call": (
        {"params": (Param("flag", on_conflict="use_call"),)},
        """\
if flag is None:
    flag = self.flag
    if flag is None:
        flag = self._mergeparam_missing_flag(7)
""",
    ),
    "use_attribute": (
        {"params": (Param("flag", on_conflict="use_attribute"),)},
        """\
match self.flag:
    case None:
        if flag is None:
            flag = self._mergeparam_missing_flag(7)
    case flag:
        pass
""",
    ),
    "use_attribute of a name that is no pattern": (
        {"params": (Param("_", on_conflict="use_attribute"),)},
        """\
if _ is None:
    _ = self._
    if _ is None:
        _ = self._mergeparam_missing__(7)
else:
    _ = (_, self._)
    _ = _[_[1] is not None]
""",
    ),
    "use_attribute with another unset, as a global": (
        {
            "params": (Param("flag", on_conflict="use_attribute", unset=UNSET),),
            "names": PrivateNames("", {"flag": "_mergeparam_UNSET"}),
        },
        """\
if flag is _mergeparam_UNSET:
    flag = self.flag
    if flag is _mergeparam_UNSET:
        flag = self._mergeparam_missing_flag(7)
else:
    flag = (flag, self.flag)
    flag = flag[flag[1] is not _mergeparam_UNSET]
""",
    ),
    "unset through the class, and names that a base has taken": (
        {
            "params": (Param("flag", unset=UNSET, on_conflict="use_call"),),
            "names": PrivateNames("_2", {}),
        },
        """\
if flag is self._mergeparam_unset_flag_2(7):
    flag = self.flag
    if flag is self._mergeparam_unset_flag_2(7):
        flag = self._mergeparam_missing_flag_2(7)
""",
    ),
    "dotted, a literal unset, another receiver": (
        {"receiver": "args[0]", "params": (Param("flag", attribute="inner.f", unset=...),)},
        """\
if flag is ...:
    flag = args[0].inner.f
    if flag is ...:
        flag = args[0]._mergeparam_missing_flag(7)
elif args[0].inner.f is not ...:
    flag = args[0]._mergeparam_conflict_flag(7, flag, args[0].inner.f)
""",
    ),
    "several, and one that a wrapper may hand on": (
        {
            "params": (Param("one", on_conflict="use_call"), Param("two", on_conflict="use_call")),
            "may_receive_merged": frozenset({"two"}),
        },
        """\
if one is None:
    one = self.one
    if one is None:
        one = self._mergeparam_missing_one(7)
if two is self._mergeparam_merged:
    two = None
if two is None:
    two = self.two
    if two is None:
        two = self._mergeparam_missing_two(7)
""",
    ),
}


@pytest.mark.parametrize(("options", "expected"), GOLDEN.values(), ids=GOLDEN)
def test_merge_source(options, expected):
    """The merge is what a careful author would write."""
    options = {"receiver": "self", "names": NO_NAMES, "identity": 7, **options}

    assert expected == merge_source(**options)


def make(module, name="Layer", **params):
    """Return a class, and its declaration, as if it stood in a module."""
    source = f"""class {name}:
    {" = ".join(params)} = 5
    def __call__(self, *, {"=MERGED, ".join(params)}=MERGED): return {", ".join(params)}
"""
    vars(module).setdefault("MERGED", MERGED)
    exec(source, vars(module))
    return vars(module)[name]


def unset_globals(module):
    """Return the private globals of a module."""
    return {name: held for name, held in vars(module).items() if name.startswith("_mergeparam")}


OWN, OTHER = object(), object()


@pytest.mark.parametrize(
    ("unset", "already", "expected"),
    [
        (None, {}, None),
        (False, {}, None),
        (..., {}, None),
        (UNSET, {}, "_mergeparam_UNSET"),
        (UNSET, {"_mergeparam_UNSET": UNSET}, "_mergeparam_UNSET"),
        (UNSET, {"_mergeparam_UNSET": OTHER}, None),
        (0, {}, "_mergeparam_unset_Layer_flag"),
        (OWN, {}, "_mergeparam_unset_Layer_flag"),
        (OWN, {"_mergeparam_unset_Layer_flag": OWN}, "_mergeparam_unset_Layer_flag"),
        (OWN, {"_mergeparam_unset_Layer_flag": OTHER}, None),
    ],
    ids=repr,
)
def test_share_unset(unset, already, expected):
    """An object that is no literal becomes a global, unless the name is another object's."""
    module = types.ModuleType("user")
    vars(module).update(already)
    (declaration,) = declare(make(module, flag=unset), (Param("flag", unset=unset),), "__call__")
    found = share_unset(declaration)

    assert ({} if expected is None else {"flag": expected}) == found
    assert already | dict.fromkeys(found.values(), unset) == unset_globals(module)


def test_class_whose_name_is_no_identifier():
    """Its objects are read through the class."""
    cls = make(types.ModuleType("user"), flag=OWN)
    cls.__name__ = "Layer[int]"
    (declaration,) = declare(cls, (Param("flag", unset=OWN),), "__call__")

    assert {} == share_unset(declaration)


def test_taken_name_is_read_through_the_class(inject):
    """The second class of a name has other objects; both merge right, and the module stays."""
    module = types.ModuleType("user")
    layers = []
    for unset in (OWN, OTHER, OTHER):
        cls = make(module, flag=unset, mode=unset)
        mergeable(Param("flag", unset=unset), Param("mode", unset=unset, default=3))(cls)
        cls.mode = unset
        layers.append(cls)
        del module.Layer
    private = {"_mergeparam_unset_Layer_flag": OWN, "_mergeparam_unset_Layer_mode": OWN}

    assert private == unset_globals(module)
    for cls, unset in zip(layers, (OWN, OTHER, OTHER), strict=True):
        through_class = "_mergeparam_unset_flag" in vars(cls)
        assert (unset is OTHER) == through_class
        assert (5, 3) == cls()()
        cls.flag = unset
        assert (1, 2) == cls()(flag=1, mode=2)
        with pytest.raises(MissingParamError) as caught:
            cls()()
        assert ("flag",) == caught.value.params


def test_foreign_globals_are_left_alone(inject):
    """A function from another module gets its objects through the class."""
    module, other = types.ModuleType("user"), types.ModuleType("other")
    base = make(module, "Base", flag=UNSET)
    cls = mergeable(Param("flag", unset=UNSET))(type("Sub", (base,), {"__module__": "other"}))

    assert {} == unset_globals(module) == unset_globals(other)
    assert 5 == cls()()


def private_names(cls):
    """Return the names that the decorator has put into a class."""
    return {name for name in vars(cls) if name.startswith("_mergeparam_")} - {"_mergeparam_merged"}


def test_suffixes_of_taken_names(inject):
    """A subclass, and a second method of one class, get private names of their own."""

    @mergeable("flag")
    class Base:
        flag = 1

        def __call__(self, *, flag=MERGED):
            return flag

    @mergeable("flag", method=("__call__", "other"))
    class Sub(Base):
        def __call__(self, *, flag=MERGED):
            return "sub", flag

        def other(self, *, flag=MERGED):
            return "other", flag

    suffixes = {method.name: method.suffix for method in Sub.__mergeable__.methods}
    missing = {name for name in private_names(Sub) if "missing" in name}

    assert [""] == [method.suffix for method in Base.__mergeable__.methods]
    assert {"__call__": "_2", "other": "_3"} == suffixes
    assert {"_mergeparam_missing_flag_2", "_mergeparam_missing_flag_3"} == missing
    # The base's own question about a conflict is answered by the class that merges again.
    assert {"_mergeparam_conflict_flag"} < private_names(Sub)
    assert (("sub", 1), ("other", 1), 1) == (Sub()(), Sub().other(), Base()())


def test_suffix_beside_a_parameter_of_that_name(inject):
    """`flag` with a suffix and `flag_2` do not share a name."""

    @mergeable(Param("flag", default=1))
    class Base:
        flag = None

        def __call__(self, *, flag=MERGED): ...

    @mergeable(Param("flag", default=1), Param("flag_2", default=2), Param("flag_2_2", default=3))
    class Sub(Base):
        flag_2 = flag_2_2 = None

        def __call__(self, *, flag=MERGED, flag_2=MERGED, flag_2_2=MERGED):
            return flag, flag_2, flag_2_2

    assert (1, 2, 3) == Sub()()
