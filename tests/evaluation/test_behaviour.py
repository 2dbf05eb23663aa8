"""The behavioural test set is as it should be, and rates are right for predictors whose answers are known."""

import json
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

import pytest
from outcomes import read_outcomes

from gsa.data.task import TASKS
from gsa.data.types import Prediction, Utterance
from gsa.errors import InputError
from gsa.evaluation.behaviour import (
    TYPES,
    Case,
    Conversation,
    Outcome,
    Rate,
    failure_rates,
    read_cases,
    run_cases,
    write_outcomes,
)

ROOT = Path(__file__).parents[2]
CASES = read_cases()
KINDS = {
    "case", "complaint", "contrast", "degree", "double_negation", "emoji", "idioms", "names", "negation",
    "neutral_facts", "punctuation", "requests", "sarcasm", "sign_offs", "tense",
}  # fmt: skip


def prediction(label: str, p: float = 0.9, labels: Sequence[str] = TASKS["sentiment"].labels) -> Prediction:
    rest = (1 - p) / (len(labels) - 1)
    return Prediction(label, {name: p if name == label else rest for name in labels})


def case(type_: str, n: int = 1, held_out: bool = False, id: str = "x", kind: str = "k", **more: str) -> Case:
    inputs = tuple((Utterance(f"{id} {i}"),) for i in range(n))
    return Case(id, kind, type_, "sentiment", inputs, held_out, **more)  # type: ignore[arg-type]


class Scripted:
    """Answers by the text of the last turn, else with one label of each task."""

    def __init__(self, answers: dict[str, Prediction] | None = None) -> None:
        self.answers = answers or {}
        self.calls: list[tuple[str, int]] = []

    def __call__(self, task: str, inputs: Sequence[Conversation], labels: Sequence[str]) -> list[Prediction]:
        self.calls.append((task, len(inputs)))
        return [self.answers.get(turns[-1].text) or prediction(labels[-1], 0.6, labels) for turns in inputs]


def test_there_are_fifteen_kinds_of_enough_cases_half_of_each_held_out() -> None:
    counts = Counter(case.kind for case in CASES)
    assert set(counts) == KINDS
    assert len(KINDS) == 15
    assert len(CASES) >= 420
    assert Counter(case.kind for case in CASES if case.held_out) == {
        kind: n // 2 for kind, n in counts.items()
    }
    assert {n % 2 for n in counts.values()} == {0}


def test_types_labels_and_inputs_belong_together() -> None:
    assert {case.type for case in CASES} == set(TYPES)
    for each in CASES:
        labels = TASKS[each.task].labels
        assert each.inputs
        assert all(turn.text.strip() for turns in each.inputs for turn in turns)
        if each.type == "mft":
            assert (len(each.inputs), each.label in labels, each.direction) == (1, True, ""), each.id
        elif each.type == "inv":
            assert (len(each.inputs) >= 2, each.label, each.direction) == (True, "", ""), each.id
        else:
            assert len(each.inputs) == 2, each.id
            assert each.label in labels
            assert each.direction in ("up", "down")
        if each.task == "sentiment":
            assert {len(turns) for turns in each.inputs} == {1}, f"{each.id}: sentiment reads a text alone"


def test_no_id_and_no_text_is_there_twice() -> None:
    assert len({case.id for case in CASES}) == len(CASES)
    inputs = [(case.task, turns) for case in CASES for turns in case.inputs]
    assert [each for each, n in Counter(inputs).items() if n > 1] == []


def test_each_half_of_a_kind_has_the_same_types() -> None:
    for kind in KINDS:
        for type_ in TYPES:
            halves = Counter(each.held_out for each in CASES if (each.kind, each.type) == (kind, type_))
            assert abs(halves[True] - halves[False]) <= 1, (kind, type_)


@pytest.mark.parametrize(
    ("expected", "predictions", "failed"),
    [
        (case("mft", label="neutral"), [prediction("neutral")], False),
        (case("mft", label="neutral"), [prediction("positive")], True),
        (case("inv", 3), [prediction("neutral"), prediction("neutral", 0.4), prediction("neutral")], False),
        (case("inv", 3), [prediction("neutral"), prediction("neutral"), prediction("positive")], True),
    ],
)
def test_a_case_fails_when_the_labels_are_not_as_expected(
    expected: Case, predictions: list[Prediction], failed: bool
) -> None:
    assert Outcome(expected, tuple(predictions)).failed is failed


