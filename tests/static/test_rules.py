"""The rules of `mergeparam check`: what each reports, and what looks alike and is fine."""

import textwrap

import pytest

from mergeparam._static.check import Settings, check_source
from mergeparam._static.rules import load_rules

RULES = load_rules()
IMPORTS = """\
import functools
import flax.linen as nn
from flax import nnx
from flax.linen import merge_param as pick
from mergeparam import MERGED, UNSET, Param, mergeable, merge_param
"""


def codes(source, **settings):
    """Return the codes that are reported, in order of place."""
    source = IMPORTS + textwrap.dedent(source)
    return [finding.code for finding in check_source(source, "layers.py", Settings(**settings))]


def layer(body, params="x, train=None", fields="train: bool | None = None", more=""):
    """Return a class with one method that has this body."""
    text = f"class Layer(nn.Module):\n    {fields}\n\n    def __call__(self, {params}):\n"
    return text + textwrap.indent(body, " " * 8) + "\n" + textwrap.indent(more, "    ")


MERGE = 'train = merge_param("train", self.train, train)\n'


@pytest.mark.parametrize("code", RULES)
def test_examples(code):
    """The wrong code of each rule is reported, with its code alone, and the right code is not."""
    rule = RULES[code]
    settings = {} if rule.is_default else {"select": (code,)}

    assert {code} == {*codes(rule.wrong, **settings)}
    assert [] == codes(rule.right, **settings)
    assert rule.is_default or codes(rule.wrong) == []


@pytest.mark.parametrize(
    ("code", "body"),
    [
        ("MP101", MERGE + "return Child(train=self.train)(x)"),
        ("MP101", MERGE + "return [self.train for _ in x], train"),
        ("MP101", MERGE + "return getattr(self, 'train'), train"),
        ("MP101", "train = nn.module.merge_param('train', self.train, train)\nreturn -self.train"),
        ("MP101", "train = pick('train', self.train, train)\nreturn lambda: self.train"),
        ("MP101", "if train is None:\n    train = self.train\nreturn x if self.train else -x"),
        ("MP101", "train = self.train if train is None else train\nreturn self.train"),
        ("MP101", "train = nnx.first_from(train, self.train)\nreturn self.train"),
        ("MP101", MERGE + "return lambda a, b=self.train, *, c=x: train"),
        ("MP101", "train = pick(name='train', b=train, a=self.train)\nreturn self.train, train"),
        ("MP102", "mode = merge_param('train', self.train, train)\nreturn mode, train"),
        ("MP102", "if (mode := merge_param('train', self.train, train)):\n    return train"),
        ("MP103", "y = Child()(x, train), train, self.train\n" + MERGE + "return y, train"),
        ("MP103", "y = Child()(x, not self.train)\n" + MERGE + "return y, train"),
        ("MP104", MERGE + "return x"),
        ("MP104", "merge_param('train', self.train, train)\nreturn x"),
        ("MP104", "mode: bool = merge_param('train', self.train, train)\nreturn x"),
        ("MP105", "trian = merge_param('train', self.train, train)\nreturn x if train else -x"),
        ("MP106", "return merge_param('train', self.train, self.train)"),
        ("MP106", "return merge_param('train', train, train)"),
        ("MP107", "return merge_param('deterministic', self.train, train)"),
        ("MP108", "return merge_param('train', self.train, not x)"),
        ("MP108", "return merge_param('train', self.train, options.pop('train', True))"),
        ("MP108", "train = x > 1 if x else False\nreturn merge_param('train', self.train, train)"),
        ("MP108", "train, y = True, x\nreturn merge_param('train', self.train, train)"),
        ("MP108", "train = bool(train) or 0\nreturn nnx.first_from(train, self.train)"),
        ("MP110", MERGE + "return x if train is not None else -x"),
        ("MP110", MERGE + "return x if train == None else -x"),
        (
            "MP111",
            "return nn.Dropout(deterministic=True)(x, deterministic=False), train, self.train",
        ),
        ("MP111", "return nn.Dropout(0.1, deterministic=train)(x, train), self.train"),
        (
            "MP111",
            (
                "norm = functools.partial(nn.BatchNorm, use_running_average=not train)\n"
                "return norm()(x, use_running_average=not train), self.train"
            ),
        ),
    ],
)
def test_mistakes(code, body):
    """Other spellings of the same mistakes."""
    assert [code] == codes(layer(body))


