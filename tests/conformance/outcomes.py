"""The four ways to call a merged method, and what comes of them."""

import contextlib
import types

from mergeparam import ConflictingParamError, MergeError, MissingParamError

CALLS = ((1, {}), (None, {"flag": 2}), (None, {}), (1, {"flag": 1}))
MERGES = [1, 2, MissingParamError, ConflictingParamError]


class Base:
    """An object with a `flag`."""

    def __init__(self, flag=None):
        self.flag = flag


def attempt(method, *args, **given):
    """Return what a call gives, or the class of its error; of what waits, what it gives first."""
    try:
        result = method(*args, **given)
        if isinstance(result, contextlib.AbstractContextManager):
            with result as entered:
                return entered
        return next(result) if isinstance(result, types.GeneratorType) else result
    except MergeError as error:
        return type(error)


def outcomes(make, method="__call__"):
    """Return what a method gives where the object, the call, neither and both set the flag."""
    return [attempt(getattr(make(flag=flag), method), **given) for flag, given in CALLS]
