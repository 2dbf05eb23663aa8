"""The script for the day a GPU is there runs through on a CPU, and says so where there is none."""

import json
import sys
from pathlib import Path

import pytest

import gpu_check


@pytest.mark.usefixtures("plain_logging")
def test_the_script_measures_what_it_promises(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    words = ["gpu_check", "--device", "cpu", "--sizes", "tiny", "--out", str(tmp_path)]
    monkeypatch.setattr(sys, "argv", words)
    monkeypatch.setattr(gpu_check, "REPEATS", 1)
    monkeypatch.setattr(gpu_check, "LONG_TOKENS", 1500)
    with pytest.raises(SystemExit) as ended:
        gpu_check.main()
    assert ended.value.code == 0
    results = json.loads((tmp_path / "cpu.json").read_text())["results"]
    assert [(r["precision"], r["attention"]) for r in results[:-1]] == [
        ("float32", "dense"),
        ("float32", "runs"),
    ]
    for result in results[:-1]:
        assert 0 < result["largest_difference"] < 1e-4
        assert result["score"]["tokens_per_second"] > 0
        assert result["tune"]["tokens_per_second"] > 0
        assert result["planned_memory"] > 0
        assert result["long_score"]["tokens"] > 1500
        assert result["long_tune"]["tokens_per_second"] > 0
    assert results[-1] == {"check": "resumption", "same_bytes": True, "relative_difference": 0.0}


def test_differences_that_are_too_large_are_named_and_the_results_kept(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    wrong = {"size": "tiny", "precision": "float32", "attention": "flex", "largest_difference": 0.02}
    links = {"check": "resumption", "same_bytes": False, "relative_difference": float("nan")}
    monkeypatch.setattr(gpu_check, "measure", lambda *_: iter([wrong, links]))
    monkeypatch.setattr(sys, "argv", ["gpu_check", "--device", "cpu", "--out", str(tmp_path)])
    with pytest.raises(SystemExit) as ended:
        gpu_check.main()
    assert ended.value.code == 1
    assert capsys.readouterr().err.splitlines() == [
        "tiny float32 flex: largest difference 0.02, expected at most 0.001",
        "resumption: link nan, expected at most 0.001",
    ]
    assert len(json.loads((tmp_path / "cpu.json").read_text())["results"]) == 2


def test_without_a_gpu_it_says_so(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("torch.cuda.is_available", lambda: False)
    monkeypatch.setattr(sys, "argv", ["gpu_check", "--out", str(tmp_path / "out")])
    gpu_check.main()
    assert "no GPU here: nothing was measured" in capsys.readouterr().out
    assert not (tmp_path / "out").exists()


def test_a_gpus_name_is_the_one_of_plans(monkeypatch: pytest.MonkeyPatch) -> None:
    names = {
        "NVIDIA H200": "h200",
        "NVIDIA A100-SXM4-40GB": "a100-40gb",
        "NVIDIA A100-SXM4-80GB": "a100",
        "X": "",
    }
    for name, gpu in names.items():
        monkeypatch.setattr("torch.cuda.get_device_name", lambda name=name: name)
        assert gpu_check.gpu_name("cuda") == gpu
