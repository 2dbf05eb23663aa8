"""Baselines: a recipe in, rows and predictions of what needs no language model out.

    out/NAME[-foldK]-sSEED/   results.jsonl, predictions/, recipe.toml, chosen.json, for `gsa report`

Each is trained on the training examples that the recipe's levels read, caps and folds included. Settings are
chosen by the main metric on the dev split; training and dev are never joined. What is there is not computed
again.
"""

import json
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
from numpy.typing import NDArray

from gsa.atomic_io import write_atomic
from gsa.data.task import Task
from gsa.data.types import Example
from gsa.datasets.catalogue import get
from gsa.errors import InputError, suggest
from gsa.evaluation import predictions, results
from gsa.evaluation.metrics import answers_of, measure
from gsa.evaluation.results import Result
from gsa.experiments import baseline_models as learners
from gsa.locking import folder_lock
from gsa.recipes.datasets import load_split, load_splits, metrics_of, task_of, training_examples
from gsa.recipes.loader import STORED_RECIPE, load_recipe
from gsa.recipes.schema import DatasetConfig, Recipe
from gsa.report.measured_run import CHOSEN

Say = Callable[[str], None]
Chances = NDArray[np.float64]
"""Of each label of each test example; shape (examples, labels)."""
LEVEL = 0
"""Under which rows and predictions are kept: no link is merged."""


@dataclass(frozen=True)
class Lesson:
    """One dataset as a baseline sees it."""

    task: Task
    metric: str
    train: list[Example]
    dev: list[Example]
    test: list[Example]
    every: list[Example]
    """All that the dataset's files hold, in no order that matters."""
    say: Say

    def gold_indices(self, examples: Sequence[Example]) -> NDArray[np.int64]:
        """Return the indices of the gold labels; shape (examples,)."""
        labels = self.task.labels
        return np.asarray(
            [labels.index(self.task.canonical_label(str(e.label))) for e in examples], dtype=np.int64
        )

    def score(self, examples: Sequence[Example], chances: Chances) -> float:
        """Return the main metric in percent."""
        answers = answers_of(self.task, [str(e.label) for e in examples], chances)
        return measure(answers, [self.metric])[self.metric][0]


Answer = Callable[[Lesson], tuple[Chances, dict[str, Any]] | None]
"""Returns probabilities on the test split and what was chosen; None for a dataset that it is not for."""


def measure_baselines(
    recipe: Recipe,
    out: Path,
    names: Sequence[str] = (),
    datasets: Sequence[str] = (),
    every_fold: bool = False,
    split: str = "",
    say: Say = print,
) -> list[Path]:
    """Measure baselines on datasets of a recipe (all where none is named); returns their folders.

    `every_fold` measures datasets that have folds on each of them. Raises InputError for an unknown name, a
    missing extra, or folders that hold baselines of other data.
    """
    known = [source.name for source in recipe.datasets]
    _check("baseline", names, list(BASELINES))
    _check("dataset", datasets, known)
    folders = []
    for fold, sources in _folds(recipe, datasets or known, every_fold):
        for name in names or BASELINES:
            run = name + (f"-fold{fold}" if fold else "")
            root = out / f"{run}-s{recipe.seed}"
            with folder_lock(root, "baselines"):
                _claim(recipe, root)
                for source in sources:
                    _measure(
                        recipe, root, run, BASELINES[name], source, split or recipe.evaluation.split, say
                    )
            if (root / results.FILE).is_file():
                folders.append(root)
    return folders


def _check(what: str, names: Sequence[str], known: Sequence[str]) -> None:
    """Raise InputError for a name that is not known."""
    for name in names:
        if name not in known:
            raise InputError(f"{what} '{name}'{suggest(name, known)}: expected one of {', '.join(known)}")


def _folds(recipe: Recipe, names: Sequence[str], every: bool) -> list[tuple[int, list[DatasetConfig]]]:
    """Return each fold with its datasets: the recipe's own, or all folds of those that have some."""
    sources = [source for source in recipe.datasets if source.name in names]
    count = {s.name: 1 if s.path else get(s.name).folds_for(s.protocol) for s in sources}
    if not every:
        return [(max(source.fold for source in sources), sources)]
    found = []
    for fold in range(max(count.values())):
        there = [source for source in sources if fold < count[source.name]]
        changed = [s.model_copy(update={"fold": fold}) if count[s.name] > 1 else s for s in there]
        found.append((fold, changed))
    return found


def _claim(recipe: Recipe, root: Path) -> None:
    """Raise InputError if a folder holds baselines of other datasets, caps or protocols than a recipe's."""
    stored = root / STORED_RECIPE
    if stored.is_file() and load_recipe(stored).datasets != recipe.datasets:
        raise InputError(f"'{root}' holds baselines of other data: expected the same, or another --out")


