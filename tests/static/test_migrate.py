"""`mergeparam migrate`: what it converts behaves as before, and the rest stays with a reason."""

import importlib.util
import io
import itertools
import re
import sys
import textwrap
from pathlib import Path
from unittest.mock import Mock

import libcst as cst
import pytest

from mergeparam.__main__ import main
from mergeparam._static import migrate
from mergeparam._static.rewrite import rewrite

FLAX = """
def merge_param(name, a, b):
    if (a is None) == (b is None):
        raise ValueError(name)
    return b if a is None else a

def first_from(*values, error_msg):
    for value in values:
        if value is not None:
            return value
    raise ValueError(error_msg)
"""
LAYER = """
from flax.linen import merge_param
from flax.nnx import first_from

class Layer:
    def __init__(self, rate=0.5, flag=None):
        self.rate = rate
        self.flag = flag
        self.mode = self

    def __call__(self, x, flag=None):
        {body}
        return {result}
"""
STRICT = 'flag = merge_param("flag", self.flag, flag)'

SPELLINGS = {
    "strict": (STRICT, '"flag"'),
    "swapped": ('flag = merge_param("flag", flag, self.flag)', '"flag"'),
    "named": ('flag = merge_param(name="flag", a=self.flag, b=flag)', '"flag"'),
    "annotated": (STRICT.replace("flag =", "flag: bool =", 1), '"flag"'),
    "path": (
        'flag = merge_param("flag", self.mode.flag, flag)',
        'Param("flag", attribute="mode.flag")',
    ),
    "docstring": (f'"""Doc."""\n{STRICT}', '"flag"'),
    "own errors": (
        (
            "if flag is None and self.flag is None:\n"
            "    raise ValueError('neither')\n"
            "if flag is None:\n"
            "    flag = self.flag\n"
            "elif self.flag is not None:\n"
            "    raise ValueError('both')"
        ),
        '"flag"',
    ),
    "call wins": (
        'flag = first_from(flag, self.flag, error_msg="")',
        'Param("flag", on_conflict="use_call")',
    ),
    "attribute wins": (
        'flag = first_from(self.flag, flag, error_msg="")',
        'Param("flag", on_conflict="use_attribute")',
    ),
    "last resort": (
        "flag = first_from(flag, self.flag, 'last', error_msg=\"\")",
        'Param("flag", on_conflict="use_call", default="last")',
    ),
    "constant before": (
        f"if flag is None and self.flag is None:\n    flag = 'c'\nelse:\n    {STRICT}",
        'Param("flag", default="c")',
    ),
    "constant after": (
        "if flag is None: flag = self.flag\nif flag is None:\n    flag = -1",
        'Param("flag", on_conflict="use_call", default=-1)',
    ),
    "nested": (
        "flag = flag if flag is not None else (self.flag if self.flag is not None else (1, 2))",
        'Param("flag", on_conflict="use_call", default=(1, 2))',
    ),
}
MAY_STAY_NONE = 'Param("flag", on_conflict="use_call", default=None)'
CONDITIONS = {
    "call first": ("flag = flag if flag is not None else self.flag", MAY_STAY_NONE),
    "attribute in front": ("flag = self.flag if flag is None else flag", MAY_STAY_NONE),
    "not": ("flag = flag if not flag is None else self.flag", MAY_STAY_NONE),
    "statement": ("if flag is None:\n    flag = self.flag", MAY_STAY_NONE),
    "pinned": (
        "flag = self.flag if self.flag is not None else flag",
        'Param("flag", on_conflict="use_attribute", default=None)',
    ),
    "pinned statement": (
        "if self.flag is not None:\n    flag = self.flag",
        'Param("flag", on_conflict="use_attribute", default=None)',
    ),
    "else": (
        f"if self.rate > 0:\n    {STRICT}\nelse:\n    flag = True",
        'Param("flag", when=lambda self: self.rate > 0, otherwise=True)',
    ),
    "expression": (
        f"{STRICT} if self.rate > 0 else False",
        'Param("flag", when=lambda self: self.rate > 0, otherwise=False)',
    ),
    "both go on": (
        (f"if self.rate > 0:\n    {STRICT}\n    x = x + 1\nelse:\n    flag = 'kept'\n    x = -x"),
        'Param("flag", when=lambda self: self.rate > 0, otherwise="kept")',
    ),
    "only else goes on": (
        f"if self.rate > 0:\n    {STRICT}\nelse:\n    flag = 0\n    x = -x",
        'Param("flag", when=lambda self: self.rate > 0, otherwise=0)',
    ),
    "used under it": (
        (
            f"if self.rate > 0:\n    {STRICT}\n    x = x, flag\n"
            "x = x, self.rate > 0 and flag, flag if self.rate > 0 else 2"
        ),
        'Param("flag", when=lambda self: self.rate > 0, otherwise=None)',
    ),
}


