"""One measured run, or several folds of one: the rows of a results folder with its recipe and predictions.

Reads what is on disk and reports what is missing or inconsistent. Imports no torch.
"""

import json
from collections.abc import Collection
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path

from gsa.data.task import Task
from gsa.datasets.catalogue import CATALOGUE
from gsa.errors import InputError
from gsa.evaluation.metrics import measure
from gsa.evaluation.predictions import Predictions, PredictionStore, concatenate, labels_of, to_answers
from gsa.evaluation.results import MAJORITY, SETTINGS, Result
from gsa.recipes.datasets import DEFAULT_METRICS, metrics_of, task_of
from gsa.recipes.schema import DatasetConfig, Recipe

NOTE = "run.json"
"""What a run was made from; a constant of its own, since training imports torch."""
PROGRESSIVE, MULTI_TASK, SINGLE_TASK = "progressive", "multi-task", "single-task"


@dataclass(frozen=True)
class MeasuredRun:
    """One run with the rows of one split."""

    root: Path
    arm: str
    seed: int
    split: str
    rows: tuple[Result, ...]
    recipe: Recipe | None
    """None for rows without a recipe of their own, such as those of baselines."""
    folds: "tuple[MeasuredRun, ...]" = ()
    """The runs of several folds that this one combines, in order; empty for a run as it is on disk."""
    further: tuple[Path, ...] = ()
    """Further folders with rows of this run: where datasets were evaluated that it was not tuned on."""
    _cache: dict[tuple[int, str], Predictions | None] = field(
        default_factory=dict, init=False, repr=False, compare=False
    )

    @cached_property
    def sources(self) -> dict[str, DatasetConfig]:
        """The recipe's datasets by name."""
        return {source.name: source for source in self.recipe.evaluated_datasets} if self.recipe else {}

    @property
    def datasets(self) -> tuple[str, ...]:
        """Names of the measured datasets, in the order of the rows."""
        return tuple(dict.fromkeys(row.dataset for row in self.rows))

    @cached_property
    def example_counts(self) -> dict[str, int]:
        """Training examples by "LEVEL/dataset" (of baselines by dataset); empty if they were not stored."""
        try:
            if (self.root / NOTE).is_file():
                data = json.loads((self.root / NOTE).read_text(encoding="utf-8"))["data"]
                return {key: int(entry["examples"]) for key, entry in data.items()}
            data = json.loads((self.root / SETTINGS).read_text(encoding="utf-8"))
            return {key: int(entry["trained on"]) for key, entry in data.items()}
        except (OSError, ValueError, KeyError, TypeError, AttributeError):
            return {}

    @property
    def training_examples(self) -> int:
        """Number of training examples, 0 if unknown; a dataset of several levels counts once."""
        most: dict[str, int] = {}
        for key, count in self.example_counts.items():
            dataset = key.rpartition("/")[2]
            most[dataset] = max(most.get(dataset, 0), count)
        return sum(most.values())

    @property
    def last(self) -> int:
        """The highest level that was measured."""
        return max(row.level for row in self.rows)

    @property
    def few_shot(self) -> bool:
        """Whether a level was tuned on a few examples per class."""
        return self.recipe.few_shot if self.recipe else False

    @cached_property
    def strategy(self) -> str:
        """`progressive` (levels of ascending tasks), `multi-task`, `single-task` (one level), or empty."""
        tasks = [[task_of(s) for s in level.datasets] for level in self.recipe.levels] if self.recipe else []
        if len(tasks) == 1:
            return MULTI_TASK if len({task.name for task in tasks[0]}) > 1 else SINGLE_TASK
        numbers = [max(task.level for task in level) for level in tasks]
        return PROGRESSIVE if numbers and numbers == sorted(set(numbers)) else ""

    def learned_at(self, dataset: str) -> int | None:
        """Return the number of the first level that was tuned on a dataset, None if none was.

        A later level that lists it again replays it, which is part of how it is kept.
        """
        levels = self.recipe.levels if self.recipe else ()
        numbers = [
            number
            for number, level in enumerate(levels, 1)
            if dataset in [source.name for source in level.datasets]
        ]
        return numbers[0] if numbers else None

    def tuned_beside(self, datasets: Collection[str]) -> list[str]:
        """Return the other datasets of the levels that were tuned on some of `datasets`.

        Of a level that mixes the paper's subtasks, those of the same subtask.
        """
        names: list[str] = []
        for level in self.recipe.levels if self.recipe else ():
            subtasks = {source.name: task_of(source).level for source in level.datasets}
            known = {subtask for name, subtask in subtasks.items() if name in datasets}
            is_mixed = bool({1, 2, 3} & set(subtasks.values()) - known)
            names += [
                name
                for name, subtask in subtasks.items()
                if known and name not in datasets and (subtask in known or not is_mixed)
            ]
        return list(dict.fromkeys(names))

    def level_title(self, level: int) -> str:
        """Return what tables call a level."""
        if level == 0 and not self.recipe:
            return self.arm
        if level <= 0:
            return "majority" if level == MAJORITY else "untuned"
        names = [link.name for link in self.recipe.levels] if self.recipe else []
        return f"after {names[level - 1]}" if level <= len(names) else f"after level {level}"

    def metric(self, dataset: str) -> str:
        """Return the name of a dataset's main metric."""
        return main_metric(dataset, self.sources.get(dataset))

    def main_row(self, level: int, dataset: str) -> Result | None:
        """Return the row of a dataset's main metric."""
        key = level, dataset, self.metric(dataset)
        rows = [row for row in self.rows if (row.level, row.dataset, row.metric) == key]
        return rows[-1] if rows else None

    def predictions(self, level: int, dataset: str) -> Predictions | None:
        """Return stored predictions; None where they are missing or damaged."""
        if (level, dataset) not in self._cache:
            self._cache[level, dataset] = self._read(level, dataset)
        return self._cache[level, dataset]

    def damaged_files(self) -> list[str]:
        """Return the names of prediction files that are not as they were stored."""
        if self.folds:
            return [name for run in self.folds for name in run.damaged_files()]
        names = []
        for root in (self.root, *self.further):
            store = PredictionStore(root)
            files = sorted(store.folder.glob(f"level-*/*-{self.split}.parquet"))
            names += [file.relative_to(root).as_posix() for file in files if not store.is_intact(file)]
        return names

    def contradictions(self) -> list[str]:
        """Return which main rows of the last level differ from what the stored predictions give."""
        if self.folds:
            return [sentence for run in self.folds for sentence in run.contradictions()]
        sentences = []
        for name in self.datasets:
            row, predictions = self.main_row(self.last, name), self.predictions(self.last, name)
            if row is None or predictions is None:
                continue
            value, n = measure(predictions.answers, [row.metric])[row.metric]
            if n == row.n and abs(value - row.value) > 0.01:
                sentences.append(f"{name}: the row says {row.value:.2f}, the predictions give {value:.2f}")
        return sentences

    def fold_runs(self, dataset: str) -> "list[MeasuredRun]":
        """Return the folds that a score is taken over: all for a dataset with folds, else the first."""
        runs = [run for run in self.folds if dataset in run.datasets]
        return runs if dataset in CATALOGUE and CATALOGUE[dataset].folds > 1 else runs[:1]

    def _read(self, level: int, dataset: str) -> Predictions | None:
        if self.folds:
            return concatenate([run.predictions(level, dataset) for run in self.fold_runs(dataset)])
        stored = (
            PredictionStore(root).load(level, dataset, self.split) for root in (self.root, *self.further)
        )
        table = next((table for table in stored if table is not None), None)
        if table is None or not len(table):
            return None
        task = _task(dataset, self.sources.get(dataset), labels_of(table))
        gold = {task.canonical_label(label) for label in table["gold"].to_list()}
        if unknown := gold - set(task.labels):
            raise InputError(
                f"run '{self.root}', level {level}, {dataset}: gold label '{min(unknown)}' has no column of "
                f"probabilities: expected one of {', '.join(task.labels)}"
            )
        return Predictions(tuple(table["id"].to_list()), to_answers(task, table))


def main_metric(dataset: str, source: DatasetConfig | None = None) -> str:
    """Return the name of a dataset's main metric; `source` is the recipe's entry, if there is one."""
    if source:
        return metrics_of(source)[0]
    return CATALOGUE[dataset].metrics[0] if dataset in CATALOGUE else DEFAULT_METRICS[0]


def _task(dataset: str, source: DatasetConfig | None, labels: tuple[str, ...]) -> Task:
    """Return the task whose labels these are."""
    known = [task_of(source)] if source else []
    if dataset in CATALOGUE:
        known += [CATALOGUE[dataset].task, *CATALOGUE[dataset].tasks.values()]
    return next((task for task in known if task.labels == labels), Task(dataset, 4, "", labels))
