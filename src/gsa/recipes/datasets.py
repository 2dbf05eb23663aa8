"""The datasets of a recipe: a DatasetConfig in; its task, metrics and examples out. Imports no torch."""

import logging
import zlib
from collections import Counter
from dataclasses import replace
from pathlib import Path

from gsa.data.augmentation import augment_examples
from gsa.data.selection import sample_dialogues, sample_per_class, yes_or_no_examples
from gsa.data.task import ASPECT, SENTIMENT, TASKS, Task
from gsa.data.types import Example
from gsa.datasets.catalogue import get, load
from gsa.datasets.custom import LABEL, read_folder
from gsa.datasets.dataset import Splits
from gsa.datasets.overlaps import normalized_words
from gsa.datasets.records import Columns
from gsa.errors import InputError
from gsa.recipes.schema import DatasetConfig, Recipe

logger = logging.getLogger(__name__)
DEFAULT_METRICS = ("weighted_f1", "accuracy", "macro_f1")
"""Metrics of users' own data, the main one first."""
NEGATIVES = 3
"""Labels that do not hold, per example of a multi-label task, that are trained on beside those that do."""
NEW_TASK_LEVEL = 4
"""Level of a task beyond the paper's three."""


def task_of(config: DatasetConfig) -> Task:
    """Return the task of a recipe's dataset.

    Raises InputError for an unknown dataset, and for fewer than two labels.
    """
    if not config.path:
        return get(config.name).task_for(config.protocol)
    about = ASPECT.about if config.aspect_column else ""
    like = TASKS.get(config.task, SENTIMENT)
    context = like.context if config.context is None else config.context
    if not config.instruction:
        return replace(like.with_labels(*config.labels), about=about, context=context)
    level = like.level if config.task in TASKS else NEW_TASK_LEVEL
    task = Task(config.task or config.name, level, config.instruction, context=context, about=about)
    return task.with_labels(*config.labels)


def tuned_tasks(recipe: Recipe, level: int | None = None) -> dict[str, Task]:
    """Return the tasks that a recipe tunes, by name.

    `level` is how many levels count; None or 0 is all. If the datasets of a task have different label lists,
    the paper's list is taken where it is among them (for emotion MELD's seven labels), otherwise that of the
    first dataset. Levels share it to be comparable.
    """
    candidates: dict[str, list[Task]] = {}
    recipe = recipe.model_copy(update={"levels": recipe.levels[:level] or recipe.levels})
    for config in recipe.datasets:
        task = task_of(config)
        candidates.setdefault(task.name, []).append(task)
    tasks: dict[str, Task] = {}
    for name, options in candidates.items():
        labels = set(TASKS[name].labels) if name in TASKS else set()
        tasks[name] = next((task for task in options if set(task.labels) == labels), options[0])
    return tasks


def metrics_of(config: DatasetConfig) -> tuple[str, ...]:
    """Return the metrics of a recipe's dataset, the main one first."""
    return DEFAULT_METRICS if config.path else get(config.name).metrics


def check_folders(recipe: Recipe) -> None:
    """Raise InputError for a folder of a user's own data that does not exist."""
    for config in recipe.datasets:
        if config.path and not Path(config.path).expanduser().is_dir():
            raise InputError(f"dataset '{config.name}': expected the folder '{config.path}', found none")


def load_splits(config: DatasetConfig) -> Splits:
    """Return the train, dev and test examples of a recipe's dataset, each empty where there are none.

    Raises InputError for missing or malformed files.
    """
    if config.path:
        columns = Columns(
            config.text_column or None,
            config.speaker_column or None,
            config.dialogue_column or None,
            aspect=config.aspect_column or None,
        )
        folder = Path(config.path).expanduser()
        return read_folder(folder, config.name, config.labels, columns, config.label_column or LABEL)
    return load(config.name, config.protocol, config.fold)


def warn_of_own_data(config: DatasetConfig) -> None:
    """Warn of what makes scores on a user's own data meaningless: one class, or test texts in training."""
    splits = load_splits(config)
    counts = Counter(str(example.label) for example in splits["train"])
    if len(counts) == 1:
        logger.warning(
            "dataset '%s': all %d training examples have the label '%s'",
            config.name, counts.total(), *counts,
        )  # fmt: skip
    known = {_words(example) for example in splits["train"]}
    for split in ("dev", "test"):
        repeated = sum(_words(example) in known for example in splits[split])
        if repeated:
            logger.warning(
                "dataset '%s': %d of %d examples of %s are in train as well",
                config.name, repeated, len(splits[split]), split,
            )  # fmt: skip


def _words(example: Example) -> tuple[tuple[str, ...], ...]:
    """Return the words of what an example is labelled by: its turns up to the target, and its aspect."""
    turns = example.dialogue.turns[: example.target + 1]
    return *(normalized_words(turn.text) for turn in turns), (example.aspect,)


def load_split(config: DatasetConfig, split: str) -> list[Example]:
    """Return one split of a recipe's dataset; raises InputError if it is empty, and as `load_splits` does."""
    splits = load_splits(config)
    if not splits[split]:
        sizes = {name: len(examples) for name, examples in splits.items()}
        raise InputError(
            f"dataset '{config.name}': its {split} split is empty: expected examples, found {sizes}"
        )
    return splits[split]


def training_pool(config: DatasetConfig) -> list[Example]:
    """Return the examples that a level may be tuned on: train, or dev for a few-shot dataset without train.

    Raises InputError as `load_split` does.
    """
    if config.per_class:
        splits = load_splits(config)
        if splits["dev"] and not splits["train"]:
            return splits["dev"]
    return load_split(config, "train")


def training_examples(config: DatasetConfig, seed: int) -> list[Example]:
    """Return the examples that a level is tuned on: the pool, sampled down to the recipe's caps with a seed.

    A share of them is varied if the recipe says `augment`. A multi-label task has a yes-or-no example of
    every label that holds and of `NEGATIVES` others. Raises InputError as `training_pool` does.
    """
    examples, task = training_pool(config), task_of(config)
    dataset_seed = zlib.crc32(f"{seed}/{config.name}".encode())
    if config.per_class:
        sample = sample_per_class(examples, task, config.per_class, dataset_seed)
    else:
        sample = sample_dialogues(examples, config.limit, dataset_seed)
    if config.augment:
        sample = augment_examples(sample, config.augment, dataset_seed)
    return yes_or_no_examples(sample, task, NEGATIVES, dataset_seed) if task.multilabel else sample
