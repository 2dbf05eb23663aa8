"""Arms of a study, read from disk: results folders in, runs with their rows and predictions out.

A run is a folder with results.jsonl and, where there are any, recipe.toml, run.json, log.jsonl and
predictions/. An arm is what runs of one recipe with several seeds have in common: the recipe's name, without
an ending such as `-s1` that says the seed. Runs whose names end in `-fold1`, `-fold2` ... are read as one
with the run of that name, which has fold 0. Imports no torch.
"""

import re
from collections.abc import Collection, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

from gsa.errors import InputError
from gsa.evaluation import results
from gsa.evaluation.metrics import Answers, measure
from gsa.evaluation.results import Result
from gsa.recipes.loader import STORED_RECIPE, load_recipe
from gsa.report.measured_run import Run


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
    """Return the run of one fold as it is, and those of several as one, scored on all folds' predictions.

    Where some have no predictions the score is the mean over the folds. A dataset that has no folds is that
    of the first of them. Raises InputError if they end at different levels.
    """
    if len(folds) == 1:
        return replace(folds[0], arm=arm)
    ends = {run.last: run.root for run in folds}
    if len(ends) > 1:
        told = ", ".join(f"level {level} in '{root}'" for level, root in sorted(ends.items()))
        raise InputError(f"arm '{arm}': its folds end at {told}: expected the same levels in all folds")
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
        rows += [_of_folds(whole, mine) for mine in alike.values()]
    return replace(whole, rows=tuple(rows))


def _of_folds(whole: Run, rows: Sequence[Result]) -> Result:
    """Return the row of all folds together; `rows` has one a fold."""
    row = replace(rows[0], run=whole.arm)
    kept = whole.predicted(row.level, row.dataset)
    if kept is None:
        return replace(
            row, value=float(np.mean([each.value for each in rows])), n=sum(each.n for each in rows)
        )
    value, n = measure(kept.answers, [row.metric])[row.metric]
    return replace(row, value=round(value, 4), n=n)


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


def common(
    runs: Sequence[tuple[Run, int]], dataset: str, without: Collection[str] = ()
) -> list[Answers] | None:
    """Return each (run, level)'s answers to what all of them answered, but for `without`, in one order.

    None where some have no predictions, no example is common, or labels or gold differ.
    """
    found = [run.predicted(level, dataset) for run, level in runs]
    whole = [each for each in found if each is not None]
    if not whole or len(whole) < len(found):
        return None
    shared = set(whole[0].ids).intersection(*(each.ids for each in whole[1:]))
    ids = [id for id in whole[0].ids if id in shared and id not in without]
    answers = [each.of(ids) for each in whole]
    alike = all(each.labels == answers[0].labels and (each.gold == answers[0].gold).all() for each in answers)
    return answers if ids and alike else None
