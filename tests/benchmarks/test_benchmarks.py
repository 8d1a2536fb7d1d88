"""What is compared does the same, is measured, and is reported; no time is asserted."""

import contextvars
import gzip
import importlib
import io
import sys

import attrs
import pytest

from mergeparam import mergeable

pyperf = pytest.importorskip("pyperf", reason="pyperf is not installed")
command = pytest.importorskip("benchmarks.command", reason="a part of the extra is missing")

from benchmarks import layers, measure, plan, tables, targets  # noqa: E402
from benchmarks.groups import GROUPS, calls, definition, paths, tracing  # noqa: E402
from benchmarks.results import Result, read_results, widest  # noqa: E402
from mergeparam._bench.sampling import Figure  # noqa: E402

TINY = plan.Effort(processes=1, runs=1, turns=1, slow_turns=2, seconds=1e-6)


@pytest.fixture
def without_frameworks(monkeypatch):
    """Import no framework, which other tests could notice."""
    frameworks = ("flax", "jax", "torch", "equinox")
    for module in (calls, paths, tracing):
        monkeypatch.setattr(
            module,
            "optional",
            lambda name: None if name.startswith(frameworks) else plan.optional(name),
        )


# What is compared


@pytest.mark.parametrize("place", calls.PATHS)
def test_ways_do_the_same(without_frameworks, place):
    """Every way returns what is set, and all but the undecorated one refuse neither and both."""
    path = calls.PATHS[place]
    ways = calls.other_ways() if place in calls.EITHER else calls.ways_of(path)
    for way, layer in path.make(ways).items():
        context = contextvars.copy_context()
        context.run(path.open_scope)
        assert (1.0, True) == context.run(result_of, path.call, layer=layer, x=1.0), way
    for given in ("", "call, constructor"):
        path = attrs.evolve(path, given=given)
        for way, layer in path.make(ways).items():
            is_refused = place in calls.EITHER and way != layers.UNDECORATED
            result = result_of(path.call, layer=layer, x=1.0)
            assert not is_refused or result is ValueError, way


@pytest.mark.parametrize("path", paths.MERGES.values(), ids=paths.MERGES)
def test_paths_do_the_same(path):
    """The code by hand returns what ours returns, and refuses what ours refuses."""
    results = []
    ways = {name: layers.WAYS[name] for name in (layers.INLINE, layers.DECORATED)}
    for place in ("call", "constructor", "call, constructor", ""):
        tried = attrs.evolve(path, given=place)
        made = tried.make(ways).values()
        by_hand, ours = (result_of(tried.call, layer=layer, x=1) for layer in made)
        results.append(by_hand)
        # By hand the base of a forwarding layer cannot tell who hands the very same object on.
        assert by_hand == ours or tried.forwards
    assert len(set(results)) > 1


def result_of(expression, **names):
    """Return the result, or the kind of error."""
    try:
        return eval(expression, names)
    except ValueError:
        return ValueError


def test_merge_by_another_injection_is_not_measured():
    """A class that is merged in another way than its row says stops the measurement."""
    way = attrs.evolve(layers.WAYS[layers.WRAPPER], injection="inline")

    with pytest.raises(AssertionError, match="merged by .'wrap'., and not by 'inline'"):
        layers.make_class(way)
    with pytest.raises(AssertionError, match="not by 'wrap'"):
        definition.decorating(mergeable(layers.NAME), classes=1, injection="wrap").take()


def test_programs_that_differ_are_not_compared():
    """Nor is the time of tracing them."""
    tracing.require_same({layers.INLINE: "a", "one": "a"})

    with pytest.raises(AssertionError, match="written by hand: other"):
        tracing.require_same({layers.INLINE: "a", "other": "b"})


def test_left_out_libraries(monkeypatch):
    """What cannot be imported is left out with the reason."""
    monkeypatch.setattr(plan, "left_out", {})

    assert plan.optional("missing_library.part") is None
    assert plan.optional("io") is io
    assert {"missing_library": "ModuleNotFoundError: No module named 'missing_library'"} == (
        plan.left_out
    )


