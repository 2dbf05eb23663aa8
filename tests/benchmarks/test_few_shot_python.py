"""The benchmark of tuning from Python measures every system on the same texts."""

import json
import sys
from pathlib import Path

import pytest
from tiny import tiny_bert

import few_shot_python
from gsa.experiments import embeddings


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
             "--model", tiny_folder, "--setfit", sys.executable]  # fmt: skip
    monkeypatch.setattr(sys, "argv", ["few_shot_python.py", *map(str, words)])
    few_shot_python.main()
    rows = [json.loads(line) for line in out.read_text().splitlines()]
    assert [row["system"] for row in rows] == list(few_shot_python.SYSTEMS)
    assert {(row["n_train"], row["n_test"], row["per_class"]) for row in rows} == {(6, 6, 2)}
    assert all(0 <= row["macro_f1"] <= 100 for row in rows)
    assert capsys.readouterr().out.count("\n") == 4
