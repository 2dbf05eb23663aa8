"""Measurement of a run: rows of `similarity.jsonl` for its datasets' gradients and its links' updates.

Gradients are those of fresh links on the merged weights of a level, with the layout and loss of the recipe,
over training examples that the recipe tunes on. Levels that are measured already are not measured again.
"""

import logging
import zlib
from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import combinations, islice
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from gradient_similarity import rows as stored
from gradient_similarity.directions import Cosine, cosine, halves_cosine, product_cosine, subspace_overlap
from gradient_similarity.gradients import mean_gradient, with_fresh_links
from gradient_similarity.rows import GOLD, GRADIENT, LINK, RECIPE_LOSS, SHUFFLED, Condition, Similarity
from gsa.chain.base import load_chain
from gsa.chain.chain import Chain
from gsa.chain.link import LinkWeights
from gsa.chain.run_folder import RunFolder
from gsa.data.encoder import Encoder, Prompt
from gsa.data.selection import group_by_dialogue, sample_dialogues
from gsa.data.types import Example
from gsa.errors import InputError, suggest
from gsa.locking import folder_lock
from gsa.model.losses import LOSSES, loss_of
from gsa.recipes.datasets import task_of, training_examples
from gsa.recipes.schema import DatasetConfig, Level, Recipe
from gsa.training.training_data import balanced
from gsa.trie.packing import PackedRow, group, pack

logger = logging.getLogger(__name__)
PARTS = 8
"""Parts of a dataset's examples, whole dialogues each, whose differences give the noise."""
DRAWS = 3
"""Draws of A that cosines are averaged over, all in one pass."""
Parts = dict[str, list[list[Example]]]
Gram = NDArray[np.float64]


@dataclass(frozen=True)
class Options:
    """What to measure of a run."""

    levels: Sequence[int] = ()
    """Empty is untuned and last."""
    datasets: Sequence[str] = ()
    """Empty is all of the recipe."""
    examples: int = 200
    """Per dataset."""
    loss: str = ""
    """`answer` or `labels`; empty is the recipe's for each dataset."""
    shuffled: bool = False
    """Whether gradients are taken with shuffled labels too."""


def measure_run(
    root: Path, options: Options, out: Path | None = None, overwrite: bool = False
) -> list[Similarity]:
    """Measure a run and return all of its rows, stored in `out`, or in the run if it is not given.

    Raises InputError for names and levels that the run does not have, a damaged run, or fewer than two
    datasets with two training dialogues.
    """
    recipe, chain = RunFolder(root).read()
    levels = list(options.levels) or sorted({0, len(chain.links)})
    for level in levels:
        chain.check_level(level)
    loss = options.loss
    if loss and loss not in LOSSES:
        raise InputError(f"loss '{loss}'{suggest(loss, LOSSES)}: expected one of {', '.join(LOSSES)}")
    parts = _parts(recipe, options)
    folder = out or root
    with folder_lock(folder, "similarity"):
        sizes = {row.key: row.n for row in stored.read(folder)}
        stored.add(folder, _link_rows(recipe, chain))
        for level in levels:
            for labels in (GOLD, SHUFFLED) if options.shuffled else (GOLD,):
                condition = Condition(level, loss or RECIPE_LOSS, labels)
                expected = _gradient_rows(recipe, condition, parts, None)
                if not overwrite and all(sizes.get(row.key) == row.n for row in expected):
                    logger.info("level %d, %s: kept", level, condition.description)
                    continue
                gram = _gram(recipe, chain, condition, parts)
                stored.add(folder, _gradient_rows(recipe, condition, parts, gram))
        return stored.read(folder)


def _parts(recipe: Recipe, options: Options) -> Parts:
    """Return each dataset's examples in parts."""
    known = {source.name: source for source in recipe.datasets}
    for name in options.datasets:
        if name not in known:
            raise InputError(
                f"dataset '{name}' is not in this run{suggest(name, known)}: expected one of {sorted(known)}"
            )
    by_dataset: Parts = {}
    for name in (name for name in known if not options.datasets or name in options.datasets):
        examples = training_examples(known[name], recipe.seed)
        parts = split_dialogues(
            sample_dialogues(examples, options.examples, zlib.crc32(name.encode())), PARTS
        )
        if len(parts) > 1:
            by_dataset[name] = parts
        else:
            logger.warning("%s: its training examples are one dialogue, which has no halves: left out", name)
    if len(by_dataset) < 2:
        raise InputError(
            f"gradients of {', '.join(by_dataset) or 'no dataset'}: expected two datasets or more, each with "
            "two training dialogues or more"
        )
    return by_dataset


def split_dialogues(examples: Sequence[Example], limit: int) -> list[list[Example]]:
    """Return at most `limit` parts of whole dialogues; each dialogue goes to the smallest part so far."""
    groups = group_by_dialogue(examples)
    parts: list[list[Example]] = [[] for _ in range(min(limit, len(groups)))]
    for dialogue in groups:
        min(parts, key=len).extend(dialogue)
    return parts


