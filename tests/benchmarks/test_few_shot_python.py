"""The benchmark of tuning from Python measures every system on the same texts."""

import json
import sys
from collections import Counter
from pathlib import Path

import pytest
from tiny import tiny_bert

import few_shot_python
from gsa.experiments import embeddings
from tickets import SUBJECTS, tickets


def test_every_system_is_measured(
    tiny_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = tiny_bert(tmp_path / "bert")
    monkeypatch.setattr(embeddings, "model_folder", lambda: folder)
    peer = tmp_path / "peer.py"
    peer.write_text(
        "import json, sys\n"
        "task = json.load(open(sys.argv[1]))\n"
        "answer = {'labels': task['labels'][:1] * len(task['test']), 'fit_s': 1.0, 'predict_s': 0.5}\n"
        "json.dump(answer, open(sys.argv[2], 'w'))\n"
    )
    monkeypatch.setattr(few_shot_python, "PEER", peer)
    out = tmp_path / "rows.jsonl"
    words = ["--out", out, "--datasets", "sampler-sentiment", "--per-class", 2, "--test", 6,
             "--model", tiny_folder, "--setfit", sys.executable,
             "--systems", *few_shot_python.SYSTEMS]  # fmt: skip
    monkeypatch.setattr(sys, "argv", ["few_shot_python.py", *map(str, words)])
    few_shot_python.main()
    rows = [json.loads(line) for line in out.read_text().splitlines()]
    assert [row["system"] for row in rows] == list(few_shot_python.SYSTEMS)
    assert {(row["n_train"], row["n_test"], row["per_class"]) for row in rows} == {(6, 6, 2)}
    assert all(0 <= row["macro_f1"] <= 100 for row in rows)
    assert capsys.readouterr().out.count("\n") == 5


def test_tickets_are_distinct_and_balanced() -> None:
    rows = tickets(40, seed=0)
    assert len({text for text, _ in rows}) == 40
    assert Counter(label for _, label in rows) == dict.fromkeys(SUBJECTS, 10)
    assert rows == tickets(40, seed=0) != tickets(40, seed=1)
    train, labels, test, gold = few_shot_python.read("tickets", 5, 8, 0)
    assert (len(train), len(labels), len(test), len(gold)) == (20, 20, 8, 8)


def test_the_page_has_the_rows() -> None:
    root = Path(__file__).parents[2]
    lines = (root / "results" / "few-shot-python" / "rows.jsonl").read_text().splitlines()
    page = (root / "docs" / "tuning.md").read_text(encoding="utf-8").split("## Measured")[1]
    table = [line.strip("| ").split(" | ") for line in page.splitlines() if line.startswith("| ")][1:]
    keys = {"macro_f1": ".1f", "accuracy": ".1f", "fit_s": ".0f", "predict_s": ".0f"}
    for cells, row in zip(table, map(json.loads, lines), strict=True):
        assert cells[:3] == [row["dataset"], str(row["per_class"]), row["system"]]
        assert cells[3:] == [format(row[key], digits) for key, digits in keys.items()]
