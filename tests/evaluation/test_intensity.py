"""Agreement of continuous scores with people's."""

import json
import re
from pathlib import Path

import numpy as np
import pytest

from gsa.evaluation.intensity import fit_line, intensity_fit

ROOT = Path(__file__).parents[2]


def test_the_fit_is_on_the_scale_of_the_gold_scores() -> None:
    gold = [-3.0, -1.0, 0.0, 2.0]
    perfect = intensity_fit([score / 3 for score in gold], gold)
    assert (perfect.pearson, perfect.mae, perfect.n) == (pytest.approx(1), pytest.approx(0), 4)
    assert perfect.baseline_mae == pytest.approx(np.mean([2.5, 0.5, 0.5, 2.5]))
    half = intensity_fit([-0.5, -1 / 6, 0.0, 1 / 3], gold)
    assert (half.pearson, half.mae) == (pytest.approx(1), pytest.approx((1.5 + 0.5 + 0 + 1) / 4))
    line = fit_line([-0.5, -1 / 6, 0.0, 1 / 3], gold)
    assert (line.slope, line.intercept) == (pytest.approx(6), pytest.approx(0))
    assert intensity_fit([-0.5, -1 / 6, 0.0, 1 / 3], gold, line).mae == pytest.approx(0)
    assert intensity_fit([1.0, 0.2, 0.0, -0.5], gold).pearson < 0


def test_the_page_says_what_is_on_disk() -> None:
    text = (ROOT / "results" / "gsa-135m-generic" / "intensity.jsonl").read_text(encoding="utf-8")
    rows = {row["dataset"]: row for row in map(json.loads, text.splitlines())}
    page = (ROOT / "docs" / "predict.md").read_text(encoding="utf-8")
    number = r"(\d\.\d+) \| "
    table = re.findall(rf"^\| (MOSE?I) \| ([\d,]+) \| {number * 4}$".replace("| $", "|$"), page, re.M)
    assert [name for name, *_ in table] == ["MOSI", "MOSEI"]
    for name, n, *numbers in table:
        row = rows[f"{name.lower()}3"]
        assert int(n.replace(",", "")) == row["n"]
        known = (row["pearson"], row["mae"], row["fitted_mae"], row["baseline_mae"])
        assert [float(number) for number in numbers] == [round(value, 2) for value in known]
