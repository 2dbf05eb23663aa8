"""Arms of a study, read from disk: results folders in, runs with their rows and predictions out.

A run is a folder with results.jsonl and, where there are any, recipe.toml, run.json, log.jsonl and
predictions/. An arm is what runs of one recipe with several seeds have in common: the recipe's name, without
an ending such as `-s1` that says the seed. Runs whose names end in `-fold1`, `-fold2` ... are read as one
with the run of that name, which has fold 0. Imports no torch.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path

import numpy as np

from gsa.chain.batches import OWN_METRICS, metrics_of, task_of
from gsa.chain.recipe import Recipe, Source
from gsa.chain.recipe_file import STORED_RECIPE, load_recipe
from gsa.datasets.catalogue import CATALOGUE
from gsa.errors import InputError
from gsa.evaluation import predictions, results
from gsa.evaluation.metrics import Answers, answers_of, measure
from gsa.evaluation.predicted import Predicted, pooled
from gsa.evaluation.results import Result
from gsa.tasks.task import Task


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
    def sources(self) -> dict[str, Source]:
        """The recipe's datasets by name."""
        return {source.name: source for source in self.recipe.sources()} if self.recipe else {}

    @property
    def datasets(self) -> tuple[str, ...]:
        """Names of the datasets that were measured, in the order of the rows."""
        return tuple(dict.fromkeys(row.dataset for row in self.rows))

    @property
    def last(self) -> int:
        """The highest level that was measured."""
        return max(row.level for row in self.rows)

    @property
    def few_shot(self) -> bool:
        """Whether a level was tuned on a few examples a class."""
        return any(source.per_class for source in self.recipe.sources(every=True)) if self.recipe else False

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
        unknown = {label for label in table["gold"].to_list() if task.asked(label) not in task.labels}
        if unknown:
            raise InputError(
                f"run '{self.root}', level {level}, {dataset}: gold label '{min(unknown)}' has no column of "
                f"probabilities: expected one of {', '.join(task.labels)}"
            )
        answers = answers_of(task, table["gold"].to_list(), table.select(columns).to_numpy())
        return Predicted(tuple(table["id"].to_list()), answers)


def main_metric(dataset: str, source: Source | None = None) -> str:
    """Return the name of a dataset's main metric."""
    if source:
        return metrics_of(source)[0]
    return CATALOGUE[dataset].metrics[0] if dataset in CATALOGUE else OWN_METRICS[0]


def _task(dataset: str, source: Source | None, labels: tuple[str, ...]) -> Task:
    """Return the task that these labels are the answers of."""
    known = [task_of(source)] if source else []
    if dataset in CATALOGUE:
        known += [CATALOGUE[dataset].task, *CATALOGUE[dataset].tasks.values()]
    return next((task for task in known if task.labels == labels), Task(dataset, 4, "", labels))


def read_runs(folders: Sequence[Path], split: str = "test") -> list[Run]:
    """Return the runs of results folders, or of folders of such, that have rows of a split.

    Raises InputError for a folder without rows, damaged rows, or an arm that has a seed or a fold twice.
    """
    found: dict[tuple[str, int], dict[int, Run]] = {}
    for folder in folders:
        for root in _roots(folder):
            for run in _runs(root, split):
                name, _, fold = run.arm.rpartition("-fold")
                arm, number = (name, int(fold)) if name and fold.isdecimal() else (run.arm, 0)
                folds = found.setdefault((arm, run.seed), {})
                if number in folds:
                    what = f"seed {run.seed}" + (f", fold {number}," if number else "")
                    raise InputError(
                        f"arm '{arm}' has {what} in '{folds[number].root}' and in '{root}': "
                        "expected each seed once, and arms of distinct names"
                    )
                folds[number] = run
    if not found:
        raise InputError(f"{', '.join(map(str, folders))}: no rows of the {split} split: run gsa eval first")
    return [_as_one(arm, [folds[i] for i in sorted(folds)]) for (arm, _), folds in found.items()]


def _as_one(arm: str, folds: Sequence[Run]) -> Run:
    """Return the run of one fold as it is, and those of several as one: scores are means over the folds.

    A dataset that has no folds is that of the first of them.
    """
    if len(folds) == 1:
        return replace(folds[0], arm=arm)
    whole = replace(
        folds[0], arm=arm, rows=tuple(row for run in folds for row in run.rows), folds=tuple(folds)
    )
    rows: list[Result] = []
    for name in whole.datasets:
        alike: dict[tuple[int, str], list[Result]] = {}
        for run in whole.measuring(name):
            for row in run.rows:
                if row.dataset == name:
                    alike.setdefault((row.level, row.metric), []).append(row)
        rows += [replace(mine[0], run=arm, value=float(np.mean([row.value for row in mine])),
                         n=sum(row.n for row in mine)) for mine in alike.values()]  # fmt: skip
    return replace(whole, rows=tuple(rows))


def _roots(folder: Path) -> list[Path]:
    if (folder / results.FILE).is_file():
        return [folder]
    below = sorted(file.parent for file in folder.glob(f"*/{results.FILE}"))
    if not below:
        raise InputError(
            f"'{folder}': no {results.FILE} in it or one folder below: expected a run that gsa eval measured"
        )
    return below


def _runs(root: Path, split: str) -> list[Run]:
    """Return the runs whose rows are in one folder: usually one, baselines may share a folder."""
    stored = root / STORED_RECIPE
    recipe = load_recipe(stored) if stored.is_file() else None
    rows = [row for row in results.read(root) if row.split == split]
    found = []
    for name, seed in dict.fromkeys((row.run, row.seed) for row in rows):
        mine = tuple(row for row in rows if (row.run, row.seed) == (name, seed))
        own = recipe if recipe and (recipe.name, recipe.seed) == (name, seed) else None
        found.append(Run(root, name.removesuffix(f"-s{seed}"), seed, split, mine, own))
    return found


def by_arm(runs: Sequence[Run]) -> dict[str, list[Run]]:
    """Return the runs of each arm by seed, arms in the order of first appearance.

    A run that was not yet measured up to the level that others of its arm reach is left out.
    """
    arms: dict[str, list[Run]] = {}
    for run in sorted(runs, key=lambda run: run.seed):
        arms.setdefault(run.arm, []).append(run)
    order = dict.fromkeys(run.arm for run in runs)
    return {arm: [run for run in arms[arm] if run.last == max(r.last for r in arms[arm])] for arm in order}


def size_of(run: Run) -> str:
    """Return how many parameters a run's backbone has, as its name says; empty where it does not."""
    name = run.recipe.backbone.name if run.recipe else ""
    found = re.search(r"(?<![\w.])(\d+(?:\.\d+)?[mb])(?![a-z])", name.lower().replace("_", "-"))
    return found[1].upper() if found else ""


def common(runs: Sequence[tuple[Run, int]], dataset: str) -> list[Answers] | None:
    """Return each (run, level)'s answers to the examples that all of them answered, in one order.

    None where some have no predictions, no example is common, or labels or gold differ.
    """
    found = [run.predicted(level, dataset) for run, level in runs]
    whole = [each for each in found if each is not None]
    if not whole or len(whole) < len(found):
        return None
    shared = set(whole[0].ids).intersection(*(each.ids for each in whole[1:]))
    ids = [id for id in whole[0].ids if id in shared]
    answers = [each.of(ids) for each in whole]
    alike = all(each.labels == answers[0].labels and (each.gold == answers[0].gold).all() for each in answers)
    return answers if ids and alike else None
