"""`mergeparam bench`: what it compares, prints and refuses. No time is asserted."""

import linecache
import sys
from pathlib import Path

import pytest

from mergeparam.__main__ import main
from mergeparam._bench import method
from mergeparam._bench.calls import Call
from mergeparam._cli import bench

pyperf = pytest.importorskip("pyperf", reason="pyperf is not installed")
pytest.importorskip("matplotlib", reason="matplotlib is not installed")

sampling = pytest.importorskip("mergeparam._bench.sampling")
trial = pytest.importorskip("mergeparam._bench.trial")

LAYERS = '''
import typing
from typing import Annotated, Any, Literal, Optional

import attrs
from mergeparam import MERGED, UNSET, Param, mergeable

@mergeable("deterministic")
@attrs.define
class Dropout:
    rate: float
    deterministic: bool | None = None
    def __call__(self, x, *, deterministic: bool = MERGED):
        """Have a docstring."""
        return x, deterministic, self.rate

@mergeable(Param("mask", unset=UNSET), "__mode", method=("encode", "decode"))
class Coder:
    def __init__(self, size: "int | None", /, name: Optional[str], *, kind: Literal["a", "b"],
                 share: Annotated[float, "half"], mask=UNSET, __mode=None):
        self.mask, self.__mode = mask, __mode
        self.size = size
    def encode(self, x: object, y: "Any", n: int, *, key: bytes, mask=MERGED,
               __mode: "str" = MERGED):
        return mask, __mode, super().__repr__()
    def decode(self, mask=MERGED, __mode=MERGED, /):
        yield mask
        yield __mode

@mergeable(Param("flag", default=3, on_conflict="use_call"), inject="wrap")
class Wrapped:
    flag = None
    def __call__(self, flag=MERGED):
        return flag

@mergeable("two")
@mergeable("one")
class Stacked:
    __slots__ = ("one", "two")
    def __init__(self, one=None, two=None):
        self.one, self.two = one, two
    def __call__(self, *args, one=MERGED, two=MERGED, **kwargs):
        return one, two, args, kwargs

class Flag:
    def __init__(self, flag=None):
        self.flag = flag

class Outer:
    @mergeable("flag")
    class Inner(Flag):
        def __call__(self, x: typing.Union[None, int], flag: dict = MERGED): return flag

@mergeable("flag")
class Lambda(Flag):
    __call__ = lambda self, flag=MERGED: flag

@mergeable("flag")
class Awaited(Flag):
    async def __call__(self, flag=MERGED): return flag

@mergeable("flag")
class Steps(Flag):
    async def __call__(self, flag=MERGED): yield flag

def make():
    @mergeable("flag")
    class Local(Flag):
        def __call__(self, flag=MERGED): return flag
    return Local

Made = make()

@mergeable("flag")
class Unknown(Flag):
    def __call__(self, x: "numpy.ndarray", flag=MERGED): ...

@mergeable("flag")
class Unmade:
    flag = None
    def __init__(self, things: list[int]): ...
    def __call__(self, flag=MERGED): ...

@mergeable("flag", provide=True)
class Providing(Flag):
    def __call__(self, flag=MERGED): ...

@mergeable(Param("flag", when=callable, otherwise=True))
class Conditional(Flag):
    def __call__(self, flag=MERGED): ...

@mergeable("flag")
class Final(Flag):
    def __call__(self, flag=MERGED): return flag
    def __init_subclass__(cls): raise TypeError("no\\nsubclass")

@mergeable("flag")
class Always:
    def __init__(self, flag=True): self.flag = bool(flag)
    def __call__(self, flag=MERGED): return flag

@mergeable("flag")
class Never(Flag):
    def __call__(self, flag=MERGED): raise ValueError("never\\nruns")

class Meta(type):
    @property
    def __signature__(cls): raise TypeError("no signature")

@mergeable("flag")
class Unreadable(Flag, metaclass=Meta):
    def __call__(self, flag=MERGED): ...

def noted(function):
    def wrapper(*args, **kwargs):
        return function(*args, **kwargs)
    wrapper.__wrapped__ = function
    return wrapper

@mergeable("flag")
class Noted(Flag):
    @noted
    def __call__(self, flag=MERGED): return flag

def elsewhere():
    return Layer(0.5, True)(1)

Layer = Dropout
'''
MODEL = "model = lambda *flags: [Dropout(0.5, flag)(1) for flag in flags]"
TIRED = "left, made = iter(range(9)), Dropout(0.5, True)"
ONCE = "import functools; once = functools.cache(lambda: Dropout(0.5, True)(1))"