def layer(body):
    """Return a module with a layer; its method returns what it has merged."""
    result = "x" if "self.rate > 0 and" in body else "x, flag"
    return LAYER.format(body=textwrap.indent(body, " " * 8).lstrip(), result=result)


def convert(text, *, hoist=False, even_if_wrong=False, path="layers.py"):
    """Return the text of a file after the migration, and the lines of the report."""
    file = Path(path)
    file.write_text(text, encoding="utf-8")
    read = migrate.read_file(file, hoist, even_if_wrong)
    report = migrate.report([read], is_written=True)
    lines = [line.partition(": ")[2] for line in report if line.startswith(f"{path}:")]
    return rewrite(read.source, read.chosen), lines


def reason_of(text, **options):
    """Return the one reason why nothing is converted."""
    after, (line,) = convert(text, **options)

    assert text == after
    return line.partition("stays, since ")[2]


def outcomes(text):
    """Return what a layer does in all cases of what is set, as its caller sees it."""
    namespace = {"__name__": "layers"}
    exec(re.sub("from flax.* import .*", FLAX, text), namespace)
    found = []
    values = (None, False, "value", 0)
    for rate, held, given in itertools.product((0, 0.5), values, values):
        try:
            found.append(namespace["Layer"](rate, held)(3, given))
        except ValueError:
            found.append(ValueError)
    return found


@pytest.fixture(autouse=True)
def folder(tmp_path, monkeypatch):
    """Go to an empty folder."""
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.mark.parametrize(
    ("body", "declared"),
    [pytest.param(*pair, id=name) for name, pair in (SPELLINGS | CONDITIONS).items()],
)
def test_behaves_as_before(body, declared):
    """A converted class gives the same results and errors, whatever is set where."""
    before = layer(body)
    after, report = convert(before)

    assert f"@mergeable({declared})\nclass Layer:" in after
    assert "flag=MERGED):" in after
    assert ["converted"] == [line.rpartition(": ")[2] for line in report]
    assert outcomes(before) == outcomes(after)
    assert after == convert(after)[0]


@pytest.mark.parametrize(("body", "declared"), CONDITIONS.values(), ids=CONDITIONS)
def test_declares_conditions(body, declared):
    """Conditions and values that may stay None are declared as Param takes them."""
    after, _ = convert(layer(body))

    assert f"@mergeable({declared})\nclass Layer:" in after


