"""Fits a chain's calibration on dev sets: a run in, temperatures and thresholds out, stored with the chain.

A temperature is fitted for each task and label list on the dev sets of all its datasets, each with the same
weight, by the negative log-likelihood of the gold labels. The thresholds of a multi-label task are those with
the best F1 of each label.
"""

import logging
from collections import defaultdict
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import minimize_scalar

from gsa.chain.calibration import Calibration, key
from gsa.chain.chain import Chain
from gsa.data.task import Task
from gsa.errors import InputError
from gsa.evaluation.evaluate import Evaluator
from gsa.evaluation.measurements import sample_examples
from gsa.evaluation.metrics import Answers, answers_of, best_thresholds
from gsa.locking import folder_lock
from gsa.progress import Progress
from gsa.recipes.datasets import load_splits, task_of

logger = logging.getLogger(__name__)
DEFAULT_LIMIT = 1000
"""Dev examples of a dataset that are read."""
SMALLEST = 1e-12
"""Added to probabilities before their logarithm."""


def calibrate(root: Path, limit: int = DEFAULT_LIMIT, datasets: Sequence[str] = ()) -> Calibration:
    """Fit the calibration of a run's last level on at most `limit` dev examples of each dataset and store it.

    A `limit` of 0 is all. With `datasets` only the tasks of these are fitted, on these alone, and what is
    stored of other tasks stays. Raises InputError for a dataset that is none of the run's, where none has a
    dev split, and for a run that is damaged or that another process evaluates.
    """
    evaluator = Evaluator(root)
    unknown = [name for name in datasets if name not in evaluator.datasets]
    if unknown:
        raise InputError(f"dataset '{unknown[0]}': expected one of the run's, {sorted(evaluator.datasets)}")
    chosen = [source for name, source in evaluator.datasets.items() if name in datasets or not datasets]
    sources = [source for source in chosen if load_splits(source)["dev"]]
    if not sources:
        raise InputError(f"run '{root}': expected a dataset with a dev split to calibrate on, found none")
    examples = {s.name: sample_examples(s, load_splits(s)["dev"], limit) for s in sources}
    answers: dict[str, list[Answers]] = defaultdict(list)
    multilabel: dict[str, Task] = {}
    level = evaluator.model.last_level
    with folder_lock(root, "eval"), Progress("calibrate", sum(map(len, examples.values())), "targets") as bar:
        pipeline = evaluator.pipeline(level, Calibration())
        for source in sources:
            task = task_of(source)
            if task.multilabel:
                multilabel[key(task)] = task
            dev = examples[source.name]
            predictions = pipeline.predict_batch(dev, task)
            p = np.asarray([[one.probabilities[label] for label in task.labels] for one in predictions])
            answers[key(task)].append(answers_of(task, [str(e.label) for e in dev], p))
            bar.advance(len(p), source.name)
        identity = Chain.read(root).identity(level)
        kept = Calibration.read(root, identity) if datasets else Calibration()
        temperatures = {
            name: fit_temperature(many) for name, many in answers.items() if name not in multilabel
        }
        thresholds = {name: _thresholds(task, answers[name]) for name, task in multilabel.items()}
        calibration = Calibration(
            identity, {**kept.temperatures, **temperatures}, {**kept.thresholds, **thresholds}
        )
        calibration.write(root)
    return calibration


def fit_temperature(datasets: Sequence[Answers]) -> float:
    """Return the temperature with the lowest mean negative log-likelihood; every dataset weighs the same."""

    def loss(log_temperature: float) -> float:
        losses = [_negative_log_likelihood(answers, np.exp(-log_temperature)) for answers in datasets]
        return float(np.mean(losses))

    best = minimize_scalar(loss, bounds=(np.log(0.25), np.log(8.0)), method="bounded")
    return round(float(np.exp(best.x)), 3)


def _negative_log_likelihood(answers: Answers, inverse_temperature: float) -> float:
    scaled: NDArray[np.float64] = np.log(answers.probabilities + SMALLEST) * inverse_temperature
    log_sum = np.log(np.exp(scaled - scaled.max(1, keepdims=True)).sum(1)) + scaled.max(1)
    return float(np.mean(log_sum - scaled[np.arange(len(answers.gold)), answers.gold]))


def _thresholds(task: Task, datasets: Sequence[Answers]) -> dict[str, float]:
    """Return the best threshold of each label over the examples of all datasets."""
    gold = np.concatenate([answers.gold for answers in datasets])
    probabilities = np.concatenate([answers.probabilities for answers in datasets])
    best = best_thresholds(Answers(task.labels, gold, probabilities))
    return {label: round(float(value), 4) for label, value in zip(task.labels, best, strict=True)}
