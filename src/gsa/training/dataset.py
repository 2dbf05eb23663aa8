"""From a level of a recipe to the rows it is tuned on.

In: a recipe, a level, a tokenizer. Out: every PackedRow of all epochs, in order of the optimizer's steps.
The whole order follows from the seed alone, so a resumed run sees what an undisturbed one would.
"""

import zlib
from collections.abc import Sequence
from dataclasses import dataclass, replace
from math import ceil
from typing import Any

import numpy as np

from gsa.data.encoder import Encoder, Prompt
from gsa.recipes.datasets import task_of, training_examples
from gsa.recipes.schema import Level, Recipe
from gsa.trie.packing import Group, PackedRow, group, pack


@dataclass(frozen=True)
class TrainingData:
    """All that a level is tuned on."""

    prompts: dict[str, list[Prompt]]
    """By dataset."""
    rows: list[PackedRow]
    """In the order of the steps, all epochs."""
    steps: int
    """Optimizer steps."""

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
    prompts = {}
    for source in level.datasets:
        encoder = Encoder(tokenizer, recipe.layout, task_of(source))
        encoded = encoder.encode(training_examples(source, recipe.seed))
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
            epoch += pack([groups[i] for i in order], level.loss == "labels", recipe.training.row_tokens)
        rows += [epoch[i] for i in rng.permutation(len(epoch))]
    unseen = ceil(level.epochs) - level.epochs  # the part of the last epoch that is not trained
    rows = rows[: max(1, len(rows) - int(unseen * len(epoch)))]
    return TrainingData(prompts, rows, ceil(len(rows) / recipe.training.rows_per_step))
