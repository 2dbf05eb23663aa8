"""Stored outcomes of behavioural cases, read back."""

import json
from collections.abc import Sequence
from pathlib import Path

from gsa.data.types import Prediction
from gsa.evaluation.behaviour import Case, Outcome


def read_outcomes(path: Path, cases: Sequence[Case]) -> list[Outcome]:
    """Return the outcomes that `write_outcomes` wrote of these cases."""
    by_id = {case.id: case for case in cases}
    rows = [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]
    return [
        Outcome(by_id[row["id"]], tuple(Prediction(**content) for content in row["predictions"]))
        for row in rows
    ]
