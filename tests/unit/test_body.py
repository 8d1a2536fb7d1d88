"""`MergeWarning`: found where it is, and nowhere else."""

import warnings

import pytest

from mergeparam import MERGED, MergeWarning, Param, mergeable


def lines_of_warnings(*params, cls):
    """Return the lines, counted from the method's `def`, that were warned about."""
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        mergeable(*params)(cls)
    first = cls.__call__.__code__.co_firstlineno
    assert all(item.category is MergeWarning for item in caught)
    assert all(item.filename == __file__ for item in caught)
    return [item.lineno - first for item in caught]


def test_read_in_the_body():
    """Every line that reads the raw attribute is named."""

    class Layer:
        flag = None

        def __call__(self, x, *, flag=MERGED):
            y = x if self.flag else 1
            return (
                y,
                x,
                self.flag,
            )

    assert [1, 5] == lines_of_warnings("flag", cls=Layer)


def test_change_of_the_attribute():
    """To add to the attribute is to read it; to set it is not."""

    class Layer:
        flag = None

        def __call__(self, x, *, flag=MERGED):
            self.flag = 1
            self.flag += x

    assert [2] == lines_of_warnings("flag", cls=Layer)


def test_read_in_a_closure():
    """A closure and a comprehension that read it are found too."""

    class Layer:
        flag = None

        def __call__(self, x, *, flag=MERGED):
            def inner():
                return [self.flag for _ in x]

            return inner

    assert 2 in lines_of_warnings("flag", cls=Layer)


def test_long_body():
    """A read far down in a body with many names is found."""
    lines = "".join(f"    x.n{i} = other.flag\n" for i in range(400))
    namespace = {}
    exec(
        f"def call(self, x, other, *, flag=None):\n{lines}    if self.flag: pass\n"
        "    return self.flag(x)\n",
        namespace,
    )
    layer = type("Layer", (), {"flag": None, "__call__": namespace["call"]})
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        mergeable("flag")(layer)

    assert [402, 403] == [item.lineno for item in caught]


@pytest.mark.parametrize("number", [0, 14, 15, 16, 17, 255, 256, 300])
def test_many_parameters_and_names(number):
    """Operands that pairs of locals share, and that take more than a byte."""
    names = "".join(f", p{i}" for i in range(number))
    body = "".join(f"    self.n{i} = 0\n" for i in range(number))
    namespace = {}
    exec(f"def call(self{names}, *, flag=None):\n{body}    return flag, self.flag\n", namespace)
    layer = type("Layer", (), {"flag": None, "__call__": namespace["call"]})

    with pytest.warns(MergeWarning, match=f"line {number + 2} reads"):
        mergeable("flag")(layer)


def test_dotted_path():
    """Of a dotted path, only a read of the whole counts."""

    class Layer:
        inner = None

        def __call__(self, x, *, flag=MERGED):
            self.inner.other()
            return self.inner.flag

    assert [2] == lines_of_warnings(Param("flag", attribute="inner.flag"), cls=Layer)


def test_message():
    """The message names class, method, parameter, attribute, line and the fix."""

    class Layer:
        flag = None

        def __call__(self, *, flag=MERGED):
            return self.flag

    with pytest.warns(
        MergeWarning, match=r"Layer\.__call__\(\) merges 'flag', and line \d+ reads"
    ):
        mergeable("flag")(Layer)


@pytest.mark.parametrize(
    "body",
    [
        "return flag",
        "self.flag = flag",
        "return other.flag",
        "return [x.flag for x in other]",
        "return self.other.flag",
        "return self.flagged",
        "del self.flag",
        "self = other; x = 1; return flag",
        "return (lambda self: self.flag)(other)",
    ],
)
def test_no_read_of_the_raw_attribute(body):
    """Writing it, and reading the same name of something else, is no mistake."""
    namespace = {}
    exec(f"def call(self, other=None, *, flag=None): {body}", namespace)
    layer = type("Layer", (), {"flag": None, "__call__": namespace["call"]})
    with warnings.catch_warnings():
        warnings.simplefilter("error")

        assert layer is mergeable("flag")(layer)


def test_body_without_line_numbers():
    """Code whose instructions have no lines is warned about at its first line."""
    namespace = {}
    exec("def call(self, *, flag=None):\n    return self.flag", namespace)
    call = namespace["call"]
    call.__code__ = call.__code__.replace(
        co_linetable=b"\xff" * (len(call.__code__.co_code) // 16 + 1)
    )
    layer = type("Layer", (), {"flag": None, "__call__": call})

    with pytest.warns(MergeWarning, match="line 1 reads"):
        mergeable("flag")(layer)
