"""Calibration: what temperatures and thresholds change, and whose they are."""

from dataclasses import replace
from pathlib import Path

import pytest

from gsa.chain.calibration import Calibration, combine_labels, key
from gsa.data.task import EMOTIONS, SENTIMENT
from gsa.data.types import Prediction
from gsa.errors import InputError

TWO = SENTIMENT.with_labels("negative", "positive")
THREE_EMOTIONS = EMOTIONS.with_labels("joy", "love", "fear")
STORED = Calibration("chain sha256:abc", {key(TWO): 2.0}, {key(THREE_EMOTIONS): {"joy": 0.3, "fear": 0.9}})


def test_a_temperature_changes_confidence_and_no_label() -> None:
    sure = Prediction("positive", {"negative": 0.1, "positive": 0.9}, greedy="positive")
    (calibrated,) = STORED.apply(TWO, [sure])
    assert calibrated.probabilities == pytest.approx({"negative": 0.25, "positive": 0.75})  # 1 : 9 ** (1 / 2)
    assert (calibrated.label, calibrated.greedy) == ("positive", "positive")
    assert STORED.apply(SENTIMENT, [sure]) == [sure], "another label list has no temperature"


def test_labels_hold_from_their_thresholds_or_the_likeliest_does() -> None:
    def answers(*yes: float) -> list[Prediction]:
        return [Prediction("yes", {"yes": p, "no": 1 - p}) for p in yes]

    first, second = combine_labels(THREE_EMOTIONS, answers(0.3, 0.6, 0.8, 0.1, 0.2, 0.15), STORED)
    assert first == Prediction("joy,love", {"joy": 0.3, "love": 0.6, "fear": 0.8})
    assert second.label == "love"


def test_a_calibration_belongs_to_the_weights_it_was_fitted_with(tmp_path: Path) -> None:
    assert Calibration.read(tmp_path, "chain sha256:abc") == Calibration()
    STORED.write(tmp_path)
    assert Calibration.read(tmp_path, "chain sha256:abc") == STORED
    assert not Calibration.read(tmp_path, "chain sha256:other")


@pytest.mark.parametrize("content", ["{}", "no json", '{"identity": "x"}'])
def test_a_damaged_calibration_is_refused(tmp_path: Path, content: str) -> None:
    STORED.write(tmp_path)
    (tmp_path / "calibration.json").write_text(content)
    with pytest.raises(InputError, match=r"calibration\.json' is damaged"):
        Calibration.read(tmp_path, STORED.identity)


def test_equal_calibrations_have_equal_content() -> None:
    assert replace(STORED).content() == STORED.content()
    assert Calibration().content() != STORED.content()
