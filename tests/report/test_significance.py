"""Statistics, against scikit-learn, SciPy, and cases whose answers are known."""

import tracemalloc
from math import comb, isnan, sqrt

import numpy as np
import pytest
from scipy.stats import ttest_1samp
from sklearn.metrics import accuracy_score, f1_score, recall_score

from gsa.report import significance
from gsa.report.significance import (
    Bootstrap,
    Classifications,
    bootstrap,
    calibration,
    confusion,
    estimate,
    holm,
    mcnemar,
    mean_sd,
    paired_bootstrap,
    score_of_counts,
    t_test,
)

PEERS = {
    "accuracy": accuracy_score,
    "acc2_has0": accuracy_score,
    "acc2_non0": accuracy_score,
    "weighted_f1": lambda g, p: f1_score(g, p, average="weighted", zero_division=0.0),
    "weighted_f1_has0": lambda g, p: f1_score(g, p, average="weighted", zero_division=0.0),
    "macro_f1": lambda g, p: f1_score(g, p, average="macro", zero_division=0.0),
    "macro_recall": lambda g, p: recall_score(g, p, average="macro", zero_division=0.0),
}


def invented(n: int, labels: int, skill: float, seed: int):
    rng = np.random.default_rng(seed)
    gold = rng.integers(labels, size=n)
    return gold, np.where(rng.random(n) < skill, gold, rng.integers(labels, size=n))


@pytest.mark.parametrize("metric", PEERS)
@pytest.mark.parametrize(("n", "labels"), [(200, 7), (200, 2), (5, 7), (1, 3)])
def test_scores_of_counts_are_scikit_learns(metric, n, labels):
    """With few examples of many labels some never occur, and some are answered that never occur."""
    for seed in range(5):
        gold, said = invented(n, labels, 0.5, seed)
        expected = 100 * PEERS[metric](gold, said)
        assert score_of_counts(confusion(gold, said, labels), metric) == pytest.approx(expected)


def test_scores_of_nothing_and_of_an_unknown_metric():
    assert score_of_counts(np.zeros((3, 3)), "weighted_f1") == 0
    with pytest.raises(ValueError, match="unknown metric 'bleu'"):
        score_of_counts(np.zeros((3, 3)), "bleu")


@pytest.mark.parametrize("metric", ["accuracy", "weighted_f1", "macro_f1", "macro_recall"])
def test_each_draw_scores_its_examples_as_scikit_learn_does(metric):
    gold, first = invented(40, 4, 0.6, 1)
    second = invented(40, 4, 0.3, 2)[1]
    drawn = Classifications(gold, np.vstack([first, second]), 4, metric).resampled_scores(6, seed=9)
    chosen = np.random.default_rng(9).integers(40, size=(6, 40))
    expected = [[100 * PEERS[metric](gold[i], said[i]) for said in (first, second)] for i in chosen]
    assert drawn == pytest.approx(np.asarray(expected))


def test_dialogues_are_drawn_whole():
    """Of two dialogues one is all right: no draw scores between none, half and all of unequal lengths."""
    gold, said = np.zeros(5, dtype=np.int64), np.asarray([[0, 0, 0, 1, 1]])
    dialogues = np.asarray([7, 7, 7, 3, 3])
    drawn = Classifications(gold, said, 2, "accuracy", dialogues).resampled_scores(2000)
    values, counts = np.unique(drawn, return_counts=True)
    assert values.tolist() == [0, 60, 100]
    assert counts / 2000 == pytest.approx([0.25, 0.5, 0.25], abs=0.05)
    by_example = Classifications(gold, said, 2, "accuracy").resampled_scores(2000)
    one_each = Classifications(gold, said, 2, "accuracy", np.arange(5))
    assert (one_each.resampled_scores(2000) == by_example).all()


def test_the_samples_do_not_depend_on_the_chunks(monkeypatch):
    gold, said = invented(30, 3, 0.6, 3)
    models = Classifications(gold, said[None], 3, "accuracy")
    drawn = models.resampled_scores(777)
    assert drawn.shape == (777, 1)
    assert len(np.unique(drawn)) > 5
    monkeypatch.setattr(significance, "CHUNK_DRAWS", 200)
    assert (models.resampled_scores(777) == drawn).all()


