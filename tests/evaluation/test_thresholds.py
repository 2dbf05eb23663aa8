"""Labels that are withheld, and the confidence chosen for a wanted precision."""

import pytest

import gsa
from gsa.data.types import Prediction, confident
from gsa.errors import InputError


def prediction(p: float) -> Prediction:
    return Prediction("positive" if p >= 0.5 else "negative", {"negative": 1 - p, "positive": p})


def test_a_label_below_the_least_confidence_is_none() -> None:
    sure, unsure = confident([prediction(0.9), prediction(0.3)], 0.8)
    assert (sure.label, unsure.label) == ("positive", None)
    assert unsure.probabilities == {"negative": 0.7, "positive": 0.3}
    assert (unsure.likeliest, unsure.confidence) == ("negative", 0.7)
    assert [p.label for p in confident([prediction(0.3)], 0.7)] == ["negative"], "as high is enough"
    for number in (-0.1, 1.1, float("nan")):
        with pytest.raises(InputError, match="min_confidence: expected a number from 0 to 1"):
            confident([], number)


def test_the_threshold_labels_most_texts_at_the_wanted_precision() -> None:
    # Confidences .95 .9 .8 .8 .7 .6; wrong: one of the two of .8, and .6.
    predictions = [prediction(p) for p in (0.95, 0.1, 0.8, 0.8, 0.7, 0.6)]
    labels = ["positive", "negative", "positive", "negative", "positive", "negative"]
    chosen = gsa.choose_threshold(predictions, labels, 0.8)
    assert chosen.min_confidence == pytest.approx(0.7)
    assert (chosen.precision, chosen.coverage, chosen.count) == (
        pytest.approx(4 / 5),
        pytest.approx(5 / 6),
        6,
    )
    given = confident(predictions, chosen.min_confidence)
    assert sum(p.label is not None for p in given) == 5
    assert gsa.choose_threshold(predictions, labels, 0.9).min_confidence == pytest.approx(0.9)
    assert gsa.choose_threshold(predictions, labels, 0.6).min_confidence == 0.0, "all may be labelled"


def test_a_precision_out_of_reach_is_said() -> None:
    predictions = [prediction(0.9), prediction(0.8)]
    with pytest.raises(InputError, match=r"no threshold gives a precision of 0\.9: the highest is 0\.500"):
        gsa.choose_threshold(predictions, ["negative", "positive"], 0.9)
    with pytest.raises(InputError, match="found 2 predictions and 1 labels: expected as many"):
        gsa.choose_threshold(predictions, ["negative"], 0.9)
    with pytest.raises(InputError, match="precision: expected a number above 0 and at most 1, found 95"):
        gsa.choose_threshold(predictions, ["negative", "positive"], 95)
