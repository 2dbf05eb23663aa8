"""The benchmark of the start runs each command and stops its servers."""

import json
import sys
from pathlib import Path

import pytest

import start


def test_each_command_is_timed(tuned: Path, monkeypatch: pytest.MonkeyPatch, capsys) -> None:
    monkeypatch.setattr(sys, "argv", ["start.py", "--rounds", "1", "--model", str(tuned)])
    start.main()
    rows = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert [row["command"].split()[1] for row in rows] == [
        "predict", "predict", "--help", "--version", "serve", "serve",
    ]  # fmt: skip
    assert all(row["seconds"] == [row["median"]] and 0 < row["median"] < 120 for row in rows)