def test_samples_of_many_examples_take_little_memory():
    """TweetEval's emoji task: 50,000 examples, 20 labels, two arms of three seeds; 10 GB if dense."""
    gold, _ = invented(50_000, 20, 0.3, 1)
    predicted = np.stack([invented(50_000, 20, 0.3, seed)[1] for seed in range(6)])
    models = Classifications(gold, predicted, 20, "macro_f1")
    tracemalloc.start()
    models.resampled_scores(50)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 200e6


def test_a_difference_whose_distribution_is_known():
    """Of two examples the first has both right, the second one: draws differ by 0, 50 or 100 points."""
    gold = np.asarray([0, 1])
    found = paired_bootstrap(
        Classifications(gold, np.asarray([[0, 1], [0, 0]]), 2, "accuracy"), 20_000, seed=1
    )
    values, counts = np.unique(found.resampled, return_counts=True)
    assert values.tolist() == [0, 50, 100]
    assert counts / 20_000 == pytest.approx([0.25, 0.5, 0.25], abs=0.02)
    assert found.observed.tolist() == [50]
    whole = estimate([found])
    assert (whole.value, whole.low, whole.high, whole.n, whole.seeds) == (50, 0, 100, 2, 1)
    assert whole.p == pytest.approx(0.5, abs=0.02)


def differing(gold, first, second, labels, metric, resamples, seed=0):
    models = Classifications(gold, np.stack([first, second]), labels, metric)
    return estimate([paired_bootstrap(models, resamples, seed)], seed)


def test_the_interval_of_an_accuracy_difference_is_the_normal_one():
    gold, first = invented(1000, 2, 0.6, 4)
    second = invented(1000, 2, 0.4, 5)[1]
    each = (first == gold).astype(float) - (second == gold)
    found = differing(gold, first, second, 2, "accuracy", resamples=20_000)
    half = 1.96 * 100 * each.std() / sqrt(1000)
    assert found.value == pytest.approx(100 * each.mean())
    assert (found.low, found.high) == pytest.approx((found.value - half, found.value + half), abs=0.25)
    exact = 2 * (1 - _normal(abs(found.value) / (half / 1.96)))
    assert found.p == pytest.approx(exact, abs=0.01)


def _normal(z: float) -> float:
    from scipy.stats import norm

    return float(norm.cdf(z))


def test_intervals_hold_the_truth_about_as_often_as_they_say():
    """Two answerers, right with 0.7 and 0.6 independently: the true difference is 10 points."""
    rng, held = np.random.default_rng(0), 0
    for i in range(200):
        gold = np.zeros(100, dtype=np.int64)
        first, second = (rng.random(100) > 0.7).astype(int), (rng.random(100) > 0.6).astype(int)
        found = differing(gold, first, second, 2, "accuracy", resamples=400, seed=i)
        held += found.low <= 10 <= found.high
    assert 0.89 <= held / 200 <= 0.99


def test_an_answerer_against_itself():
    gold, said = invented(50, 3, 0.5, 6)
    found = differing(gold, said, said, 3, "weighted_f1", resamples=200)
    assert (found.value, found.low, found.high, found.p) == (0, 0, 0, 1)


def test_the_two_sides_mirror_each_other():
    gold, first = invented(80, 3, 0.7, 7)
    second = invented(80, 3, 0.4, 8)[1]
    one = differing(gold, first, second, 3, "weighted_f1", resamples=500)
    other = differing(gold, second, first, 3, "weighted_f1", resamples=500)
    assert (one.value, one.low, one.high) == pytest.approx((-other.value, -other.high, -other.low))
    assert one.p == other.p < 0.05
    assert one == differing(gold, first, second, 3, "weighted_f1", resamples=500)


def test_seeds_are_drawn_too():
    """Two seeds at +10 and -10, the same on all examples: means of two drawn seeds are -10, 0 or 10."""
    part = Bootstrap(np.asarray([10.0, -10.0]), np.tile([10.0, -10.0], (20_000, 1)), 5)
    found = estimate([part])
    assert (found.value, found.low, found.high, found.seeds) == (0, -10, 10, 2)
    sure = estimate([Bootstrap(np.asarray([10.0, 10.0]), np.full((999, 2), 10.0), 5)])
    assert (sure.low, sure.high, sure.p) == (10, 10, pytest.approx(2 / 1000))