@pytest.fixture
def layers(tmp_path, monkeypatch):
    """Write the module in a folder of its own, go there, and measure next to nothing."""
    (tmp_path / "benched.py").write_text(LAYERS)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", [path for path in sys.path if path])
    for effort in ("THOROUGH", "FAST"):
        monkeypatch.setattr(bench, effort, (2, 2, 1e-5))
    monkeypatch.setenv("COLUMNS", "80")
    yield tmp_path
    sys.modules.pop("benched", None)
    linecache.clearcache()


def run(capsys, *arguments):
    """Run the command and return its exit code, its output, and its errors."""
    code = main(["bench", *arguments])
    return code, *capsys.readouterr()


def load(name):
    """Return a class of the module."""
    sys.path.insert(0, "")
    module = __import__("benched")
    for part in name.split("."):
        module = getattr(module, part)
    return module


# What is printed and written


def test_derived_calls(layers, capsys):
    """Both calls that the signatures allow, each with a table of four ways, on 80 columns."""
    code, out, error = run(capsys, "benched:Dropout")

    assert (0, "") == (code, error)
    assert "Dropout.__call__(), deterministic by the call" in out
    assert "    layer = Dropout(0.5)\n    layer(1.0, deterministic=True)" in out
    assert "Dropout.__call__(), deterministic by the constructor" in out
    assert "    layer = Dropout(0.5, deterministic=True)\n    layer(1.0)\n" in out
    for way in ("undecorated", "inline by hand", "@mergeable", "merge_param by hand"):
        assert 2 == sum(line.startswith(f"{way} ") for line in out.splitlines())
    assert "medians and quartiles of 2 runs, with 2 turns of all ways in each\n" in out
    assert "note:" not in out
    assert "left out:" not in out
    assert all(len(line) <= 80 and "…" not in line for line in out.splitlines())


@pytest.mark.parametrize(
    ("arguments", "texts"),
    [
        (
            [
                "benched.py:Dropout",
                "--setup",
                "layer = Dropout(0.1)",
                "--call",
                "layer(3, deterministic=0)",
            ],
            [
                "deterministic as given",
                "    layer = Dropout(0.1)\n    layer(3, deterministic=0)\n",
            ],
        ),
        (
            ["benched:Coder", "--method", "encode"],
            [
                "layer = Coder(1, 'x', kind='a', share=0.5)",
                "layer.encode(1.0, 1.0, 1, key=b'x', mask=True, _Coder__mode='x')",
                "by the constructor",
            ],
        ),
        (["benched:Coder", "--method", "decode"], ["list(layer.decode(True, True))"]),
        (["benched:Awaited"], ["list(layer(flag=True).__await__())"]),
        (["benched:Steps"], ["list(layer(flag=True).__anext__().__await__())"]),
        (
            ["benched:Wrapped"],
            [
                "note: merge_param knows no default and no policy for conflicts",
                "note: the merge is in a wrapper, not in the method's code",
                "left out: by the constructor: Wrapped's constructor takes no 'flag'",
            ],
        ),
        (["benched:Stacked"], ["Stacked.__call__(), two, one by the call", "one=True, two=True"]),
        (["benched:Noted"], ["note: measured without what is wrapped around the method (1)"]),
        (["benched:Made"], ["Local.__call__(), flag by the constructor"]),
        (
            ["benched:Dropout", "--setup", MODEL, "--call", "model(True, True)"],
            ["note: a call runs the method 2 times"],
        ),
        (
            ["benched:Always"],
            ["by the constructor", "left out: by the call: the call 'layer(flag=True)' raises"],
        ),
    ],
)
def test_what_is_measured(layers, capsys, arguments, texts):
    """Calls as given and as derived, and what is said of them."""
    code, out, _ = run(capsys, *arguments)
    words = " ".join(out.split())

    assert 0 == code
    for text in texts:
        assert " ".join(text.split()) in words


