"""The merge as source text (golden), and the private names that it reads."""

import gc
import pickle
import textwrap
import types

import pytest

from mergeparam import MERGED, UNSET, Param, mergeable, provide
from mergeparam._declare.checks import declare
from mergeparam._inject.source import LIVING, NEITHER, merge_source, share_objects
from mergeparam._spec import PrivateNames

pytestmark = pytest.mark.filterwarnings("ignore:.*copy.deepcopy makes:mergeparam.MergeWarning")
"""What means \"not set\" here is often a plain object, which copies would not keep."""

READ = """\
if flag is None:
    flag = self.flag
    if flag is None:
        flag = self._mergeparam_missing_flag()
"""
GOLDEN = {
    "use_call": ({"on_conflict": "use_call"}, {}, READ),
    "raise": (
        {},
        {},
        f"""{READ}\
elif self.flag is not None:
    flag = self._mergeparam_conflict_flag(flag, self.flag)
""",
    ),
    "raise_if_different": (
        {"on_conflict": "raise_if_different"},
        {},
        f"""{READ}\
else:
    flag = (flag, self.flag)
    if flag[1] is None or flag[1] is flag[0]:
        flag = flag[0]
    else:
        flag = self._mergeparam_conflict_flag(*flag)
""",
    ),
    "use_attribute": (
        {"on_conflict": "use_attribute"},
        {},
        """\
match self.flag:
    case None:
        if flag is None:
            flag = self._mergeparam_missing_flag()
    case flag:
        pass
""",
    ),
    "use_attribute of a name that is no pattern": (
        {"name": "_", "on_conflict": "use_attribute"},
        {},
        f"""{READ.replace("flag", "_")}\
else:
    _ = (_, self._)
    _ = _[0] if _[1] is None else _[1]
""",
    ),
    "use_attribute with another unset, as a global": (
        {"on_conflict": "use_attribute", "unset": UNSET},
        {"names": PrivateNames("", {"_mergeparam_unset_flag": "_mergeparam_UNSET"})},
        f"""{READ.replace("None", "_mergeparam_UNSET")}\
else:
    flag = (flag, self.flag)
    flag = flag[0] if flag[1] is _mergeparam_UNSET else flag[1]
""",
    ),
    "unset through the class, and names that a base has taken": (
        {"unset": UNSET, "on_conflict": "use_call"},
        {"names": PrivateNames("_2", {})},
        READ.replace("missing_flag", "missing_flag_2").replace(
            "None", "self._mergeparam_unset_flag_2()"
        ),
    ),
    "dotted, a literal unset, another receiver": (
        {"attribute": "inner.f", "unset": ..., "on_conflict": "use_call"},
        {"receiver": "args[0]"},
        READ.replace("self", "args[0]").replace(".flag", ".inner.f").replace("None", "..."),
    ),
    "use_attribute with another unset in the call": (
        {"on_conflict": "use_attribute", "unset": ..., "attribute_unset": None},
        {},
        """\
match self.flag:
    case None:
        if flag is ...:
            flag = self._mergeparam_missing_flag()
    case flag:
        pass
""",
    ),
    "a condition, and another unset on the object, through the class": (
        {"when": callable, "otherwise": True, "attribute_unset": UNSET},
        {},
        """\
if self._mergeparam_when_flag():
    if flag is None:
        flag = self.flag
        if flag is self._mergeparam_attribute_unset_flag():
            flag = self._mergeparam_missing_flag()
    elif self.flag is not self._mergeparam_attribute_unset_flag():
        flag = self._mergeparam_conflict_flag(flag, self.flag)
else:
    flag = True
""",
    ),
    "otherwise as no literal": (
        {"when": callable, "otherwise": 1, "on_conflict": "use_call"},
        {},
        f"""\
if self._mergeparam_when_flag():
{textwrap.indent(READ, "    ")}\
else:
    flag = self._mergeparam_otherwise_flag()
""",
    ),
    "without a default, in a module of its own": (
        {"on_conflict": "use_call"},
        {"names": PrivateNames("_2", {}, in_own_module=True)},
        READ.replace(
            "self._mergeparam_missing_flag()",
            "_mergeparam_neither(self, 'flag', None, '_mergeparam_missing_flag_2')",
        ),
    ),
    "a literal default, in a module of its own": (
        {"on_conflict": "use_call", "default": True},
        {"names": PrivateNames("_2", {}, in_own_module=True)},
        READ.replace(
            "self._mergeparam_missing_flag()",
            "True if not _mergeparam_living.scopes "
            "else _mergeparam_neither(self, 'flag', None, '_mergeparam_missing_flag_2')",
        ),
    ),
    "a default, as a global": (
        {"on_conflict": "use_call", "default": 30.0},
        {"names": PrivateNames("", {"_mergeparam_default_flag": "thirty"}, in_own_module=True)},
        READ.replace(
            "self._mergeparam_missing_flag()",
            "thirty if not _mergeparam_living.scopes "
            "else _mergeparam_neither(self, 'flag', None, '_mergeparam_missing_flag')",
        ),
    ),
    "private methods through the class": (
        {},
        {"names": PrivateNames("_2", {}, through_class=True)},
        f"""\
{READ.replace("self._mergeparam_missing_flag(", "self.__class__._mergeparam_missing_flag_2(self")}\
elif self.flag is not None:
    flag = self.__class__._mergeparam_conflict_flag_2(self, flag, self.flag)
""",
    ),
    "handed on by a wrapper, beside one that nobody has named": (
        {"on_conflict": "use_call"},
        {"may_receive_merged": frozenset({"flag"}), "unnamed": ("other",)},
        f"""\
if other is self._mergeparam_merged:
    self._mergeparam_unnamed('other')
if flag is self._mergeparam_merged:
    flag = None
{READ}""",
    ),
}


