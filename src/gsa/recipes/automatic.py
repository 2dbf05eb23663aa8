"""Automatic values: loss, epochs, learning rate and examples per step by the number of training examples.

A fresh link begins at zero, so that few examples need many small steps. In levels of users' own data these
keys are automatic where they are left out; elsewhere where they are "auto". They are replaced when a recipe
is loaded, so that a run stores numbers.
"""

import copy
import logging
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import ceil
from typing import Any

from gsa.progress import count_of
from gsa.recipes.datasets import check_folders, task_of, training_examples
from gsa.recipes.schema import Recipe

logger = logging.getLogger(__name__)
AUTO = "auto"
SEEN = 600
"""Examples that a level reads at least, over all epochs, where `MAX_EPOCHS` allow it."""
MAX_EPOCHS = 15
MIN_EPOCHS = {2_000: 3, 10_000: 2}
"""Least number of epochs by the number of examples below which it holds; 1 for more."""
EXAMPLES_PER_STEP = {100: 4, 1_000: 8, 5_000: 16}
"""Examples of a step by the number of examples below which they hold; 32 for more."""
RATES = {1_000: 2e-3, 5_000: 1e-3}
"""Learning rate by the number of examples below which it holds; 5e-4 for more."""
LARGE, LARGE_SHARE = 500e6, 0.1
"""Parameters from which a backbone, by its name, is tuned at this share of the learning rate."""
LEVEL_KEYS = ("loss", "learning_rate", "epochs")
PLACEHOLDERS: dict[str, Any] = {
    "loss": "labels", "learning_rate": 1e-3, "epochs": 1.0, "examples_per_step": 32,
}  # fmt: skip
"""Values of automatic keys while the rest of a recipe is validated."""


@dataclass(frozen=True)
class Settings:
    """What is chosen for a number of examples."""

    learning_rate: float
    epochs: float
    examples_per_step: int
    loss: str = "labels"


def settings_for(examples: int, backbone: str = "") -> Settings:
    """Return the automatic values for a level of that many training examples (docs/experiments.md)."""
    rate = _below(examples, RATES, 5e-4) * (LARGE_SHARE if _parameters(backbone) >= LARGE else 1)
    epochs = min(MAX_EPOCHS, ceil(SEEN / max(1, examples)))
    epochs = max(epochs, int(_below(examples, MIN_EPOCHS, 1)))
    return Settings(rate, float(epochs), int(_below(examples, EXAMPLES_PER_STEP, 32)))


def _below(examples: int, values: Mapping[int, float], otherwise: float) -> float:
    """Return the value of the first bound that a number of examples is below."""
    return next((value for bound, value in values.items() if examples < bound), otherwise)


def _parameters(backbone: str) -> float:
    """Return the number of parameters that a backbone's name says, such as 7b; 0 where it says none."""
    sizes = re.findall(r"(?<![\w.])(\d+(?:\.\d+)?)([mb])(?![a-z])", backbone.lower().replace("_", "-"))
    return max((float(number) * {"m": 1e6, "b": 1e9}[unit] for number, unit in sizes), default=0.0)


def automatic_keys(document: dict[str, Any]) -> list[tuple[int | None, str]]:
    """Return the automatic keys of a parsed recipe: index of the level, None for `training`, and name."""
    levels, training = document.get("levels"), document.get("training", {})
    if not isinstance(levels, list) or not isinstance(training, dict):
        return []
    keys: list[tuple[int | None, str]] = []
    for number, level in enumerate(levels):
        if isinstance(level, dict):
            keys += [(number, key) for key in LEVEL_KEYS if _is_automatic(level, key, level)]
    if levels and all(_is_automatic(training, "examples_per_step", level) for level in levels):
        keys.append((None, "examples_per_step"))
    return keys


def _is_automatic(section: dict[str, Any], key: str, level: Any) -> bool:
    """Return whether a key is "auto", or left out where a level has only users' own data."""
    datasets = level.get("datasets") if isinstance(level, dict) else None
    is_own = isinstance(datasets, list) and all(isinstance(d, dict) and d.get("path") for d in datasets)
    return section.get(key, AUTO if datasets and is_own else None) == AUTO


def with_placeholders(document: dict[str, Any]) -> dict[str, Any]:
    """Return a copy of a parsed recipe in which automatic keys have some valid value."""
    draft = copy.deepcopy(document)
    for number, key in automatic_keys(document):
        section = draft.setdefault("training", {}) if number is None else draft["levels"][number]
        section[key] = PLACEHOLDERS[key]
    return draft


def resolve(recipe: Recipe, keys: Sequence[tuple[int | None, str]]) -> Recipe:
    """Return a recipe with its automatic keys chosen for the size of its data, and log what was chosen.

    Raises InputError for missing or malformed data.
    """
    check_folders(recipe)
    for config in recipe.datasets:
        task_of(config)  # raises InputError for fewer than two labels, before its data is read
    sizes = [sum(len(training_examples(d, recipe.seed)) for d in level.datasets) for level in recipe.levels]
    chosen = [settings_for(size, recipe.backbone.name) for size in sizes]
    levels = []
    for number, level in enumerate(recipe.levels):
        update = {key: getattr(chosen[number], key) for index, key in keys if index == number}
        levels.append(level.model_copy(update=update))
        words = [f"{key.replace('_', ' ')} {value}" for key, value in update.items()]
        if words:
            logger.info("level %s, %s: %s", level.name, count_of(sizes[number], "example"), ", ".join(words))
    training = recipe.training
    if (None, "examples_per_step") in keys:
        smallest = min(settings.examples_per_step for settings in chosen)
        training = training.model_copy(update={"examples_per_step": smallest})
        logger.info("examples per step %d", smallest)
    return recipe.model_copy(update={"levels": tuple(levels), "training": training})