WHOLE = layer(STRICT)
REFUSED = {
    "other name": (
        STRICT.replace("flag =", "merged =", 1),
        "another name than the parameter: 'mer",
    ),
    "or": ("flag = flag or self.flag", "`or` asks for truth"),
    "negated": ('flag = merge_param("flag", not self.flag, flag)', "computed: `not self.flag`"),
    "computed branch": (
        "flag = flag if flag is not None else self.rate * 2",
        r"computed: `self.rate \* 2`",
    ),
    "computed statement": (
        "if flag is None:\n    flag = -self.rate",
        "computed: `-self.r",
    ),
    "larger": (f"flag = not {STRICT[7:]}", "a part of a larger statement"),
    "unpacked": ("flag = merge_param(*flag)", "its arguments are unpacked"),
    "no attribute": ('flag = merge_param("flag", x, flag)', "one parameter with one attribute"),
    "twice": ('flag = merge_param("flag", self.flag, flag, self.flag)', "one parameter with one"),
    "later": (f"x = x + 1\n{STRICT}", "other statements stand before it, from line 12 on"),
    "written": (f"flag = not x\n{STRICT}", "line 12 changes 'flag' before it"),
    "read": (f"print(flag)\n{STRICT}", "line 12 reads 'flag' before it"),
    "attribute before": (f"x = self.flag\n{STRICT}", "line 12 mentions 'flag' before it"),
    "by its name": (f"x = vars(self)\n{STRICT}", "line 12 mentions 'vars' before it"),
    "returns": (f"if x:\n    return x\n{STRICT}", "line 13 returns before it"),
    "yields": (f"yield x\n{STRICT}", "line 12 yields before it"),
    "in a branch": (f"if x:\n    {STRICT}", "it stands in a `if`"),
    "in a loop": (f"for x in 'ab':\n    {STRICT}", "it stands in a `for`"),
    "not in the loop": (
        "for x in 'ab':\n    flag = merge_param('flag', 1 + 1, flag)",
        r"computed: `1 \+ 1`",
    ),
    "inside": (
        f"def inner(flag=None):\n    {STRICT}\nx = inner()",
        "it stands in a `function`",
    ),
    "shared line": (f"{STRICT}; x = -x", "it shares a line"),
    "read again": (
        f"{STRICT}\nx = self.flag is None",
        "line 13 reads self.flag once more",
    ),
    "no value": (
        f"if self.rate > 0:\n    {STRICT}",
        "line 14 reads 'flag' where `self.rate > 0` is false, too.* write `else: flag = ...`",
    ),
    "computed otherwise": (f"{STRICT} if self.rate > 0 else flag", "a value is computed: `flag`"),
    "computed value": (
        f"if self.rate > 0:\n    {STRICT}\nelse:\n    flag = x",
        "a value is computed: `x`",
    ),
    "changed condition": (
        f"if self.rate > 0:\n    {STRICT}\nelse:\n    flag = 1\nself.rate = 3",
        "line 16 changes what `self.rate > 0` asks for",
    ),
    "private condition": (f"if self.__rate > 0:\n    {STRICT}", "it stands in a `if`"),
    "private global": (f"if self.rate > __limit:\n    {STRICT}", "it stands in a `if`"),
    "condition of the call": (f"if self.rate > x:\n    {STRICT}", "it stands in a `if`"),
    "reads all": (
        f"if self.rate > 0:\n    {STRICT}\nx = locals()",
        "line 14 reads 'flag' where `self.rate > 0` is false, too",
    ),
}


@pytest.mark.parametrize(("body", "reason"), REFUSED.values(), ids=REFUSED)
def test_refuses(body, reason):
    """What would not behave exactly as before stays, with a reason in one line."""
    assert re.search(reason, reason_of(layer(body), even_if_wrong=True))


CHANGES = {
    "required": ("flag=None):\n        flag", "flag):\n        flag", "no default, so that every"),
    "other default": ("x, flag=None", "x, flag=False", "the default of 'flag' is False, and not"),
    "declared": ("x, flag=None", "x, flag=MERGED", "@mergeable merges 'flag' already"),
    "kwargs": ("x, flag=None", "x, **flags", "'flag' is no parameter of the method"),
    "constructor": ("__call__", "__init_subclass__", "makes the object"),
    "unknown decorator": ("    def __call__", "    @mine\n    def __call__", "`@mine` may change"),
    "partial of it": (
        "    def __call__",
        "    @functools.partial(mine, 3)\n    def __call__",
        "`@functools.partial.mine, 3.` may change",
    ),
    "dispatcher": (
        "    def __call__",
        "    @functools.singledispatchmethod\n    def __call__",
        "`@functools.singledispatchmethod` may change",
    ),
    "script": (
        "    def __call__",
        "    @torch.jit.export\n    def __call__",
        "`@torch.jit.export` may change",
    ),
    "defined twice": (
        "    def __call__",
        "    def __call__(self): ...\n    def __call__",
        "defines __call__.. more than once",
    ),
    "replaced": ("    def __init__", "    __call__ = other\n\n    def __init__", "more than once"),
    "replaced in a branch": (
        "    def __init__",
        "    if True:\n        def __call__(self, x, flag=None): ...\n    def __init__",
        "defines __call__.. more than once",
    ),
    "static": ("    def __call__", "    @staticmethod\n    def __call__", "in no method"),
    "field": ("    def __init__", "    flag = False\n\n    def other", "'flag' is False, which"),
    "field call": (
        "    def __init__",
        "    flag: bool = field(default=True)\n\n    def other",
        r"'flag' is field\(default=True\), which counts as set",
    ),
    "stored": ("0.5, flag=None", "0.5, flag=True", "the constructor's default for 'flag' is True"),
    "lifted": ("class", "@functools.partial(linen.remat, x=1)\nclass", "lifts the class"),
    "autograph": ("from flax.nnx", "import tensorflow as tf\nfrom flax.nnx", "AutoGraph"),
    "another function": ("from flax.linen", "from mine", "`merge_param` may be another function"),
    "two functions": (
        "class",
        "try:\n    from mine import merge_param\nexcept ImportError: ...\nclass",
        "`merge_param` may be another function",
    ),
    "own function": ("class", "def merge_param(*_): ...\n\nclass", "may be another function"),
    "rebound": ("class", "merge_param = 3\nclass", "may be another function"),
    "no class": ("class Layer:", "if True:", "it stands in no method of an object"),
}


