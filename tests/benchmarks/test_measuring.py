"""Every group is measured, its file is pyperf's, and the report holds it; no time is asserted."""

import gzip
import importlib
import io
import json
import math
import subprocess
import sys

import attrs
import pytest

from benchmarks import measure as measuring
from benchmarks import optional, tables, targets
from benchmarks.headline import BEGIN, END, refreshed
from benchmarks.plan import FAST, GROUPS, SEPARATOR, THOROUGH, load_group
from benchmarks.worker import main as work
from mergeparam._cli import bench
from mergeparam._cli.figures import Figure
from mergeparam._cli.sampling import Samples

pyperf = pytest.importorskip("pyperf", reason="pyperf is not installed")
command = pytest.importorskip("benchmarks.command", reason="a part of the extra is missing")
report = pytest.importorskip("benchmarks.report")
result = pytest.importorskip("benchmarks.result")

SMALL = ("calls", "alternatives", "provide", "partial", "definition", "body", "imports", "memory")
"""The groups that have targets or charts, all of them measured once for the tests below."""


@pytest.fixture(scope="module")
def measured(tmp_path_factory, request):
    """Return the folder of a whole measurement, as the command writes it."""
    output = tmp_path_factory.mktemp("results")
    readme = output / "FRONT.md"
    readme.write_text(f"before\n{BEGIN}\nold\n{END}\nafter\n")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(command, "FAST", request.getfixturevalue("tiny"))
        patch.setattr(measuring, "load_group", small_group)
        code = command.main([*SMALL, "--fast", "--output", str(output), "--readme", str(readme)])
    assert 0 == code
    return output


def small_group(name):
    """Return a group of a single process."""
    return attrs.evolve(load_group(name), most={"processes": 1, "runs": 1, "turns": 2})


def samples(name, *values, unit="second", **metadata):
    """Return samples of a single run."""
    facts = {
        "python_implementation": "cpython",
        "python_version": "3.11.7",
        "cpu_model_name": "Some CPU",
        "cpu_count": "2",
        "platform": "Linux x86_64",
        "minutes": "3",
    }
    return Samples(name, (values,), unit, metadata=facts | metadata)


@pytest.mark.parametrize("name", [name for name in GROUPS if name not in SMALL])
def test_every_group_is_measured(name, tiny):
    """Those that are in no other test: every comparison has positive values in every way."""
    heard = []
    collected = measuring.measure([name], tiny, lambda done, text: heard.append((done, text)))
    groups = {item.split(SEPARATOR)[0] for item in collected.samples}
    if name == "tracing" and not groups:
        pytest.skip(f"frameworks are missing: {collected.left_out[name]}")

    assert {name} == groups
    assert (0, name) == heard[0]
    for item in collected.samples.values():
        assert all(math.isfinite(value) and value > 0 for run in item.runs for value in run)


def test_all_small_groups_are_in_the_file(measured):
    """The file holds every group that was asked for, with all its ways."""
    (found,) = result.read_results(measured)

    for name in SMALL:
        assert found.of_group(name), name
    assert {"undecorated", "inline by hand", "@mergeable"} <= found.of_group("calls")[
        "1 by call"
    ].keys()


def test_pyperf_reads_the_file(measured):
    """The benchmarks have names, units and metadata, and no host or path is told."""
    (path,) = measured.glob("*.json.gz")
    suite = pyperf.BenchmarkSuite.load(str(path))
    units = {benchmark.get_unit() for benchmark in suite.get_benchmarks()}
    text = gzip.decompress(path.read_bytes()).decode()

    assert {"second", "byte"} == units
    assert sys.version.split()[0] == suite.get_metadata()["python_version"]
    assert "hostname" not in text
    assert str(measured) not in text


def test_pyperf_compares_two_files(measured):
    """`compare_to` finds the same benchmarks in both."""
    (path,) = measured.glob("*.json.gz")
    done = subprocess.run(
        [sys.executable, "-m", "pyperf", "compare_to", "--table", str(path), str(path)],
        capture_output=True,
        text=True,
        check=True,
    )

    assert "calls/1 by call/@mergeable" in done.stdout


