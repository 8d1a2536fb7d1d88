"""The source of layers that tools read, trace and measure; most have no line that never runs."""

LAYERS = '''"""Layers to be looked at."""

import functools

import mergeparam

METHODS = (
    "plain", "early", "loop_first", "try_first", "match_first", "one_line", "cells",
    "class_cell", "generator", "coroutine", "async_generator", "wrapped", "never",
)


# LOGGED


# Said of the class.
@DECORATE
class Layer:
    """A layer."""

    def __init__(self, flag=None):
        self.flag = flag

    # Said of the method.
    def plain(self, x: "int", *, flag=None) -> "list":
        """Take every branch.

        >>> Layer().plain(1, flag=2)
        [3, 2]
        """
        total = x + 1
        for step in range(3):
            if step == flag:
                total += step
            else:
                total -= step
        try:
            total /= 0
        except ZeroDivisionError:
            total = [
                total,
                flag,
            ]
        return total

    def early(self, x, *, flag=None):
        """Return early."""
        if flag:
            return x
        else:
            x += 1
        if x > 100:
            x = 3
        return x

    def loop_first(self, x, flag=None):
        for item in range(x):
            if item == flag:
                break
            if item == 100:
                continue
        else:
            return x
        return flag

    def try_first(self, x, *, flag=None):
        try:
            x /= flag - 1
        except ZeroDivisionError:
            x = 0
        except ValueError:
            x = 1
        else:
            x = 2
        finally:
            if x:
                x = 4
        return x

    def match_first(self, x, *, flag=None):
        match flag:
            case True:
                return x
            case 1.5 | 2.5:
                return 3

    def one_line(self, x, flag=None): return x if flag else -x

    def cells(self, x, flag=None):
        def inner(y):
            if flag:
                return flag + y
            return y

        def never_called():
            return flag

        return [inner(y) for y in (x, x)], (lambda: flag)()

    def class_cell(self, x, flag=None):
        return __class__, super().__init__(), lambda: flag

    def generator(self, x, *, flag=None):
        """Yield it."""
        if flag:
            yield x
        sent = yield x
        yield from (sent, flag)

    async def coroutine(self, x, *, flag=None):
        """Wait for nothing."""
        if not flag:
            return x
        async for item in self.items():
            x += item
        await pause()
        return x

    async def items(self):
        yield 1

    async def async_generator(self, x, *, flag=None):
        for item in (x, flag):
            yield item
            await pause()

    @logged
    def wrapped(self, x, *, flag=None):
        """Log it."""
        if flag:
            return x
        return -x

    def never(self, x, *, flag=None):
        if flag:
            return x

    def untouched(self):
        """Merge nothing."""


async def pause():
    pass
'''
METHODS = (
    *("plain", "early", "loop_first", "try_first", "match_first"),
    *("one_line", "cells", "class_cell", "generator", "coroutine"),
    *("async_generator", "wrapped"),
)
"""The methods that are called; `never` is only read."""