@pytest.mark.parametrize(("old", "new", "reason"), CHANGES.values(), ids=CHANGES)
def test_refuses_methods_and_classes(old, new, reason):
    """So does a method or a class that could not be merged, or not as before."""
    text = "import functools, torch\nfrom flax import linen\n" + WHOLE.replace(old, new, 1)

    assert re.search(reason, reason_of(text, even_if_wrong=True))


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("    def __init__", "    flag: bool = field(default=None)\n\n    def other"),
        ("    def __init__", "    flag: bool = field(factory=bool)\n\n    def other"),
        ("class Layer:", "class Base:\n    flag = None\n\nclass Layer(Base):"),
        ("    def __call__", "    @linen.compact\n    def __call__"),
        ("    def __call__", "    @functools.partial(linen.jit, x=1)\n    def __call__"),
        ("    def __call__", "    @overload\n    def __call__(self): ...\n    def __call__"),
        ("from flax.linen import merge_param", "merge_param = linen.merge_param"),
        ("from flax.linen import merge_param", "from mergeparam import merge_param"),
        ("class", "@linen.nowrap\nclass"),
    ],
)
def test_converts_methods_and_classes(old, new):
    """What surrounds a merge in real code does not hinder."""
    after, report = convert(
        "import functools\nfrom flax import linen\n" + WHOLE.replace(old, new, 1)
    )

    assert ["converted"] == [line.rpartition(": ")[2] for line in report]
    assert '@mergeable("flag")\n' in after


def test_hoist():
    """A merge moves up over what does not mention it, where that is asked for."""
    text = layer(f"def inner():\n    return 1\nx = x + inner()\n{STRICT}")
    after, _ = convert(text, hoist=True)

    assert "            return 1\n        x = x + inner()\n        return x, flag" in after
    assert outcomes(text) == outcomes(after)


LOCAL = (
    "import math as local",
    "from math import e as local",
    "def local(): ...",
    "class local: ...",
    "with x as local: ...",
    "for local in x: ...",
    "try: ...\nexcept Exception as local: ...",
    "match x:\n    case [*local]: ...",
    "match x:\n    case {**local}: ...",
    "match x:\n    case int() as local: ...",
    "x = self.rate > (local := 3)",
)


@pytest.mark.parametrize("before", LOCAL)
def test_condition_with_local_name(before):
    """A condition that asks for a local name stays: a predicate would find another one."""
    body = f"{before}\nif self.rate > local:\n    {STRICT}"
    assert "it stands in a `if`" in reason_of(layer(body), hoist=True, even_if_wrong=True)


@pytest.mark.parametrize("before", ["self = x", "for self in x: ...", "x = (self := x)"])
def test_hoist_over_another_self(before):
    """A merge stays where the object is another one by then."""
    reason = reason_of(layer(f"{before}\n{STRICT}"), hoist=True)
    assert reason == "line 12 changes 'self' before it"


@pytest.mark.parametrize(
    "body",
    [
        "flag = x if self.rate > 0 else self.rate",
        "if flag is None:\n    flag = make(self.rate)",
        "if flag is True:\n    flag = self.flag",
        "flag = flag if x is None else self.flag",
        "if flag is None:\n    x = self.flag",
    ],
)
def test_no_merge(body):
    """What merges nothing is not spoken of."""
    assert (layer(body), []) == convert(layer(body))


def test_merged_twice():
    """A second merge of a parameter stays, and sees what the first one gives."""
    text = layer(f"{STRICT}\nflag = flag if flag is not None else self.rate")
    after, report = convert(text, even_if_wrong=True)

    assert "flag=MERGED):\n        flag = flag if flag is not None else self.rate\n" in after
    assert "stays, since 'flag' is merged before it already" in report[1]
    assert outcomes(text) == outcomes(after)


