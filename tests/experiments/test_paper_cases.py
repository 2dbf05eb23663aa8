"""The paper's two cases: answered at every level, kept without texts."""

from pathlib import Path

import pytest

import gsa
from gsa.data.types import Dialogue, Example, Utterance
from gsa.evaluation import case_answers
from gsa.evaluation.case_answers import CASE_IN_TRAINING
from gsa.experiments import paper_cases as module
from gsa.experiments.paper_cases import SECOND_CASE, answer_cases


def test_every_level_is_asked_what_the_predictor_would_answer(tuned: Path, tmp_path: Path) -> None:
    rows = answer_cases(tuned, tmp_path)
    own = [row for row in rows if row.id == "own"]
    assert [row.level for row in own] == [0, 1, 2, 3]
    assert case_answers.read(tmp_path) == rows
    turns = [(turn.speaker, turn.text) for turn in SECOND_CASE.dialogue.turns]
    found = gsa.load(tuned).sarcasm(turns)
    assert own[-1].probabilities == pytest.approx(found.probabilities, abs=1e-5)
    assert not any(text in (tmp_path / case_answers.FILE).read_text() for _, text in turns)


def test_the_first_case_is_looked_up_in_the_data(
    tuned: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setenv("GSA_DATA", str(tmp_path / "nowhere"))
    assert {row.id for row in answer_cases(tuned, tmp_path)} == {"own"}
    assert "left out" in caplog.messages[0]
    dataset, id = CASE_IN_TRAINING
    train = [Example(name, dataset, Dialogue(name, (Utterance("Fine by me."),)), 0, "positive")
             for name in ("another", id)]  # fmt: skip
    monkeypatch.setattr(module, "load", lambda name: {"train": train} if name == dataset else {})
    found = [row for row in answer_cases(tuned, tmp_path) if row.id != "own"]
    assert [(row.dataset, row.id, row.gold) for row in found] == [(dataset, id, "positive")] * 4
    assert all(sum(row.probabilities.values()) == pytest.approx(1, abs=1e-5) for row in found)