@pytest.mark.parametrize(("param", "options", "expected"), GOLDEN.values(), ids=GOLDEN)
def test_merge_source(param, options, expected):
    """The merge is what a careful author would write, one parameter after the other."""
    params = Param(**{"name": "flag", **param}), Param("more", on_conflict="use_call")
    options = {"receiver": "self", "names": PrivateNames("", {}), **options}

    assert expected == merge_source(params=params[:1], **options)
    both = merge_source(params=params, **options)
    assert both.startswith(expected)
    assert 4 == len(both[len(expected) :].splitlines())


OWN, OTHER = object(), object()
LAYER = """
class Layer:
    flag = mode = 5
    def __call__(self, *, flag=MERGED): return flag
    def other(self, *, mode=MERGED): return mode
"""


def make(module):
    """Return a class anew, as if it stood in a module."""
    vars(module)["MERGED"] = MERGED
    exec(LAYER, vars(module))
    return vars(module)["Layer"]


def private_globals(module):
    """Return the objects that mean "not set" and that the decorator has put into a module."""
    return {
        name: held
        for name, held in vars(module).items()
        if name.lower().startswith("_mergeparam_unset")
    }


METHOD, UNSET_NAME = "_mergeparam_unset_flag", "_mergeparam_UNSET"
FLAG_NAME = "_mergeparam_unset_Layer_flag"


@pytest.mark.parametrize(
    ("unset", "already", "expected"),
    [
        *[(literal, {}, {}) for literal in (None, False, ...)],
        (UNSET, {}, {METHOD: UNSET_NAME}),
        (UNSET, {UNSET_NAME: UNSET}, {METHOD: UNSET_NAME}),
        (UNSET, {UNSET_NAME: OTHER}, {}),
        (0, {}, {METHOD: FLAG_NAME}),
        (OWN, {}, {METHOD: FLAG_NAME}),
        (OWN, {FLAG_NAME: OWN}, {METHOD: FLAG_NAME}),
        (OWN, {FLAG_NAME: OTHER}, {}),
    ],
)
@pytest.mark.parametrize("name", ["Layer", "Layer[int]"])
def test_share_objects(unset, already, expected, name):
    """An object that is no literal becomes a global, unless the name is another object's."""
    module = types.ModuleType("user")
    vars(module).update(already)
    cls = make(module)
    cls.__name__ = name
    (declaration,) = declare(cls, (Param("flag", unset=unset),), "__call__")
    if "[" in name and unset is not UNSET:
        expected = {}  # a name that nobody could write

    assert expected == share_objects(declaration)
    assert already | dict.fromkeys(expected.values(), unset) == private_globals(module)


def test_taken_name_is_read_through_the_class(inject):
    """Classes that come anew with other objects merge right, and the module does not grow."""
    module = types.ModuleType("user")
    layers = []
    for unset in (OWN, OTHER, object()):
        layers.append(mergeable(Param("flag", unset=unset, default=3))(make(module)))
        assert {FLAG_NAME: OWN} == private_globals(module)
        assert (unset is not OWN) == any(
            name.startswith("_mergeparam_unset_flag_") for name in vars(layers[-1])
        )
    for cls in layers:
        (method,) = cls.__mergeable__.methods
        assert 5 == cls()()
        cls.flag = method.params[0].unset
        assert (3, 1, None) == (cls()(), cls()(flag=1), cls()(flag=None))