@pytest.mark.parametrize(
    "body",
    [
        MERGE + "return x if train else -x",
        # Tests for None and writes are no reads.
        "assert train is None or self.train is None\n" + MERGE + "return train",
        MERGE + "self.train = train\nreturn self.train",
        MERGE + "x += train\nx[0] += 1\nself.train += 1",
        # What is not surely behind the merge, or before it.
        "if x:\n    print(self.train)\nelse:\n    " + MERGE + "    print(train)",
        "if x:\n    " + MERGE + "else:\n    train = self.train\nreturn train",
        "for _ in x:\n    " + MERGE + "    print(train)\nreturn self.train",
        "try:\n    y = x\nexcept ValueError:\n    "
        + MERGE
        + "    print(train)\nreturn self.train",
        "match x:\n    case 1:\n        " + MERGE + "        return train\n"
        "    case _:\n        return self.train",
        "while x:\n    " + MERGE + "    print(train)\nelse:\n    x = self.train\nreturn x",
        # A function inside runs when it likes, and its own names are others.
        "def inner():\n    return train, self.train\n" + MERGE + "return inner()",
        MERGE + "def inner(self, train):\n    return self.train\nreturn inner(train)",
        "mode = merge_param('train', self.train, train)\nreturn [train for train in x], mode",
        "mode = merge_param('train', self.train, train)\nreturn {1: train for train in x}, mode",
        MERGE
        + "class Inner:\n    def call(self):\n        return self.train\nreturn Inner, train",
        # A value that is prepared, and one that is taken over.
        "train = bool(train) if train is not None else None\n" + MERGE + "return train",
        "mode = merge_param('train', self.train, train)\ntrain = mode\nreturn train",
        "m_train = merge_param('train', self.train, train)\nreturn m_train",
        # The result is used somehow.
        "return merge_param('train', self.train, train)",
        "self.mode = merge_param('train', self.train, train)",
        MERGE + "return locals()",
        # Another name may be meant.
        "return merge_param('Layer.train', self.train, train)",
        "return merge_param('train', self.config.train, train)",
        "return merge_param('train', self._train, train)",
        "return merge_param('train', self.train, kwargs.pop('train', None))",
        "train = None if x else True\nreturn merge_param('train', self.train, train)",
        "if x:\n    train = True\n" + MERGE + "return train",
        # The last of a lenient merge is its default.
        "return nnx.first_from(train, self.train, False)",
        # Where None may be returned, a test for it is none of the dead ones.
        "train = nnx.first_from(train, self.train)\nreturn train is None",
        MERGE + "train = self.next(train)\nreturn train is None",
        "mode = merge_param('train', self.train, train, unset=UNSET)\nreturn mode is None",
        # Children that merge, and children that are lenient.
        "return nn.Dropout(0.1, deterministic=self.train)(x, deterministic=train)",
        "return nn.Dropout(0.1, deterministic=None)(x, deterministic=train), self.train",
        "return nn.Dropout(0.1, deterministic=True)(x, deterministic=None), train, self.train",
        "return nn.Dropout(0.1, deterministic=True)(x, deterministic=train), self.train",
        "return nnx.Dropout(0.1, deterministic=True)(x, deterministic=train), self.train",
        (
            "norm = functools.partial(nn.BatchNorm, use_running_average=not train)\n"
            "return norm(use_running_average=True)(x), self.train"
        ),
        (
            "drop = nn.Dropout(deterministic=True)\ndrop = nn.Dropout()\n"
            "return drop(x, deterministic=False), train, self.train"
        ),
        # Names of others that merge nothing.
        "train = utils.merge_param(self.train, train)\nreturn train, self.train",
        "return pose.merge_param(name, self.train, train)",
        "with open(x) as file, lock:\n    y = yield file\nreturn y, train, self.train",
        "try:\n    y = await x\nfinally:\n    del y\nreturn {**x, 'a': train}, [*y, self.train]",
    ],
)
def test_near_misses(body):
    """What looks like a mistake, and is none."""
    prefix = "async " if "await" in body else ""

    assert [] == codes(layer(body).replace("def __call__", f"{prefix}def __call__"))


METHOD = """
    def helper(self, x, train=None):
        {}
"""