# Measuring


@pytest.mark.slow
@pytest.mark.parametrize("name", GROUPS)
def test_every_group_is_measured(without_frameworks, name):
    """Every comparison has positive values in every way."""
    found, _ = measure.measure_group(name, TINY)

    assert (name == "tracing") == (not found)
    for item in found:
        assert item.get_name().startswith(f"{name}/")
        assert all(value > 0 for value in item.get_values())


@pytest.fixture(scope="module")
def measured(tmp_path_factory):
    """Return the folder of a measurement of two groups, as the command writes it."""
    output = tmp_path_factory.mktemp("results")
    readme = output / "FRONT.md"
    readme.write_text(f"before\n{tables.BEGIN}\nold\n{tables.END}\nafter\n")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(command, "FAST", TINY)
        for name in ("flax", "jax", "torch", "equinox"):
            patch.setitem(sys.modules, name, None)
        patch.setattr(command, "measure", measured_here)
        names = ["calls", "alternatives", "definition"]
        code = command.main([*names, "--fast", "--output", str(output), "--readme", str(readme)])
    assert 0 == code
    return output


def measured_here(order, effort):
    """Measure in this process."""
    results = [measure.measure_group(name, effort) for name in order]
    return [item for found, _ in results for item in found], ["left (out)"]


def test_processes_measure(tmp_path):
    """Each process adds its runs, and what a process says before it fails is told."""
    found, _ = measure.measure(["partial", "partial"], TINY)

    assert {2} == {item.get_nrun() for item in found}
    with pytest.raises(measure.MeasurementError, match="measuring nothing has failed:(.|\n)*KeyE"):
        measure.measure(["nothing"], TINY)


def test_pyperf_reads_the_file(measured):
    """The benchmarks have names, units and metadata, and no host or path is told."""
    (path,) = measured.glob("*.json.gz")
    suite = pyperf.BenchmarkSuite.load(str(path))
    text = gzip.decompress(path.read_bytes()).decode()

    assert "calls/1 set by the call/@mergeable" in suite.get_benchmark_names()
    assert sys.version.split()[0] == suite.get_metadata()["python_version"]
    assert "hostname" not in text
    assert str(measured) not in text


def test_tables_and_charts_exist(measured):
    """The report has what was measured, and the charts that it links are there."""
    page = (measured / "README.md").read_text()

    for title in ("The common paths", "Calls", "Beside other ways", "Definition"):
        assert f"## {title}\n" in page
    assert "## Memory" not in page
    assert f"| {targets.TARGETS[0].text} |" in page
    assert "](overhead.svg)" in page
    assert "{" not in page
    for form in ("svg", "png"):
        assert (measured / f"overhead.{form}").stat().st_size > 1000


def test_the_headline_is_put_into_a_readme(measured):
    """Between the marks, and nothing else changes; without both marks it is refused."""
    front = (measured / "FRONT.md").read_text()

    assert front.startswith(f"before\n{tables.BEGIN}\n![")
    assert front.endswith(f"\n{tables.END}\nafter\n")
    assert "| **`@mergeable`** |" in front
    assert "](overhead.svg)" in front
    for text in ("", tables.BEGIN, tables.END):
        with pytest.raises(ValueError, match="has no <!-- benchmarks:begin"):
            tables.refreshed(text, "content")


def test_some_groups_are_measured_again(measured, monkeypatch, tmp_path):
    """The others keep their figures, and `--report` measures nothing."""
    monkeypatch.setattr(command, "FAST", TINY)
    monkeypatch.setattr(command, "measure", measured_here)
    (path,) = measured.glob("*.json.gz")
    (tmp_path / path.name).write_bytes(path.read_bytes())

    assert 0 == command.main(["partial", "--fast", "--output", str(tmp_path)])
    (before,), (after,) = read_results(measured), read_results(tmp_path)
    new = after.benchmarks.keys() - before.benchmarks.keys()

    assert before.benchmarks.keys() < after.benchmarks.keys()
    assert {"partial"} == {name.split("/")[0] for name in new}
    page = (tmp_path / "README.md").read_text()
    monkeypatch.delattr(command, "measure")
    assert 0 == command.main(["--report", "--output", str(tmp_path)])
    assert page == (tmp_path / "README.md").read_text()


