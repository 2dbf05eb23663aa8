"""Arms of a study, read from disk: results folders in, runs with their rows and predictions out.

A run is a folder with results.jsonl and, where there are any, recipe.toml, run.json, log.jsonl and
predictions/. An arm is one recipe with several seeds: the recipe's name, without an ending such as `-s1`
that gives the seed. Runs whose names end in `-fold1`, `-fold2` ... are combined with the run of that name,
which has fold 0. Imports no torch.
"""

import re
from collections.abc import Collection, Sequence
from dataclasses import replace
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np

from gsa.errors import InputError
from gsa.evaluation import results
from gsa.evaluation.metrics import Answers, measure
from gsa.evaluation.results import Result
from gsa.recipes.loader import STORED_RECIPE, load_recipe
from gsa.report.measured_run import NOTE, MeasuredRun


def read_runs(folders: Sequence[Path], split: str = "test") -> list[MeasuredRun]:
    """Return the runs of results folders, or of folders of such, that have rows of a split.

    Raises InputError for a folder without rows, damaged rows, an arm that has a seed or a fold twice, or
    an arm whose runs were tuned by different recipes.
    """
    runs: dict[tuple[str, int], dict[int, MeasuredRun]] = {}
    for folder in folders:
        for root in _roots(folder):
            for run in _read_folder(root, split):
                name, _, suffix = run.arm.rpartition("-fold")
                arm, fold = (name, int(suffix)) if name and suffix.isdecimal() else (run.arm, 0)
                by_fold = runs.setdefault((arm, run.seed), {})
                if fold in by_fold and (joined := _join(by_fold[fold], run)):
                    by_fold[fold] = joined
                    continue
                if fold in by_fold:
                    which = f"seed {run.seed}" + (f", fold {fold}," if fold else "")
                    raise InputError(
                        f"arm '{arm}' has {which} in '{by_fold[fold].root}' and in '{root}': "
                        "expected each seed once, and arms of distinct names"
                    )
                by_fold[fold] = run
    if not runs:
        raise InputError(f"{', '.join(map(str, folders))}: no rows of the {split} split: run gsa eval first")
    arms: dict[str, list[MeasuredRun]] = {}
    for (arm, _), by_fold in runs.items():
        arms.setdefault(arm, []).extend(by_fold.values())
    for arm, members in arms.items():
        for first, second in pairwise(members):
            _check_same_recipe(arm, first, second)
    return [_combine(arm, [by_fold[fold] for fold in sorted(by_fold)]) for (arm, _), by_fold in runs.items()]


def _join(first: MeasuredRun, second: MeasuredRun) -> MeasuredRun | None:
    """Return a run and further results of it in another folder as one; None if they are not of one run.

    The run itself, which has what it was tuned with, is the folder that stays. Where both have a row, the
    values must be equal.
    """
    if first.recipe is None or second.recipe is None or first.root.samefile(second.root):
        return None
    if not (first.root / NOTE).is_file():
        first, second = second, first
    recipe, others = first.recipe, second.recipe
    if recipe is None or others is None or (second.root / NOTE).is_file():
        return None
    if recipe.model_copy(update={"evaluation": others.evaluation}) != others:
        return None
    values = {results.key(row): row.value for row in first.rows}
    if any(values.get(results.key(row), row.value) != row.value for row in second.rows):
        return None
    tuned = {config.name for config in recipe.datasets}
    datasets = tuple(
        config
        for config in {c.name: c for one in (others, recipe) for c in one.evaluated_datasets}.values()
        if config.name not in tuned
    )
    evaluation = recipe.evaluation.model_copy(update={"datasets": datasets or None})
    return replace(
        first,
        rows=(*first.rows, *(row for row in second.rows if results.key(row) not in values)),
        recipe=recipe.model_copy(update={"evaluation": evaluation}),
        further=(*first.further, second.root, *second.further),
    )


def _check_same_recipe(arm: str, first: MeasuredRun, second: MeasuredRun) -> None:
    """Raise InputError if two runs of an arm differ in more than name, seed and fold."""
    settings = [_settings(run) for run in (first, second)]
    for key in settings[0].keys() & settings[1].keys():
        if settings[0][key] != settings[1][key] and not _differ_by_seed(key, first, second):
            raise InputError(
                f"arm '{arm}': the recipes in '{first.root}' and '{second.root}' differ in {key}: expected "
                "one recipe per arm, with several seeds; give one of them another name"
            )


def _settings(run: MeasuredRun) -> dict[str, Any]:
    """Return what all seeds of an arm have in common: of tuned runs the model too, of baselines the data."""
    recipe = run.recipe
    if recipe is None:
        stored = run.root / STORED_RECIPE
        sources = load_recipe(stored).datasets if stored.is_file() else []
        return {"datasets": [source.model_dump(exclude={"fold", "balance"}) for source in sources]}
    levels = []
    for level in recipe.levels:
        datasets = [
            {**source.model_dump(exclude={"fold"}), "balance": level.balance_of(source)}
            for source in level.datasets
        ]
        levels.append(
            {**level.model_dump(exclude={"datasets", "balance", "stop_step"}), "datasets": datasets}
        )
    return {
        "backbone": recipe.backbone.model_dump(exclude={"attention"}),
        "layout": recipe.layout,
        "lora": recipe.lora,
        "training": recipe.training.model_dump(exclude={"checkpoint_steps", "recompute", "report_to"}),
        "levels": levels,
    }


