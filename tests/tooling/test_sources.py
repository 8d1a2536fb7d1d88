"""What `inspect`, `pydoc`, `doctest` and `dis` read of a merged class is what the user wrote."""

import dis
import doctest
import inspect
import pydoc

import pytest

SOURCE = '''"""Layers to be read."""

import functools

import mergeparam

METHODS = ("plain", "cells", "one_line", "generator", "coroutine", "async_generator", "wrapped")


def logged(function):
    @functools.wraps(function)
    def log(*args, **kwargs):
        return function(*args, **kwargs)

    return log


# Said of the class.
@DECORATE
class Layer:
    """A layer."""

    def __init__(self, flag=None):
        self.flag = flag

    # Said of the method.
    def plain(self, x: "int", *, flag=None) -> "int":
        """Return it.

        >>> Layer.plain(Layer(), 1, flag=2)
        (1, 2)
        """
        return x, flag

    def cells(
        self,
        x,
        flag=None,  # a comment
    ):
        def inner():
            return flag

        return inner() + __class__().scale

    def one_line(self, x, flag=None): return lambda: flag

    def generator(self, x, *, flag=None):
        """Yield it."""
        yield flag

    async def coroutine(self, x, *, flag=None):
        """Wait for nothing."""
        return flag

    async def async_generator(self, x, *, flag=None):
        yield flag

    @logged
    def wrapped(self, x, *, flag=None):
        """Log it."""
        return flag

    def untouched(self):
        """Merge nothing."""
'''
METHODS = (
    *("plain", "cells", "one_line", "generator", "coroutine", "async_generator", "wrapped"),
    "untouched",
)
READERS = (
    *(inspect.getsource, inspect.getsourcelines, inspect.getdoc, inspect.getcomments),
    *(inspect.signature, inspect.getfullargspec, inspect.get_annotations, pydoc.render_doc),
    *(inspect.isfunction, inspect.isroutine, inspect.isgeneratorfunction),
    *(inspect.iscoroutinefunction, inspect.isasyncgenfunction),
)
NAMES = ("__name__", "__qualname__", "__doc__", "__defaults__", "__kwdefaults__")
PARTS = (
    *("co_name", "co_qualname", "co_firstlineno", "co_flags", "co_varnames", "co_nlocals"),
    *("co_argcount", "co_posonlyargcount", "co_kwonlyargcount", "co_freevars", "co_cellvars"),
)


@pytest.fixture
def plain(load):
    """Return the module with the class as it is written."""
    return load(SOURCE, "plain")


@pytest.fixture
def merged(load, inject):
    """Return the module with the merged class."""
    return load(SOURCE, inject)


@pytest.fixture
def spliced(load):
    """Return the module with the class that holds the merge in its methods' code."""
    return load(SOURCE, "inline")


def function_of(module, method):
    return vars(module.Layer)[method]


def said(module, reader, target):
    """Return as text what the reader says, without the module's own name."""
    return str(reader(target)).replace(module.__name__, "layers")


@pytest.mark.parametrize("reader", READERS, ids=lambda reader: reader.__name__)
@pytest.mark.parametrize("method", METHODS)
def test_a_method_reads_as_before(plain, merged, method, reader):
    """Source, documentation, signature and kind are those of the plain method."""
    expected = said(plain, reader, function_of(plain, method))
    actual = said(merged, reader, function_of(merged, method))

    assert expected == actual


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("method", METHODS)
def test_a_method_is_named_as_before(plain, merged, method, name):
    """What a function says of itself is that of the plain method."""
    expected = getattr(function_of(plain, method), name)
    actual = getattr(function_of(merged, method), name)

    assert expected == actual


def test_the_source_of_the_class_is_found(plain, merged):
    """Behind the decorator, the class's source is that of the plain class."""
    expected, line = inspect.getsourcelines(plain.Layer)
    actual, merged_line = inspect.getsourcelines(merged.Layer)

    assert line == merged_line
    assert expected[1:] == actual[1:]


