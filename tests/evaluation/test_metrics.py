"""Metrics, against values worked out by hand."""

from dataclasses import replace

import numpy as np
import pytest

from gsa.data.task import EMOTIONS, SENTIMENT
from gsa.evaluation import metrics
from gsa.evaluation.metrics import Answers, answers_of, best_thresholds, majority_class, measure

POLARITY = ("negative", "neutral", "positive")


def answers(labels, gold, predicted):
    """Answers that are sure of `predicted`."""
    probabilities = np.full((len(gold), len(labels)), 0.1 / (len(labels) - 1))
    probabilities[np.arange(len(gold)), predicted] = 0.9
    return Answers(labels, np.asarray(gold), probabilities)


def value(found, name):
    return measure(found, [name])[name][0]


# gold a a a a b b c c c c; said a a b c b a c c c a
#   a: 2 right of 4 gold, 4 said: precision 1/2, recall 1/2, F1 1/2
#   b: 1 right of 2 gold, 2 said: precision 1/2, recall 1/2, F1 1/2
#   c: 3 right of 4 gold, 4 said: precision 3/4, recall 3/4, F1 3/4
THREE = answers(("a", "b", "c"), [0, 0, 0, 0, 1, 1, 2, 2, 2, 2], [0, 0, 1, 2, 1, 0, 2, 2, 2, 0])


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("accuracy", 60.0),
        ("weighted_f1", 100 * (4 * 0.5 + 2 * 0.5 + 4 * 0.75) / 10),
        ("macro_f1", 100 * (0.5 + 0.5 + 0.75) / 3),
        ("macro_recall", 100 * (0.5 + 0.5 + 0.75) / 3),
    ],
)
def test_metrics_by_hand(name, expected):
    assert measure(THREE, [name]) == {name: (pytest.approx(expected), 10)}


# gold a a a b; said a b b b. a: precision 1, recall 1/3, F1 1/2. b: precision 1/3, recall 1, F1 1/2.
LOPSIDED = answers(("a", "b"), [0, 0, 0, 1], [0, 1, 1, 1])


def test_precision_and_recall_are_not_taken_for_each_other():
    assert value(LOPSIDED, "accuracy") == pytest.approx(50)
    assert value(LOPSIDED, "macro_recall") == pytest.approx(100 * 2 / 3)
    assert value(LOPSIDED, "macro_f1") == pytest.approx(50)


def test_weights_are_the_gold_classes_sizes():
    # gold a a a b; said a a a a: a has F1 6/7, b has none.
    found = answers(("a", "b"), [0, 0, 0, 1], [0, 0, 0, 0])
    assert value(found, "weighted_f1") == pytest.approx(100 * 0.75 * 6 / 7)
    assert value(found, "macro_f1") == pytest.approx(100 * 0.5 * 6 / 7)
    assert value(found, "macro_recall") == pytest.approx(50)


def test_several_metrics_keep_their_order():
    assert list(measure(THREE, ["macro_f1", "accuracy"])) == ["macro_f1", "accuracy"]


def test_predicted_is_the_most_probable():
    found = Answers(("a", "b"), np.asarray([0, 1]), np.asarray([[0.2, 0.8], [0.7, 0.3]]))
    assert list(found.predicted) == [1, 0]


POLAR = Answers(
    POLARITY,
    np.asarray([0, 0, 0, 1, 1, 2, 2, 2]),
    np.asarray(
        [
            [0.6, 0.3, 0.1],  # negative by any rule
            [0.4, 0.3, 0.3],  # argmax negative, yet 0.6 is not negative
            [0.1, 0.8, 0.1],  # a tie between the poles
            [0.5, 0.3, 0.2],  # another tie: 0.5 against 0.5
            [0.2, 0.5, 0.3],
            [0.3, 0.6, 0.1],  # neutral first, of the poles negative
            [0.1, 0.2, 0.7],
            [0.45, 0.1, 0.45],  # a tie of the poles, and 0.55 is not negative
        ]
    ),
)


def test_has0_is_negative_against_the_sum_of_the_rest():
    # gold not negative: 0 0 0 1 1 1 1 1; said: 0 1 1 0 1 1 1 1
    assert measure(POLAR, ["acc2_has0"]) == {"acc2_has0": (pytest.approx(100 * 5 / 8), 8)}
    # not negative: 4 right of 5 gold, 6 said: F1 8/11; negative: 1 right of 3 gold, 2 said: F1 2/5
    expected = 100 * (5 * 8 / 11 + 3 * 2 / 5) / 8
    assert measure(POLAR, ["weighted_f1_has0"]) == {"weighted_f1_has0": (pytest.approx(expected), 8)}


def test_non0_leaves_out_neutral_and_compares_the_poles():
    # left: 0 1 2 5 6 7; gold positive: 0 0 0 1 1 1; said: 0 0 0 0 1 0 (a tie is not positive)
    assert measure(POLAR, ["acc2_non0"]) == {"acc2_non0": (pytest.approx(100 * 4 / 6), 6)}


def test_two_classes_follow_labels_not_columns():
    order = [2, 0, 1]  # positive, negative, neutral
    turned = Answers(
        tuple(POLARITY[i] for i in order),
        np.asarray([order.index(g) for g in POLAR.gold]),
        POLAR.probabilities[:, order],
    )
    for name in ("acc2_has0", "acc2_non0", "weighted_f1_has0"):
        assert measure(turned, [name])[name] == pytest.approx(measure(POLAR, [name])[name])