@pytest.mark.parametrize(
    ("expected", "source"),
    [
        # A field and a parameter, of which one is never read.
        ("MP112", layer("return x if self.train else -x")),
        (
            "MP112",
            layer("return Child()(x, train)", fields="train: bool = nn.field(default=None)"),
        ),
        (
            "MP112",
            layer("return x if mode else -x", "x, mode: bool | None = None", "mode: int = None"),
        ),
        (
            "MP112",
            (
                "class Layer:\n    def __init__(self, train=None):\n        self.train = train\n"
                "    def __call__(self, x, train=None):\n        return x if train else -x"
            ),
        ),
        # Setup gives it to a child, and the call does not.
        (
            "MP112",
            layer("return self.drop(x)")
            + "    def setup(self):\n        self.drop = nn.Dropout(0.1, self.train)\n",
        ),
        # Children that setup has made.
        (
            "MP111",
            layer("return self.drop(x, deterministic=x > 1), train, self.train")
            + "    def setup(self):\n        self.drop = nn.Dropout(0.1, deterministic=True)\n",
        ),
        (
            "MP111",
            layer("return Child(train=train)(x, train=train), self.train")
            + "class Child(nn.Module):\n    train: bool | None = None\n"
            "    def __call__(self, x, train=None):\n"
            "        return merge_param('train', self.train, train)\n",
        ),
        # Bases of the same module.
        (
            "MP115",
            (
                "class Base(nn.Module):\n    train: bool | None = None\n"
                "    def __call__(self, x, train=None):\n"
                "        return merge_param('train', self.train, train)\n"
                "class Layer(Base):\n    def __call__(self, x, train=None):\n"
                "        train = merge_param('train', self.train, train)\n"
                "        return super().__call__(x, train)\n"
            ),
        ),
        (
            "MP108",
            (
                "class Outer:\n    class Layer:\n        def call(self, *, train=True):\n"
                "            return nnx.first_from(train, self.train)"
            ),
        ),
        (
            "MP108",
            layer("train = self.train if train is None else train\nreturn train", "x, train=True"),
        ),
        # Declared merges.
        (
            "MP201",
            '@mergeable(Param("m", attribute="_m", unset=UNSET))\n'
            + layer("return m", "m=MERGED", "_m: int = None"),
        ),
        (
            "MP201",
            '@mergeable(Param("train", default=3))\n'
            + layer("return train", fields="train: int = 3"),
        ),
        ("MP203", "@mergeable\n" + layer(MERGE + "return train", "x, train=MERGED")),
        ("MP204", "@mergeable\n" + layer("return x if self.train else -x", "x, train=MERGED")),
        (
            "MP204",
            '@mergeable("train", method=("__call__", "helper"))\n'
            + layer("return train", "x, train=MERGED")
            + METHOD.format("return self.train"),
        ),
    ],
)
def test_mistakes_in_classes(expected, source):
    """What is wrong only in view of the class."""
    assert [expected] == codes(source)


