"""What `inspect`, `pydoc`, `doctest` and `dis` read of a merged class is what the user wrote."""

import dis
import doctest
import inspect
import pydoc

import pytest
from samples import METHODS

METHODS = (*METHODS, "untouched")
READERS = (
    *(inspect.getsource, inspect.getsourcelines, inspect.getdoc, inspect.getcomments),
    *(inspect.signature, inspect.getfullargspec, inspect.get_annotations, pydoc.render_doc),
    *(inspect.isfunction, inspect.isroutine, inspect.isgeneratorfunction),
    *(inspect.iscoroutinefunction, inspect.isasyncgenfunction),
    *(
        lambda function, name=name: getattr(function, name)
        for name in ("__name__", "__qualname__", "__doc__", "__defaults__", "__kwdefaults__")
    ),
)
PARTS = (
    *("co_name", "co_qualname", "co_firstlineno", "co_flags", "co_varnames", "co_nlocals"),
    *("co_argcount", "co_posonlyargcount", "co_kwonlyargcount", "co_freevars", "co_cellvars"),
)


def pair(layers, variant, method):
    """Return a method of the plain class and of a merged one."""
    return [vars(layers[name].Layer)[method] for name in ("plain", variant)]


def said(reader, target):
    """Return as text what the reader says, without the module's own name."""
    text = str(reader(target))
    for variant in ("plain", "inline", "wrap"):
        text = text.replace(f"layers_{variant}", "layers")
    return text


@pytest.mark.parametrize("method", METHODS)
def test_a_method_reads_as_before(layers, inject, method):
    """Source, documentation, names, signature and kind are those of the plain method."""
    plain, merged = pair(layers, inject, method)

    for reader in READERS:
        assert said(reader, plain) == said(reader, merged)


def test_the_class_reads_as_before(layers, inject):
    """Behind the decorator, source and documentation are those of the plain class."""
    plain, merged = layers["plain"].Layer, layers[inject].Layer
    (expected, line), (actual, merged_line) = map(inspect.getsourcelines, (plain, merged))

    assert (line, expected[1:]) == (merged_line, actual[1:])
    for reader in (inspect.getdoc, inspect.getcomments, inspect.getmro):
        assert said(reader, plain) == said(reader, merged)


@pytest.mark.parametrize("method", METHODS)
def test_where_a_method_is_from(layers, inject, method):
    """File, module, source and, where the merge is spliced, the closure are the user's."""
    plain, merged = pair(layers, inject, method)
    inner = inspect.unwrap(merged)

    assert layers[inject].__file__ == inspect.getsourcefile(merged)
    assert layers[inject] is inspect.getmodule(merged)
    assert said(inspect.getsource, inspect.unwrap(plain)) == said(inspect.getsource, inner)
    assert inject == "wrap" or variables(inspect.unwrap(plain)) == variables(inner)


def variables(function):
    """Return the names that a function's body takes from around it, without those of a merge."""
    found = inspect.getclosurevars(function)
    names = {name for name in found.globals if not name.startswith("_mergeparam_")}
    return set(found.nonlocals), names, set(found.builtins)


def described(code):
    """Return every instruction with its position, and what it loads unless that is a place."""
    return [
        (
            item.opname,
            item.positions,
            None if "JUMP" in item.opname or inspect.iscode(item.argval) else item.argrepr,
        )
        for item in dis.get_instructions(code)
        if item.opname not in ("FOR_ITER", "SEND", "END_ASYNC_FOR")
    ]


@pytest.mark.parametrize("method", METHODS)
def test_spliced_code(layers, method):
    """It says the same of itself, and has the merge in one place, on the `def` line."""
    functions = [inspect.unwrap(function) for function in pair(layers, "inline", method)]
    plain, merged = (function.__code__ for function in functions)
    expected, actual = described(plain), described(merged)
    size = len(actual) - len(expected)
    at = next((i for i, pair in enumerate(zip(expected, actual)) if pair[0] != pair[1]), 0)  # noqa: B905 - they differ in length
    merge = {(where.lineno, where.col_offset) for _, where, _ in actual[at : at + size]}

    assert [getattr(plain, part) for part in PARTS] == [getattr(merged, part) for part in PARTS]
    assert expected == actual[:at] + actual[at + size :]
    assert merge == (set() if method == "untouched" else {(plain.co_firstlineno, None)})
    assert method == "wrapped" or functions[1] is vars(layers["inline"].Layer)[method]


def test_doctest_finds_the_same_examples(layers, inject):
    """No example of the user's is lost, and none of ours is added."""
    plain, merged = (
        doctest.DocTestFinder().find(layers[name], layers[name].__name__)
        for name in ("plain", inject)
    )
    (test,) = (test for test in merged if test.name.endswith("plain"))

    assert [examples(test) for test in plain] == [examples(test) for test in merged]
    assert [0, 1] == [*doctest.DocTestRunner().run(test)[:2]]


def examples(test):
    """Return whose docstring it is, and the examples in it."""
    return test.name.partition(".")[2], [example.source for example in test.examples]
