"""A sample of the sweep over the standard library, and a check that it would see mistakes."""

import pytest
import sweep

from mergeparam._inject.splice import splice


def test_sample_of_the_standard_library():
    """Behind the merge every function is what it was before."""
    result = sweep.sweep_sample(400)

    assert () == result.failures
    assert 400 == result.swept


def test_summary_is_one_line(capsys):
    """The command says what it swept on which Python."""
    code = sweep.main(["--sample", "3"])
    (line,) = capsys.readouterr().out.splitlines()

    assert 0 == code
    assert ": 3 code objects swept in " in line
    assert line.endswith("0 mismatches, 0 files skipped (none)")


def _outer(y):
    def target(self, x, *, d=None):
        while True:
            try:
                yield from (lambda: (self, d, x, y))()
            except ValueError:
                continue

    return target


def _findings():
    return [line.rpartition(": ")[2] for line in sweep.sweep_function(_outer(1).__code__)]


def test_sound_splicer_gives_no_findings():
    """The function that the next test spoils is swept without a mismatch."""
    assert [] == _findings()


@pytest.mark.parametrize(
    ("spoil", "finding"),
    [
        ({"co_code": lambda raw: raw[:-2] + bytes(2)}, "co_code"),
        ({"co_consts": lambda consts: ("other", *consts[1:])}, "co_consts"),
        ({"co_exceptiontable": lambda table: table[:-4]}, "exception table"),
        ({"co_filename": lambda name: name + "c"}, "co_filename"),
        ({"co_firstlineno": lambda line: line + 1}, "co_positions"),
        ({"co_flags": lambda flags: flags | 0x2000}, "co_flags"),
        ({"co_linetable": lambda table: table[:-3]}, "co_positions"),
        ({"co_names": lambda names: names[::-1]}, "the merge"),
        ({"co_stacksize": lambda size: size - 1}, "co_stacksize"),
    ],
    ids=lambda value: "-".join(value) if isinstance(value, dict) else None,
)
def test_spoiled_code_is_found(monkeypatch, spoil, finding):
    """Each part of the code object is really compared."""

    def spoiled(code, merge, **options):
        new, size = splice(code, merge, **options)
        changed = {name: change(getattr(new, name)) for name, change in spoil.items()}
        return new.replace(**changed), size

    monkeypatch.setattr(sweep, "splice", spoiled)

    assert finding in _findings()
