"""Fitting a calibration: the temperature that likelihood asks for, and where it is applied."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

import gsa
from gsa.chain.calibration import Calibration, key
from gsa.data.task import EMOTIONS, SENTIMENT
from gsa.errors import InputError
from gsa.evaluation.calibrate import calibrate, fit_temperature
from gsa.evaluation.evaluate import Evaluator
from gsa.evaluation.metrics import Answers, measure
from gsa.evaluation.predictions import PredictionStore, to_answers
from gsa.recipes.loader import load_recipe
from gsa.training.run import tune

FIXTURES = Path(__file__).parents[1] / "datasets" / "fixtures"


def answers(probability: float, right: float, n: int = 1000) -> Answers:
    """Binary answers that all claim a probability and of which a share is right."""
    gold = (np.arange(n) < right * n).astype(np.int64)
    return Answers(("no", "yes"), gold, np.tile([1 - probability, probability], (n, 1)))


def test_the_temperature_makes_confidence_what_is_right() -> None:
    # logit(0.9) / T = logit(0.75): T = ln 9 / ln 3 = 2.
    assert fit_temperature([answers(0.9, 0.75)]) == pytest.approx(2.0, abs=0.01)
    assert fit_temperature([answers(0.75, 0.75)]) == pytest.approx(1.0, abs=0.01)


def test_every_dataset_weighs_the_same() -> None:
    small, large = answers(0.9, 0.75, n=100), answers(0.9, 0.9, n=10_000)
    assert fit_temperature([small, large]) == fit_temperature([large, answers(0.9, 0.75, n=1000)])


@pytest.fixture(scope="module")
def run(tiny_folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run with a task of several labels, tuned for a moment."""
    root = tmp_path_factory.mktemp("generic")
    (root / "recipe.toml").write_text(
        f'name = "g"\n[backbone]\nname = "{tiny_folder.as_posix()}"\n[[levels]]\nname = "GENERIC"\n'
        'datasets = ["goemotions", "sst3"]\nlearning_rate = 1e-2\nloss = "labels"\n'
    )
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("GSA_DATA", str(FIXTURES))
        tune(load_recipe(root / "recipe.toml"), root / "run")
    return root / "run"


def test_evaluation_and_prediction_are_calibrated_alike(run: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GSA_DATA", str(FIXTURES))
    before = Evaluator(run).evaluate([1])
    fitted = calibrate(run)
    assert set(fitted.temperatures) == {key(SENTIMENT)}
    assert set(fitted.thresholds) == {key(EMOTIONS)}
    assert set(fitted.thresholds[key(EMOTIONS)]) == set(EMOTIONS.labels)
    after = Evaluator(run).evaluate([1])
    level = [row for row in after if row.level == 1]
    assert {row.dataset for row in level} == {row.dataset for row in before if row.level == 1}
    table = PredictionStore(run).load(1, "goemotions", "test")
    assert table is not None
    measured = to_answers(EMOTIONS, table)
    (row,) = [row for row in level if (row.dataset, row.metric) == ("goemotions", "macro_f1")]
    assert row.value == pytest.approx(measure(measured, ["macro_f1"])["macro_f1"][0], abs=1e-3)
    model = gsa.load(run)
    assert model.pipeline.calibration == fitted == Calibration.read(run, fitted.identity)
    assert model.identity["calibration"] == fitted.content()


def test_one_dataset_is_fitted_again_and_the_rest_stays(run: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GSA_DATA", str(FIXTURES))
    first = calibrate(run)
    invented = replace(first, temperatures={key(SENTIMENT): 7.0}, thresholds={})
    invented.write(run)
    again = calibrate(run, datasets=["goemotions"])
    assert (again.temperatures, again.thresholds) == ({key(SENTIMENT): 7.0}, first.thresholds)
    assert Calibration.read(run, first.identity) == again
    expected = r"dataset 'mosi': expected one of the run's, \['goemotions', 'sst3'\]"
    with pytest.raises(InputError, match=expected):
        calibrate(run, datasets=["mosi"])


def test_a_run_without_dev_data_cannot_be_calibrated(tuned: Path) -> None:
    with pytest.raises(InputError, match="expected a dataset with a dev split"):
        calibrate(tuned)