def test_sentinel():
    """A merge with an object of its own for "not set" keeps it."""
    merge = STRICT.replace(")", ", unset=UNSET)")
    start = "from mergeparam import UNSET, merge_param\n"
    text = start + layer(merge).replace("=None", "=UNSET").replace("from flax.linen", "# ")
    other = text.replace(merge, f"{merge}\n        {merge.replace('UNSET', '...')}")

    assert '@mergeable(Param("flag", unset=UNSET))' in convert(text)[0]
    assert "self.flag once more" in convert(other, even_if_wrong=True)[1][0]


def test_wrong():
    """A class in which `check` finds a mistake stays, unless one insists."""
    again = f"\n    def again(self, x, flag=None):\n        {STRICT}\n        return x\n"
    text = WHOLE + again
    other = WHOLE[WHOLE.index("\nclass") :].replace("Layer", "Other")
    before, report = convert(text)
    after, _ = convert(text, even_if_wrong=True)

    assert text == before
    assert all(re.search(r"since check finds MP\d+ in line \d+", line) for line in report)
    assert '@mergeable("flag", method=("__call__", "again"))' in after
    assert '@mergeable("flag")\nclass Other' in convert(text + other)[0]


BEFORE = '''\
"""Layers."""

from __future__ import annotations

from typing import Optional

from flax import linen as nn
from flax.linen import (
    Dense,
    merge_param,  # merges
)

X = Dense  # stays


@nn.nowrap
class Layer(nn.Module):
  rate: float = 0.1
  train: Optional[bool] = None
  cache: Optional[object] = None

  @nn.compact
  def __call__(
      self,
      x,
      *,
      train: Optional[bool] = None,  # whether to train
      cache=None,
  ):
    """Calls it."""

    # Above.
    train = merge_param(
        "train", self.train, train  # inside
    )  # behind
    cache = merge_param("cache", self.cache, cache)  # type: ignore

    # Below.
    return x, train, cache

  async def encode(self, x, train=None):

    train = nn.merge_param("train", self.train, train)

    return x, train

  def decode(self, x, /, cache=None, train=None):
    """Decodes."""

    train = nn.merge_param("train", self.train, train)
    return x, cache, train

  class Inner(nn.Module):
    mode: str | None = None

    def __call__(self, mode=None):
      if self.rate > 0:  # why
        mode = merge_param("mode", self.mode, mode)
        # more
        return mode
      # end
'''
AFTER = '''\
"""Layers."""

from __future__ import annotations

from typing import Optional

from flax import linen as nn
from flax.linen import (
    Dense,
)
from mergeparam import MERGED, Param, mergeable

X = Dense  # stays


@mergeable("train", "cache")
@mergeable("train", method=("encode", "decode"))
@nn.nowrap
class Layer(nn.Module):
  rate: float = 0.1
  train: Optional[bool] = None
  cache: Optional[object] = None

  @nn.compact
  def __call__(
      self,
      x,
      *,
      train: Optional[bool] = MERGED,  # whether to train
      cache=MERGED,
  ):
    """Calls it."""

    # Above.
    # inside
    # behind

    # Below.
    return x, train, cache

  async def encode(self, x, train=MERGED):
    return x, train

  def decode(self, x, /, cache=None, train=MERGED):
    """Decodes."""

    return x, cache, train

  @mergeable(Param("mode", when=lambda self: self.rate > 0, otherwise=None))
  class Inner(nn.Module):
    mode: str | None = None

    def __call__(self, mode=MERGED):
      if self.rate > 0:  # why
        # more
        return mode
      # end
'''


def test_leaves_the_rest():
    """Formatting, comments, annotations and other imports stay; decorators stack if needed."""
    assert AFTER == convert(BEFORE)[0]