def test_an_average_draws_the_same_seeds_for_all_datasets():
    """What one dataset gains with a seed the other loses: drawn together the average never moves."""
    up = Bootstrap(np.asarray([10.0, -10.0]), np.tile([10.0, -10.0], (500, 1)), 5)
    down = Bootstrap(-up.observed, -up.resampled, 7)
    found = estimate([up, down])
    assert (found.value, found.low, found.high, found.n) == (0, 0, 0, 12)


def test_seeds_widen_the_interval():
    gold, first = invented(2000, 2, 0.8, 9)
    worse = np.where(np.arange(2000) < 300, 1 - gold, first)
    both = np.stack([first, worse])
    alone = bootstrap(Classifications(gold, first[None], 2, "accuracy"), 500)
    assert alone.observed == pytest.approx([100 * (first == gold).mean()])
    one, two = estimate([alone]), estimate([bootstrap(Classifications(gold, both, 2, "accuracy"), 500)])
    assert two.high - two.low > 2 * (one.high - one.low)


@pytest.mark.parametrize("shape", [(1, 4), (3,), (1, 0)])
def test_answers_of_another_shape_are_refused(shape):
    gold = np.zeros(0 if shape == (1, 0) else 3, dtype=np.int64)
    with pytest.raises(ValueError, match="expected"):
        Classifications(gold, np.zeros(shape, dtype=np.int64), 2, "accuracy")


def test_mean_and_sd():
    assert mean_sd([1.0, 2.0, 3.0]) == (2.0, 1.0)
    mean, sd = mean_sd([4.0])
    assert mean == 4
    assert isnan(sd)


def test_the_t_test_by_hand_and_by_scipy():
    found = t_test([1.0, 2.0, 3.0])
    assert (found.mean, found.n) == (2, 3)
    assert found.t == pytest.approx(2 * sqrt(3))
    assert found.p == pytest.approx(1 - sqrt(6 / 7))  # with two degrees of freedom: 1 - t / sqrt(t^2 + 2)
    assert found.p_greater == pytest.approx(found.p / 2)
    values = [0.3, -1.2, 0.8, 2.2, 0.1]
    assert t_test(values).p == pytest.approx(ttest_1samp(values, 0).pvalue)


@pytest.mark.parametrize("values", [[1.0], [2.0, 2.0]])
def test_the_t_test_of_too_little(values):
    found = t_test(values)
    assert found.mean == values[0]
    assert isnan(found.t)
    assert isnan(found.p)


def test_mcnemar_is_the_exact_binomial_test():
    gold = np.zeros(10, dtype=np.int64)
    first = np.asarray([0, 1, 1, 1, 1, 1, 0, 0, 1, 1])
    second = np.asarray([1, 0, 0, 0, 0, 0, 0, 0, 1, 1])
    assert mcnemar(gold, first, second) == (1, 5, pytest.approx(2 * (comb(6, 0) + comb(6, 1)) / 2**6))
    assert mcnemar(gold, first, first) == (0, 0, 1.0)


def test_holm():
    assert holm([0.01, 0.04, 0.03, 0.005]) == pytest.approx([0.03, 0.06, 0.06, 0.02])
    assert holm([0.9, 0.8]) == [1.0, 1.0]
    assert holm([0.2]) == [0.2]
    assert holm([]) == []


def test_calibration_by_hand():
    chances = np.asarray([[0.95, 0.05], [0.95, 0.05], [0.3, 0.7], [0.25, 0.75]])
    found = calibration(chances, np.asarray([0, 1, 1, 1]), bins=10)
    # two at 0.95, half right: 0.45 off; one at 0.7 and one at 0.75, both right: 0.275 off
    assert found.error == pytest.approx((2 * 0.45 + 2 * 0.275) / 4)
    assert found.n.tolist() == [0, 0, 0, 0, 0, 0, 0, 2, 0, 2]
    assert found.accuracy[9] == 0.5
    assert found.confidence[7] == pytest.approx(0.725)
    assert isnan(found.accuracy[0])


def test_calibration_of_the_surest():
    sure = np.asarray([[1.0, 0.0], [1.0, 0.0]])
    assert calibration(sure, np.asarray([0, 0])).error == 0
    assert calibration(sure, np.asarray([1, 1])).error == 1
    assert calibration(np.zeros((0, 2)), np.zeros(0, dtype=np.int64)).error == 0