@pytest.mark.parametrize(
    ("arguments", "code", "text"),
    [
        (["--report", "--output", "new"], 2, "there are no figures in new; measure first"),
        (["--readme", "missing.md"], 2, "FileNotFoundError: "),
        (["--readme", "plain.md"], 2, "the file has no <!-- benchmarks:begin -->"),
        (["--output", "plain.md"], 2, "FileExistsError: "),
        (["--output", "strange"], 2, "BadGzipFile: "),
        (["calls"], 1, "nothing could be measured: why"),
    ],
)
def test_refusals(monkeypatch, capsys, tmp_path, arguments, code, text):
    """In one line, before anything is measured if that can be."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(command, "measure", lambda *_: ([], ["why"]))
    (tmp_path / "plain.md").write_text("no marks")
    (tmp_path / "strange").mkdir()
    (tmp_path / "strange" / "cpython-3.11.json.gz").write_text("no figures")

    assert code == command.main(["--output", "new", *arguments])
    assert text in " ".join(capsys.readouterr().out.split())


@pytest.mark.parametrize("arguments", [["nothing"], ["--report", "calls"]])
def test_wrong_names(arguments):
    """A name that is none, and names for a report, which is always of everything."""
    with pytest.raises(SystemExit) as stop:
        command.main(arguments)

    assert 2 == stop.value.code


def test_without_the_extra(monkeypatch, capsys):
    """The command says what to install."""
    module = importlib.import_module("benchmarks.__main__")
    monkeypatch.setitem(sys.modules, "pyperf", None)

    assert 2 == module.main()
    assert "python -m benchmarks: bench needs pyperf" in capsys.readouterr().err


# Reporting


def result(values, **metadata):
    """Return a result with these values, by their names."""
    facts = {
        "python_implementation": "cpython",
        "python_version": "3.11.7",
        "platform": "Linux x86_64",
        **metadata,
    }
    items = {
        name: pyperf.Benchmark(
            [pyperf.Run([value], metadata={**facts, "name": name}, collect_metadata=False)]
        )
        for name, value in values.items()
    }
    return Result(items)


def test_targets_that_are_missed_are_bold():
    """And what one Python has not measured has a dash."""
    one = result({"definition/one class/@mergeable": 6, "definition/one class/attrs.define": 10})
    call = "partial/calling a function"
    two = result({f"{call}/strict_partial": 1, f"{call}/functools.partial": 1})
    table = tables.target_table([one, two])

    assert "| 0.55 | **0.60** | - |" in table
    assert "| 1.5 | - | 1.00 |" in table


@pytest.mark.parametrize(("value", "text"), [(1.034, "1.03"), (1.036, "**1.04**"), (1, "1.00")])
def test_target_is_as_exact_as_it_is_written(value, text):
    """A target is the most that a figure may be, with as many digits as the table shows."""
    figure = Figure(value, value, value)
    target = targets.Target("", 1.03, "", "a", lambda _: figure)

    assert text == target.verdict(result({"a/b/c": 1}))


def test_report_of_little():
    """The fullest is told in full, and what is missing is said."""
    few = result({"errors/raised/one": 1}, left_out="keras (gone)", load="1")
    many = result({f"a/b/{way}": 1 for way in "xyz"})
    page = tables.report([few], "chart.svg", ".")

    assert "Left out: keras (gone)." in page
    assert "an unnamed processor" in page
    assert "## The common paths" not in page
    assert many is widest([few, many])