def _measure(
    recipe: Recipe, root: Path, run: str, answer: Answer, source: DatasetConfig, split: str, say: Say
) -> None:
    task, metrics = task_of(source), metrics_of(source)
    test = load_split(source, split)
    file = predictions.path_of(root, LEVEL, source.name, split)
    table, chosen = predictions.load(root, file), None
    if table is None or table["id"].to_list() != [example.id for example in test]:
        train = training_examples(source, recipe.seed)
        splits = load_splits(source)
        # A few-shot set without a train split draws from dev; otherwise ids of two splits may be alike.
        taken = set() if splits["train"] else {example.id for example in train}
        dev = [example for example in splits["dev"] if example.id not in taken]
        every = [example for examples in splits.values() for example in examples]
        found = answer(Lesson(task, metrics[0], train, dev, test, every, say))
        if found is None:
            return
        table, chosen = _table(task, test, found[0]), found[1]
        write_atomic(root / STORED_RECIPE, recipe.toml())
        predictions.store(root, file, table)
        _note(root, source.name, {"trained on": len(train), **chosen})
    chances = table.select([f"p_{label}" for label in task.labels]).to_numpy()
    numbers = measure(answers_of(task, table["gold"].to_list(), chances), metrics)
    rows = [Result(run, recipe.seed, LEVEL, source.name, split, metric, round(value, 4), n)
            for metric, (value, n) in numbers.items()]  # fmt: skip
    results.add(root, rows)
    what = "kept" if chosen is None else ", ".join(f"{key} {value}" for key, value in chosen.items())
    say(f"{run:<20} {source.name:<10} {rows[0].metric} {rows[0].value:.1f}  n={rows[0].n}  {what}")


def _table(task: Task, test: Sequence[Example], chances: Chances) -> pl.DataFrame:
    columns: dict[str, Any] = {
        "id": [example.id for example in test],
        "dialogue": [example.dialogue.id for example in test],
        "gold": [example.label for example in test],
        "predicted": [task.labels[i] for i in chances.argmax(1)],
    }
    return pl.DataFrame(columns | {f"p_{label}": chances[:, i] for i, label in enumerate(task.labels)})


def _note(root: Path, dataset: str, chosen: dict[str, Any]) -> None:
    file = root / CHOSEN
    before = json.loads(file.read_text(encoding="utf-8")) if file.is_file() else {}
    write_atomic(file, json.dumps({**before, dataset: chosen}, indent=2) + "\n")


def _always(lesson: Lesson, answers: Sequence[int]) -> Chances:
    """Return probability 1 of these labels, of systems that give an answer and no probabilities."""
    chances = np.zeros((len(lesson.test), len(lesson.task.labels)))
    chances[np.arange(len(answers)), answers] = 1.0
    return chances


def _majority(lesson: Lesson) -> tuple[Chances, dict[str, Any]]:
    counts = Counter(lesson.gold_indices(lesson.train).tolist())
    best = max(range(len(lesson.task.labels)), key=lambda i: counts[i])
    return _always(lesson, [best] * len(lesson.test)), {"answer": lesson.task.labels[best]}


def _vader(lesson: Lesson) -> tuple[Chances, dict[str, Any]] | None:
    """Answer by VADER's compound score: from 0 on positive; of three labels neutral within 0.05."""
    labels = lesson.task.labels
    if lesson.task.name != "sentiment" or not {"negative", "positive"} <= set(labels):
        return None
    compound = learners.compound([example.utterance.text for example in lesson.test])
    if "neutral" in labels:
        words = ["positive" if c >= 0.05 else "negative" if c <= -0.05 else "neutral" for c in compound]
    else:
        words = ["positive" if c >= 0 else "negative" for c in compound]
    return _always(lesson, [labels.index(word) for word in words]), {"trained on": 0}


def _tfidf(lesson: Lesson) -> tuple[Chances, dict[str, Any]]:
    texts = [[e.utterance.text for e in examples] for examples in (lesson.train, lesson.dev, lesson.test)]
    return _learned(lesson, {name: learners.tfidf(name, texts) for name in learners.NGRAMS})


def _minilm(lesson: Lesson) -> tuple[Chances, dict[str, Any]]:
    features = learners.sentences(lesson.every, (lesson.train, lesson.dev, lesson.test), False, lesson.say)
    return _learned(lesson, {"target": features})


def _minilm_context(lesson: Lesson) -> tuple[Chances, dict[str, Any]] | None:
    if not lesson.task.context:
        return None
    features = learners.sentences(lesson.every, (lesson.train, lesson.dev, lesson.test), True, lesson.say)
    return _learned(lesson, {"target, mean of history": features})


def _learned(lesson: Lesson, features: dict[str, Any]) -> tuple[Chances, dict[str, Any]]:
    """Return the answers of the logistic regression that is best on dev, the first of equals.

    Its settings are chosen on the first features, and kept for trying the others. Where there is no dev split
    nothing is chosen: the first features and the usual settings are taken.
    """
    gold, size = lesson.gold_indices(lesson.train), len(lesson.task.labels)
    best: tuple[float, Chances, dict[str, Any]] | None = None
    grid = learners.GRID if lesson.dev else learners.GRID[:1]
    for name, (train, dev, test) in list(features.items())[: None if lesson.dev else 1]:
        for settings in grid:
            fitted = learners.regression(train, gold, size, **settings)
            score = lesson.score(lesson.dev, fitted(dev)) if lesson.dev else 0.0
            if best is None or score > best[0]:
                chosen = {"features": name, **settings, "dev": round(score, 2) if lesson.dev else None}
                best = score, fitted(test), chosen
        assert best is not None
        grid = ({key: best[2][key] for key in learners.GRID[0]},)
    assert best is not None
    return best[1], best[2]


BASELINES: dict[str, Answer] = {
    "majority": _majority,
    "vader": _vader,
    "tfidf": _tfidf,
    "minilm": _minilm,
    "minilm-context": _minilm_context,
}
