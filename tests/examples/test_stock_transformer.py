"""The fourth example: stock Linen layers get their flags from `provide`."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

pytest.importorskip("flax", reason="flax is not installed")
pytest.importorskip("sklearn", reason="scikit-learn is not installed")

PATH = Path(__file__).parents[2] / "examples" / "stock_transformer.py"


def test_it_prints_what_it_does():
    """The numbers are those of the model by hand, and each mode has its own trace."""
    printed = subprocess.run(
        [sys.executable, "-W", "error::UserWarning", str(PATH), "--steps", "40"],
        capture_output=True,
        text=True,
        check=True,
        timeout=600,
    ).stdout
    told = dict(re.findall(r"^([^:]+): +(.*)$", printed, re.MULTILINE))

    losses = re.findall(r"[\d.]+", told["loss after 40 steps"])
    assert 2 == len(losses)
    assert losses[0] == losses[1]
    assert float(losses[0]) < 1.5
    assert float(told["digits read correctly"]) > 0.4
    assert "True" == told["the same scores as by hand"]
    assert "True" == told["training gives other scores"]
    assert "True" == told["and evaluation the same ones"]
    assert "1; of the scores in two modes: 2" == told["traces of the step of training"]
    assert "0 in the model, 6 by hand" == told["lines that mention a flag"]
    assert "must be passed to the constructor or at call time" in printed


def test_the_model_names_no_flag():
    """Between the model's first line and the one by hand, the source holds none of the flags."""
    source = PATH.read_text(encoding="utf-8")
    model = source[source.index("class Block(") : source.index("class BlockByHand(")]
    by_hand = source[source.index("class BlockByHand(") : source.index("def fit(")]
    flag = re.compile("deterministic|use_running_average|train: bool|, train")

    assert [] == flag.findall(model)
    assert 6 == len([line for line in by_hand.splitlines() if flag.search(line)])