def test_files(layers, capsys):
    """`--json` writes what pyperf reads, and `--plot` a chart."""
    paths = ["--json", "out/times.json", "--plot", "out/chart.svg", "--fast"]
    call = ["--setup", "a = 1\nlayer = Dropout(a, True)", "--call", "layer(1)"]
    assert 0 == run(capsys, "benched:Dropout", *paths)[0]
    (_, first), names = read("out/times.json")

    assert 8 == len(names)
    assert "Dropout.__call__, by the call/@mergeable" in names
    assert {"setup": "layer = Dropout(0.5)"}.items() <= first.items()
    assert sys.version.split()[0] == first["python_version"]
    assert not {"hostname", "python_executable"} & first.keys()
    assert 2 == Path("out/chart.svg").read_text().count("<!-- ns per call -->")

    assert 0 == run(capsys, "benched:Dropout", *call, "--json", "lines.json")[0]
    assert "a = 1; layer = Dropout(a, True)" == read("lines.json")[0][1]["setup"]


def read(path):
    """Return the first benchmark of a file and its metadata, and the names of all."""
    suite = pyperf.BenchmarkSuite.load(path)
    first = suite.get_benchmarks()[0]
    return (first, first.get_metadata()), suite.get_benchmark_names()


def test_files_of_before_stay(layers, capsys):
    """What is refused before it is measured writes nothing, and empties nothing."""
    Path("kept.json").write_text("kept")
    for name in ("kept.json", "none.json"):
        assert 2 == run(capsys, "benched:Lambda", "--json", name)[0]

    assert "kept" == Path("kept.json").read_text()
    assert not Path("none.json").exists()


@pytest.mark.parametrize("path", [".", "benched.py/x"])
def test_file_that_cannot_be_written(layers, capsys, path):
    """It is said in one line, after the tables."""
    code, out, error = run(capsys, "benched:Dropout", "--fast", "--json", path)

    assert (2, 1) == (code, error.count("\n"))
    assert "@mergeable" in out
    assert f"mergeparam: {path} cannot be written: " in error


