"""What a bias for each label, beside the temperature, would do to scores and calibration.

    python research/label_bias DEV TEST [--calibration FILE]

In: two folders of results with stored predictions of the last level, of dev sets as the model gives them, and
of test sets, from which the temperatures of FILE (a chain's calibration.json) are taken out first. For each
task and label list a temperature, and a temperature with a bias a label, are fitted on all its dev sets, each
with the same weight, by the negative log-likelihood (vector scaling, Guo et al. 2017). Out: a Markdown table
of the main metric and the expected calibration error of both.
"""

import argparse
import json
import sys
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
from numpy.typing import NDArray
from scipy.optimize import minimize

from gsa.chain.calibration import key
from gsa.data.task import Task
from gsa.datasets.catalogue import CATALOGUE, get
from gsa.errors import InputError
from gsa.evaluation.metrics import Answers, answers_of, measure
from gsa.recipes.datasets import task_of
from gsa.recipes.schema import DatasetConfig
from gsa.report.significance import calibration

SMALLEST = 1e-12
"""Added to probabilities before their logarithm."""


@dataclass(frozen=True)
class Split:
    """A dataset's stored predictions."""

    name: str
    split: str
    task: Task
    answers: Answers


def read_splits(folder: Path, temperatures: Mapping[str, float]) -> list[Split]:
    """Return the predictions of all datasets with one label a text.

    Raises InputError where there are none.
    """
    found = []
    levels = sorted(folder.glob("predictions/level-*"), key=lambda level: int(level.name.split("-")[1]))
    for file in sorted(levels[-1].glob("*.parquet")) if levels else ():
        name, _, split = file.stem.rpartition("-")
        if name not in CATALOGUE or (task := task_of(DatasetConfig(name=name))).multilabel:
            continue
        table = pl.read_parquet(file)
        p = table.select([f"p_{label}" for label in task.labels]).to_numpy()
        plain = scaled(p, [np.log(1 / temperatures.get(key(task), 1.0))])
        found.append(Split(name, split, task, answers_of(task, table["gold"].to_list(), plain)))
    if not found:
        raise InputError(f"'{folder}': expected predictions/level-N/NAME-SPLIT.parquet in it, found none")
    return found


def scaled(p: NDArray[Any], parameters: Sequence[float]) -> NDArray[np.float64]:
    """Return probabilities, shape (examples, labels), with log T and a bias for each label but the first."""
    bias = np.concatenate([[0.0], parameters[1:]]) if len(parameters) > 1 else 0.0
    logits = np.log(p + SMALLEST) / np.exp(parameters[0]) + bias
    weights = np.exp(logits - logits.max(1, keepdims=True))
    return np.asarray(weights / weights.sum(1, keepdims=True))


def fit(splits: Sequence[Split], parameters: int) -> tuple[list[float], float]:
    """Return the parameters with the lowest mean negative log-likelihood, and that."""

    def loss(values: NDArray[np.float64]) -> float:
        losses = []
        for split in splits:
            p = scaled(split.answers.probabilities, list(values))
            losses.append(-np.log(p[np.arange(len(p)), split.answers.gold] + SMALLEST).mean())
        return float(np.mean(losses))

    best = minimize(loss, np.zeros(parameters))
    return [float(value) for value in best.x], float(best.fun)


def line(split: Split, *fitted: Sequence[float]) -> str:
    """Return a row of the table: the metric with each of the fits, then the calibration errors."""
    metric = get(split.name).metrics[0]
    answers = [replace(split.answers, probabilities=scaled(split.answers.probabilities, x)) for x in fitted]
    scores = [f"{measure(one, [metric])[metric][0]:.1f}" for one in answers]
    errors = [f"{100 * calibration(one.probabilities, one.gold).error:.1f}" for one in answers]
    count = f"{len(split.answers.gold):,}"
    return " | ".join([f"| {split.name}", split.split, count, metric, *scores, *errors]) + " |"


def main() -> None:
    """Read, fit, print."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("dev", type=Path)
    parser.add_argument("test", type=Path)
    parser.add_argument("--calibration", type=Path)
    options = parser.parse_args()
    stored = json.loads(options.calibration.read_text())["temperatures"] if options.calibration else {}
    try:
        dev, test = read_splits(options.dev, {}), read_splits(options.test, stored)
    except InputError as error:
        sys.exit(f"label_bias: {error}")
    by_task: dict[str, list[Split]] = defaultdict(list)
    for split in dev:
        by_task[key(split.task)].append(split)
    fitted = {}
    for name, splits in by_task.items():
        (temperature, before), (biased, after) = fit(splits, 1), fit(splits, len(splits[0].task.labels))
        bias = ", ".join(f"{value:.2f}" for value in [0.0, *biased[1:]])
        print(f"- {name}: negative log-likelihood {before:.3f}, with the bias {bias}: {after:.3f}")
        fitted[name] = (temperature, biased)
    print("\n| dataset | split | n | metric | temperature | with a bias | calibration error | with a bias |")
    print("|---|---|---|---|---|---|---|---|")
    for split in (*dev, *test):
        if key(split.task) in fitted:
            print(line(split, *fitted[key(split.task)]))


if __name__ == "__main__":
    main()
