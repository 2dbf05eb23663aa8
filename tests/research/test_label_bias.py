"""A bias a label undoes a shifted prior, and a temperature alone does not."""

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import polars as pl
import pytest

SCRIPT = Path(__file__).parents[2] / "research" / "label_bias"


def run(*words: object) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, SCRIPT, *words]
    return subprocess.run(list(map(str, command)), capture_output=True, text=True, check=False)


def write(folder: Path, level: int, split: str, shift: float, temperature: float = 1.0) -> None:
    """Write predictions of hate whose log-odds are `shift` too high."""
    rng = np.random.default_rng(0)
    p = rng.uniform(0.02, 0.98, 4000)
    gold = np.where(rng.uniform(size=4000) < p, "hate", "not-hate")
    log_odds = (np.log(p / (1 - p)) + shift) / temperature
    said = 1 / (1 + np.exp(-log_odds))
    file = folder / "predictions" / f"level-{level}" / f"tweeteval-hate-{split}.parquet"
    file.parent.mkdir(parents=True, exist_ok=True)
    pl.DataFrame({"gold": gold, "p_not-hate": 1 - said, "p_hate": said}).write_parquet(file)


def test_a_shifted_prior_is_found_and_undone(tmp_path: Path) -> None:
    dev, test, stored = tmp_path / "dev", tmp_path / "test", tmp_path / "calibration.json"
    write(dev, 10, "dev", shift=2.0)
    write(dev, 9, "dev", shift=0.0)  # an earlier level
    write(test, 1, "test", shift=2.0, temperature=1.5)
    stored.write_text(json.dumps({"temperatures": {"hate: not-hate, hate": 1.5}}))
    ran = run(dev, test, "--calibration", stored)
    assert ran.returncode == 0, ran.stderr
    bias = float(ran.stdout.split("with the bias 0.00, ")[1].split(":")[0])
    assert bias == pytest.approx(-2.0, abs=0.15)
    rows = [
        line.strip("| ").split(" | ") for line in ran.stdout.splitlines() if line.startswith("| tweeteval")
    ]
    assert [row[:4] for row in rows] == [["tweeteval-hate", s, "4,000", "macro_f1"] for s in ("dev", "test")]
    for *_, plain, biased, error, error_biased in rows:
        assert float(biased) > float(plain) + 5
        assert float(error_biased) < 2 < 5 < float(error)
    assert rows[0][4:] == rows[1][4:], "the stored temperature is taken out"


def test_a_folder_without_predictions_is_refused(tmp_path: Path) -> None:
    ran = run(tmp_path, tmp_path)
    assert ran.returncode == 1
    assert "label_bias: " in ran.stderr
    assert "expected predictions/level-N/NAME-SPLIT.parquet in it, found none" in ran.stderr