# What is refused


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        (["benched"], "bench compares one class; name one of benched:Dropout, benched:Coder"),
        (["benched.py"], "bench compares one class; name one of benched.py:Dropout, "),
        (["benched:Coder"], "Coder merges in encode, decode; name one with --method"),
        (["benched:Dropout", "--method", "forward"], "Dropout merges nothing in 'forward'"),
        (["benched:Dropout", "--setup", "x = 1"], "--setup needs --call"),
        (["benched:Dropout", "--call", "1 + 1"], "'1 + 1' does not run Dropout.__call__()"),
        (["benched:Dropout", "--call", "lair(1)"], "raises NameError: name 'lair' is not defined"),
        (["benched:Dropout", "--setup", ONCE, "--call", "once()"], "does not run Dropout.__call"),
        (["benched:Dropout", "--call", "elsewhere()"], "make the object with Dropout(...) in"),
        (["benched:Dropout", "--call", "def x"], "raises SyntaxError"),
        (["benched:Dropout", "--call", "exit()"], "raises SystemExit"),
        (["benched:Dropout", "--call", "x", "--setup", "1 / 0"], "'1 / 0' raises ZeroDivision"),
        (
            ["benched:Dropout", "--setup", MODEL, "--call", "model(True, False)"],
            "True and with False; compare one",
        ),
        (
            ["benched:Dropout", "--fast", "--call", "next(left), made(1)", "--setup", TIRED],
            "after some calls the call 'next(left), made(1)' raises StopIteration",
        ),
        (["benched:Dropout", "--plot", "chart.xyz"], "let it end in .svg, .png, .pdf"),
        (["benched:Steps", "--call", "Steps()(flag=True)"], "begins only where it is awaited"),
        (["benched:Outer.Inner", "--call", "Outer.Inner()(1)"], "raises MissingParamError"),
        (["benched:Lambda"], "is not written with def"),
        (["benched:Unknown"], "what to give 'x' of Unknown's method __call__; write"),
        (["benched:Unmade"], "what to give 'things' of Unmade's constructor; write what to"),
        (["benched:Unreadable"], "the constructor of Unreadable cannot be read"),
        (["benched:Providing"], "provides its values to the calls in its body (provide=True)"),
        (["benched:Conditional"], "has a when= or an attribute_unset=, which merge_param lacks"),
        (["benched:Final"], "Final does not let itself be subclassed: TypeError: no subclass"),
        (["benched:Never"], "raises ValueError: never runs; write what to measure with --setup"),
    ],
)
def test_refusals(layers, capsys, arguments, text):
    """One clear line, and exit code 2."""
    code, out, error = run(capsys, *arguments)

    assert (2, "", 1) == (code, out, error.count("\n")), error
    assert error.startswith("mergeparam: ")
    assert text in error


@pytest.mark.parametrize(
    ("target", "change", "text"),
    [
        ("Dropout", None, "the source of Dropout.__call__ is not to be had"),
        ("Dropout", ("deterministic, self.rate", "self.rate"), "is not what its source makes"),
        ("Wrapped", ("return flag\n", "return -flag\n"), "is not what its source makes"),
    ],
)
def test_source_that_is_not_the_class(layers, capsys, target, change, text):
    """A class whose file is gone, or says something else now, in whichever way it is merged."""
    load(target)
    (layers / "benched.py").unlink()
    if change:
        (layers / "benched.py").write_text(LAYERS.replace(*change))
    linecache.clearcache()
    code, _, error = run(capsys, f"benched:{target}")

    assert 2 == code
    assert text in error


@pytest.mark.parametrize("missing", ["pyperf", "matplotlib", "rich"])
def test_without_the_extra(layers, capsys, monkeypatch, missing):
    """The line names what to install."""
    monkeypatch.setitem(sys.modules, missing, None)
    code, _, error = run(capsys, "benched:Dropout")

    assert 2 == code
    assert f"bench needs {missing}: pip install 'mergeparam[bench]'" in error


# What is compared


@pytest.mark.parametrize(
    ("name", "called", "values", "arguments"),
    [
        ("Dropout", "__call__", {"deterministic": True}, (1.0,)),
        ("Stacked", "__call__", {"one": 1, "two": 2}, ()),
        ("Coder", "encode", {"mask": None, "_Coder__mode": "m"}, (1, 2, 3)),
        ("Outer.Inner", "__call__", {"flag": 7}, (1,)),
        ("Wrapped", "__call__", {"flag": 7}, ()),
    ],
)
def test_all_ways_do_the_same(layers, name, called, values, arguments):
    """With the values by the call or by the attributes; and the merges refuse the same."""
    cls, more = load(name), {"key": b"k"} if called == "encode" else {}
    subject = method.read_subject(cls, called)
    unset = {param.name: param.unset for param in subject.params}
    ways, results = trial.make_ways(subject, values), set()

    def call(way, attributes, **given):
        made = object.__new__(way)
        if name == "Dropout":
            made.rate = 0.5
        for attribute, value in attributes.items():
            setattr(made, attribute, value)
        return getattr(made, called)(*arguments, **given, **more)

    original = getattr(cls, called)
    for title, way in ways.items():
        made = getattr(way, called)
        assert issubclass(way, cls)
        assert way is not cls
        assert original.__doc__ == made.__doc__
        assert original.__code__.co_firstlineno == made.__code__.co_firstlineno or (
            name == "Wrapped"
        )
        for result in (call(way, unset, **values), call(way, values)):
            results.add(str(result).partition(" at 0x")[0])
        if title != "undecorated" and name != "Wrapped":
            with pytest.raises(ValueError, match="set in neither place"):
                call(way, unset)
            with pytest.raises(ValueError, match="set in both places"):
                call(way, values, **values)
    assert 1 == len(results)


