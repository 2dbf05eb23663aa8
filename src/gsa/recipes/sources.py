"""What a recipe's datasets are: a Source in; its task, metrics and examples out. Imports no torch."""

import zlib
from pathlib import Path

from gsa.data.selection import draw, draw_per_class
from gsa.data.task import SENTIMENT, TASKS, Task
from gsa.data.types import Example
from gsa.datasets.catalogue import get, load
from gsa.datasets.records import read_folder
from gsa.errors import InputError
from gsa.recipes.schema import Recipe, Source

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