def test_no_polar_example_is_no_crash():
    neutral = answers(POLARITY, [1, 1], [0, 1])
    assert measure(neutral, ["acc2_non0"])["acc2_non0"][1] == 0


def test_two_labels_know_which_scores_are_zero():
    """Asked with two labels, neutral is merged into positive; both conventions still hold."""
    labels = ("negative", "positive")
    gold, neutral = np.asarray([0, 0, 1, 1, 1]), np.asarray([False, False, True, True, False])
    p = np.asarray([0.1, 0.9, 0.2, 0.8, 0.5])  # of positive; a tie is negative
    found = Answers(labels, gold, np.stack([1 - p, p], 1), neutral)
    assert measure(found, ["acc2_has0"]) == {"acc2_has0": (pytest.approx(100 * 2 / 5), 5)}
    assert measure(found, ["acc2_non0"]) == {"acc2_non0": (pytest.approx(100 * 1 / 3), 3)}
    # negative: 1 right of 2 gold, 3 said: F1 2/5; positive: 1 right of 3 gold, 2 said: F1 2/5
    assert value(found, "weighted_f1_has0") == pytest.approx(40)
    assert value(found, "accuracy") == value(found, "acc2_has0")  # with two labels they are one


def test_always_saying_the_same_is_measured_like_anything_else():
    found = answers(("a", "b", "c"), [0, 1, 1, 2], [1, 1, 1, 1])
    assert measure(found, ["accuracy"]) == {"accuracy": (50.0, 4)}
    # b: 2 right of 2 gold, 4 said: F1 2/3, weight 1/2
    assert value(found, "weighted_f1") == pytest.approx(100 * 0.5 * 2 / 3)
    assert value(found, "macro_recall") == pytest.approx(100 / 3)


@pytest.mark.parametrize(
    ("common", "has0", "non0"), [(0, 25, 100 / 3), (1, 75, 100 / 3), (2, 75, 200 / 3)], ids=POLARITY
)
def test_always_saying_the_same_in_two_classes(common, has0, non0):
    found = Answers(POLARITY, np.asarray([0, 1, 2, 2]), np.eye(3)[[common] * 4])
    assert value(found, "acc2_has0") == pytest.approx(has0)
    assert value(found, "acc2_non0") == pytest.approx(non0)  # neutral leans to neither pole: not positive


@pytest.mark.parametrize("name", ["f1", "weighted_f1_non0", ""])
def test_an_unknown_metric_is_named(name):
    with pytest.raises(ValueError, match=f"unknown metric '{name}'"):
        measure(answers(POLARITY, [0, 2], [0, 2]), [name])


def test_the_majority_class_counts_merged_labels_and_takes_the_first_of_equals():
    task = replace(SENTIMENT.with_labels("negative", "positive"), merged={"neutral": "positive"})
    assert majority_class(task, ["negative", "negative", "neutral", "positive", "neutral"]) == 1
    assert majority_class(task, ["positive", "negative"]) == 0
    assert majority_class(task, []) == 0


# gold 0 0 1 1; said 0 1 1 1. class 1: precision 2/3, recall 1.
BINARY = answers(("non-ironic", "ironic"), [0, 0, 1, 1], [0, 1, 1, 1])


def test_binary_f1_is_that_of_the_second_label():
    assert value(BINARY, "binary_f1") == pytest.approx(80)


COMMENTS = answers_of(
    EMOTIONS.with_labels("joy", "love", "fear"),
    ["joy,love", "joy", "fear", "love"],
    np.asarray([[0.9, 0.2, 0.1], [0.8, 0.6, 0.0], [0.1, 0.1, 0.4], [0.6, 0.3, 0.1]]),
)


def test_several_labels_are_measured_label_by_label():
    assert COMMENTS.gold.tolist() == [[1, 1, 0], [1, 0, 0], [0, 0, 1], [0, 1, 0]]
    # joy: 2 right, 1 too many: F1 4/5. love: none of 2: 0. fear: not found: 0.
    assert value(COMMENTS, "macro_f1") == pytest.approx(100 * 0.8 / 3)
    assert value(COMMENTS, "accuracy") == 0.0


def test_thresholds_are_those_of_the_best_f1(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(metrics, "RARE", 1)
    thresholds = best_thresholds(COMMENTS)
    # love from 0.2: both, and one too many: F1 4/5.
    assert thresholds.tolist() == [0.8, 0.2, 0.4]
    best = replace(COMMENTS, chosen=(COMMENTS.probabilities >= thresholds).astype(np.int64))
    assert value(best, "macro_f1") == pytest.approx(100 * (1 + 0.8 + 1) / 3)


def test_a_rare_label_has_the_threshold_of_all_labels_together(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(metrics, "RARE", 2)
    # Of all labels, from 0.4: 3 of 5 right, 2 too many: F1 6/10. From 0.2: 5 right, 3 too many: 10/13.
    assert best_thresholds(COMMENTS).tolist() == [0.8, 0.2, 0.2]
    absent = answers_of(EMOTIONS.with_labels("joy", "love"), ["", ""], np.asarray([[0.9, 0.2], [0.8, 0.6]]))
    assert best_thresholds(absent).tolist() == [0.5, 0.5]


def test_the_majority_of_several_labels_counts_each():
    assert majority_class(EMOTIONS.with_labels("joy", "love"), ["joy,love", "love"]) == 1
