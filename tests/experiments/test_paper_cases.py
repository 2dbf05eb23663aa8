"""The paper's two cases: asked at every level, kept without texts, tabled over seeds."""

from pathlib import Path

import pytest
from study import write_run

import gsa
from gsa.data.types import Dialogue, Example, Utterance
from gsa.errors import InputError
from gsa.experiments import paper_cases as asking
from gsa.experiments.paper_cases import OWN, ask
from gsa.report import paper_cases as papers_cases
from gsa.report.paper import CASE_IN_TRAINING
from gsa.report.paper_cases import Asked
from gsa.report.runs import by_arm, read_runs


def test_every_level_is_asked_what_the_predictor_would_answer(tuned: Path, tmp_path: Path) -> None:
    rows = ask(tuned, tmp_path, say=lambda _: None)
    own = [row for row in rows if row.id == "own"]
    assert [row.level for row in own] == [0, 1, 2, 3]
    assert papers_cases.read(tmp_path) == rows
    turns = [(turn.speaker, turn.text) for turn in OWN.dialogue.turns]
    found = gsa.load(tuned).sarcasm(turns)
    assert own[-1].probabilities == pytest.approx(found.probabilities, abs=1e-5)
    assert not any(text in (tmp_path / papers_cases.FILE).read_text() for _, text in turns)


def test_the_first_case_is_looked_up_in_the_data(
    tuned: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("GSA_DATA", str(tmp_path / "nowhere"))
    said: list[str] = []
    assert {row.id for row in ask(tuned, tmp_path, said.append)} == {"own"}
    assert "left out" in said[0]
    dataset, id = CASE_IN_TRAINING
    train = [Example(name, dataset, Dialogue(name, (Utterance("Fine by me."),)), 0, "positive")
             for name in ("another", id)]  # fmt: skip
    monkeypatch.setattr(asking, "load", lambda name: {"train": train} if name == dataset else {})
    found = [row for row in ask(tuned, tmp_path, said.append) if row.id != "own"]
    assert [(row.dataset, row.id, row.gold) for row in found] == [(dataset, id, "positive")] * 4
    assert all(sum(row.probabilities.values()) == pytest.approx(1, abs=1e-5) for row in found)


def test_the_table_counts_the_seeds_that_are_right(tmp_path: Path) -> None:
    for seed, chance in ((0, 0.75), (1, 0.25)):
        root = write_run(tmp_path / f"a-s{seed}", "a", seed, {"SD": ["mustard"]})
        given = {"sarcastic": 1 - chance, "non-sarcastic": chance}
        papers_cases.store(root, [Asked("a", seed, 1, "mustard", "own", "non-sarcastic", given)])
    table = papers_cases.table(by_arm(read_runs([tmp_path])))
    assert table.rows == [["a", "after SD", "mustard own", "non-sarcastic", "1 of 2", "0.50"]]


def test_a_damaged_row_is_refused(tmp_path: Path) -> None:
    (tmp_path / papers_cases.FILE).write_text('{"run": "a"}\n')
    with pytest.raises(InputError, match="gsa cases makes its rows anew"):
        papers_cases.read(tmp_path)
