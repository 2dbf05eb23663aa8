"""Arms against each other."""

import zlib
from dataclasses import replace

import numpy as np
import pytest
from sklearn.metrics import f1_score
from study import ERC_ONLY, prediction_table, result_rows, write_run

from gsa.evaluation import results
from gsa.evaluation.predictions import PredictionStore
from gsa.report.comparison import (
    arm_pairs,
    classifications,
    difference,
    differences,
    last_levels,
    papers_test,
    reference_arm,
    scores,
)
from gsa.report.runs import by_arm, read_runs
from gsa.report.significance import holm, paired_bootstrap
from gsa.report.tables import table_4


def test_table_4_has_the_arms_that_were_tuned_on_emotions(arms):
    table = table_4(arms)
    assert [row[0] for row in table.rows] == [
        "ERC only", "multi-task", "progressive", "erc-only", "multitask", "progressive",
    ]  # fmt: skip
    assert table.rows[2] == ["progressive", "7B", "published", "", "", "71.78", "67.35", "42.01", "60.38"]
    mine = table.rows[5]
    assert mine[5] == ""
    runs = arms["progressive"]
    means = [np.mean([run.main_row(3, name).value for name in ("meld", "emorynlp")]) for run in runs]
    assert mine[8] == f"{np.mean(means):.2f} ± {np.std(means, ddof=1):.2f}"
    assert "over MELD, EmoryNLP" in table.notes[0]


def test_a_difference_is_that_of_the_metric_seed_by_seed(arms):
    actual = difference(last_levels(arms["progressive"]), last_levels(arms["multitask"]), "meld", 50)
    expected = [
        arms["progressive"][i].main_row(3, "meld").value - arms["multitask"][i].main_row(1, "meld").value
        for i in (0, 1)
    ]
    assert actual.observed == pytest.approx(expected, abs=1e-3)
    assert actual.resampled.shape == (50, 2)
    assert actual.n == 120


def test_two_class_metrics_leave_out_what_they_do_not_count(arms):
    actual = difference(last_levels(arms["progressive"]), last_levels(arms["multitask"]), "mosi", 50)
    expected = [
        arms["progressive"][i].main_row(3, "mosi").value - arms["multitask"][i].main_row(1, "mosi").value
        for i in (0, 1)
    ]
    assert actual.observed == pytest.approx(expected, abs=1e-3)


def test_differences_are_against_the_progressive_arm_where_the_other_was_tuned(arms):
    table = differences(arms, 300)
    assert reference_arm(arms) == "progressive"
    lines = [(row[0], row[1]) for row in table.rows]
    against = [name for pair, name in lines if pair == "progressive - erc-only"]
    assert against == ["MELD", "EmoryNLP", "average ERC"]
    against = [name for pair, name in lines if pair == "progressive - multitask"]
    averages = ["average SA", "average ERC", "average"]
    assert against == ["SST-2", "CMU-MOSI", "MELD", "EmoryNLP", "MUStARD", *averages]
    against = [name for pair, name in lines if pair == "multitask - erc-only"]
    assert against == ["MELD", "EmoryNLP", "average ERC"]
    meld = table.rows[lines.index(("progressive - multitask", "MELD"))]
    low, high = map(float, meld[3].split(" to "))
    assert low < float(meld[2]) < high
    assert float(meld[2]) > 10  # invented so: 80% right against 50%
    assert meld[6:] == ["", "120", "2"]  # no McNemar with two seeds
    assert table == differences(arms, 300)


def test_names_of_arms_do_not_decide_what_is_compared(arms):
    renamed = {"x": arms["erc-only"], "y": arms["multitask"], "multi": arms["progressive"]}
    assert reference_arm(renamed) == "multi"
    assert arm_pairs(renamed) == [("multi", "x"), ("multi", "y"), ("y", "x")]


def test_few_shot_arms_are_compared_where_they_were_measured_on_the_same(tmp_path):
    hate, emoji = {"hate": ["tweeteval-hate"]}, {"emoji": ["tweeteval-emoji"]}
    for number, (name, levels) in enumerate(
        (("gsa-hate", hate), ("untuned-hate", hate), ("gsa-emoji", emoji))
    ):
        write_run(tmp_path / name, name, 0, levels, 0.9 - 0.3 * number, per_class=3)
    arms = by_arm(read_runs([tmp_path]))
    assert arm_pairs(arms) == [("gsa-hate", "untuned-hate")]
    (row,) = differences(arms, 100).rows
    assert row[:2] == ["gsa-hate - untuned-hate", "TweetEval hate"]
    assert float(row[2]) > 5


def test_dialogues_are_drawn_whole_where_they_are_known(arms):
    """120 invented utterances are of 15 dialogues."""
    both = [*last_levels(arms["progressive"]), *last_levels(arms["multitask"])]
    found = classifications(both, "meld")
    assert np.bincount(found.dialogues).tolist() == [8] * 15
    seed = zlib.crc32(b"meld")
    examples = paired_bootstrap(replace(found, dialogues=None), 50, seed)
    dialogues = paired_bootstrap(found, 50, seed)
    drawn = difference(both[:2], both[2:], "meld", 50)
    assert (drawn.resampled == dialogues.resampled).all()
    assert not (drawn.resampled == examples.resampled).all()


