"""The benchmark runs and says what it should; what it measures is not asserted."""

import importlib.util
import json
import sys
from pathlib import Path

import pytest

PATH = Path(__file__).parents[2] / "benchmarks" / "call_overhead.py"
PARTS = {
    "Calls, ratios": 12,
    "Definition": 3,
    "Import": 1,
    "Memory": 3,
}


@pytest.fixture(scope="module")
def benchmark():
    spec = importlib.util.spec_from_file_location("call_overhead", PATH)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture
def tiny(benchmark, monkeypatch):
    """Let `--fast` measure next to nothing."""
    effort = benchmark.Effort(copies=1, rounds=2, nanoseconds=10_000, classes=1, processes=1)
    monkeypatch.setattr(benchmark, "FAST", effort)
    return benchmark


def run(benchmark, monkeypatch, *options):
    monkeypatch.setattr(sys, "argv", ["call_overhead.py", *map(str, options)])
    benchmark.main()


def all_cases():
    return [(count, given) for count in (1, 2, 4) for given in ("call", "constructor")]


@pytest.mark.parametrize(("count", "given"), all_cases())
def test_all_variants_return_the_same(benchmark, count, given):
    """What is compared does the same: it returns the input and every merged parameter."""
    case = benchmark.Case(count, given)
    expected = (1.0, *[True] * count)

    for variant in benchmark.VARIANTS.values():
        layer = benchmark.make_layer(variant, case)

        assert expected == eval(case.call, {"layer": layer, "x": 1.0})


@pytest.mark.parametrize("name", ["inline by hand", "decorated", "merge_param", "wrapper"])
def test_all_merges_refuse_the_same(benchmark, name):
    """What is compared raises where neither or both are set."""
    cls = benchmark.make_class(benchmark.VARIANTS[name], ("train",))

    with pytest.raises(ValueError, match="'?train'? is set in neither place"):
        cls()(1.0)
    with pytest.raises(ValueError, match="'?train'? is set in both places"):
        cls(train=True)(1.0, train=True)


def test_it_prints_a_table_for_every_part(tiny, monkeypatch, capsys):
    """Every part has a title, and every figure a target and a verdict."""
    run(tiny, monkeypatch, "--fast")
    lines = capsys.readouterr().out.splitlines()

    figures = [line for line in lines if line.endswith(("ok", "MISSED"))]

    assert sum(PARTS.values()) == len(figures)
    assert all("  <= " in line for line in figures)
    for title in PARTS:
        assert any(line.startswith(title) for line in lines)


def test_it_names_the_python(tiny, monkeypatch, capsys):
    """The first line says what has been measured."""
    run(tiny, monkeypatch, "--fast")
    expected = f"{tiny.platform.python_implementation()} {tiny.platform.python_version()}"

    assert expected == capsys.readouterr().out.splitlines()[0]


def test_json_holds_all_figures(tiny, monkeypatch, tmp_path):
    """The file has the rows of every table, and the times of every variant."""
    run(tiny, monkeypatch, "--fast", "--json", tmp_path / "figures.json")
    written = json.loads((tmp_path / "figures.json").read_text())

    assert {"python", "calls_ns", "parts"} == written.keys()
    assert {f"{count} by {given}" for count, given in all_cases()} == written["calls_ns"].keys()
    for times in written["calls_ns"].values():
        assert tiny.VARIANTS.keys() == times.keys()
        assert all(time > 0 for time in times.values())
    assert PARTS == {title: len(rows) for title, rows in written["parts"].items()}
    for row in (row for rows in written["parts"].values() for row in rows):
        assert {"name", "value", "target", "unit", "verdict"} == row.keys()


def test_verdict_allows_the_target_itself(benchmark):
    """A target is the most that a figure may be."""
    assert benchmark.Row("figure", 1.0, 1.0).verdict == "ok"
    assert benchmark.Row("figure", 1.1, 1.0).verdict == "MISSED"


@pytest.mark.parametrize(("lines", "tries"), [(1, 0), (2, 0), (2000, 0), (2000, 50)])
def test_long_body_has_its_length(benchmark, lines, tries):
    """The bodies that are compared have as many lines as it says, and compile."""
    body = benchmark.long_body(lines, tries)

    assert lines == len(body.splitlines())
    assert tries == body.splitlines().count("try:")
    benchmark.define(benchmark.layer_source(("train",), "MERGED", body))


def test_take_turns_times_all_in_every_round(benchmark):
    """Every variant is timed once a round, and none always comes first."""
    order = []
    timers = {name: lambda name=name: order.append(name) or 1.0 for name in "abc"}

    times = benchmark.take_turns(timers, 6)

    assert dict.fromkeys("abc", [1.0] * 6) == times
    assert set("abc") == {order[3 * turn] for turn in range(6)}
