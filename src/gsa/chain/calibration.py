"""Calibration of a tuned chain: temperatures and thresholds fitted on dev sets and kept with the chain.

A temperature T divides the log-probabilities of a task's labels: confidences change, the order of the labels
does not (Guo et al. 2017, On Calibration of Modern Neural Networks). A threshold is the probability from
which a label of a multi-label task holds. They belong to the weights they were fitted with, and to no others.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from gsa.atomic_io import write_atomic
from gsa.chain.run_folder import RunFolder
from gsa.checksums import from_checked_json, to_checked_json
from gsa.data.task import Task
from gsa.data.types import Prediction
from gsa.errors import InputError

THRESHOLD = 0.5
"""Where none was fitted."""


@dataclass(frozen=True)
class Calibration:
    """Temperatures and thresholds of one chain."""

    identity: str = ""
    """Of the chain that they were fitted with, empty for none."""
    temperatures: Mapping[str, float] = field(default_factory=dict)
    """By task and label list, see `key`."""
    thresholds: Mapping[str, Mapping[str, float]] = field(default_factory=dict)
    """By task and label list, then by label."""

    @classmethod
    def read(cls, root: Path, identity: str) -> "Calibration":
        """Return the calibration stored in a run's folder for a chain's identity, or an empty one.

        Raises InputError where the file is damaged.
        """
        file = RunFolder(root).calibration_file
        if not file.is_file():
            return cls()
        try:
            content = from_checked_json(file.read_text(encoding="utf-8"))
            stored = cls(content["identity"], content["temperatures"], content["thresholds"])
        except (ValueError, TypeError, KeyError) as error:
            raise InputError(
                f"'{file}' is damaged: {type(error).__name__} {error}; delete it, or fit it "
                "again with `gsa calibrate`"
            ) from None
        return stored if stored.identity == identity else cls()

    def write(self, root: Path) -> None:
        """Store the calibration in a run's folder."""
        write_atomic(RunFolder(root).calibration_file, to_checked_json(self.content()))

    def content(self) -> dict[str, object]:
        """Return what is stored, as JSON has it; the same for equal calibrations."""
        return {
            "identity": self.identity,
            "temperatures": dict(self.temperatures),
            "thresholds": {name: dict(values) for name, values in self.thresholds.items()},
        }

    def __bool__(self) -> bool:
        return bool(self.temperatures or self.thresholds)

    def apply(self, task: Task, predictions: Sequence[Prediction]) -> list[Prediction]:
        """Return a task's predictions with calibrated probabilities; labels and greedy answers stay."""
        temperature = self.temperature(task)
        if temperature == 1.0:
            return list(predictions)
        return [replace(p, probabilities=_sharpened(p.probabilities, temperature)) for p in predictions]

    def temperature(self, task: Task) -> float:
        """Return what divides the log-probabilities of a task's labels, 1 where none was fitted."""
        return self.temperatures.get(key(task), 1.0)

    def threshold(self, task: Task, label: str) -> float:
        """Return the probability from which a label of a multi-label task holds."""
        return self.thresholds.get(key(task), {}).get(label, THRESHOLD)


def combine_labels(task: Task, binary: Sequence[Prediction], calibration: Calibration) -> list[Prediction]:
    """Return the predictions of a multi-label task from the yes-or-no predictions of its labels, in order.

    A prediction's label names the labels that reach their threshold, with commas between, or else the most
    probable one; its probabilities are those of yes and do not sum to 1.
    """
    predictions = []
    for start in range(0, len(binary), len(task.labels)):
        answers = binary[start : start + len(task.labels)]
        p_yes = {label: p.probabilities["yes"] for label, p in zip(task.labels, answers, strict=True)}
        held = [label for label, p in p_yes.items() if p >= calibration.threshold(task, label)]
        label = ",".join(held) or max(p_yes, key=p_yes.__getitem__)
        predictions.append(Prediction(label, p_yes, answers[0].truncated))
    return predictions


def key(task: Task) -> str:
    """Return the name under which a task's numbers are stored: ``sentiment: negative, positive``."""
    return f"{task.name}: {', '.join(task.labels)}"


def _sharpened(probabilities: Mapping[str, float], temperature: float) -> dict[str, float]:
    """Return p ** (1 / T), scaled to sum to 1."""
    weights = {label: p ** (1.0 / temperature) for label, p in probabilities.items()}
    total = sum(weights.values())
    return {label: weight / total for label, weight in weights.items()}