@pytest.mark.parametrize(
    ("name", "call", "executions", "values"),
    [
        ("Outer.Inner", Call("", "", "Inner(5)(1), Inner(5)(2)"), 2, {"flag": 5}),
        ("Dropout", Call("", MODEL, "model(True)"), 1, {"deterministic": True}),
    ],
)
def test_trial_sees_what_is_merged(layers, name, call, executions, values):
    """The values, and how often the method runs."""
    seen = trial.try_out(method.read_subject(load(name), "__call__"), call)

    assert (executions, values) == (seen.executions, seen.values)
    assert all(sampler.take() > 0 for sampler in seen.samplers(1e-5).values())


# How it is measured


def test_turns_change_their_order():
    """All take one value in every turn, in changing order."""
    order = []

    def make():
        return {
            name: sampling.Sampler(lambda name=name: order.append(name) or 1.0) for name in "abc"
        }

    found = sampling.sample(make, runs="1", turns=20)

    assert dict.fromkeys("abc", (1.0,) * 20) == {name: found[name].get_values() for name in found}
    assert {"abc"} == {"".join(sorted(order[at : at + 3])) for at in range(0, 60, 3)}
    assert ["a", "b", "c"] * 20 != order


def test_runs_begin_anew():
    """Each run has samplers of its own, and its values are kept apart."""
    made = iter(range(1, 100))

    def make():
        number = next(made)
        return {"one": sampling.Sampler(lambda: float(number), loops=7)}

    (item,) = sampling.sample(make, runs=range(3), turns=2, unit="byte").values()

    assert [(1.0, 1.0), (2.0, 2.0), (3.0, 3.0)] == [run.values for run in item.get_runs()]
    assert ("one", "byte", 7) == (item.get_name(), item.get_unit(), item.get_loops())


@pytest.mark.parametrize("seconds", [1e-3, 1e-9])
def test_quick_calls_are_repeated_and_slow_ones_are_not(seconds):
    """Ten in a row, and a tenth more untimed; what takes longer than a turn is called once."""
    calls = []
    sampler = sampling.call_sampler("call(1)", {"call": calls.append}, seconds)
    tried = len(calls)
    untimed = 10 * (1 + sampler.loops // 100) if seconds == 1e-3 else 0

    assert sampler.take() > 0
    assert (seconds == 1e-9) == (sampler.loops == 1)
    assert sampler.loops + untimed == len(calls) - tried


def test_figures_are_worked_out_run_by_run():
    """A run that is slow as a whole changes no ratio; one run has no spread."""

    def benchmark(*runs):
        facts = {"metadata": {"name": "one"}, "collect_metadata": False}
        return pyperf.Benchmark([pyperf.Run(values, **facts) for values in runs])

    one = benchmark((2.0, 2.0, 9.0), (20.0, 20.0, 20.0), (4.0, 4.0, 4.0))
    other = benchmark((1.0, 1.0, 1.0), (10.0, 10.0, 99.0), (2.0, 2.0, 2.0))

    assert (2.0, 2.0, 2.0) == sampling.ratio(one, other)
    assert (4.0, 3.0, 12.0) == sampling.median(one)
    assert (1.5, 1.125, 4.5) == sampling.overhead(one, benchmark((0.5,), (5.0,), (1.0,)), 2)
    assert (7.0, 7.0, 7.0) == sampling.median(benchmark((7.0,)))
