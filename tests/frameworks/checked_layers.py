"""Merged layers of every kind, with places for a type checker outside and inside the merge."""

import asyncio
import dataclasses
import inspect

import attrs

from mergeparam import MERGED, MergeError, mergeable


class Size(int):
    """A type that is known in this module alone."""


def same(target):
    return target


def plain(outside=same, inside=same, on_method=same, **options):
    @outside
    @mergeable("flag", **options)
    @inside
    class Layer:
        def __init__(self, flag: bool | None = None):
            self.flag = flag

        @on_method
        def __call__(self, x: int, *, flag: bool = MERGED) -> tuple:
            return x, flag

    return Layer


def dataclass(outside=same, inside=same, on_method=same, **options):
    @outside
    @mergeable("flag", **options)
    @inside
    @dataclasses.dataclass
    class Layer:
        flag: bool | None = None

        @on_method
        def __call__(self, x: int, *, flag: bool = MERGED) -> tuple:
            return x, flag

    return Layer


def attrs_class(outside=same, inside=same, on_method=same, **options):
    @outside
    @mergeable("flag", **options)
    @inside
    @attrs.frozen
    class Layer:
        flag: bool | None = None

        @on_method
        def __call__(self, x: int, *, flag: bool = MERGED) -> tuple:
            return x, flag

    return Layer


def unchecked_constructor(outside=same, inside=same, on_method=same, **options):
    """Return a class whose constructor takes anything, so that only the method can refuse it."""

    @outside
    @mergeable("flag", **options)
    @inside
    class Layer:
        def __init__(self, flag=None):
            self.flag = flag

        @on_method
        def __call__(self, x: int, *, flag: bool = MERGED) -> tuple:
            return x, flag

    return Layer


def texts(outside=same, on_method=same, **options):
    """Return a class whose annotations are texts, one with a name of this module."""

    @outside
    @mergeable("flag", **options)
    class Layer:
        def __init__(self, flag=None):
            self.flag = flag

        @on_method
        def __call__(self, x: "Size", *, flag: "bool" = MERGED) -> "tuple":
            return x, flag

    return Layer


KINDS = {"plain": plain, "dataclass": dataclass, "attrs": attrs_class}
RIGHT = [(1, True), (1, True), "MissingParamError", "ConflictingParamError"]


def outcomes(cls):
    """Return what the four kinds of call come to."""
    return [
        attempt(cls(True), 1),
        attempt(cls(), 1, flag=True),
        attempt(cls(), 1),
        attempt(cls(True), 1, flag=False),
    ]


def attempt(call, *args, **kwargs):
    try:
        return finish(call(*args, **kwargs))
    except MergeError as error:
        return type(error).__name__


def finish(result):
    """Return what a generator, a coroutine or an async generator gives first."""
    if inspect.isgenerator(result):
        return next(result)
    if inspect.isasyncgen(result):
        return asyncio.run(first(result))
    return asyncio.run(result) if inspect.iscoroutine(result) else result


async def first(results):
    found = [result async for result in results]
    return found[0]
