"""Coverage measures the same lines and branches in a merged class, with each of its cores."""

import json
import sys

import pytest

SOURCE = '''"""Layers of which not every line runs."""

import mergeparam

METHODS = (
    "branches", "loop_first", "while_first", "with_first", "try_first", "match_first",
    "many_lines", "one_line", "cells", "generator", "coroutine", "never", "wrapped",
)


def logged(function):
    def log(*args, **kwargs):
        return function(*args, **kwargs)

    log.__wrapped__ = function
    return log


class Nothing:
    def __enter__(self):
        return self

    def __exit__(self, *args):
        return True


@DECORATE
class Layer:
    def __init__(self, flag=None):
        self.flag = flag

    def branches(self, x, *, flag=None):
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

    def while_first(self, x, *, flag=None):
        while x:
            x -= 1
            if not flag:
                return x

    def with_first(self, x, *, flag=None):
        with Nothing() as nothing:
            if flag:
                raise ValueError(x)
            return nothing

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

    def many_lines(
        self,
        x,
        *,
        flag=None,
    ):
        return [
            item
            for item in range(x)
            if item
            == flag
        ]

    def one_line(self, x, flag=None): return x if flag else -x

    def cells(self, x, flag=None):
        def inner(y):
            if flag:
                return x
            return y

        def never_called():
            return flag

        return inner(x)

    def generator(self, x, *, flag=None):
        if flag:
            yield x
        for item in range(x):
            yield item

    async def coroutine(self, x, *, flag=None):
        if not flag:
            return x
        async for item in self.items():
            x += item
        return x

    async def items(self):
        yield 1

    def never(self, x, *, flag=None):
        if flag:
            return x

    @logged
    def wrapped(self, x, *, flag=None):
        if flag:
            return x
        return -x


def finish(coroutine):
    try:
        coroutine.send(None)
    except StopIteration:
        pass


if __name__ == "__main__":
    for layer, given in ((Layer(), {"flag": True}), (SET_UP, CALLED)):
        for method in METHODS:
            if method not in ("never", "generator", "coroutine"):
                getattr(layer, method)(3, **given)
        next(layer.generator(3, **given))
        finish(layer.coroutine(3, **given))
'''
CORES = ["ctrace", "pytrace", *(["sysmon"] if sys.version_info >= (3, 12) else [])]
BRANCHES = {core: core != "sysmon" or sys.version_info >= (3, 14) for core in CORES}


def measure(python, write, variant, core):
    """Run the module under coverage, and return what the JSON report says of it."""
    set_up = ("Layer()", '{"flag": True}') if variant == "plain" else ("Layer(True)", "{}")
    source = SOURCE.replace("SET_UP", set_up[0]).replace("CALLED", set_up[1])
    path = write(source, variant)
    branch = ["--branch"] if BRANCHES[core] else []
    rcfile = path.with_suffix(".ini")
    rcfile.write_text("[run]\nrelative_files = true\ninclude = */layers_*.py\n")
    options = [f"--rcfile={rcfile}", f"--data-file={path.with_suffix('.data')}"]
    python("-m", "coverage", "run", *options, *branch, path, COVERAGE_CORE=core)
    report = path.with_suffix(".json")
    python("-m", "coverage", "json", "-q", *options, "-o", report)
    found = json.loads(report.read_text())
    (measured,) = found["files"].values()
    return measured


@pytest.mark.parametrize("core", CORES)
def test_report_is_that_of_the_undecorated_class(python, write, core):
    """Executed and missing lines and branches are equal, with either injection."""
    plain = measure(python, write, "plain", core)

    assert plain == measure(python, write, "inline", core)
    assert plain == measure(python, write, "wrap", core)
    assert plain["missing_lines"]
    assert BRANCHES[core] == bool(plain.get("missing_branches"))
