"""`gsa probe`, with a predictor that always says the same."""

import json
from collections.abc import Sequence
from pathlib import Path

import pytest
from typer.testing import CliRunner

import gsa
from gsa.cli.main import app
from gsa.cli.probe import table
from gsa.data.types import Prediction
from gsa.evaluation.behaviour import Rate, read_cases


class Constant:
    def classify(self, task: str, inputs: Sequence[object], labels: Sequence[str]) -> list[Prediction]:
        return [Prediction(labels[0], {label: 1 / len(labels) for label in labels}) for _ in inputs]


@pytest.fixture
def loaded(monkeypatch: pytest.MonkeyPatch) -> list[tuple[str | None, int | None]]:
    calls: list[tuple[str | None, int | None]] = []

    def load(source: str | None, level: int | None) -> Constant:
        calls.append((source, level))
        return Constant()

    monkeypatch.setattr(gsa, "load", load)
    return calls


def test_the_development_half_is_asked_by_default(loaded: list[tuple[str | None, int | None]]) -> None:
    result = CliRunner().invoke(app, ["probe", "run", "--level", "2"])
    assert result.exit_code == 0
    assert loaded == [("run", 2)]
    title, header, *rows = result.stdout.splitlines()
    assert title == "Cases that fail (percent)"
    assert header.split() == ["kind", "n", "mft", "inv", "dir", "development", "all"]
    assert len(rows) == 16
    n = sum(not case.held_out for case in read_cases())
    assert rows[-1].split()[:2] == ["all", str(n)]


def test_held_out_asks_both_halves(loaded: list[tuple[str | None, int | None]]) -> None:
    result = CliRunner().invoke(app, ["probe", "--held-out"])
    assert loaded == [(None, None)]
    assert result.stdout.splitlines()[1].split()[-3:] == ["development", "held-out", "all"]
    assert result.stdout.splitlines()[-1].split()[:2] == ["all", str(len(read_cases()))]


def test_json_and_predictions(loaded: list[tuple[str | None, int | None]], tmp_path: Path) -> None:
    result = CliRunner().invoke(app, ["probe", "--json", "--out", str(tmp_path / "behaviour.jsonl")])
    rates = json.loads(result.stdout)
    assert set(rates[0]) == {"kind", "type", "part", "n", "failures", "percent"}
    assert {rate["part"] for rate in rates} == {"all", "development"}
    ids = [json.loads(line)["id"] for line in (tmp_path / "behaviour.jsonl").read_text().splitlines()]
    assert ids == [case.id for case in read_cases() if not case.held_out]


def test_a_cell_without_cases_is_empty() -> None:
    both = [Rate(kind, type_, part, 4, 1) for kind in ("all", "sign_offs") for type_ in ("all", "mft")
            for part in ("all", "held-out")]  # fmt: skip
    assert table(both) == [
        ["kind", "n", "mft", "inv", "dir", "held-out", "all"],
        ["sign offs", "4", "25.0", "", "", "25.0", "25.0"],
        ["all", "4", "25.0", "", "", "25.0", "25.0"],
    ]
