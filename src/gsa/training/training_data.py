"""From a level of a recipe to the rows of its optimizer steps.

In: a recipe, a level, a tokenizer. Out: the PackedRows of every step of all epochs, in order.
The whole order follows from the seed alone, so a resumed run sees what an undisturbed one would.
"""

import zlib
from collections.abc import Sequence
from dataclasses import dataclass, replace
from math import ceil
from typing import Any

import numpy as np

from gsa.data.encoder import Encoder, Prompt
from gsa.datasets.catalogue import clear_cache
from gsa.recipes.datasets import task_of, training_examples
from gsa.recipes.schema import Level, Recipe
from gsa.trie.packing import Group, PackedRow, group, pack, steps_of


@dataclass(frozen=True)
class TrainingData:
    """All that a level is tuned on."""

    prompts: dict[str, list[Prompt]]
    """By dataset."""
    steps: list[list[PackedRow]]
    """The rows of each optimizer step, all epochs."""

    @property
    def rows(self) -> list[PackedRow]:
        """The rows of all steps, in order."""
        return [row for rows in self.steps for row in rows]

    @property
    def tokens(self) -> int:
        """Tokens that are computed, over all epochs."""
        return token_count(self.rows)


def token_count(rows: Sequence[PackedRow]) -> int:
    """Return the tokens that are computed for rows: those of shared prefixes once."""
    return sum(len(row.trie) for row in rows)


def balanced(prompts: Sequence[Prompt], power: float) -> list[Prompt]:
    """Return prompts weighted by their gold label's count to the power of minus `power`, with mean 1."""
    gold = np.array([prompt.gold for prompt in prompts])
    weights = np.bincount(gold)[gold] ** -power
    return [replace(p, weight=float(w)) for p, w in zip(prompts, weights / weights.mean(), strict=True)]


def build_training_data(recipe: Recipe, level: Level, tokenizer: Any) -> TrainingData:
    """Return a level's datasets encoded, and the rows of all its epochs."""
    training, prompts = recipe.training, {}
    layout = recipe.layout_of(level)
    for source in level.datasets:
        encoder = Encoder(tokenizer, layout, task_of(source))
        encoded = encoder.encode(training_examples(source, recipe.seed))
        clear_cache()  # what was not sampled would stay in memory as long as the level is tuned
        power = level.balance_of(source)
        prompts[source.name] = balanced(encoded, power) if power else encoded
    rng = np.random.default_rng(zlib.crc32(f"{recipe.seed}/{level.name}".encode()))
    rows: list[PackedRow] = []
    epoch: list[PackedRow] = []
    for _ in range(ceil(level.epochs)):
        epoch = []
        for encoded in prompts.values():
            groups: list[Group] = list(group(encoded))
            order = rng.permutation(len(groups))
            epoch += pack(
                [groups[i] for i in order],
                score=level.loss == "labels",
                max_tokens=training.max_row_tokens,
                max_prompts=training.examples_per_step,
            )
        rows += [epoch[i] for i in rng.permutation(len(epoch))]
    unseen = ceil(level.epochs) - level.epochs  # the part of the last epoch that is not trained
    rows = rows[: max(1, len(rows) - int(unseen * len(epoch)))]
    return TrainingData(prompts, steps_of(rows, training.examples_per_step))