@pytest.mark.parametrize(
    "source",
    [
        # One of the defaults is a value, or the field is none of the constructor's.
        layer("return x if train else -x", fields="train: bool = False"),
        layer("return x if train else -x", params="x, train=False"),
        layer("return x if train else -x", fields="train = None"),
        layer("return x if mode else -x", "x, mode=None", "mode: str | None = None"),
        layer("return x if train else -x", fields="train: ClassVar[bool] = None"),
        # Handed on to what merges it, or may do so.
        layer("return self.helper(x, train)") + METHOD.format(MERGE + "        return train"),
        layer("return super().__call__(x, train)"),
        layer("return self.inherited(x, train)"),
        layer("return Child(self)(x, train)"),
        layer("return x if train else -x").replace("nn.Module", "OtherBase"),
        layer("return train", more="\ndef other(self):\n    return self.train\n"),
        # No method that runs the model.
        layer("if train is not None:\n    self.train = train").replace("__call__", "set_view"),
        layer("raise NotImplementedError('train')"),
        layer('"""Docs."""\n...'),
        layer("pass"),
        layer("return train").replace("    def", "    @abc.abstractmethod\n    def"),
        layer("return self.train").replace("    def", "    @staticmethod\n    def"),
        layer("return self.train, locals()"),
        layer("return self.train if train is None else print"),
        # Merges that agree with each other.
        layer(
            "mode = merge_param('mode', self.mode, mode)\nreturn self.helper(x=mode, train=train)",
            "x, mode=None, train=None",
            "mode: bool = None",
        )
        + METHOD.format(MERGE + "        return train"),
        layer("return self.helper(x, train), self.other", more="\ndef other(self):\n    pass\n"),
        layer("return Child(train=train)(x, train=train), self.train")
        + "class Child(nn.Module):\n    def __call__(self, x, train):\n        return train\n",
        layer(MERGE + "return self.wrapped(x, **train)", fields="wrapped: nn.Module"),
        layer("m = merge_param('m', self.wrapped.m, m)\nreturn self.wrapped(x, m=m)", "x, m=None"),
        # Declared merges that are right.
        "@mergeable\n" + layer("return train", "x, train=MERGED"),
        '@mergeable(Param("train", on_conflict="use_call"))\n'
        + layer("return train", fields="train: bool = False"),
        '@mergeable(Param("m", unset=UNSET))\n' + layer("return m", "m=MERGED", "m: int = UNSET"),
        '@mergeable("train")\n'
        + layer("return train", more="\ndef show(self):\n    return self.train\n"),
        '@mergeable("train", method="absent")\n' + layer("return train, self.train"),
        '@other.mergeable("train")\n' + layer("return train, self.train"),
        '@mergeable("train")\n' + layer("return train") + "class Sub(Layer):\n"
        "    def __call__(self, x, train=None):\n        return super().__call__(x, train)\n",
        '@mergeable("train")\n' + layer("return train") + "class Sub(Layer):\n"
        "    def other(self):\n        pass\n",
        '@mergeable("train")\n' + layer("return train") + "class Sub(Layer):\n"
        "    def __call__(self, x):\n        return x if self.train else -x\n",
        # Two classes of one name: it is not known which one is meant.
        "class Base:\n    pass\nclass Base:\n    pass\n"
        + layer("pass").replace("nn.Module", "Base"),
    ],
)
def test_near_misses_in_classes(source):
    """What looks like a mistake in a class, and is none."""
    assert [] == codes(source)


def test_inherited_helper_of_the_subclass():
    """A base that leaves merging to its subclass in the same module is no mistake."""
    base = layer("return self.helper(x, train)").replace("Layer", "Base")
    sub = "class Layer(Base):" + METHOD.format(MERGE + "        return train")

    assert [] == codes(base + sub)


@pytest.mark.parametrize(
    "head",
    [
        "from flax.linen import merge_param as merge",
        "from flax.linen import module\nmerge = module.merge_param",
        "import flax\nmerge = flax.linen.merge_param",
        "def setup():\n    import flax.linen as nn\n    from .module import merge_param as merge",
    ],
)
def test_names_of_the_function(head):
    """A merge is found under every name that an import or the module gives it."""
    source = f"{head}\n" + layer(MERGE.replace("merge_param", "merge") + "return self.train")

    assert ["MP101"] == codes(source)
    assert ["MP101"] == codes(f"from flax.linen import *\n{layer(MERGE + 'return self.train')}")


def test_own_methods_come_before_those_of_subclasses():
    """A method is looked for in the class and its bases first."""
    body = "class Layer(Base):" + METHOD.format("return train")
    base = layer("y = self.helper(x, train)\n" + MERGE + "return y, train").replace(
        "Layer", "Base"
    )
    sub = "class Sub(Base):" + METHOD.format(MERGE + "        return train")

    assert ["MP114"] == codes(base + METHOD.format("return train") + sub)
    assert [] == codes(base + sub)
    assert ["MP114"] == codes(base + body)


def test_own_names():
    """Settings add functions that merge and names of flags."""
    source = layer(
        "blend = mylib.choose(blend, self.blend)\nreturn self.blend",
        "x, blend=None",
        "blend: int = None",
    )
    own = {"merge_functions": frozenset({"choose"}), "flags": frozenset({"blend"})}

    assert [] == codes(source)
    assert ["MP101"] == codes(source.replace("mylib.", ""), **own)
    assert ["MP104"] == codes(source.replace("return self.blend", "return x"), **own)
    assert ["MP101"] == codes(source, **own)
    assert ["MP101"] == codes(source.replace("(blend, self", "('blend', blend, self"), **own)
