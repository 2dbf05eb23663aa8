"""Stored predictions: checksums, fingerprints, copies; tables as answers; folds put together."""

import subprocess
from dataclasses import replace
from pathlib import Path

import numpy as np
import polars as pl

from gsa.data.task import SARCASM, SENTIMENT
from gsa.data.types import Dialogue, Example, Utterance, sentence
from gsa.evaluation.predictions import (
    Predictions,
    PredictionStore,
    concatenate,
    examples_digest,
    labels_of,
    to_answers,
    to_table,
)

TASK = SENTIMENT.with_labels("negative", "positive")
EXAMPLES = [sentence(f"text {i}", f"id{i}", "own", TASK.labels[i % 2]) for i in range(3)]
PROBABILITIES = np.asarray([[0.75, 0.25], [0.5, 0.5], [0.25, 0.75]])


def test_a_table_comes_back_with_its_fingerprint(tmp_path: Path) -> None:
    store, table = PredictionStore(tmp_path), to_table(TASK, EXAMPLES, PROBABILITIES)
    assert store.load(1, "own", "test") is None
    assert store.fingerprint(1, "own", "test") == ""
    store.store(1, "own", "test", table, "abc")
    store.store(2, "own", "test", table)
    assert store.load(1, "own", "test").equals(table)
    assert [store.fingerprint(level, "own", "test") for level in (1, 2, 3)] == ["abc", "", ""]
    store.store(1, "own", "test", table, "def")
    assert store.fingerprint(1, "own", "test") == "def"
    subprocess.run(["sha256sum", "--check", "--strict", "SHA256SUMS"], cwd=store.folder, check=True)


def test_a_changed_file_is_not_opened_nor_copied(tmp_path: Path) -> None:
    store, copy = PredictionStore(tmp_path / "a"), PredictionStore(tmp_path / "b")
    store.store(0, "own", "dev", to_table(TASK, EXAMPLES, PROBABILITIES), "abc")
    store.copy_to(copy, 0, "own", "dev")
    assert copy.path(0, "own", "dev").read_bytes() == store.path(0, "own", "dev").read_bytes()
    assert copy.fingerprint(0, "own", "dev") == "abc"
    store.path(0, "own", "dev").write_bytes(b"something else")
    assert store.load(0, "own", "dev") is None
    assert not store.is_intact(store.path(0, "own", "dev"))
    store.copy_to(copy, 0, "own", "dev")
    assert copy.load(0, "own", "dev") is not None


def test_a_table_has_a_row_per_example_and_a_column_per_label() -> None:
    table = to_table(TASK, EXAMPLES, PROBABILITIES, ["negative", None, "positive"])
    assert table.columns == ["id", "dialogue", "gold", "predicted", "greedy", "p_negative", "p_positive"]
    assert table["predicted"].to_list() == ["negative", "negative", "positive"]
    assert table["greedy"].to_list() == ["negative", None, "positive"]
    assert table["greedy"].dtype == pl.String
    assert "greedy" not in to_table(TASK, EXAMPLES, PROBABILITIES).columns
    assert labels_of(table) == TASK.labels
    answers = to_answers(TASK, table)
    assert answers.gold.tolist() == [0, 1, 0]
    assert (answers.probabilities == PROBABILITIES).all()
    assert answers.dialogues.tolist() == [0, 1, 2]
    assert to_answers(TASK, table.drop("dialogue")).dialogues is None


def test_the_digest_changes_with_everything_that_a_prompt_is_made_of() -> None:
    turns = (Utterance("Hello.", "A"), Utterance("Hm.", "B"))
    examples = [Example("x_1", "x", Dialogue("x", turns), 1, "sarcastic")]

    def changed(**fields):
        return [replace(examples[0], **fields)]

    digests = [
        examples_digest(SARCASM, examples),
        examples_digest(replace(SARCASM, instruction="Is it?"), examples),
        examples_digest(SARCASM.with_labels(*SARCASM.labels[::-1]), examples),
        examples_digest(SARCASM, changed(id="x_2")),
        examples_digest(SARCASM, changed(target=0)),
        examples_digest(SARCASM, changed(label="non-sarcastic")),
        examples_digest(SARCASM, changed(dialogue=Dialogue("x", (Utterance("Hello!", "A"), turns[1])))),
        examples_digest(SARCASM, changed(dialogue=Dialogue("x", (Utterance("Hello.", "C"), turns[1])))),
        examples_digest(SARCASM, examples * 2),
        examples_digest(SARCASM, examples, examples),
        examples_digest(SARCASM, []),
    ]
    assert len(set(digests)) == len(digests)
    assert examples_digest(SARCASM, list(examples)) == digests[0]


def test_answers_are_selected_by_id_in_the_order_asked_for() -> None:
    answers = to_answers(TASK, to_table(TASK, EXAMPLES, PROBABILITIES))
    selected = Predictions(("id0", "id1", "id2"), answers).select(["id2", "id0"])
    assert selected.probabilities.tolist() == [[0.25, 0.75], [0.75, 0.25]]
    assert selected.gold.tolist() == [0, 0]
    assert selected.dialogues.tolist() == [2, 0]


def test_folds_are_concatenated_with_distinct_dialogues() -> None:
    fold = Predictions(("id0", "id1", "id2"), to_answers(TASK, to_table(TASK, EXAMPLES, PROBABILITIES)))
    both = concatenate([fold, fold])
    assert both.ids == (*fold.ids, *fold.ids)
    assert len(set(both.answers.dialogues)) == 6
    assert concatenate([fold, None]) is None
    relabelled = replace(fold.answers, labels=("a", "b"))
    assert concatenate([fold, Predictions(fold.ids, relabelled)]) is None
    assert concatenate([]) is None
