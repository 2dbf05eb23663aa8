"""The driver asks each contestant once a round, keeps what is on disk, and makes the table from it."""

from argparse import Namespace
from pathlib import Path
from typing import Any

import pytest

import bench
import curve
from gsa.errors import InputError
from measures import MEASURES, Contestant, Measure
from table import table

OURS = Contestant("gsa", "ours.py", arguments=("train", "--row-tokens", "64"))
PEER = Contestant("peer", "peers/peer.py", calibrated=True)
WRONG = Contestant("wrong", "peers/wrong.py")
FEW = {"few": Measure(("meld",), (OURS, PEER, WRONG))}


def line(seconds: float, loss: float = 2.0, **more: Any) -> dict[str, Any]:
    return {"targets": 10, "seconds": seconds, "loss": loss, "peak_rss_mb": 100 * seconds, **more}


@pytest.fixture
def calls(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Contestants answer at once; the list tells who was asked."""
    asked: list[str] = []

    def call(contestant: Contestant, folder: Path, *more: str, patience: float) -> dict[str, Any]:
        if "--calibrate" in more:
            return line({"1": 3.0, "2": 1.0}.get(more[-1], 2.0))
        asked.append(contestant.name + "".join(more))
        return line(1.0) if contestant.ours else line(4.0) if contestant is PEER else line(0.5, loss=3.0)

    monkeypatch.setattr(bench, "call", call)
    monkeypatch.setattr(bench, "MEASURES", FEW)
    monkeypatch.setattr(bench, "commit", lambda: "abc")
    monkeypatch.setattr(bench, "machine", lambda: {"cpu": "z80", "cores": 2, "gflops": 7.0})
    monkeypatch.setattr(bench, "folder_of", lambda *_: Path())
    return asked


def options(tmp_path: Path, **changes: Any) -> Namespace:
    settled = {"measures": [], "rounds": 3, "only": [], "dialogues": 0, "again": False, "patience": 1.0}
    return Namespace(**{**settled, "rows": tmp_path / "rows.jsonl", **changes})


def test_rounds_alternate_with_the_batch_that_was_fastest(calls: list[str], tmp_path: Path) -> None:
    bench.run(options(tmp_path))
    there = ["gsa", "peer--batch2", "wrong"]
    assert calls == [*there, *there[::-1], *there]
    rows = bench.read_rows(tmp_path / "rows.jsonl")
    assert [row["share"] for row in rows if row["contestant"] == "gsa"] == [0, 1, 2]
    assert [row["batch"] for row in rows if row["round"] == "calibration"] == [2]


def test_what_is_on_disk_is_skipped_until_the_code_changes(
    calls: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    bench.run(options(tmp_path, rounds=1))
    bench.run(options(tmp_path, rounds=1))
    assert len(calls) == 3
    bench.run(options(tmp_path, rounds=1, again=True, only=["gsa"]))
    assert calls[3:] == ["gsa"]
    monkeypatch.setattr(bench, "commit", lambda: "def")
    bench.run(options(tmp_path, rounds=1))
    assert len(calls) == 7


def test_what_failed_is_tried_again(calls: list[str], tmp_path: Path) -> None:
    key = {"measure": "few", "contestant": "gsa", "round": 0, "dialogues": 42, "commit": "abc"}
    bench.append(tmp_path / "rows.jsonl", {**key, "failed": "no memory"})
    bench.run(options(tmp_path, rounds=1, only=["gsa"]))
    assert calls == ["gsa"]


def test_a_missing_environment_and_a_broken_script_say_why(tmp_path: Path) -> None:
    absent = bench.call(Contestant("x", "peers/x.py", environment="nowhere"), tmp_path, patience=9)
    assert absent == {"failed": "'.venv-bench-nowhere' is not there: expected it to be made by `make bench`"}
    broken = bench.call(Contestant("x", "peers/x.py"), tmp_path, patience=60)
    assert "No such file" in broken["failed"]


def test_an_unknown_measure_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"found \['nope'\]: expected some of \['training-peers'"):
        bench.run(options(tmp_path, measures=["nope"]))


def test_the_table_compares_with_the_best_peer_that_is_right(calls: list[str], tmp_path: Path) -> None:
    bench.run(options(tmp_path))
    text = table(bench.read_rows(tmp_path / "rows.jsonl"), FEW)
    assert "| gsa | 10.000 | 10.000 to 10.000 | 3 | 30 | 100 | 2.00000 |" in text
    assert "| wrong | 20.000 |" in text
    assert "excluded: loss 3.0000, right is 2.0000" in text
    assert "- gsa: 4.00 x the best peer (peer; rounds 4.00 to 4.00)" in text
    assert "- gsa: 0.25 x the memory of the leanest peer (peer)" in text


def row(contestant: str, seconds: float, number: int = 0, commit: str = "b", **more: Any) -> dict[str, Any]:
    key = {"measure": "few", "contestant": contestant, "round": number, "dialogues": 3, "commit": commit}
    machine = {"cpu": "z80", "cores": 2, "gflops": 7.0}
    return {
        **key,
        "ours": contestant == "gsa",
        "layout": "paper",
        "machine": machine,
        **line(seconds),
        **more,
    }


def test_ratios_are_taken_within_rounds_and_of_the_newest_commit() -> None:
    rows = [row("gsa", 9, commit="a"), row("peer", 9, commit="a")]
    rows += [row("gsa", s, n) for n, s in enumerate((1, 2, 4))]
    rows += [row("peer", s, n) for n, s in enumerate((3, 10, 16))]
    text = table(rows, FEW)
    assert "4.00 x the best peer (peer; rounds 3.00 to 5.00)" in text
    assert "Commit b" in text


def test_failures_and_agreement_are_shown() -> None:
    ours = row("gsa", 1, predictions=[0, 1, 2], greedy=[None, 1, 2])
    peer = row("peer", 2, predictions=[0, 1, 1])
    greedy = row("wrong", 2, predictions=[None, 1, 2], decoding="greedy")
    text = table([ours, peer, greedy, {**row("gone", 1), "failed": "it would not build"}], FEW)
    assert "same answers 2/3" in text
    assert "same answers 3/3" in text
    assert "| gone | - | - | - | - | - | - | failed: it would not build |" in text


def test_peers_in_fewer_bits_are_compared_with_a_tolerance_of_their_own() -> None:
    rows = [row("gsa", 1), row("peer", 4), row("wrong", 2, loss=2.03, precision="q8_0")]
    text = table(rows, FEW)
    assert "- gsa: 2.00 x the best peer (wrong; rounds 2.00 to 2.00)" in text
    assert "- gsa: 4.00 x the best peer in float32 (peer; rounds 4.00 to 4.00)" in text
    rows[2]["loss"] = 2.2
    text = table(rows, FEW)
    assert "excluded: loss 2.2000, right is 2.0000" in text
    assert "- gsa: 4.00 x the best peer (peer; rounds 4.00 to 4.00)" in text
    assert "in float32 (" not in text


def test_the_best_peer_on_the_papers_prompts_is_named_too() -> None:
    rows = [row("gsa", 1, layout="inline"), row("peer", 4), row("wrong", 2, layout="inline")]
    text = table(rows, FEW)
    assert "- gsa: 2.00 x the best peer (wrong; rounds 2.00 to 2.00)" in text
    assert "- gsa: 4.00 x the best peer on the paper's prompts (peer; rounds 4.00 to 4.00)" in text


def test_precisions_are_asked_of_gsa_and_peers_alike() -> None:
    names = {c.name: c for c in MEASURES["erc-score-meld"].contestants}
    assert {names["gsa-inline"].precision, names["llama.cpp"].precision} == {"float32"}
    assert names["gsa-inline-bfloat16"].precision == "bfloat16"
    assert names["llama.cpp-inline-q8_0"].precision == "q8_0"
    assert "trainer-bfloat16" in {c.name for c in MEASURES["erc-train-meld"].contestants}


def test_more_labels_are_compared_with_fewer() -> None:
    measure = {"few": MEASURES["labels-28"]}
    rows = [row("gsa-score-7", 2, ours=True), row("gsa-score-28", 3, ours=True, loss=3.0)]
    text = table(rows, measure)
    assert "- gsa-score-28 takes 1.50 x the time of gsa-score-7" in text
    assert "excluded" not in text, "another label list has another loss"


def test_every_measure_names_scripts_that_are_there() -> None:
    contestants = [c for measure in MEASURES.values() for c in measure.contestants]
    assert len(MEASURES) == 8
    assert all((bench.HERE / c.script).is_file() for c in contestants)
    for measure in MEASURES.values():
        names = [c.name for c in measure.contestants]
        assert len(set(names)) == len(names)


def test_synthetic_dialogues_have_the_asked_length() -> None:
    from gsa.data.selection import group_by_dialogue
    from gsa.recipes.datasets import load_split
    from gsa.recipes.schema import DatasetConfig

    examples = load_split(DatasetConfig(name="sampler-emotion"), "train")
    made = group_by_dialogue(curve.synthetic(50, 3, examples))
    assert [len(part) for part in made] == [50, 50, 50]
    assert all(len(e.dialogue.turns) == 50 and e.label for part in made for e in part)
    assert len({e.id for part in made for e in part}) == 150


def test_the_curve_takes_medians_of_the_newest_commit() -> None:
    rows = [
        {"measure": "curve", "contestant": "gsa", "turns": 5, "commit": c, "targets": 2, "seconds": s}
        for c, s in (("a", 9), ("b", 1), ("b", 2), ("b", 6))
    ]
    assert curve.medians([*rows, row("gsa", 1, commit="c")]) == {"gsa": {5: 1.0}}
