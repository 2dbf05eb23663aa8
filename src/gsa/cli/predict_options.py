"""The options of `gsa predict`, and the model and task that they name."""

import logging
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from gsa.data.task import Task
from gsa.datasets.records import ReadOptions
from gsa.errors import InputError, suggest
from gsa.prediction.inputs import instruction_text
from gsa.prediction.loading import load
from gsa.prediction.predictor import Predictor

logger = logging.getLogger(__name__)
COLUMN_OPTIONS = (
    "text", "speaker", "dialogue-id", "order", "aspect-column", "instruction-column", "labels-column"
)  # fmt: skip
"""Options that name the Columns of a file, in their order."""


@dataclass(frozen=True)
class PredictOptions:
    """The options of `gsa predict`."""

    model: str | None = None
    level: int | None = None
    precision: str = "auto"
    read: ReadOptions = field(default_factory=lambda: ReadOptions(""))
    """How the input is read; its format is empty where the input's suffix gives it."""
    output: Path | None = None
    labels: Sequence[str] = ()
    instruction: str = ""
    context: bool = False
    """Whether a task reads the turns before the target, even if it was not tuned to."""
    only: tuple[str, ...] = ()
    """Labels whose rows are written; empty is all."""
    min_probability: float = 0.0
    """Of the label, below which a row is not written."""
    min_confidence: float = 0.0
    """The most probable label is given if its probability is as high."""
    document: bool = False
    """Whether every text is read in passages."""
    explain: bool = False
    """Whether the effect of each word of a text is printed too."""
    prefix: str = ""
    rejects: Path | None = None
    overwrite: bool = False
    as_json: bool = False
    device: str = ""
    """Of the model; empty is the default one."""
    aspects: tuple[str, ...] = ()
    """What is asked about in a text."""

    def of_files(self) -> dict[str, object]:
        """Return the options that say how files are read and written, by name."""
        columns = {f"--{name}": value for name, value in zip(COLUMN_OPTIONS, self.read.columns, strict=True)}
        return {
            "--output": self.output, "--only": self.only, "--min": self.min_probability,
            "--rejects": self.rejects, "--prefix": self.prefix, "--overwrite": self.overwrite, **columns,
            "--format": self.read.format, "--encoding": self.read.encoding,
            "--delimiter": self.read.delimiter, "--no-quotes": not self.read.quotes,
        }  # fmt: skip

    def load(self, task: str) -> tuple[Predictor, Task]:
        """Return the model, and the task with its labels; raises InputError for labels it does not have."""
        predictor = load(self.model, self.level, self.device, self.precision)
        if predictor.precision != "float32":
            logger.info("precision %s", predictor.precision)
        in_rows = bool(self.read.columns.labels) and task not in predictor.tasks and not self.labels
        instruction = instruction_text(self.instruction)
        if self.read.columns.instruction and task not in predictor.tasks:
            instruction = instruction or task  # each row has its own
        if in_rows and instruction:  # a row without a label list is rejected
            chosen = Task(task, 4, instruction, context=self.context)
        else:
            chosen = predictor.task(task, self.labels, instruction, self.context)
        if chosen.name in predictor.tasks.keys() - predictor.tuned and not self.instruction:
            logger.warning("no level was tuned on the task '%s': its labels are guesses", chosen.name)
        for label in self.only:
            if label not in chosen.labels and not self.read.columns.labels:
                near = suggest(label, chosen.labels)
                raise InputError(f"--only '{label}'{near}: expected one of {', '.join(chosen.labels)}")
        return predictor, chosen
