"""From a level of a recipe to the rows it is tuned on.

In: a recipe, a level, a tokenizer. Out: every Row of every epoch, in the order of the optimizer's steps.
The whole order follows from the seed alone, so a resumed run sees what an undisturbed one would.
"""

import zlib
from collections.abc import Sequence
from dataclasses import dataclass, replace
from math import ceil
from pathlib import Path
from typing import Any

import numpy as np

from gsa.chain.recipe import Level, Recipe, Source
from gsa.datasets.catalogue import get, load
from gsa.datasets.own import read_folder
from gsa.errors import InputError
from gsa.tasks.dialogue import Example
from gsa.tasks.encoding import Encoder, Prompt
from gsa.tasks.task import SENTIMENT, TASKS, Task
from gsa.trie.rows import Group, Row, group, pack

OWN_METRICS = ("weighted_f1", "accuracy", "macro_f1")


def task_of(source: Source) -> Task:
    """Return the task that a recipe's dataset asks."""
    if not source.path:
        return get(source.name).task_for(source.protocol)
    if source.instruction:
        name = source.task or source.name
        known = TASKS.get(source.task, SENTIMENT)
        task = Task(
            name, known.level if source.task in TASKS else 4, source.instruction, context=known.context
        )
    else:
        task = TASKS[source.task]
    return task.with_labels(*source.labels)


def tasks_of(recipe: Recipe) -> dict[str, Task]:
    """Return the tasks that a recipe tunes, and those of the paper that it does not.

    Of several label lists of one task the usual one is taken if it is among them (for emotions MELD's
    seven), otherwise that of the dataset that is listed first. Levels share it, so they can be compared.
    """
    found = dict(TASKS)
    lists: dict[str, list[Task]] = {}
    for source in recipe.sources():
        task = task_of(source)
        lists.setdefault(task.name, []).append(task)
    for name, tasks in lists.items():
        usual = set(TASKS[name].labels) if name in TASKS else set()
        found[name] = next((task for task in tasks if set(task.labels) == usual), tasks[0])
    return found


def metrics_of(source: Source) -> tuple[str, ...]:
    """Return the metrics of a recipe's dataset, the main one first."""
    return OWN_METRICS if source.path else get(source.name).metrics


def splits_of(source: Source) -> dict[str, list[Example]]:
    """Read a recipe's dataset: train, dev and test, each empty where there is none."""
    if source.path:
        return read_folder(Path(source.path).expanduser(), source.name, source.labels)
    return load(source.name, source.protocol, source.fold)


def examples_of(source: Source, split: str) -> list[Example]:
    """Read one split of a recipe's dataset; raises InputError if it is empty."""
    splits = splits_of(source)
    if not splits[split]:
        sizes = {name: len(examples) for name, examples in splits.items()}
        raise InputError(
            f"dataset '{source.name}': its {split} split is empty: expected examples, found {sizes}"
        )
    return splits[split]


def dialogues(examples: Sequence[Example]) -> list[list[Example]]:
    """Return the examples of each dialogue together, in order of first appearance."""
    found: dict[str, list[Example]] = {}
    for example in examples:
        found.setdefault(example.dialogue.id, []).append(example)
    return list(found.values())


def draw(examples: Sequence[Example], limit: int, seed: int) -> list[Example]:
    """Return whole dialogues, drawn without replacement, until `limit` targets are reached; 0 is all.

    The order of the file is kept; the last dialogue drawn is cut to its first targets.
    """
    if not limit or limit >= len(examples):
        return list(examples)
    parts = dialogues(examples)
    order = np.random.default_rng(seed).permutation(len(parts))
    chosen: dict[int, list[Example]] = {}
    left = limit
    for i in order:
        if left <= 0:
            break
        chosen[int(i)] = parts[i][:left]
        left -= len(chosen[int(i)])
    return [example for i in sorted(chosen) for example in chosen[i]]


def draw_per_class(examples: Sequence[Example], task: Task, k: int, seed: int) -> list[Example]:
    """Return `k` examples of each asked label (all, where there are fewer), in the order of the file."""
    order = np.random.default_rng(seed).permutation(len(examples))
    taken: dict[str, list[int]] = {}
    for i in order:
        mine = taken.setdefault(task.asked(str(examples[i].label)), [])
        if len(mine) < k:
            mine.append(int(i))
    return [examples[i] for i in sorted(i for mine in taken.values() for i in mine)]


def pool_of(source: Source) -> list[Example]:
    """Return what training examples are drawn from: train, or dev if it is few-shot and has none."""
    if source.per_class:
        splits = splits_of(source)
        if splits["dev"] and not splits["train"]:
            return splits["dev"]
    return examples_of(source, "train")


def training_examples(source: Source, seed: int) -> list[Example]:
    """Return what a level reads of a dataset: its train split, drawn down to the recipe's caps."""
    examples = pool_of(source)
    own_seed = zlib.crc32(f"{seed}/{source.name}".encode())
    if source.per_class:
        return draw_per_class(examples, task_of(source), source.per_class, own_seed)
    return draw(examples, source.limit, own_seed)


@dataclass(frozen=True)
class Lessons:
    """All that a level is tuned on."""

    prompts: dict[str, list[Prompt]]
    """By dataset."""
    rows: list[Row]
    """In the order of the steps, all epochs."""
    steps: int
    """Optimizer steps."""


def balanced(prompts: Sequence[Prompt], power: float) -> list[Prompt]:
    """Return prompts weighted by their gold label's count to the power of minus `power`, with mean 1."""
    gold = np.array([prompt.gold for prompt in prompts])
    weights = np.bincount(gold)[gold] ** -power
    return [replace(p, weight=float(w)) for p, w in zip(prompts, weights / weights.mean(), strict=True)]


def lessons(recipe: Recipe, level: Level, tokenizer: Any) -> Lessons:
    """Encode a level's datasets and lay out the rows of all its epochs."""
    prompts = {}
    for source in level.datasets:
        encoder = Encoder(tokenizer, recipe.layout, task_of(source))
        found = encoder.encode(training_examples(source, recipe.seed))
        power = level.balance_of(source)
        prompts[source.name] = balanced(found, power) if power else found
    rng = np.random.default_rng(zlib.crc32(f"{recipe.seed}/{level.name}".encode()))
    rows: list[Row] = []
    epoch: list[Row] = []
    for _ in range(ceil(level.epochs)):
        epoch = []
        for mine in prompts.values():
            groups: list[Group] = list(group(mine))
            order = rng.permutation(len(groups))
            epoch += pack([groups[i] for i in order], recipe.training.row_tokens, level.loss == "labels")
        rows += [epoch[i] for i in rng.permutation(len(epoch))]
    unseen = ceil(level.epochs) - level.epochs  # the part of the last epoch that is not trained
    rows = rows[: max(1, len(rows) - int(unseen * len(epoch)))]
    return Lessons(prompts, rows, ceil(len(rows) / recipe.training.rows_per_step))
