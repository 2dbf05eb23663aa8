"""The measures of the product that the docs name run on any run, and say what they promise to say."""

import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import export_agrees
import predict_memory
import predict_vs_generate
import serve_load


@pytest.fixture
def printed(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Callable[..., list[dict[str, Any]]]:
    """Run a script's `main` with these words and return the JSON lines that it prints."""

    def run(script: Any, *words: object) -> list[dict[str, Any]]:
        monkeypatch.setattr(sys, "argv", [script.__file__, *map(str, words)])
        script.main()
        return [json.loads(line) for line in capsys.readouterr().out.splitlines()]

    return run


def test_a_loop_that_generates_is_compared(tuned: Path, printed: Any) -> None:
    one, two, summary = printed(predict_vs_generate, "--model", tuned, "--rows", 4, "--rounds", 2)
    for line in (one, two, summary["median"]):
        assert line["rows"] == 4
        assert line["ratio_to_loop"] == pytest.approx(
            line["predict_rows_per_s"] / line["loop_rows_per_s"], rel=0.5
        )


def test_an_export_is_asked_without_the_package(tuned: Path, printed: Any) -> None:
    (line,) = printed(export_agrees, tuned, "--format", "merged", "--count", 6)
    assert line["examples"] == line["same_label"] == 6
    assert 0 < line["largest_difference"] < 1e-5


def test_memory_of_labelling_is_watched(printed: Any) -> None:
    (line,) = printed(predict_memory, "--rows", 300)
    assert line["rows"] == 300
    assert line["peak_mb"] > 20


@pytest.mark.slow
def test_a_server_is_loaded_and_answers_the_same_after(tuned: Path, printed: Any) -> None:
    (line,) = printed(serve_load, "--model", tuned, "--clients", 4, "--seconds", 2)
    assert list(line["statuses"]) == ["200"]
    assert line["probe_same_after"]
    assert 0 < line["p50_s"] <= line["p95_s"]
    assert line["memory_most_mb"] >= line["memory_before_mb"] > 50