def _differ_by_seed(key: str, first: MeasuredRun, second: MeasuredRun) -> bool:
    """Return whether two backbones are runs that are called alike but for the seed."""
    if key != "backbone" or first.recipe is None or second.recipe is None:
        return False
    one, two = (
        run.recipe.backbone.model_copy(
            update={"name": re.sub(rf"(?<!\d){run.seed}(?!\d)", "{seed}", run.recipe.backbone.name)}
        )
        for run in (first, second)
        if run.recipe
    )
    return one == two


def _combine(arm: str, folds: Sequence[MeasuredRun]) -> MeasuredRun:
    """Return the run of one fold as it is, and those of several as one, scored on all folds' predictions.

    Where some have no predictions the score is the mean over the folds. A dataset without folds is that of
    the first fold. Raises InputError if the folds end at different levels.
    """
    if len(folds) == 1:
        return replace(folds[0], arm=arm)
    ends = {run.last: run.root for run in folds}
    if len(ends) > 1:
        levels = ", ".join(f"level {level} in '{root}'" for level, root in sorted(ends.items()))
        raise InputError(f"arm '{arm}': its folds end at {levels}: expected the same levels in all folds")
    combined = replace(
        folds[0], arm=arm, rows=tuple(row for run in folds for row in run.rows), folds=tuple(folds)
    )
    rows: list[Result] = []
    for name in combined.datasets:
        by_metric: dict[tuple[int, str], list[Result]] = {}
        for run in combined.fold_runs(name):
            for row in run.rows:
                if row.dataset == name:
                    by_metric.setdefault((row.level, row.metric), []).append(row)
        rows += [_combine_rows(combined, fold_rows) for fold_rows in by_metric.values()]
    return replace(combined, rows=tuple(rows))


def _combine_rows(combined: MeasuredRun, rows: Sequence[Result]) -> Result:
    """Return the row of all folds together; `rows` has one per fold."""
    row = replace(rows[0], run=combined.arm)
    predictions = combined.predictions(row.level, row.dataset)
    if predictions is None:
        return replace(row, value=float(np.mean([r.value for r in rows])), n=sum(r.n for r in rows))
    value, n = measure(predictions.answers, [row.metric])[row.metric]
    return replace(row, value=round(value, 4), n=n)


def _roots(folder: Path) -> list[Path]:
    if (folder / results.FILE).is_file():
        return [folder]
    roots = sorted(file.parent for file in folder.glob(f"*/{results.FILE}"))
    if not roots:
        raise InputError(
            f"'{folder}': no {results.FILE} in it or one folder below: expected a run that gsa eval measured"
        )
    return roots


def _read_folder(root: Path, split: str) -> list[MeasuredRun]:
    """Return the runs whose rows are in one folder: usually one, but baselines may share a folder."""
    stored = root / STORED_RECIPE
    recipe = load_recipe(stored) if stored.is_file() else None
    rows = [row for row in results.read(root) if row.split == split]
    runs = []
    for name, seed in dict.fromkeys((row.run, row.seed) for row in rows):
        own_rows = tuple(row for row in rows if (row.run, row.seed) == (name, seed))
        own_recipe = recipe if recipe and (recipe.name, recipe.seed) == (name, seed) else None
        runs.append(MeasuredRun(root, name.removesuffix(f"-s{seed}"), seed, split, own_rows, own_recipe))
    return runs


def by_arm(runs: Sequence[MeasuredRun]) -> dict[str, list[MeasuredRun]]:
    """Return the runs of each arm by seed, arms in the order of first appearance.

    A run that is not measured up to the level that others of its arm reach is left out.
    """
    arms: dict[str, list[MeasuredRun]] = {run.arm: [] for run in runs}
    for run in sorted(runs, key=lambda run: run.seed):
        arms[run.arm].append(run)
    return {
        arm: [run for run in members if run.last == max(member.last for member in members)]
        for arm, members in arms.items()
    }


def backbone_size(run: MeasuredRun) -> str:
    """Return the number of parameters that a backbone's name gives, such as 135M; empty if it gives none."""
    name = run.recipe.backbone.name if run.recipe else ""
    match = re.search(r"(?<![\w.])(\d+(?:\.\d+)?[mb])(?![a-z])", name.lower().replace("_", "-"))
    return match[1].upper() if match else ""


def common_answers(
    models: Sequence[tuple[MeasuredRun, int]], dataset: str, without: Collection[str] = ()
) -> list[Answers] | None:
    """Return each (run, level)'s answers to the examples that all of them answered, in one order.

    Examples whose ids are in `without` are left out. None where predictions are missing, no example is
    common, or labels or gold differ.
    """
    stored = [run.predictions(level, dataset) for run, level in models]
    present = [predictions for predictions in stored if predictions is not None]
    if not present or len(present) < len(stored):
        return None
    shared = set(present[0].ids).intersection(*(predictions.ids for predictions in present[1:]))
    ids = [id for id in present[0].ids if id in shared and id not in without]
    answers = [predictions.select(ids) for predictions in present]
    first = answers[0]
    comparable = all(a.labels == first.labels and (a.gold == first.gold).all() for a in answers)
    return answers if ids and comparable else None
