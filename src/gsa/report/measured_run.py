"""One measured run, or several folds of one: a results folder's rows with its recipe and stored predictions.

Reads what is on disk and says what of it is missing or does not agree. Imports no torch.
"""

import json
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path

import numpy as np

from gsa.data.task import Task
from gsa.datasets.catalogue import CATALOGUE
from gsa.errors import InputError
from gsa.evaluation import predictions
from gsa.evaluation.metrics import answers_of, measure
from gsa.evaluation.predicted import Predicted, pooled
from gsa.evaluation.results import Result
from gsa.recipes.datasets import DEFAULT_METRICS, metrics_of, task_of
from gsa.recipes.schema import DatasetConfig, Recipe

NOTE, CHOSEN = "run.json", "chosen.json"
"""What runs, and baselines, say of themselves."""


@dataclass(frozen=True)
class Run:
    """One run with the rows of one split."""

    root: Path
    arm: str
    seed: int
    split: str
    rows: tuple[Result, ...]
    recipe: Recipe | None
    """None for rows that no recipe stands beside."""
    folds: "tuple[Run, ...]" = ()
    """The runs of several folds that this one stands for, in order; empty of a run as it is on disk."""
    _kept: dict[tuple[int, str], Predicted | None] = field(
        default_factory=dict, init=False, repr=False, compare=False
    )

    @cached_property
    def sources(self) -> dict[str, DatasetConfig]:
        """The recipe's datasets by name."""
        return {source.name: source for source in self.recipe.datasets} if self.recipe else {}

    @property
    def datasets(self) -> tuple[str, ...]:
        """Names of the datasets that were measured, in the order of the rows."""
        return tuple(dict.fromkeys(row.dataset for row in self.rows))

    @cached_property
    def counts(self) -> dict[str, int]:
        """Training examples by "LEVEL/dataset" (of baselines by dataset), as noted; empty if they are not."""
        try:
            if (self.root / NOTE).is_file():
                data = json.loads((self.root / NOTE).read_text(encoding="utf-8"))["data"]
                return {key: int(each["examples"]) for key, each in data.items()}
            data = json.loads((self.root / CHOSEN).read_text(encoding="utf-8"))
            return {key: int(each["trained on"]) for key, each in data.items()}
        except (OSError, ValueError, KeyError, TypeError, AttributeError):
            return {}

    @property
    def examples(self) -> int:
        """How many training examples it has: of each dataset those of the level with most; 0 if unknown.

        Levels that list a dataset again repeat it.
        """
        most: dict[str, int] = {}
        for key, count in self.counts.items():
            name = key.rpartition("/")[2]
            most[name] = max(most.get(name, 0), count)
        return sum(most.values())

    @property
    def last(self) -> int:
        """The highest level that was measured."""
        return max(row.level for row in self.rows)

    @property
    def few_shot(self) -> bool:
        """Whether a level was tuned on a few examples a class."""
        return self.recipe.few_shot if self.recipe else False

    def learned(self, dataset: str) -> int | None:
        """Return the number of the first level that was tuned on a dataset, None if none was.

        Later levels that list it again replay it: that is part of how it is kept, not of how it was learned.
        """
        levels = self.recipe.levels if self.recipe else ()
        found = [i for i, level in enumerate(levels, 1) if dataset in [s.name for s in level.datasets]]
        return found[0] if found else None

    def title(self, level: int) -> str:
        """Return what a level is called."""
        if level == 0 and not self.recipe:
            return self.arm
        if level <= 0:
            return "untuned" if level == 0 else "majority"
        names = [each.name for each in self.recipe.levels] if self.recipe else []
        return f"after {names[level - 1]}" if level <= len(names) else f"after level {level}"

    def row(self, level: int, dataset: str) -> Result | None:
        """Return the row of a dataset's main metric."""
        metric = main_metric(dataset, self.sources.get(dataset))
        found = [r for r in self.rows if (r.level, r.dataset, r.metric) == (level, dataset, metric)]
        return found[-1] if found else None

    def predicted(self, level: int, dataset: str) -> Predicted | None:
        """Return stored predictions, None where there are none that can be trusted."""
        if (level, dataset) not in self._kept:
            self._kept[level, dataset] = self._read(level, dataset)
        return self._kept[level, dataset]

    def damaged(self) -> list[str]:
        """Return the names of prediction files that are not as they were stored."""
        if self.folds:
            return [name for run in self.folds for name in run.damaged()]
        files = sorted((self.root / predictions.FOLDER).glob(f"level-*/*-{self.split}.parquet"))
        bad = [file for file in files if predictions.load(self.root, file) is None]
        return [file.relative_to(self.root).as_posix() for file in bad]

    def contradictions(self) -> list[str]:
        """Return which main rows of the last level are not what the stored predictions give."""
        if self.folds:
            return [sentence for run in self.folds for sentence in run.contradictions()]
        found = []
        for name in self.datasets:
            row, kept = self.row(self.last, name), self.predicted(self.last, name)
            if row is None or kept is None:
                continue
            value, n = measure(kept.answers, [row.metric])[row.metric]
            if n == row.n and abs(value - row.value) > 0.01:
                found.append(f"{name}: the row says {row.value:.2f}, the predictions give {value:.2f}")
        return found

    def measuring(self, dataset: str) -> "list[Run]":
        """Return the runs of the folds that a dataset's score is taken over: all of one that has folds."""
        there = [run for run in self.folds if dataset in run.datasets]
        return there if dataset in CATALOGUE and CATALOGUE[dataset].folds > 1 else there[:1]

    def _read(self, level: int, dataset: str) -> Predicted | None:
        if self.folds:
            return pooled([run.predicted(level, dataset) for run in self.measuring(dataset)])
        table = predictions.load(self.root, predictions.path_of(self.root, level, dataset, self.split))
        if table is None or not len(table):
            return None
        columns = [name for name in table.columns if name.startswith("p_")]
        task = _task(dataset, self.sources.get(dataset), tuple(name[2:] for name in columns))
        unknown = {
            label for label in table["gold"].to_list() if task.canonical_label(label) not in task.labels
        }
        if unknown:
            raise InputError(
                f"run '{self.root}', level {level}, {dataset}: gold label '{min(unknown)}' has no column of "
                f"probabilities: expected one of {', '.join(task.labels)}"
            )
        answers = answers_of(task, table["gold"].to_list(), table.select(columns).to_numpy())
        if "dialogue" in table.columns:
            number = np.unique(table["dialogue"].to_numpy(), return_inverse=True)[1]
            answers = replace(answers, dialogues=number.astype(np.int64))
        return Predicted(tuple(table["id"].to_list()), answers)


def main_metric(dataset: str, source: DatasetConfig | None = None) -> str:
    """Return the name of a dataset's main metric."""
    if source:
        return metrics_of(source)[0]
    return CATALOGUE[dataset].metrics[0] if dataset in CATALOGUE else DEFAULT_METRICS[0]


def _task(dataset: str, source: DatasetConfig | None, labels: tuple[str, ...]) -> Task:
    """Return the task that these labels are the answers of."""
    known = [task_of(source)] if source else []
    if dataset in CATALOGUE:
        known += [CATALOGUE[dataset].task, *CATALOGUE[dataset].tasks.values()]
    return next((task for task in known if task.labels == labels), Task(dataset, 4, "", labels))