@pytest.mark.parametrize(
    ("old", "new", "expected"),
    [
        ("", "", "from mergeparam import MERGED, mergeable"),
        (
            "merge_param\n",
            "merge_param\nfrom mergeparam import provide\n",
            "MERGED, mergeable, provide",
        ),
        ("class", "Param = 3\n\nclass", "import mergeparam\n"),
        ("class", "Param = 3\n\nclass", '@mergeparam.mergeable("flag")'),
        ("class", "Param = 3\n\nclass", "flag=mergeparam.MERGED"),
        ("class", "__all__ = ['merge_param']\n\nclass", "from flax.linen import merge_param\n"),
        ("merge_param\n", "Dense, merge_param\n", "from flax.linen import Dense\n"),
        ("merge_param\n", "merge_param, Dense\n", "from flax.linen import Dense\n"),
        ("merge_param\n", "(Dense, merge_param,)\n", "from flax.linen import (Dense,)\n"),
        ("from flax.linen import merge_param", "from flax.linen import *", "linen import *\n"),
        ("x, flag\n", "merge_param('x', x, flag)\n", "from flax.linen import merge_param\n"),
    ],
)
def test_imports(old, new, expected):
    """Our names are imported, under the module's where they are taken; idle imports go."""
    text = WHOLE.replace(old, new, 1) if old else WHOLE
    after, _ = convert(
        "import flax.linen as linen\n"
        + text.replace(" merge_param(", " linen.merge_param(", "linen import *" in text)
    )

    assert expected in after
    assert ("linen import merge_param" in after) == ("linen import merge_param" in expected)


def test_long_declaration():
    """A declaration that is too long for a line takes one line for each argument."""
    name = "a_rather_long_name_of_a_flag"
    after, _ = convert(layer(STRICT.replace("self.flag", f"self.{name}.{name}.flag")))
    line = f'    Param("flag", attribute="{name}.{name}.flag"),\n)\nclass Layer'

    assert f"@mergeable(\n{line}" in after.replace(
        "@mergeable(Param", "@mergeable(\n    Param"
    ).replace('flag"))', 'flag"),\n)')


def test_only_statement():
    """A body that was nothing but the merge gets a `pass`; the comments stay."""
    text = WHOLE.replace("        return x, flag\n", "        # end\n")
    after, _ = convert(text, even_if_wrong=True)

    assert "flag=MERGED):\n        pass\n        # end\n" in after


def run(capsys, *arguments):
    """Run the command and return its exit code and what it printed."""
    code = main(["migrate", *arguments])
    return code, *capsys.readouterr()


def test_command(capsys, folder):
    """The command prints the difference, and changes the files only if told to."""
    folder.joinpath("layers.py").write_text(WHOLE)
    folder.joinpath("plain.py").write_text("x = 1\n")
    folder.joinpath("stub.pyi").write_text("x: int\n")
    code, out, error = run(capsys, ".")

    assert 1 == code
    assert "--- layers.py\n+++ layers.py\n" in out
    assert '+@mergeable("flag")\n' in out
    assert error == (
        "layers.py:12: Layer.__call__ (flag): converted\n"
        "1 of 1 merges by hand converted, in 2 files; --write changes them\n"
    )
    assert WHOLE == folder.joinpath("layers.py").read_text()

    code, out, error = run(capsys, "--write", "layers.py")

    assert (1, "") == (code, out)
    assert error.endswith("1 of 1 merges by hand converted, in 1 file\n")
    assert (0, "") == run(capsys, ".")[:2]


@pytest.mark.parametrize(
    ("answers", "expected"),
    [("y\ny\n", 2), ("maybe\nn\ny\n", 1), ("a\n", 2), ("q\n", 0), ("y\n", 1), ("n\nn\n", 0)],
)
def test_interactive(answers, expected, capsys, folder, monkeypatch):
    """Each class is asked for with its difference; those that are wanted are written."""
    text = WHOLE + WHOLE[WHOLE.index("\nclass") :].replace("Layer", "Other")
    folder.joinpath("layers.py").write_text(text)
    monkeypatch.setattr(sys, "stdin", io.StringIO(answers))
    code, out, error = run(capsys, "--interactive", "layers.py")
    after = folder.joinpath("layers.py").read_text()

    assert (expected > 0) == code
    assert expected == after.count("@mergeable")
    assert "Convert Layer in layers.py? [y]es, [n]o, [a]ll that follow, [q]uit: " in out
    assert 2 - expected == error.count("stays, since it is not wanted")


def test_unreadable(capsys, folder):
    """A file that cannot be read does not keep the others from being converted."""
    folder.joinpath("broken.py").write_text("x = (\n")
    folder.joinpath("layers.py").write_text(WHOLE)
    code, out, error = run(capsys, "broken.py", "layers.py", "missing.py")

    assert 2 == code
    assert "@mergeable" in out
    assert "mergeparam: broken.py cannot be read: '(' was never closed" in error
    assert "mergeparam: missing.py cannot be read: " in error


