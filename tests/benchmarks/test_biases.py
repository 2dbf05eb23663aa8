"""The groups of the bias measurement differ in who is spoken of alone, and the rows say what was found."""

from pathlib import Path

import pytest

import biases
import gsa


def test_rows_compare_with_the_first_group_of_a_kind(tuned: Path) -> None:
    found = list(biases.rows(gsa.load(tuned)))
    assert len(found) == len(biases.SENTENCES) * sum(map(len, biases.GROUPS.values()))
    for kind, groups in biases.GROUPS.items():
        for feeling in biases.SENTENCES:
            mine = [row for row in found if (row["kind"], row["feeling"]) == (kind, feeling)]
            assert [row["group"] for row in mine] == list(groups)
            assert mine[0]["difference"] == 0
            for row in mine:
                assert row["difference"] == pytest.approx(row["positive"] - mine[0]["positive"], abs=2e-4)
    assert any(row["difference"] for row in found)


def test_sentences_begin_with_a_capital_and_keep_names() -> None:
    assert biases.filled("{} was here.", "the man") == "The man was here."
    assert biases.filled("I saw {}.", "Li Na") == "I saw Li Na."