def test_holms_p_is_over_all_lines(arms):
    rows = differences(arms, 300).rows
    number = lambda cell: 0.0005 if cell.startswith("<") else float(cell)  # noqa: E731
    expected = holm([number(row[4]) for row in rows])
    assert [number(row[5]) for row in rows] == pytest.approx(expected, abs=0.02)
    assert any(row[4] != row[5] for row in rows)


def test_mcnemar_is_given_for_one_seed(arms):
    one = {arm: runs[:1] for arm, runs in arms.items()}
    row = next(row for row in differences(one, 100).rows if row[1] == "MELD")
    only_first, rest = row[6].split(" / ")
    only_second, _p = rest.split(", ")
    first, second = one["progressive"][0].predictions(3, "meld"), one["erc-only"][0].predictions(1, "meld")
    right = [a.answers.predicted == a.answers.gold for a in (first, second)]
    assert (int(only_first), int(only_second)) == ((right[0] & ~right[1]).sum(), (right[1] & ~right[0]).sum())


def test_arms_without_a_common_seed_or_alone_are_not_compared(arms):
    apart = {"progressive": arms["progressive"][:1], "multitask": arms["multitask"][1:]}
    assert differences(apart, 100).rows == []
    assert "; progressive - multitask on MELD;" in differences(apart, 100).notes[2]
    assert len(differences(arms, 100).notes) == 2
    assert differences({"progressive": arms["progressive"]}, 100).rows == []


def test_a_baseline_with_predictions_is_compared_too(tmp_path):
    write_run(tmp_path / "a", "a", 0, ERC_ONLY, 0.9)
    table = prediction_table("meld", 0.4, 3)
    results.add(tmp_path / "b", result_rows("tfidf", 0, 0, "meld", table))
    PredictionStore(tmp_path / "b").store(0, "meld", "test", table)
    rows = differences(by_arm(read_runs([tmp_path])), 100).rows
    assert [row[:2] for row in rows] == [["a - tfidf", "MELD"]]


def test_a_baseline_of_one_seed_stands_against_every_seed(tmp_path):
    for seed in (3, 4):
        write_run(tmp_path / f"a{seed}", "a", seed, ERC_ONLY, 0.9)
    table = prediction_table("meld", 0.4, 3)
    results.add(tmp_path / "b", result_rows("tfidf", 0, 0, "meld", table))
    PredictionStore(tmp_path / "b").store(0, "meld", "test", table)
    arms = by_arm(read_runs([tmp_path]))
    (row,) = differences(arms, 100).rows
    assert row[8] == "2"
    ours = np.mean([run.main_row(1, "meld").value for run in arms["a"]])
    assert float(row[2]) == pytest.approx(ours - arms["tfidf"][0].main_row(0, "meld").value, abs=0.01)


def test_the_papers_test_on_its_margins_and_on_ours(arms):
    rows = {row[0]: row for row in papers_test(arms).rows}
    assert rows["GSA-7B - best unified, all eight"][1:] == [
        "published", "8", "+3.21", "2.10", "0.074", "0.037",
    ]  # fmt: skip
    assert rows["GSA-7B - best unified, SD"][2:4] == ["2", "+7.43"]
    mine = rows["progressive - multitask, 5 datasets"]
    assert mine[1] == "measured here"
    names = arms["multitask"][0].datasets
    gaps = [
        np.mean([run.main_row(3, name).value for run in arms["progressive"]])
        - np.mean([run.main_row(1, name).value for run in arms["multitask"]])
        for name in names
    ]
    assert mine[3] == f"{np.mean(gaps):+.2f}"


def test_scores_have_intervals_around_them(arms):
    table = scores(arms, 300)
    assert len(table.rows) == 15
    row = next(row for row in table.rows if row[:2] == ["progressive", "emorynlp"])
    assert row[2:5] == ["weighted_f1", "120", "2"]
    values = [run.main_row(3, "emorynlp").value for run in arms["progressive"]]
    assert float(row[6]) < np.mean(values) < float(row[7])
    answers = arms["progressive"][0].predictions(3, "emorynlp").answers
    found = [run.predictions(3, "emorynlp").answers for run in arms["progressive"]]
    sure = np.concatenate([a.probabilities.max(1) for a in found])
    right = np.concatenate([a.predicted == a.gold for a in found])
    bins = np.minimum((10 * sure).astype(int), 9)
    error = sum(abs((sure - right)[bins == i].sum()) for i in range(10)) / len(sure)
    assert row[8] == f"{100 * error:.1f}"
    assert values[0] == pytest.approx(
        100 * f1_score(answers.gold, answers.predicted, average="weighted"), abs=0.01
    )
