"""Chunks: dialogues stay whole, and no chunk grows without end."""

import pytest

from gsa.datasets.records import Record, Rejected
from gsa.prediction import chunking as module
from gsa.prediction.chunking import chunks


def record(row: int, dialogue: str, turn: int = 0) -> Record:
    return Record(row, {"text": f"t{row}"}, f"t{row}", "", dialogue, turn)


def test_chunks_end_between_dialogues() -> None:
    rows = [record(i, name) for i, name in enumerate(["a", "a", "a", "b", "", "", "c", "c"])]
    assert [len(chunk) for chunk in chunks(rows, 2, context=True)] == [3, 2, 3]
    assert [len(chunk) for chunk in chunks(rows, 2, context=False)] == [2, 2, 2, 2]


def test_a_dialogue_that_begins_again_is_rejected() -> None:
    rows = [record(i, name) for i, name in enumerate(["a", "b", "a", "b", "c"])]
    (found,) = chunks(rows, 10, context=True)
    assert [type(row) for row in found] == [Record, Record, Rejected, Record, Record]
    assert "dialogue 'a' began before" in found[2].reason  # type: ignore[union-attr]


def test_no_chunk_grows_without_end(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "MAX_TURNS", 5)
    rows = [record(i, "a") for i in range(8)] + [record(8, "b")]
    found = [row for chunk in chunks(rows, 2, context=True) for row in chunk]
    assert [isinstance(row, Record) for row in found] == [True] * 5 + [False] * 3 + [True]
    bad = [record(0, "a")] + [Rejected(i, "x") for i in range(1, 50)]
    sizes = [len(chunk) for chunk in chunks(bad, 2, context=True)]
    assert sum(sizes) == 50
    assert max(sizes) <= 8


def test_a_dialogue_is_not_cut_where_a_row_is_rejected() -> None:
    names = ["a", "b", "b", "a", "b", "c"]
    rows = [record(i, name) for i, name in enumerate(names)]
    found = list(chunks(rows, 3, context=True))
    assert [[row.row for row in chunk] for chunk in found] == [[0, 1, 2, 3, 4], [5]]


def test_long_rows_end_a_chunk_early(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "MAX_CHARACTERS", 100)
    rows = [Record(i, {"text": "x" * 60, "n": i}, "x" * 60) for i in range(5)]
    assert [len(chunk) for chunk in chunks(rows, 512, context=False)] == [2, 2, 1]
    bad = [Rejected(i, "bad", {"text": "x" * 60}) for i in range(5)]
    assert [len(chunk) for chunk in chunks(bad, 512, context=True)] == [2, 2, 1]
    talk = [Record(i, {"text": "x" * 60}, "x" * 60, "", "ab"[i > 2]) for i in range(5)]
    assert [len(chunk) for chunk in chunks(talk, 512, context=True)] == [3, 2], "a dialogue stays whole"


def test_a_dialogue_of_one_line_is_not_remembered(monkeypatch: pytest.MonkeyPatch) -> None:
    trackers: list[module._DialogueTracker] = []
    init = module._DialogueTracker.__init__
    monkeypatch.setattr(
        module._DialogueTracker, "__init__", lambda self: (init(self), trackers.append(self))[0]
    )
    rows = [record(i // 2, "x", turn=1 + i % 2) for i in range(40)] + [record(40, "a"), record(41, "b")]
    assert sum(len(chunk) for chunk in chunks(rows, 4, context=True)) == 42
    assert trackers[0]._ended == {hash((0, "a")), hash((0, "b"))}


def test_a_dialogue_of_one_line_that_was_given_up_does_not_begin_anew(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(module, "MAX_TURNS", 5)
    rows = [record(1, "a", turn=1 + i) for i in range(40)] + [record(2, "b", turn=1)]
    found = list(chunks(rows, 2, context=True))
    assert [isinstance(row, Record) for chunk in found for row in chunk] == [True] * 5 + [False] * 35 + [True]
    assert max(map(len, found)) <= 8