@pytest.mark.parametrize(
    ("direction", "before", "after", "failed"),
    [
        ("up", 0.5, 0.6, False),
        ("up", 0.6, 0.6, True),
        ("up", 0.6, 0.5, True),
        ("up", 0.99, 0.98, False),
        ("up", 0.99, 0.94, True),
        ("down", 0.9, 0.8, False),
        ("down", 0.8, 0.9, True),
        ("down", 0.02, 0.04, False),
        ("down", 0.02, 0.06, True),
    ],
)
def test_a_probability_must_move_in_the_direction_unless_both_are_saturated(
    direction: str, before: float, after: float, failed: bool
) -> None:
    expected = case("dir", 2, label="negative", direction=direction)
    predictions = (prediction("negative", before), prediction("negative", after))
    assert Outcome(expected, predictions).failed is failed


def test_rates_of_a_predictor_that_is_right_and_wrong_where_we_know_it() -> None:
    cases = [
        case("mft", id="a", label="neutral"),
        case("mft", id="b", label="negative", held_out=True),
        case("inv", 2, id="c"),
        case("mft", id="d", kind="l", label="positive", held_out=True),
    ]
    answers = {"a 0": prediction("neutral"), "c 1": prediction("negative")}
    rates = {
        (rate.kind, rate.type, rate.part): (rate.n, rate.failures)
        for rate in failure_rates(run_cases(cases, Scripted(answers)))
    }
    assert rates["all", "all", "all"] == (4, 2)
    assert rates["k", "all", "all"] == (3, 2)
    assert rates["k", "mft", "all"] == (2, 1)
    assert rates["k", "mft", "development"] == (1, 0)
    assert rates["k", "mft", "held-out"] == (1, 1)
    assert rates["k", "inv", "development"] == (1, 1)
    assert rates["l", "all", "held-out"] == (1, 0)
    assert ("l", "all", "development") not in rates
    assert ("all", "dir", "all") not in rates
    assert Rate("k", "all", "all", 3, 2).percent == pytest.approx(200 / 3)


def test_a_predictor_that_always_says_positive_fails_every_other_mft_and_no_inv() -> None:
    classify = Scripted()
    outcomes = run_cases(CASES, classify)
    assert [outcome.case for outcome in outcomes] == CASES
    assert sorted(classify.calls) == sorted(
        (task, sum(len(case.inputs) for case in CASES if case.task == task)) for task in TASKS
    )
    rates = {(rate.kind, rate.type): rate for rate in failure_rates(outcomes) if rate.part == "all"}
    assert rates["all", "inv"].failures == 0
    assert rates["all", "dir"].percent == 100
    answer = {task: TASKS[task].labels[-1] for task in TASKS}
    wrong = [case for case in CASES if case.type == "mft" and case.label != answer[case.task]]
    assert rates["all", "mft"].failures == len(wrong)
    assert rates["neutral_facts", "all"].percent == 100


def test_outcomes_are_read_as_they_were_written_without_texts(tmp_path: Path) -> None:
    cases = CASES[:40]
    outcomes = run_cases(cases, Scripted())
    write_outcomes(outcomes, tmp_path / "new" / "behaviour.jsonl")
    text = (tmp_path / "new" / "behaviour.jsonl").read_text()
    assert not [turn.text for case in cases for turns in case.inputs for turn in turns if turn.text in text]
    again = read_outcomes(tmp_path / "new" / "behaviour.jsonl", cases)
    assert [outcome.failed for outcome in again] == [outcome.failed for outcome in outcomes]


@pytest.mark.parametrize("line", ["{", "[]", '{"id": "a"}', '{"id": "a", "inputs": ["b"], "sort": "mft"}'])
def test_a_broken_line_is_named(tmp_path: Path, line: str) -> None:
    (tmp_path / "kind.jsonl").write_text(line + "\n")
    with pytest.raises(InputError, match=r"kind.jsonl line 1: expected a behavioural case"):
        read_cases(tmp_path)


def test_a_folder_without_cases_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="expected JSONL files of behavioural cases, found none"):
        read_cases(tmp_path)


def test_the_committed_outcomes_are_of_all_cases() -> None:
    path = ROOT / "results" / "gsa-135m" / "behaviour.jsonl"
    outcomes = read_outcomes(path, CASES)
    assert [outcome.case.id for outcome in outcomes] == [case.id for case in CASES]
    rows = [json.loads(line) for line in path.read_text().splitlines()]
    assert [row["failed"] for row in rows] == [outcome.failed for outcome in outcomes]
    assert all(len(outcome.predictions) == len(outcome.case.inputs) for outcome in outcomes)