def test_tables_and_charts_exist(measured):
    """The report speaks of every group and target, and links charts that are there."""
    page = (measured / "README.md").read_text()

    for name in SMALL:
        assert f"## {load_group(name).title}\n" in page
    for target in targets.TARGETS:
        assert f"| {target.text} |" in page
    assert 8 == sum(line.count(", set by ") for line in page.splitlines() if line[0:1] == "|")
    for chart in ("overhead", "calls", "provide", "definition", "body", "targets"):
        for form in ("svg", "png"):
            assert (measured / f"{chart}.{form}").stat().st_size > 1000
    for chart in ("calls", "provide", "definition", "body", "targets"):
        assert f"]({chart}.svg)" in page


def test_the_headline_is_put_into_a_readme(measured):
    """Between the marks, and nothing else changes."""
    text = (measured / "FRONT.md").read_text()
    headline = (measured / "headline.md").read_text()

    assert f"before\n{BEGIN}\n{headline}{END}\nafter\n" == text
    assert "| **`@mergeable`** |" in headline
    assert "](overhead.svg)" in headline


def test_report_alone(measured, capsys, monkeypatch):
    """`--report` measures nothing and writes the same page."""
    before = (measured / "README.md").read_text()
    monkeypatch.delattr(command, "measure")

    assert 0 == command.main(["--report", "--output", str(measured)])
    assert before == (measured / "README.md").read_text()
    assert "at most" in capsys.readouterr().out


def test_some_groups_are_measured_again(measured, monkeypatch, tmp_path, tiny):
    """The other groups keep their figures; `--json` has only what was measured now."""
    monkeypatch.setattr(command, "FAST", tiny)
    (before,) = result.read_results(measured)
    copy, extra = tmp_path / "results", tmp_path / "only.json"
    copy.mkdir()
    (path,) = measured.glob("*.json.gz")
    (copy / path.name).write_bytes(path.read_bytes())

    command.main(["memory", "--fast", "--output", str(copy), "--json", str(extra)])
    (after,) = result.read_results(copy)
    written = pyperf.BenchmarkSuite.load(str(extra))

    assert before.samples.keys() == after.samples.keys()
    assert before.of_group("calls") == after.of_group("calls")
    assert {"memory"} == {name.split(SEPARATOR)[0] for name in written.get_benchmark_names()}


def test_unknown_group():
    """A name that is none is refused with those that are."""
    with pytest.raises(SystemExit) as stop:
        command.main(["nothing"])

    assert 2 == stop.value.code


