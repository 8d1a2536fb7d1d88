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
    return text + textwrap.indent(textwrap.dedent(body), " " * 8) + textwrap.indent(more, "    ")


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
        ("MP102", "mode = merge_param('train', self.train, train)\nreturn mode, train"),
        ("MP102", "if (mode := merge_param('train', self.train, train)):\n    return train"),
        ("MP103", "y = Child()(x, train)\n" + MERGE + "return y, train"),
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
            "return nn.Dropout(0.1, deterministic=True)(x, deterministic=False), train, self.train",
        ),
        ("MP111", "return nn.Dropout(0.1, deterministic=train)(x, train), self.train"),
        (
            "MP111",
            "norm = functools.partial(nn.BatchNorm, use_running_average=not train)\n"
            "return norm()(x, use_running_average=not train), self.train",
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
        # What is not surely behind the merge.
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
        MERGE + "def inner(self, train):\n    return self.train\nreturn inner(x, train)",
        "mode = merge_param('train', self.train, train)\nreturn [train for train in x], mode",
        "mode = merge_param('train', self.train, train)\nreturn {a: train for a, train in x}, mode",
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
        "norm = functools.partial(nn.BatchNorm, use_running_average=not train)\n"
        "return norm(use_running_average=True)(x), self.train",
        "drop = nn.Dropout(deterministic=True)\ndrop = nn.Dropout()\n"
        "return drop(x, deterministic=False), train, self.train",
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
