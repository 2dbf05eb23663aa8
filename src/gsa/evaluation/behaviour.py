"""Behavioural tests: short cases of 15 kinds in, failure rates out. Knows no model, only how to ask one.

The three types of case are those of CheckList (Ribeiro et al., ACL 2020): minimum functionality (`mft`:
one input, its label is known), invariance (`inv`: all inputs get the same label) and direction (`dir`: from
the first input to the second the probability of a label goes up or down). Half of the cases of each kind
are held out: they are for reports, never for choosing settings.
"""

import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from importlib.resources import files
from itertools import product
from pathlib import Path
from typing import Any, Literal, Protocol

from gsa.atomic_io import write_atomic
from gsa.data.task import TASKS
from gsa.data.types import Prediction, Utterance
from gsa.errors import InputError

FOLDER = Path(str(files("gsa.datasets"))) / "behaviour"
"""One JSONL file a kind, one case a line."""
TYPES = ("mft", "inv", "dir")
PARTS = ("all", "development", "held-out")
SATURATED = 0.95
"""Both probabilities at least this high pass a `dir` case that goes up; at most 1 minus this, one that goes
down: where a model is certain of both inputs, the rest is rounding."""

Conversation = tuple[Utterance, ...]


class Classifier(Protocol):
    """What is asked: `Predictor.classify`, or any function of the same signature."""

    def __call__(
        self, task: str, inputs: Sequence[Conversation], labels: Sequence[str]
    ) -> Sequence[Prediction]:
        """Return the prediction of the last turn of each conversation."""


@dataclass(frozen=True)
class Case:
    """One behavioural test."""

    id: str
    kind: str
    type: Literal["mft", "inv", "dir"]
    task: str
    """`sentiment`, `emotion` or `sarcasm`, asked with the labels of `gsa.data.task`."""
    inputs: tuple[Conversation, ...]
    """A text is a conversation of one turn; of `inv` and `dir` the first is the base."""
    held_out: bool
    label: str = ""
    """Expected label of `mft`; of `dir` the label whose probability moves."""
    direction: Literal["up", "down", ""] = ""
    """Where the probability must move, for `dir`."""


@dataclass(frozen=True)
class Outcome:
    """A case with the predictions of its inputs, in order."""

    case: Case
    predictions: tuple[Prediction, ...]

    @property
    def failed(self) -> bool:
        """Whether the predictions are not as the case expects."""
        labels = {prediction.label for prediction in self.predictions}
        if self.case.type == "mft":
            return labels != {self.case.label}
        if self.case.type == "inv":
            return len(labels) > 1
        before, after = (prediction.probabilities[self.case.label] for prediction in self.predictions)
        if self.case.direction == "down":
            before, after = 1 - before, 1 - after
        return after <= before and min(before, after) < SATURATED


@dataclass(frozen=True)
class Rate:
    """How many cases of a kind, a type and a part failed."""

    kind: str
    """`all` for all kinds together."""
    type: str
    """`all` for all types together."""
    part: str
    """`all`, `development` or `held-out`."""
    n: int
    failures: int

    @property
    def percent(self) -> float:
        """Failures in percent of the cases."""
        return 100 * self.failures / self.n


def read_cases(folder: Path = FOLDER) -> list[Case]:
    """Return the cases of a folder's JSONL files, a kind by file; raises InputError for a broken line."""
    cases = []
    for path in sorted(folder.glob("*.jsonl")):
        lines = path.read_text(encoding="utf-8").splitlines()
        for number, line in enumerate(lines, start=1):
            try:
                row = json.loads(line)
                inputs = tuple(_conversation(item) for item in row.pop("inputs"))
                cases.append(Case(kind=path.stem, inputs=inputs, **row))
            except (ValueError, TypeError, KeyError, AttributeError) as error:
                raise InputError(f"{path} line {number}: expected a behavioural case: {error}") from None
    if not cases:
        raise InputError(f"{folder}: expected JSONL files of behavioural cases, found none")
    return cases


def _conversation(item: Any) -> Conversation:
    turns = [{"text": item}] if isinstance(item, str) else item
    return tuple(Utterance(**turn) for turn in turns)


def run_cases(cases: Sequence[Case], classify: Classifier) -> list[Outcome]:
    """Return the outcomes of cases, in order; `classify` is called once a task."""
    predictions: dict[tuple[str, int], Prediction] = {}
    for task in dict.fromkeys(case.task for case in cases):
        keys = [(case.id, i) for case in cases if case.task == task for i in range(len(case.inputs))]
        inputs = [conversation for case in cases if case.task == task for conversation in case.inputs]
        predictions.update(zip(keys, classify(task, inputs, TASKS[task].labels), strict=True))
    return [Outcome(case, tuple(predictions[case.id, i] for i in range(len(case.inputs)))) for case in cases]


def failure_rates(outcomes: Sequence[Outcome]) -> list[Rate]:
    """Return the rates of every kind, type and part that has cases, `all` of each first."""
    kinds = ("all", *dict.fromkeys(outcome.case.kind for outcome in outcomes))
    rates = []
    for kind, type_, part in product(kinds, ("all", *TYPES), PARTS):
        failed = [
            outcome.failed
            for outcome in outcomes
            if kind in ("all", outcome.case.kind)
            and type_ in ("all", outcome.case.type)
            and (part == "all" or (part == "held-out") == outcome.case.held_out)
        ]
        if failed:
            rates.append(Rate(kind, type_, part, len(failed), sum(failed)))
    return rates


def write_outcomes(outcomes: Iterable[Outcome], path: Path) -> None:
    """Write one JSON line a case: its id, whether it failed, labels and probabilities; no texts."""
    lines = [json.dumps(_row(outcome)) + "\n" for outcome in outcomes]
    path.parent.mkdir(parents=True, exist_ok=True)
    write_atomic(path, "".join(lines))


def _row(outcome: Outcome) -> dict[str, Any]:
    predictions = [
        {
            "label": p.label,
            "probabilities": {name: round(value, 6) for name, value in p.probabilities.items()},
        }
        for p in outcome.predictions
    ]
    return {"id": outcome.case.id, "failed": outcome.failed, "predictions": predictions}