@pytest.mark.parametrize(
    ("old", "new"), [("class ", "class \\\n"), ("def __call__", "def \\\n__call__")]
)
def test_odd_lines(old, new, capsys, folder):
    """A file in which a class or a method would not be found again stays as it is."""
    text = WHOLE.replace(old, new)
    folder.joinpath("layers.py").write_text(text)
    code, _, error = run(capsys, "--write", "layers.py")

    assert 2 == code
    assert "the name must stand on the line of `class` and `def`, in line" in error
    assert text == folder.joinpath("layers.py").read_text()


def test_unknown_syntax(capsys, folder, monkeypatch):
    """So does one that the Python that runs can read and LibCST cannot."""
    folder.joinpath("layers.py").write_text(WHOLE)
    error = cst.ParserSyntaxError("odd", lines=["x"], raw_line=1, raw_column=0)
    monkeypatch.setattr(cst, "parse_module", Mock(side_effect=error))

    assert 2 == run(capsys, "layers.py")[0]


def test_bytes(folder):
    """The encoding, the ends of lines and a last line without one stay."""
    text = "# -*- coding: latin-1 -*-\n# \xe9\n" + WHOLE.rstrip("\n")
    data = text.replace("\n", "\r\n").encode("latin-1")
    path = folder / "layers.py"
    path.write_bytes(data)

    assert 1 == main(["migrate", "--write", "layers.py"])
    assert b"\xe9\r\n" in path.read_bytes()
    assert b"@mergeable" in path.read_bytes()
    assert b"\n" not in path.read_bytes().replace(b"\r\n", b"")
    assert path.read_bytes().endswith(b"return x, flag")


def test_last_line_without_end(capsys, folder):
    """The difference says so where the last line has no end, as `diff` does."""
    folder.joinpath("layers.py").write_text(WHOLE.rstrip("\n"))
    out = run(capsys, "layers.py")[1]

    assert out.endswith("         return x, flag\n\\ No newline at end of file\n")


def test_without_libcst(monkeypatch, capsys):
    """The command says which extra it needs."""
    find = importlib.util.find_spec
    monkeypatch.setattr(
        importlib.util, "find_spec", lambda name: None if name == "libcst" else find(name)
    )
    code, _, error = run(capsys, "layers.py")

    assert (2, "mergeparam: migrate needs LibCST: pip install 'mergeparam[migrate]'\n") == (
        code,
        error,
    )


def test_colours(monkeypatch, folder):
    """On a terminal the difference has colours."""
    folder.joinpath("layers.py").write_text(WHOLE)
    terminal = io.StringIO()
    terminal.isatty = lambda: True
    monkeypatch.setattr(sys, "stdout", terminal)
    monkeypatch.setenv("FORCE_COLOR", "1")
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.delenv("NO_COLOR", raising=False)
    main(["migrate", "layers.py"])

    assert "\x1b[" in terminal.getvalue()


FORWARDS = """
class Model:
    other: Layer

    def setup(self):
        self.layer = Layer(0.5)
        self.mixed = Layer()
        self.mixed = object()

    def __call__(self, x, flag):
        x = self.layer(x, flag=flag)
        x = self.other(x, flag)
        return Layer(0.5)(x, flag)

    def uses(self, x, flag):
        return self.layer(x, flag) if flag else x

    def turns(self, x, flag):
        return self.layer(x, not flag)

    def elsewhere(self, x, flag):
        return self.mixed(x, flag), self.layer(flag, x)

    def method(self, x, flag):
        return self.layer.encode(x, flag), self.layer.other(x)
"""


def test_forwards(capsys, folder):
    """Methods that take a flag only to hand it on are named."""
    encode = WHOLE[WHOLE.index("    def __call__") :].replace("__call__", "encode")
    folder.joinpath("layers.py").write_text(f"{WHOLE}\n{encode}{FORWARDS}")
    error = run(capsys, "layers.py")[2]
    named = re.findall(r"(\w+\.\w+) \(flag\): (to .*)", error)

    assert [("Model.__call__", "to Layer"), ("Model.method", "to Layer")] == named
