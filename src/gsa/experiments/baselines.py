"""Baselines: a recipe in, result rows and predictions of systems without a language model out.

    out/NAME[-foldK]-sSEED/   results.jsonl, predictions/, recipe.toml, chosen.json, for `gsa report`

Each baseline is trained on the training examples that the recipe's levels read, caps and folds included.
Settings are chosen by the main metric on the dev split; training and dev are never joined. Predictions are
kept as long as the task and all examples are the same.
"""

import json
import logging
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from gsa.atomic_io import write_atomic
from gsa.datasets.catalogue import get
from gsa.errors import InputError, suggest
from gsa.evaluation import results
from gsa.evaluation.predictions import PredictionStore, examples_digest, to_answers, to_table
from gsa.evaluation.results import SETTINGS, Result, results_of
from gsa.experiments.baseline_systems import ADVICE, BASELINES, BaselineData, tfidf_score
from gsa.locking import folder_lock
from gsa.recipes.datasets import load_split, load_splits, metrics_of, task_of, training_examples
from gsa.recipes.loader import STORED_RECIPE, load_recipe
from gsa.recipes.schema import DatasetConfig, Recipe

logger = logging.getLogger(__name__)
MAX_COMPARED = 20_000
LEVEL = 0
"""The level of baselines' rows and predictions: no link is merged."""


def measure_baselines(
    recipe: Recipe,
    out: Path,
    names: Sequence[str] = (),
    datasets: Sequence[str] = (),
    every_fold: bool = False,
    split: str = "",
) -> list[Path]:
    """Measure baselines on datasets of a recipe (all where none is named); return their folders.

    `every_fold` measures datasets that have folds on each of them. Raises InputError for an unknown name, a
    missing extra, or folders that hold baselines of other data.
    """
    known = [source.name for source in recipe.datasets]
    _check_names("baseline", names, list(BASELINES))
    _check_names("dataset", datasets, known)
    folders = []
    for fold, sources in _folds(recipe, datasets or known, every_fold):
        for name in names or BASELINES:
            run = name + (f"-fold{fold}" if fold else "")
            root = out / f"{run}-s{recipe.seed}"
            with folder_lock(root, "baselines"):
                _check_recipe(recipe, root)
                for source in sources:
                    _measure(recipe, root, name, source, split or recipe.evaluation.split)
            if (root / results.FILE).is_file():
                folders.append(root)
    return folders


def warn_below_tfidf(recipe: Recipe, rows: Sequence[Result], split: str) -> None:
    """Warn for each of the user's own datasets on which a run ends below TF-IDF with logistic regression.

    `rows` are those of the run's evaluation. Datasets that were evaluated in part, or that have more than
    `MAX_COMPARED` training examples, which would take long, are passed over.
    """
    last = max((row.level for row in rows), default=0)
    for source in (config for config in recipe.datasets if config.path and last > 0):
        metric = metrics_of(source)[0]
        main = [row for row in rows if (row.level, row.dataset, row.metric) == (last, source.name, metric)]
        if not main:
            continue
        data = _data(recipe, source, split)
        if len(data.train) > MAX_COMPARED or main[0].n != len(data.test):
            continue
        baseline = tfidf_score(data)
        if baseline is not None and round(main[0].value, 1) < round(baseline, 1):
            logger.warning(
                "%s: %s %.1f is below the %.1f of TF-IDF with logistic regression (gsa baselines); %s",
                source.name, metric, main[0].value, baseline, ADVICE,
            )  # fmt: skip


def _check_names(kind: str, names: Sequence[str], known: Sequence[str]) -> None:
    """Raise InputError for a name that is not known."""
    for name in names:
        if name not in known:
            raise InputError(f"{kind} '{name}'{suggest(name, known)}: expected one of {', '.join(known)}")


def _folds(recipe: Recipe, names: Sequence[str], every_fold: bool) -> list[tuple[int, list[DatasetConfig]]]:
    """Return each fold with its datasets: the recipe's own fold, or all folds of those that have several."""
    sources = [source for source in recipe.datasets if source.name in names]
    counts = {s.name: 1 if s.path else get(s.name).folds_for(s.protocol) for s in sources}
    if not every_fold:
        return [(max(source.fold for source in sources), sources)]
    return [
        (
            fold,
            [
                source.model_copy(update={"fold": fold}) if counts[source.name] > 1 else source
                for source in sources
                if fold < counts[source.name]
            ],
        )
        for fold in range(max(counts.values()))
    ]


def _check_recipe(recipe: Recipe, root: Path) -> None:
    """Raise InputError if a folder holds baselines of other datasets, caps or protocols than a recipe's."""
    stored = root / STORED_RECIPE
    if stored.is_file() and load_recipe(stored).datasets != recipe.datasets:
        raise InputError(f"'{root}' holds baselines of other data: expected the same, or another --out")


def _measure(recipe: Recipe, root: Path, name: str, source: DatasetConfig, split: str) -> None:
    """Add the rows of one baseline on one dataset, from stored predictions where they are still valid."""
    data, store = _data(recipe, source, split), PredictionStore(root)
    fingerprint = examples_digest(data.task, data.train, data.dev, data.test)
    table, status = store.load(LEVEL, source.name, split), "kept"
    if table is None or store.fingerprint(LEVEL, source.name, split) != fingerprint:
        answer = BASELINES[name](data)
        if answer is None:
            return
        probabilities, settings = answer
        table = to_table(data.task, data.test, probabilities)
        write_atomic(root / STORED_RECIPE, recipe.toml())
        store.store(LEVEL, source.name, split, table, fingerprint)
        _store_settings(root, source.name, {"trained on": len(data.train), **settings})
        status = ", ".join(f"{key} {value}" for key, value in settings.items())
    run = root.name.removesuffix(f"-s{recipe.seed}")
    key = {"run": run, "seed": recipe.seed, "level": LEVEL, "dataset": source.name, "split": split}
    rows = results_of(to_answers(data.task, table), metrics_of(source), **key)
    results.add(root, rows)
    main = rows[0]
    logger.info("%-20s %-10s %s %.1f  n=%d  %s", run, source.name, main.metric, main.value, main.n, status)


def _data(recipe: Recipe, source: DatasetConfig, split: str) -> BaselineData:
    """Read the splits of a dataset; dev has no example that a few-shot training set was drawn from."""
    test, train, splits = (
        load_split(source, split),
        training_examples(source, recipe.seed),
        load_splits(source),
    )
    # A few-shot dataset without a train split draws from dev; otherwise ids of two splits may be the same.
    drawn = set() if splits["train"] else {example.id for example in train}
    dev = [example for example in splits["dev"] if example.id not in drawn]
    pool = [example for examples in splits.values() for example in examples]
    return BaselineData(task_of(source), metrics_of(source)[0], train, dev, test, pool)


def _store_settings(root: Path, dataset: str, settings: dict[str, Any]) -> None:
    file = root / SETTINGS
    before = json.loads(file.read_text(encoding="utf-8")) if file.is_file() else {}
    write_atomic(file, json.dumps({**before, dataset: settings}, indent=2) + "\n")