def test_failed_measurement(monkeypatch, capsys, tmp_path):
    """What a process said before it failed is shown, and nothing is written."""
    monkeypatch.setattr(measuring, "_lines", fail)

    assert 1 == command.main(["calls", "--output", str(tmp_path / "none")])
    assert "measuring calls has failed" in capsys.readouterr().out
    assert not [*(tmp_path / "none").iterdir()]


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        (["--report", "--output", "new"], "there are no figures in new; measure first"),
        (["--readme", "missing.md"], "FileNotFoundError: "),
        (["--readme", "plain.md"], "plain.md has no <!-- benchmarks:begin -->"),
        (["--output", "plain.md"], "FileExistsError: "),
        (["--output", "strange"], "BadGzipFile: "),
    ],
)
def test_what_cannot_be_written_is_refused_first(monkeypatch, capsys, tmp_path, arguments, text):
    """In one line, before anything is measured."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.delattr(command, "measure")
    (tmp_path / "plain.md").write_text("no marks")
    (tmp_path / "strange").mkdir()
    (tmp_path / "strange" / "cpython-3.11.json.gz").write_text("no figures")

    assert 2 == command.main(["--output", "new", *arguments])
    assert text in " ".join(capsys.readouterr().out.split())


def test_names_say_nothing_to_a_report():
    """The report is always of everything."""
    with pytest.raises(SystemExit) as stop:
        command.main(["--report", "calls"])

    assert 2 == stop.value.code


def test_without_the_extra(monkeypatch, capsys):
    """The command says what to install."""
    module = importlib.import_module("benchmarks.__main__")
    monkeypatch.setattr(bench.importlib.util, "find_spec", lambda name: None)

    assert 2 == module.main()
    assert "python -m benchmarks: bench needs pyperf" in capsys.readouterr().err


def fail(group, effort):
    """Fail as a process that measures does."""
    raise measuring.MeasurementError(f"measuring {group} has failed:\nwhy")


def test_a_worker_that_fails(tiny):
    """Its last words come with the error."""
    with pytest.raises(measuring.MeasurementError, match="No module named"):
        list(measuring._lines("nothing", tiny))


def test_worker_prints_lines_of_json(capsys, tiny):
    """One for each comparison, and one for what was left out."""
    work(["partial", json.dumps(attrs.asdict(tiny))])
    lines = [json.loads(line) for line in capsys.readouterr().out.splitlines()]

    assert 3 == sum("comparison" in line for line in lines)
    assert "left_out" in lines[-1]


def test_left_out_libraries(monkeypatch):
    """One that is not installed, and one that cannot be imported, each with its reason."""
    monkeypatch.setattr(optional, "left_out", {})
    monkeypatch.setitem(sys.modules, "broken_library.part", None)

    assert optional.optional("missing_library.part") is None
    assert optional.optional("io") is io
    assert {"missing_library": "not installed"} == optional.left_out


def test_left_out_is_told(measured):
    """The report says what could not be compared, where something could not."""
    collected = measuring.Collected()
    collected.add("calls", {"left_out": {"flax": "not installed"}})
    collected.add("calls", {"comparison": "one", "samples": [line_of("way")]})
    collected.add("calls", {"comparison": "one", "samples": [line_of("way")]})
    (item,) = collected.described()

    assert {"left_out": "flax (not installed)"} == item.metadata
    assert ((1.0,), (1.0,)) == item.runs


def line_of(name):
    """Return samples as a worker prints them."""
    return {"name": name, "runs": [[1.0]], "unit": "second", "loops": 3}


def test_report_of_one_group_alone():
    """What was not measured has no row, no section and no chart."""
    ways = {"@mergeable": 2.0, "undecorated": 1.0, "inline by hand": 2.0, "merge_param by hand": 4}
    found = result.Result(
        {
            name: samples(name, value, left_out="keras (not installed)")
            for way, value in ways.items()
            for name in [f"calls/1 by call/{way}"]
        }
    )
    page = report.report([found], {}, ".", turns=3)

    assert "1.00" in page
    assert "Left out: keras (not installed)." in page
    assert "## Calls" in page
    assert "each of four parameters" not in page
    assert "## Memory" not in page
    assert "![" not in page


def test_targets_that_are_missed_are_bold():
    """And what one Python has not measured has a dash."""
    one, two = (
        result.Result(
            {
                f"{group}/{case}/{way}": samples(f"{group}/{case}/{way}", value)
                for group, case, way, value in rows
            }
        )
        for rows in (
            [
                ("definition", "one class", "@mergeable", 6),
                ("definition", "one class", "attrs.define", 10),
            ],
            [
                ("partial", "calling a function", "strict_partial", 1),
                ("partial", "calling a function", "functools.partial", 1),
            ],
        )
    )
    table = tables.target_table([one, two])

    assert "| 0.5 | **0.60** | - |" in table
    assert "| 1.5 | - | 1.00 |" in table


@pytest.mark.parametrize(
    ("value", "most", "verdict"), [(1.034, 1.03, True), (1.036, 1.03, False), (2, 2, True)]
)
def test_target_is_as_exact_as_it_is_written(value, most, verdict):
    """A target is the most that a figure may be, with as many digits as the table shows."""
    target = attrs.evolve(targets.TARGETS[0], most=most)

    assert verdict is targets.Met(target, "", Figure(value, value, value)).is_met


def test_effort_of_slow_groups():
    """What takes long is measured less often, and never not at all."""
    slow = load_group("tracing").effort(FAST)
    usual = load_group("calls").effort(THOROUGH)

    assert (1, 1, FAST.slow_turns) == (slow.processes, slow.runs, slow.turns)
    assert THOROUGH == usual


def test_processes_take_turns(tiny):
    """All groups are measured before any of them is measured again."""
    effort = attrs.evolve(tiny, processes=2)

    assert ["calls", "memory", "imports"] == measuring.rounds(["calls", "memory", "imports"], tiny)
    assert ["calls", "memory", "calls", "memory"] == measuring.rounds(["calls", "memory"], effort)


def test_names_and_versions():
    """A file is named by its Python, and the one with most in it is told in full."""
    few = result.Result({"a/b/c": samples("a/b/c", 1)})
    many = result.Result({f"a/b/{way}": samples(f"a/b/{way}", 1) for way in "xyz"})

    assert "cpython-3.11.json.gz" == result.file_name(few.metadata)
    assert "CPython 3.11.7" == few.python
    assert many is result.widest([few, many])


def test_marks_are_needed():
    """A file without both marks is not changed."""
    for text in ("", BEGIN, END):
        with pytest.raises(ValueError, match="has no <!-- benchmarks:begin"):
            refreshed(text, "content")
