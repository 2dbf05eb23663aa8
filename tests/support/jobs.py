"""Labelling jobs with a predictor that answers by a text's length."""

import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import polars as pl

from gsa.data.task import SENTIMENT, Task
from gsa.data.types import Example, Prediction, Truncated
from gsa.datasets.record_files import format_of
from gsa.datasets.records import Columns, ReadOptions
from gsa.prediction.job import JobConfig, LabelJob
from gsa.progress import Progress


def predict_by_length(example: Example, task: Task) -> Prediction:
    """Return a prediction that follows from the length of the target, so that texts differ."""
    p = len(example.utterance.line()) % 97 / 97
    rest = (1 - p) / (len(task.labels) - 1)
    probabilities = {label: p if i == 0 else rest for i, label in enumerate(task.labels)}
    label = max(probabilities, key=lambda name: probabilities[name])
    return Prediction(label, probabilities, Truncated(example.target, 0))


class Fake:
    """A predictor that counts, and stops when a test asks it to."""

    def __init__(self, most: int = 10**9) -> None:
        self.seen, self.most = 0, most

    def __call__(
        self, examples: Sequence[Example], task: Any, progress: Callable[[int], None] | None = None
    ) -> list[Prediction]:
        if self.seen + len(examples) > self.most:
            raise KeyboardInterrupt
        self.seen += len(examples)
        return [predict_by_length(example, task) for example in examples]


def make_job(
    path: Path,
    output_format: str,
    predict: Any = None,
    task: Task = SENTIMENT,
    columns: Columns | None = None,
    quotes: bool = True,
    prefix: str = "",
    document: bool = False,
) -> LabelJob:
    read = ReadOptions(format_of(path), columns or Columns(), quotes)
    config = JobConfig(path, read, task, output_format, prefix, {"base": "x"}, document=document)
    return LabelJob(config, predict or Fake(), Progress("x"))


def csv(folder: Path, n: int) -> Path:
    path = folder / "in.csv"
    path.write_text("id,text\n" + "".join(f'{i},"text{"x" * (i % 13)}"\n' for i in range(n)))
    return path


def read(path: Path) -> pl.DataFrame:
    if path.suffix == ".parquet":
        return pl.read_parquet(path)
    if path.suffix == ".jsonl":
        return pl.DataFrame([json.loads(line) for line in path.read_text().splitlines()])
    return pl.read_csv(
        path, separator="\t" if path.suffix == ".tsv" else ",", schema_overrides={"id": pl.String}
    )
