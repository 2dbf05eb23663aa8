"""Rows of similarities on disk."""

from dataclasses import replace
from pathlib import Path

import pytest
from gradient_similarity import rows as stored
from gradient_similarity.rows import Similarity, mean

from gsa.errors import InputError
from gsa.evaluation.results import write_rows

ROW = Similarity(
    "progressive", 0, 3, "gradient", "recipe", "sst2", "meld", "gold", "cosine", 0.2, None, 0.0, 50
)


def test_rows_come_back_and_replace_those_with_their_key(tmp_path: Path) -> None:
    assert stored.read(tmp_path) == []
    halves = replace(ROW, measure="halves")
    stored.add(tmp_path, [ROW, halves])
    stored.add(tmp_path, [replace(ROW, value=None)])
    assert stored.read(tmp_path) == [replace(ROW, value=None), halves]


@pytest.mark.parametrize("change", [('"n": 50', '"n": 51'), ('"n": 50', '"m": 50'), ("0.2", '"many"')])
def test_a_damaged_row_is_refused_in_words(tmp_path: Path, change: tuple[str, str]) -> None:
    stored.add(tmp_path, [ROW])
    file = tmp_path / stored.FILE
    file.write_text(file.read_text().replace(*change))
    message = r"similarity.jsonl line 1: not a result row: .*gradient_similarity measure. makes"
    with pytest.raises(InputError, match=message):
        stored.read(tmp_path)


def test_a_value_that_is_not_a_number_is_refused(tmp_path: Path) -> None:
    write_rows(tmp_path / stored.FILE, [{**vars(ROW), "value": "many"}])
    with pytest.raises(InputError, match="is not a number"):
        stored.read(tmp_path)


def test_a_mean_is_over_seeds_and_none_if_one_has_no_value() -> None:
    rows = [replace(ROW, seed=seed, value=value) for seed, value in ((0, 0.2), (1, 0.4))]
    assert mean(rows, measure="cosine") == pytest.approx(0.3)
    assert mean([*rows, replace(ROW, seed=2, value=None)], measure="cosine") is None
    assert mean(rows, measure="halves") is None
