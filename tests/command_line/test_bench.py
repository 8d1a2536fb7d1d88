"""`mergeparam bench`: what it compares, prints and refuses. No time is asserted."""

import linecache
import math
import sys
import types
from pathlib import Path

import attrs
import pytest

from mergeparam import __main__ as command
from mergeparam._cli import bench, figures, machine, sampling, trial, variants
from mergeparam._cli.derived_call import Call
from mergeparam._cli.refusal import Refusal
from mergeparam._cli.sampling import Sampler, Samples

pyperf = pytest.importorskip("pyperf", reason="pyperf is not installed")
pytest.importorskip("matplotlib", reason="matplotlib is not installed")

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

class Outer:
    @mergeable("flag")
    class Inner:
        def __init__(self, flag=None):
            self.flag = flag
        def __call__(self, x: typing.Union[None, int], flag: dict = MERGED):
            return flag

@mergeable("flag")
class Lambda:
    flag = None
    __call__ = lambda self, flag=MERGED: flag

@mergeable("flag")
class Awaited:
    flag = None
    async def __call__(self, flag=MERGED):
        return flag

@mergeable("flag")
class Steps:
    flag = None
    async def __call__(self, flag=MERGED):
        yield flag

@mergeable(Param("flag", unset=UNSET))
class Objects:
    def __init__(self, flag=UNSET):
        self.flag = flag
    def __call__(self, flag=MERGED):
        return flag

def make():
    @mergeable("flag")
    class Local:
        def __init__(self, flag=None):
            self.flag = flag
        def __call__(self, flag=MERGED):
            return flag
    return Local

Made = make()

@mergeable("flag")
class Unknown:
    flag = None
    def __call__(self, x: "numpy.ndarray", flag=MERGED): ...

@mergeable("flag")
class Unmade:
    flag = None
    def __init__(self, things: list[int]): ...
    def __call__(self, flag=MERGED): ...

@mergeable("flag", provide=True)
class Providing:
    flag = None
    def __call__(self, flag=MERGED): ...

@mergeable("flag")
class Final:
    flag = None
    def __call__(self, flag=MERGED):
        return flag
    def __init_subclass__(cls):
        raise TypeError("no\\nsubclass")

@mergeable("flag")
class Always:
    def __init__(self, flag=True):
        self.flag = flag
    def __call__(self, flag=MERGED):
        return flag

@mergeable("flag")
class Never:
    flag = None
    def __call__(self, flag=MERGED):
        raise ValueError("never\\nruns")

class Meta(type):
    @property
    def __signature__(cls):
        raise TypeError("no signature")

@mergeable("flag")
class Unreadable(metaclass=Meta):
    flag = None
    def __call__(self, flag=MERGED): ...

def noted(function):
    def wrapper(*args, **kwargs):
        return function(*args, **kwargs)
    wrapper.__wrapped__ = function
    return wrapper

@mergeable("flag")
class Noted:
    def __init__(self, flag=None):
        self.flag = flag
    @noted
    def __call__(self, flag=MERGED):
        return flag

def model(first, second):
    return Dropout(0.5, first)(1), Dropout(0.5, second)(1)

cached = {}

def tired():
    made, left = Dropout(0.5, True), iter(range(9))
    return lambda x: (next(left), made(x))

def call_once():
    if not cached:
        cached["value"] = Dropout(0.5, True)(1)
