"""Invented studies: runs with recipes, rows and predictions, made without any model."""

import json
import zlib
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import polars as pl

from gsa.datasets.catalogue import CATALOGUE
from gsa.evaluation import predictions, results
from gsa.evaluation.metrics import answers_of, measure
from gsa.evaluation.results import Result

SIZE = 120


def gold_of(dataset: str, n: int = SIZE) -> list[str]:
    """Return invented gold labels, the same for every run."""
    task = CATALOGUE[dataset].task
    labels = [*task.labels, *task.merged]
    return list(np.random.default_rng(zlib.crc32(dataset.encode())).choice(labels, n))


def table_of(dataset: str, skill: float, seed: int, n: int = SIZE, first: int = 0) -> pl.DataFrame:
    """Return predictions of which about `skill` are right, with probabilities 0.5 to 1 of the answer."""
    task, rng = CATALOGUE[dataset].task, np.random.default_rng(seed)
    gold = gold_of(dataset)[first : first + n]
    asked = np.asarray([task.labels.index(task.canonical_label(label)) for label in gold])
    other = (asked + rng.integers(1, len(task.labels), size=n)) % len(task.labels)
    answer = np.where(rng.random(n) < skill, asked, other)
    sure = 0.51 + 0.49 * rng.random(n)
    chances = np.repeat((1 - sure)[:, None] / (len(task.labels) - 1), len(task.labels), axis=1)
    chances[np.arange(n), answer] = sure
    columns = {"id": [f"{dataset}_{first + i}" for i in range(n)], "gold": gold}
    columns["dialogue"] = [f"{dataset}_dialogue{(first + i) // 8}" for i in range(n)]
    columns["predicted"] = [task.labels[i] for i in answer]
    return pl.DataFrame(columns | {f"p_{label}": chances[:, i] for i, label in enumerate(task.labels)})


def rows_of(run: str, seed: int, level: int, dataset: str, table: pl.DataFrame) -> list[Result]:
    """Return the rows that evaluation would make of a table."""
    entry = CATALOGUE[dataset]
    chances = table.select(pl.col("^p_.*$")).to_numpy()
    found = measure(answers_of(entry.task, table["gold"].to_list(), chances), entry.metrics)
    return [Result(run, seed, level, dataset, "test", m, round(v, 4), n) for m, (v, n) in found.items()]


def recipe_of(name: str, seed: int, levels: Mapping[str, Sequence[str]], per_class: int = 0) -> str:
    """Return a recipe as TOML."""
    text = f'name = "{name}"\nseed = {seed}\n'
    for level, names in levels.items():
        text += f'[[levels]]\nname = "{level}"\nlearning_rate = 1e-3\nepochs = 2.0\n'
        for each in names:
            text += f'[[levels.datasets]]\nname = "{each}"\nper_class = {per_class}\n'
    return text


def write_run(
    root: Path,
    name: str,
    seed: int,
    levels: Mapping[str, Sequence[str]],
    skill: float = 0.7,
    measured: Sequence[str] = (),
    sample: int = SIZE,
    per_class: int = 0,
) -> Path:
    """Write a measured run: level 0 has skill 0.3, others `skill`; those between are measured on `sample`."""
    root.mkdir(parents=True)
    (root / "recipe.toml").write_text(recipe_of(name, seed, levels, per_class))
    names = measured or [each for level in levels.values() for each in level]
    for level in range(len(levels) + 1):
        n = sample if 0 < level < len(levels) else SIZE
        for each in names:
            key = zlib.crc32(f"{name}/{seed}/{level}/{each}".encode())
            table = table_of(each, skill if level else 0.3, key, n)
            predictions.store(root, predictions.path_of(root, level, each, "test"), table)
            results.add(root, rows_of(name, seed, level, each, table))
    note = {f"{level}/{each}": {"examples": 100} for level, mine in levels.items() for each in mine}
    (root / "run.json").write_text(json.dumps({"data": note}))
    steps = [{"level": 1, "step": i, "loss": 2 / (i + 1)} for i in range(60)]
    (root / "log.jsonl").write_text("".join(json.dumps(step) + "\n" for step in steps))
    return root


PROGRESSIVE = {"SA": ["sst2", "mosi"], "ERC": ["meld", "emorynlp"], "SD": ["mustard"]}
EVERYTHING = {"all": [each for level in PROGRESSIVE.values() for each in level]}
ERC_ONLY = {"ERC": ["meld", "emorynlp"]}


def write_study(root: Path, seeds: int = 2) -> Path:
    """Write progressive, multi-task and ERC-only arms, the first the best."""
    for seed in range(seeds):
        write_run(root / f"progressive-s{seed}", "progressive", seed, PROGRESSIVE, 0.8, sample=50)
        write_run(root / f"multitask-s{seed}", f"multitask-s{seed}", seed, EVERYTHING, 0.5)
        write_run(root / f"erc-only-s{seed}", "erc-only", seed, ERC_ONLY, 0.6, EVERYTHING["all"])
    return root
