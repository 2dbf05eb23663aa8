"""Invented studies: runs with recipes, rows and predictions, made without any model."""

import json
import zlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import polars as pl

from gsa.datasets.catalogue import CATALOGUE
from gsa.evaluation import results
from gsa.evaluation.predictions import PredictionStore, to_answers
from gsa.evaluation.results import Result, results_of

SIZE = 120
PROGRESSIVE = {"SA": ["sst2", "mosi"], "ERC": ["meld", "emorynlp"], "SD": ["mustard"]}
EVERYTHING = {"all": [name for names in PROGRESSIVE.values() for name in names]}
ERC_ONLY = {"ERC": ["meld", "emorynlp"]}


def gold_labels(dataset: str, n: int = SIZE) -> list[str]:
    """Return invented gold labels, the same for every run."""
    task = CATALOGUE[dataset].task
    labels = [*task.labels, *task.merged]
    return list(np.random.default_rng(zlib.crc32(dataset.encode())).choice(labels, n))


def prediction_table(dataset: str, skill: float, seed: int, n: int = SIZE, first: int = 0) -> pl.DataFrame:
    """Return predictions of which about `skill` are right, with probabilities 0.5 to 1 of the answer."""
    task, rng = CATALOGUE[dataset].task, np.random.default_rng(seed)
    gold = gold_labels(dataset)[first : first + n]
    right = np.asarray([task.labels.index(task.canonical_label(label)) for label in gold])
    wrong = (right + rng.integers(1, len(task.labels), size=n)) % len(task.labels)
    answer = np.where(rng.random(n) < skill, right, wrong)
    confidence = 0.51 + 0.49 * rng.random(n)
    rest = (1 - confidence) / (len(task.labels) - 1)
    probabilities = np.repeat(rest[:, None], len(task.labels), axis=1)
    probabilities[np.arange(n), answer] = confidence
    columns = {"id": [f"{dataset}_{first + i}" for i in range(n)], "gold": gold}
    columns["dialogue"] = [f"{dataset}_dialogue{(first + i) // 8}" for i in range(n)]
    columns["predicted"] = [task.labels[i] for i in answer]
    return pl.DataFrame(columns | {f"p_{label}": probabilities[:, i] for i, label in enumerate(task.labels)})


def result_rows(run: str, seed: int, level: int, dataset: str, table: pl.DataFrame) -> list[Result]:
    """Return the rows that evaluation would make of a table."""
    entry, key = CATALOGUE[dataset], {"run": run, "seed": seed, "level": level}
    return results_of(to_answers(entry.task, table), entry.metrics, **key, dataset=dataset, split="test")


def recipe_toml(name: str, seed: int, levels: Mapping[str, Sequence[str]], per_class: int = 0) -> str:
    """Return a recipe as TOML."""
    text = f'name = "{name}"\nseed = {seed}\n'
    for level, datasets in levels.items():
        text += f'[[levels]]\nname = "{level}"\nlearning_rate = 1e-3\nepochs = 2.0\n'
        for dataset in datasets:
            text += f'[[levels.datasets]]\nname = "{dataset}"\nper_class = {per_class}\n'
    return text


@dataclass(frozen=True)
class InventedRun:
    """A run whose level 0 has skill 0.3, others `skill`; levels in between are measured on `sample`."""

    name: str
    seed: int
    levels: Mapping[str, Sequence[str]]
    skill: float = 0.7
    measured: Sequence[str] = ()
    sample: int = SIZE
    per_class: int = 0

    def write(self, root: Path) -> Path:
        """Write the run's folder."""
        root.mkdir(parents=True)
        recipe = recipe_toml(self.name, self.seed, self.levels, self.per_class)
        (root / "recipe.toml").write_text(recipe)
        datasets = self.measured or [name for names in self.levels.values() for name in names]
        last = len(self.levels)
        for level in range(last + 1):
            n = self.sample if 0 < level < last else SIZE
            for dataset in datasets:
                key = zlib.crc32(f"{self.name}/{self.seed}/{level}/{dataset}".encode())
                table = prediction_table(dataset, self.skill if level else 0.3, key, n)
                PredictionStore(root).store(level, dataset, "test", table)
                results.add(root, result_rows(self.name, self.seed, level, dataset, table))
        data = {
            f"{level}/{name}": {"examples": 100} for level, names in self.levels.items() for name in names
        }
        (root / "run.json").write_text(json.dumps({"data": data}))
        steps = [{"level": 1, "step": i, "loss": 2 / (i + 1)} for i in range(60)]
        (root / "log.jsonl").write_text("".join(json.dumps(step) + "\n" for step in steps))
        return root


def write_run(
    root: Path, name: str, seed: int, levels: Mapping[str, Sequence[str]], *args, **options
) -> Path:
    """Write an invented run to `root`; options are those of `InventedRun`."""
    return InventedRun(name, seed, levels, *args, **options).write(root)


def write_study(root: Path, seeds: int = 2) -> Path:
    """Write progressive, multi-task and ERC-only arms, the first the best."""
    for seed in range(seeds):
        write_run(root / f"progressive-s{seed}", "progressive", seed, PROGRESSIVE, 0.8, sample=50)
        write_run(root / f"multitask-s{seed}", f"multitask-s{seed}", seed, EVERYTHING, 0.5)
        write_run(root / f"erc-only-s{seed}", "erc-only", seed, ERC_ONLY, 0.6, EVERYTHING["all"])
    return root