def test_foreign_globals_are_left_alone(inject):
    """A function from another module gets its objects through the class."""
    module = types.ModuleType("user")
    cls = type("Sub", (make(module),), {"__module__": "other"})

    assert 5 == mergeable(Param("flag", unset=UNSET))(cls)()()
    assert not [name for name in vars(module) if name.startswith("_mergeparam")]


@pytest.mark.parametrize(
    "default",
    [
        *(None, True, 3, -2.5, -0.0, 1000, "mean", str(b"mean", "ascii"), "it's\n"),
        *(float("inf"), float("nan"), 10**9, 10**5000, OTHER),
    ],
    ids=lambda value: str(value)[:9] if value != 10**5000 else "of many digits",
)
def test_default_of_any_kind(default, inject):
    """The very object comes out, which may mean "not set" to whoever the body hands it on."""
    module = types.ModuleType("user")
    cls = mergeable(Param("flag", unset=UNSET, default=default))(make(module))
    cls.flag = UNSET

    assert cls()() is default
    with provide(flag=7):
        assert 7 == cls()()
    with provide(other=7):
        assert cls()() is default


@pytest.mark.parametrize("name", [LIVING, NEITHER])
def test_globals_of_another_copy(name, inject):
    """Where this package is imported twice, its scopes are not those of the other copy."""
    module = types.ModuleType("user")
    vars(module)[name] = other = types.SimpleNamespace(scopes=set())
    cls = mergeable(Param("flag", default=3))(make(module))
    cls.flag = None

    with provide(flag=7):
        assert 7 == cls()()
    assert (3, other) == (cls()(), vars(module)[name])


def test_classes_of_one_function(inject):
    """In a class that inherits from several of them, each keeps its default."""
    values = object(), object(), 1, True, 1.0, -1, -2
    classes = [
        mergeable(Param("flag", default=value))(make(types.ModuleType("layers")))
        for value in values
    ]
    both = type("Both", tuple(classes), {"flag": None})

    assert values == tuple(cls.__call__(both()) for cls in classes)
    assert [type(value) for value in values] == [type(cls.__call__(both())) for cls in classes]


def test_bodies_of_one_function(inject):
    """In a class that inherits from several of them, each keeps its body."""

    def define(number):
        @mergeable("flag")
        class Layer:
            flag = None

            def __call__(self, *, flag=None):
                return number, flag

        return Layer

    classes = [define(number) for number in range(3)]
    both = type("Both", tuple(classes), {})

    assert [(0, 7), (1, 7), (2, 7)] == [cls.__call__(both(), flag=7) for cls in classes]


def test_names_are_used_again(inject):
    """Functions make classes all day, and newer Pythons never free a name that stood in code."""
    names = set()
    for _ in range(20):
        cls = mergeable("flag")(make(types.ModuleType("layers")))
        names.add(cls.__mergeable__.methods[0].names.suffix)
        del cls
        gc.collect()

    assert len(names) < 10


def test_private_methods_of_their_own(inject):
    """Each merge has some: of a subclass, and of a second method of one class."""
    base = make(types.ModuleType("base"))
    base.other = lambda self, *, flag=None: ("other", flag)
    mergeable(Param("flag", default=1))(base)
    cls = type("Sub", (base,), {})
    params = Param("flag", default=2), Param("flag_2", default=3)
    cls.__call__ = lambda self, *, flag=None, flag_2=None: (flag, flag_2)
    mergeable(*params, method=("__call__", "other"))(cls)
    cls.flag = cls.flag_2 = None

    suffixes = {method.names.suffix for method in cls.__mergeable__.methods}
    (own,) = [method.names.suffix for method in base.__mergeable__.methods]
    missing = [name for name in vars(cls) if name.startswith("_mergeparam_missing_flag_")]
    assert 2 == len(suffixes - {own})
    assert {"call", "other"} == {method.name.strip("_") for method in cls.__mergeable__.methods}
    assert all(any(name.endswith(suffix) for name in missing) for suffix in suffixes)
    # The base's own question about a conflict is answered by the class that merges again.
    assert f"_mergeparam_conflict_flag{own}" in vars(cls)
    assert ((2, 3), ("other", 2), 1) == (cls()(), cls().other(), base.__call__(cls()))


def test_names_of_what_was_sent_are_not_used_again(inject):
    """A class that was pickled by value may come back, and then meet later ones."""
    cls = mergeable("flag")(make(types.ModuleType("layers")))
    sent = pickle.dumps(cls.__mergeable__.methods[0].names)
    del cls
    gc.collect()

    later = [mergeable("flag")(make(types.ModuleType("layers"))) for _ in range(20)]
    names = [cls.__mergeable__.methods[0].names for cls in later]
    assert pickle.loads(sent).suffix not in [name.suffix for name in names]
