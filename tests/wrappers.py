"""Decorators of methods, which a generated class may have below `@mergeable`."""

import functools


def logged(function):
    """Wrap a function as decorators do."""

    @functools.wraps(function)
    def wrapper(*args, **kwargs):
        return function(*args, **kwargs)

    return wrapper


def logged_twice(function):
    """Wrap a function in two wrappers."""
    return logged(logged(function))


def borrowing(function):
    """Borrow the docs of another function, and with them its signature."""
    return functools.wraps(lambda self, other=1: other)(function)