def _gram(recipe: Recipe, chain: Chain, condition: Condition, parts: Parts) -> Gram:
    """Return inner products of all parts' gradients, (draws, parts, parts), datasets one after another."""
    loaded = load_chain(chain, recipe.backbone, condition.level)
    model = with_fresh_links(loaded.model, recipe.lora, DRAWS, recipe.seed)
    gradients = []
    for source in (source for source in recipe.datasets if source.name in parts):
        encoder = Encoder(loaded.tokenizer, recipe.layout_at(condition.level), task_of(source))
        prompts = [encoder.encode(part) for part in parts[source.name]]
        if condition.part == SHUFFLED:
            prompts = _shuffle_labels(prompts, zlib.crc32(f"{recipe.seed}/{source.name}".encode()))
        level = level_of(recipe, source)
        balance = level.balance_of(source)
        if condition.loss != RECIPE_LOSS:
            level, balance = level.model_copy(update={"loss": condition.loss, "answer_weight": 0.0}), 0.0
        for part in _balance(prompts, balance) if balance else prompts:
            rows: list[PackedRow] = pack(group(part), level.loss == "labels", recipe.training.max_row_tokens)
            gradients.append(mean_gradient(model, rows, loss_of(level), DRAWS))
        size = sum(map(len, prompts))
        logger.info(
            "level %d, %s: %s, %d examples", condition.level, condition.description, source.name, size
        )
    by_draw = (torch.stack([gradient[i] for gradient in gradients]).double() for i in range(DRAWS))
    return np.stack([(matrix @ matrix.T).numpy() for matrix in by_draw])


def level_of(recipe: Recipe, source: DatasetConfig) -> Level:
    """Return the first level that is tuned on a dataset."""
    return next(level for level in recipe.levels if source.name in [s.name for s in level.datasets])


def _shuffle_labels(parts: Sequence[Sequence[Prompt]], seed: int) -> list[list[Prompt]]:
    """Return the prompts with the gold labels of all parts permuted."""
    gold = [prompt.gold for part in parts for prompt in part]
    permuted = iter([gold[i] for i in np.random.default_rng(seed).permutation(len(gold))])
    return [[replace(prompt, gold=next(permuted)) for prompt in part] for part in parts]


def _balance(parts: Sequence[Sequence[Prompt]], balance: float) -> list[list[Prompt]]:
    """Return the prompts weighted by their labels' counts over all parts, as in tuning."""
    weighted = iter(balanced([prompt for part in parts for prompt in part], balance))
    return [list(islice(weighted, len(part))) for part in parts]


def _gradient_rows(recipe: Recipe, condition: Condition, parts: Parts, gram: Gram | None) -> list[Similarity]:
    """Return the rows of a condition; without inner products rows without values, for their keys."""
    numbers = iter(range(sum(map(len, parts.values()))))
    indices = {name: list(islice(numbers, len(own))) for name, own in parts.items()}
    sizes = {name: sum(map(len, own)) for name, own in parts.items()}

    def row(first: str, second: str, measure: str, value: float | None, error: float | None = None) -> Any:
        n = min(sizes[first], sizes[second])
        key = (recipe.name, recipe.seed, condition.level, GRADIENT, condition.loss, first, second)
        return Similarity(*key, condition.part, measure, _round(value), _round(error), 0.0, n)

    rows = []
    for name, own in indices.items():
        ceiling = None if gram is None else halves_cosine(gram, own)
        rows.append(row(name, name, stored.HALVES, ceiling))
    for first, second in combinations(indices, 2):
        result = Cosine() if gram is None else cosine(gram, indices[first], indices[second])
        rows.append(row(first, second, stored.COSINE, result.value))
        rows.append(row(first, second, stored.CORRECTED, result.corrected, result.error))
    return rows


def _link_rows(recipe: Recipe, chain: Chain) -> list[Similarity]:
    """Return the rows of every two links of a chain."""
    weights = dict(zip([link.name for link in chain.links], chain.link_weights(), strict=True))
    return [
        Similarity(recipe.name, recipe.seed, 0, LINK, "", first, second, *measured)
        for first, second in combinations(weights, 2)
        for measured in compare_links(weights[first], weights[second])
    ]


def compare_links(first: LinkWeights, second: LinkWeights) -> list[tuple[Any, ...]]:
    """Compare two links layer by layer: B's columns, A's rows and the products B A.

    Returns part, measure, mean over layers, standard deviation over layers, chance and the number of layers
    for each name of target layers and each measure. Layers where a link is zero are left out.
    """
    values: dict[tuple[str, str], list[tuple[float, float]]] = {}
    for name in (name for name in first.pairs if name in second.pairs):
        (a, b), (c, d) = ([m.double().numpy() for m in link.pairs[name]] for link in (first, second))
        product = product_cosine((a, b), (c, d))
        columns, rows = subspace_overlap(b, d), subspace_overlap(a.T, c.T)
        if product is None or columns is None or rows is None:
            continue
        measured = {
            stored.COLUMNS: (columns.shared, columns.chance_shared),
            stored.ROWS: (rows.shared, rows.chance_shared),
            stored.COLUMN_ANGLE: (columns.angle, columns.chance_angle),
            stored.ROW_ANGLE: (rows.angle, rows.chance_angle),
            stored.UPDATE: (product, 0.0),
        }
        for measure, pair in measured.items():
            values.setdefault((name.rpartition(".")[2], measure), []).append(pair)
    summaries = []
    for (part, measure), pairs in values.items():
        numbers, chances = np.asarray(pairs).T
        deviation = float(numbers.std(ddof=1)) if len(numbers) > 1 else None
        chance = round(float(chances.mean()), 6)
        mean = _round(float(numbers.mean()))
        summaries.append((part, measure, mean, _round(deviation), chance, len(numbers)))
    return summaries


def _round(value: float | None) -> float | None:
    return None if value is None else round(value, 6)
