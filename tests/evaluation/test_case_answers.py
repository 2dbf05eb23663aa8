"""Rows of answers to the paper's cases."""

from pathlib import Path

import pytest

from gsa.errors import InputError
from gsa.evaluation import case_answers
from gsa.evaluation.case_answers import CaseAnswer, lines

ROW = CaseAnswer("a", 0, 1, "mustard", "own", "non-sarcastic", {"sarcastic": 0.75, "non-sarcastic": 0.25})


def test_rows_come_back_and_are_printed(tmp_path: Path) -> None:
    assert case_answers.read(tmp_path) == []
    case_answers.write(tmp_path, [ROW])
    assert case_answers.read(tmp_path) == [ROW]
    assert lines([ROW]) == ["level 1  mustard own (non-sarcastic): sarcastic 0.75, wrong"]


@pytest.mark.parametrize("line", ['{"run": "a"}', '{"probabilities": {}}'])
def test_a_damaged_row_is_refused(tmp_path: Path, line: str) -> None:
    (tmp_path / case_answers.FILE).write_text(line + "\n")
    with pytest.raises(InputError, match="gsa cases makes its rows anew"):
        case_answers.read(tmp_path)


def test_probabilities_that_are_not_numbers_are_refused(tmp_path: Path) -> None:
    case_answers.write_rows(tmp_path / case_answers.FILE, [{**vars(ROW), "probabilities": {"x": "high"}}])
    with pytest.raises(InputError, match="probabilities are not numbers"):
        case_answers.read(tmp_path)