'''

TINY = bench.Effort(runs=2, turns=2, seconds=1e-5)


@pytest.fixture
def layers(tmp_path, monkeypatch):
    """Write the module in a folder of its own, go there, and measure next to nothing."""
    (tmp_path / "benched.py").write_text(LAYERS)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", [path for path in sys.path if path])
    monkeypatch.setattr(bench, "THOROUGH", TINY)
    monkeypatch.setattr(bench, "FAST", TINY)
    monkeypatch.setenv("COLUMNS", "100")
    yield tmp_path
    sys.modules.pop("benched", None)
    linecache.clearcache()


def run(capsys, *arguments):
    """Run the command and return its exit code, its output, and its errors."""
    code = command.main(["bench", *arguments])
    return code, *capsys.readouterr()


def load(name):
    """Return a class of the module."""
    sys.path.insert(0, "")
    module = __import__("benched")
    for part in name.split("."):
        module = getattr(module, part)
    return module


def given(expression, setup=""):
    """Return a call as a user gives it."""
    return Call("as given", setup, expression)


# What is printed and written


def test_derived_calls(layers, capsys):
    """Both calls that the signatures allow, each with a table of four ways."""
    code, out, error = run(capsys, "benched:Dropout")

    assert (0, "") == (code, error)
    assert "Dropout.__call__(), deterministic by the call" in out
    assert "    layer = Dropout(rate=0.5)\n    layer(1.0, deterministic=True)" in out
    assert "Dropout.__call__(), deterministic by the constructor" in out
    assert "    layer = Dropout(deterministic=True, rate=0.5)\n    layer(1.0)\n" in out
    for way in ("undecorated", "inline by hand", "@mergeable", "merge_param by hand"):
        assert 2 <= sum(line.startswith(f"{way} ") for line in out.splitlines())
    assert "turns of calls" in out
    assert "note:" not in out
    assert "left out:" not in out


@pytest.mark.parametrize("target", ["benched:Dropout", "benched.py:Dropout"])
def test_given_call(layers, capsys, target):
    """A call of the user's own, by module and by file."""
    setup = "layer = Dropout(0.1); x = 3"
    code, out, _ = run(capsys, target, "--setup", setup, "--call", "layer(x, deterministic=0)")

    assert 0 == code
    assert "deterministic as given" in out
    assert f"    {setup}\n    layer(x, deterministic=0)\n" in out


def test_it_fits_a_terminal(layers, capsys, monkeypatch):
    """Nothing is cut off on 80 columns."""
    monkeypatch.setenv("COLUMNS", "80")
    _, out, _ = run(capsys, "benched:Dropout")

    assert "…" not in out
    assert all(len(line) <= 80 for line in out.splitlines())


def test_files(layers, capsys):
    """`--json` writes what pyperf reads, and `--plot` a chart."""
    paths = ["--json", "out/times.json", "--plot", "out/chart.svg", "--fast"]
    code, _, _ = run(capsys, "benched:Dropout", *paths)
    suite = pyperf.BenchmarkSuite.load("out/times.json")
    names = suite.get_benchmark_names()

    assert 0 == code
    assert 8 == len(names)
    assert "Dropout.__call__, by the call/@mergeable" in names
    assert "layer = Dropout(rate=0.5)" == suite.get_benchmarks()[0].get_metadata()["setup"]
    assert "<svg" in Path("out/chart.svg").read_text()


def test_files_of_before_stay(layers, capsys):
    """What is refused before it is measured writes nothing, and empties nothing."""
    Path("kept.json").write_text("kept")
    for name in ("kept.json", "none.json"):
        assert 2 == run(capsys, "benched:Lambda", "--json", name)[0]

    assert "kept" == Path("kept.json").read_text()
    assert not Path("none.json").exists()


def test_private_positional_and_generator(layers, capsys):
    """Values for what has no default, by the annotations; private names; a method that yields."""
    code, out, _ = run(capsys, "benched:Coder", "--method", "encode")

    assert 0 == code
    assert "layer = Coder(1, name='x', kind='a', share=0.5)" in out
    assert "layer.encode(1.0, 1.0, 1, key=b'x', mask=True, _Coder__mode='x')" in out
    assert "by the constructor" in out

    code, out, _ = run(capsys, "benched:Coder", "--method", "decode")

    assert 0 == code
    assert "list(layer.decode(True, True))" in out


def test_wrapped_default_and_policy(layers, capsys):
    """What merge_param cannot say is left out, and a wrapper of ours is spoken of."""
    code, out, _ = run(capsys, "benched:Wrapped")

    assert 0 == code
    assert "note: merge_param knows no default and no policy for conflicts" in out
    assert "note: the merge is in a wrapper around the method" in out
    assert "flag by the constructor\n" not in out
    assert "left out: by the constructor: Wrapped's constructor takes no 'flag'" in out


def test_stacked_decorators(layers, capsys):
    """All parameters are merged, whichever decorator names them."""
    code, out, _ = run(capsys, "benched:Stacked")

    assert 0 == code
    assert "Stacked.__call__(), two, one by the call" in out
    assert "layer(one=True, two=True)" in out


def test_wrapped_by_others(layers, capsys):
    """A foreign wrapper around the method is not there when it is measured, and it says so."""
    code, out, _ = run(capsys, "benched:Noted")

    assert 0 == code
    assert "note: measured without what is wrapped around the method (1)" in out


def test_object_that_means_not_set(layers, capsys):
    """It says where the two merges find the object."""
    code, out, _ = run(capsys, "benched:Objects")

    assert 0 == code
    assert "finds what means 'not set' in the class" in out


def test_class_that_a_function_has_made(layers, capsys):
    """It is found where a module names it."""
    code, out, _ = run(capsys, "benched:Made")

    assert 0 == code
    assert "Local.__call__(), flag by the constructor" in out


def test_method_that_runs_twice(layers, capsys):
    """What a parameter adds is given for one run of the method."""
    code, out, _ = run(capsys, "benched:Dropout", "--call", "model(True, True)")

    assert 0 == code
    assert "note: a call runs the method 2 times" in out


def test_call_that_loses_its_way(layers, capsys):
    """One of the derived calls raises, and the other one is measured."""
    code, out, _ = run(capsys, "benched:Always")

    assert 0 == code
    assert "by the constructor" in out
    assert "flag by the call\n" not in out
    assert "left out: by the call: the call 'layer(flag=True)' raises ConflictingParamError" in out


# What is refused


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        (["benched:Nothing"], "has nothing under the name Nothing"),
        (["benched"], "bench compares one class; name one of benched:Dropout, benched:Coder"),
        (["benched:Coder"], "Coder merges in encode, decode; name one with --method"),
        (["benched:Dropout", "--method", "forward"], "Dropout merges nothing in 'forward'"),
        (["benched:Dropout", "--setup", "x = 1"], "--setup needs --call"),
        (["benched:Dropout", "--call", "1 + 1"], "'1 + 1' does not run Dropout.__call__()"),
        (["benched:Dropout", "--call", "lair(1)"], "'lair' is not defined; say with --setup what"),
        (
            ["benched:Steps", "--call", "Steps()(flag=True)"],
            "body begins only where it is awaited",
        ),
        (["benched:Steps"], "such as take here, do so: --setup"),
        (["benched:Dropout", "--plot", "chart.xyz"], "let it end in .svg, .png, .pdf"),
        (["benched:Dropout", "--plot", "chart"], "let it end in .svg, .png, .pdf"),
        (["benched:Dropout", "--json", "."], ". cannot be written: IsADirectoryError"),
        (["benched:Dropout", "--json", "benched.py/x"], "cannot be written: FileExistsError"),
        (
            ["benched:Dropout", "--fast", "--call", "again(1)", "--setup", "again = tired()"],
            "after some calls: the call ",
        ),
        (["benched.py"], "bench compares one class; name one of benched.py:Dropout, "),
        (["benched:Dropout", "--call", "call_once()"], "does not run Dropout.__call__()"),
        (["benched:Dropout", "--call", "def x"], "raises SyntaxError"),
        (["benched:Dropout", "--call", "exit()"], "raises SystemExit"),
        (["benched:Dropout", "--call", "x", "--setup", "1 / 0"], "'1 / 0' raises ZeroDivision"),
        (["benched:Dropout", "--call", "model(True, False)"], "True and with False; compare one"),
        (["benched:Outer.Inner"], "raises MissingParamError"),
        (["benched:Lambda"], "is not written with def"),
        (
            ["benched:Awaited"],
            '--setup "import asyncio; layer = Awaited()" --call "asyncio.run(layer(flag=True))"; ',
        ),
        (["benched:Unknown"], "what to give 'x' of Unknown's method __call__; write"),
        (["benched:Unmade"], "what to give 'things' of Unmade's constructor; write what to"),
        (["benched:Unreadable"], "the constructor of Unreadable cannot be read"),
        (["benched:Providing"], "provides its values to the calls in its body (provide=True)"),
        (["benched:Final"], "Final does not let itself be subclassed: TypeError: no subclass"),
        (["benched:Never"], "raises ValueError: never runs; write what to measure with --setup"),
    ],
)
def test_refusals(layers, capsys, arguments, text):
    """One clear line, and exit code 2."""
    if arguments == ["benched:Outer.Inner"]:
        arguments = [*arguments, "--call", "Outer.Inner()(1)"]
    code, out, error = run(capsys, *arguments)

    assert (2, "", 1) == (code, out, error.count("\n")), error
    assert error.startswith("mergeparam: ")
    assert text in error


def test_source_that_is_gone(layers, capsys):
    """A class whose file cannot be read any more."""
    load("Dropout")
    (layers / "benched.py").unlink()
    linecache.clearcache()
    code, _, error = run(capsys, "benched:Dropout")

    assert 2 == code
    assert "the source of Dropout.__call__ is not to be had" in error


@pytest.mark.parametrize("target", ["Dropout", "Wrapped"])
def test_source_that_has_changed(layers, capsys, target):
    """A class that is not what its file says now, in whichever way it is merged."""
    load("Dropout")
    text = LAYERS.replace("return x, deterministic, self.rate", "return deterministic, x, x")
    text = text.replace("        return flag\n", "        return -flag\n")
    (layers / "benched.py").write_text(text)
    linecache.clearcache()
    code, _, error = run(capsys, f"benched:{target}")

    assert 2 == code
    assert f"{target}.__call__() is not what its source makes" in error


@pytest.mark.parametrize("missing", bench.EXTRA)
def test_without_the_extra(layers, capsys, monkeypatch, missing):
    """The line names what to install."""
    monkeypatch.setitem(sys.modules, missing, None)
    code, _, error = run(capsys, "benched:Dropout")

    assert 2 == code
    assert f"bench needs {missing}: pip install 'mergeparam[bench]'" in error


# What is compared


@pytest.mark.parametrize(
    ("name", "method", "values"),
    [
        ("Dropout", "__call__", {"deterministic": True}),
        ("Stacked", "__call__", {"one": 1, "two": 2}),
        ("Coder", "encode", {"mask": None, "_Coder__mode": "m"}),
        ("Outer.Inner", "__call__", {"flag": 7}),
        ("Wrapped", "__call__", {"flag": 7}),
    ],
)
def test_all_ways_do_the_same(layers, name, method, values):
    """With the values by the call or by the attributes; and the merges refuse the same."""
    cls = load(name)
    known = variants.read_method(cls, method)
    arguments = {"Dropout": (1.0,), "Coder": (1, 2, 3), "Outer.Inner": (1,)}.get(name, ())
    more = {"key": b"k"} if name == "Coder" else {}

    def make(way, attributes):
        made = object.__new__(way)
        for attribute, value in ({"rate": 0.5} | attributes).items():
            if name != "Stacked" or attribute != "rate":
                setattr(made, attribute, value)
        return getattr(made, method)

    def without_address(result):
        return str(result).partition(" at 0x")[0]

    nothing = {parameter: object_of(known, parameter) for parameter in values}
    results, ways = set(), variants.variants(known, values)
    for way in ways.values():
        assert issubclass(way, cls)
        assert way is not cls
        results.add(without_address(make(way, nothing)(*arguments, **values, **more)))
        results.add(without_address(make(way, values)(*arguments, **more)))
    assert 1 == len(results)
    for title, way in ways.items():
        if title != "undecorated" and name != "Wrapped":
            with pytest.raises(ValueError, match="set in neither place"):
                make(way, nothing)(*arguments, **more)
            with pytest.raises(ValueError, match="set in both places"):
                make(way, values)(*arguments, **values, **more)


def object_of(method, name):
    """Return the object that means "not set" for a parameter."""
    return next(param.unset for param in method.params if param.name == name)


def test_statements(layers):
    """What is written at the top of the method; objects that mean "not set" are globals."""
    method = variants.read_method(load("Coder"), "encode")
    inline, by_hand = variants.inline_source(method), variants.by_hand_source(method)

    assert "if _mergeparam_unset is mask:\n    mask = self.mask\n" in inline
    assert "self._mergeparam_unset" not in inline
    assert ", self.mask, mask, unset=_mergeparam_unset)\n" in by_hand
    assert ", self._Coder__mode, _Coder__mode)\n" in by_hand


def test_code_comes_from_the_compiler(layers):
    """The method written by hand has its docstring, its name, and lines of its own file."""
    method = variants.read_method(load("Dropout"), "__call__")
    ways = variants.variants(method, {"deterministic": True})
    original = load("Dropout").__call__
    for way in ("undecorated", "inline by hand", "merge_param by hand"):
        made = ways[way].__call__

        assert "Have a docstring." == made.__doc__
        assert original.__code__.co_filename == made.__code__.co_filename
        assert original.__code__.co_firstlineno == made.__code__.co_firstlineno
        assert "_mergeparam_neither" in made.__code__.co_names or way != "inline by hand"


def test_trial_sees_what_is_merged(layers):
    """The values, how often the method runs, and where the class is named."""
    cls = load("Outer.Inner")
    method = variants.read_method(cls, "__call__")
    seen = trial.try_out(method, given("Outer.Inner(5)(1), Outer.Inner(5)(2)"))

    assert {"flag": 5} == seen.values
    assert 2 == seen.executions
    assert (load("Outer"), "Inner") in seen.holders
    assert load("Outer.Inner") is cls


def test_modules_name_the_class_again(layers, monkeypatch):
    """Wherever a module names the class, the variant stands in for it while it is measured."""
    cls = load("Dropout")
    other = types.ModuleType("other")
    other.Layer = cls
    other.call = lambda: other.Layer(0.5, True)(1)
    monkeypatch.setitem(sys.modules, "other", other)
    method = variants.read_method(cls, "__call__")
    seen = trial.try_out(method, given("other.call()", "import other"))
    samplers = seen.samplers(1e-5)

    assert 1 == seen.executions
    assert all(sampler.take() > 0 for sampler in samplers.values())
    assert other.Layer is cls
    assert cls is load("Dropout")


# How it is measured


def test_turns_change_their_order():
    """All take one value in every turn, and none always comes first."""
    order = []
    samplers = {name: Sampler(lambda name=name: order.append(name) or 1.0) for name in "abc"}

    values = sampling.take_turns(samplers, 6)

    assert dict.fromkeys("abc", (1.0,) * 6) == values
    assert set("abc") == {order[3 * turn] for turn in range(6)}


def test_runs_begin_anew():
    """Each run has samplers of its own, and its values are kept apart."""
    made = iter(range(1, 100))

    def make():
        number = next(made)
        return {"one": Sampler(lambda: float(number), loops=7)}

    samples = sampling.sample(make, runs=range(3), turns=2, unit="byte")

    expected = Samples("one", ((1.0, 1.0), (2.0, 2.0), (3.0, 3.0)), "byte", 7)

    assert {"one": expected} == samples


def test_quick_calls_are_repeated():
    """The statement runs as often as it says, ten times in a row, and a tenth more untimed."""
    calls = []
    sampler = sampling.call_sampler("call(1)", {"call": calls.append}, 1e-3)
    calls.clear()

    assert sampler.take() > 0
    assert 0 == sampler.loops % 10
    assert sampler.loops + 10 * (1 + sampler.loops // 100) == len(calls)


def test_slow_calls_are_not():
    """What takes longer than a turn is called twice to be tried, and once in a turn."""
    calls = []
    sampler = sampling.call_sampler("call(1)", {"call": calls.append}, 1e-9)
    before = len(calls)

    assert sampler.take() > 0
    assert (1, 2, 3) == (sampler.loops, before, len(calls))


def test_figures_are_worked_out_run_by_run():
    """A run that is slow as a whole changes no ratio and no spread of one."""
    one = Samples("one", ((2.0, 2.0, 9.0), (20.0, 20.0, 20.0), (4.0, 4.0, 4.0)))
    other = Samples("other", ((1.0, 1.0, 1.0), (10.0, 10.0, 99.0), (2.0, 2.0, 2.0)))
    base = Samples("base", ((0.5,), (5.0,), (1.0,)))

    assert figures.Figure(2.0, 2.0, 2.0) == figures.ratio(one, other)
    assert figures.Figure(3.0, 3.0, 3.0) == figures.overhead_ratio(one, other, base)
    assert figures.Figure(4.0, 3.0, 12.0) == figures.median(one)
    assert figures.Figure(1.5, 1.125, 4.5) == figures.overhead(one, base, 2)


def test_figures_of_nothing():
    """One run has no spread, and nothing can be told from what takes no time."""
    one, none = Samples("one", ((2.0,),)), Samples("none", ((0.0,),))

    assert figures.Figure(2.0, 2.0, 2.0) == figures.median(one)
    assert math.isnan(figures.ratio(one, none).value)


def test_file_keeps_everything(tmp_path):
    """What is written is read again: runs, units, loops and metadata."""
    from mergeparam._cli import pyperf_file

    samples = [
        Samples("a", ((1.5e-7, 2e-7), (3e-7,)), loops=100, metadata={"call": "f()"}),
        Samples("b", ((48, 48),), "byte"),
    ]
    pyperf_file.write_samples(tmp_path / "new" / "file.json", samples, {"platform": "Linux"})
    read = pyperf_file.read_samples(tmp_path / "new" / "file.json")

    assert ["a", "b"] == list(read)
    assert {"call": "f()", "platform": "Linux"} == read["a"].metadata
    for item in samples:
        assert item == attrs.evolve(read[item.name], metadata=item.metadata)


def test_machine_is_named(tmp_path):
    """Python, processor and system, and nothing that tells whose they are."""
    facts = machine.machine()

    assert sys.version.split()[0] == facts["python_version"]
    assert {"cpu_model_name", "platform", "python_implementation"} <= facts.keys()
    assert not {"hostname", "python_executable"} & facts.keys()


def test_processor(tmp_path):
    """Its name where the system tells it, and otherwise its kind."""
    info = tmp_path / "cpuinfo"
    info.write_text("processor : 0\nmodel name\t: Some CPU @ 3 GHz\n")

    assert "Some CPU @ 3 GHz" == machine._cpu_model(info)
    assert machine._cpu_model(tmp_path) == machine._cpu_model(tmp_path / "missing")


def test_refusal_is_one_line():
    """Whatever a refusal is raised for."""
    assert "no" == str(Refusal("no"))