@pytest.mark.parametrize("reader", [inspect.getdoc, inspect.getcomments, inspect.getmro])
def test_the_class_reads_as_before(plain, merged, reader):
    """The decorator changes nothing of the class's own documentation."""
    expected, actual = said(plain, reader, plain.Layer), said(merged, reader, merged.Layer)

    assert expected == actual


@pytest.mark.parametrize("method", METHODS)
def test_where_a_method_is_from(plain, merged, method):
    """File and module are the user's."""
    function = function_of(merged, method)

    assert merged.__file__ == inspect.getsourcefile(function)
    assert merged is inspect.getmodule(function)
    assert function_of(plain, method).__module__.replace("plain", "") in function.__module__


@pytest.mark.parametrize("method", METHODS)
def test_unwrap_ends_at_what_the_user_wrote(plain, merged, method):
    """Inside every wrapper is the user's own function, with its own closure."""
    expected = inspect.unwrap(function_of(plain, method))
    actual = inspect.unwrap(function_of(merged, method))

    assert inspect.getsource(expected) == inspect.getsource(actual)
    assert variables(expected, plain) == variables(actual, merged)


def variables(function, module):
    """Return the names that a function's body takes from around it."""
    found = inspect.getclosurevars(function)
    return set(found.nonlocals), set(found.globals), set(found.builtins)


@pytest.mark.parametrize("method", sorted(set(METHODS) - {"wrapped"}))
def test_a_spliced_method_is_wrapped_in_nothing(spliced, method):
    """The spliced method is one plain function."""
    function = function_of(spliced, method)

    assert function is inspect.unwrap(function)
    assert holds_merge(function) == (method != "untouched")


def holds_merge(function):
    return "_mergeparam_neither" in function.__code__.co_names


@pytest.mark.parametrize("part", PARTS)
@pytest.mark.parametrize("method", METHODS)
def test_spliced_code_describes_itself_as_before(plain, spliced, method, part):
    """Names, flags, arguments and cells of the code are those of the plain method."""
    expected = getattr(inspect.unwrap(function_of(plain, method)).__code__, part)
    actual = getattr(inspect.unwrap(function_of(spliced, method)).__code__, part)

    assert expected == actual


def described(function):
    """Return every instruction with its position, and what it loads unless that is a place."""
    return [
        (
            item.opname,
            item.positions,
            None if "JUMP" in item.opname or inspect.iscode(item.argval) else item.argrepr,
        )
        for item in dis.get_instructions(function)
        if item.opname not in ("FOR_ITER", "SEND")
    ]


@pytest.mark.parametrize("method", METHODS)
def test_spliced_code_has_the_merge_in_one_place(plain, spliced, method):
    """Before and behind the merge stand the same instructions at the same lines and columns."""
    expected = described(inspect.unwrap(function_of(plain, method)))
    actual = described(inspect.unwrap(function_of(spliced, method)))
    size = len(actual) - len(expected)
    at = next((i for i, pair in enumerate(zip(expected, actual)) if pair[0] != pair[1]), 0)  # noqa: B905 - they differ in length
    line = inspect.unwrap(function_of(plain, method)).__code__.co_firstlineno
    merge = {(where.lineno, where.col_offset) for _, where, _ in actual[at : at + size]}

    assert expected == actual[:at] + actual[at + size :]
    assert merge == (set() if method == "untouched" else {(line, None)})


def test_doctest_finds_the_same_examples(plain, merged):
    """No example of the user's is lost, and none of ours is added."""
    expected, actual = (
        [
            (test.name.partition(".")[2], [example.source for example in test.examples])
            for test in doctest.DocTestFinder().find(module, module.__name__)
        ]
        for module in (plain, merged)
    )
    (test,) = (
        test
        for test in doctest.DocTestFinder().find(merged, merged.__name__)
        if test.name.endswith("plain")
    )

    assert expected == actual
    assert [0, 1] == [*doctest.DocTestRunner().run(test)[:2]]
