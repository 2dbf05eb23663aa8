"""How alike the subtasks' gradients and the links' updates are: a run in, rows of `similarity.jsonl` out.

Gradients are those of fresh links on the merged weights of a level, with the layout and loss of the recipe,
over training examples that the recipe tunes on. Levels that are measured already are not measured again.
"""

import zlib
from collections.abc import Callable, Sequence
from dataclasses import replace
from itertools import combinations, islice
from pathlib import Path
from typing import Any

import numpy as np
import similarity
import torch
from directions import Cosine, cosine, halves, overlap, product_cosine
from gradients import gradient, probe
from numpy.typing import NDArray
from similarity import GOLD, GRADIENT, LINK, OWN_LOSS, SHUFFLED, At, Similarity

from gsa.chain.chain import Chain
from gsa.chain.link import LinkWeights
from gsa.chain.run_folder import read_run
from gsa.data.encoder import Encoder, Prompt
from gsa.data.selection import dialogues, draw
from gsa.data.types import Example
from gsa.errors import InputError, suggest
from gsa.locking import folder_lock
from gsa.model.losses import LOSSES, loss_of
from gsa.recipes.schema import Level, Recipe, Source
from gsa.recipes.sources import task_of, training_examples
from gsa.training.dataset import balanced
from gsa.trie.packing import PackedRow, group, pack

PARTS = 8
"""Parts of a dataset's examples, whole dialogues each, from whose differences the noise is known."""
DRAWS = 3
"""Draws of A that cosines are averaged over; all are taken in one pass."""

Say = Callable[[str], None]
Parts = dict[str, list[list[Example]]]


def measure(
    root: Path,
    levels: Sequence[int] = (),
    datasets: Sequence[str] = (),
    examples: int = 200,
    loss: str = "",
    shuffled: bool = False,
    out: Path | None = None,
    again: bool = False,
    say: Say = print,
) -> list[Similarity]:
    """Measure a run and return all of its rows, stored in `out`, or in the run if it is not given.

    `levels` empty is untuned and last; `datasets` empty is all of the recipe; `loss` empty is the recipe's
    for each dataset. `shuffled` takes gradients with shuffled labels too. Raises InputError for names and
    levels that the run does not have, a damaged run, or fewer than two datasets with two training dialogues.
    """
    recipe, chain = read_run(root)
    wanted = list(levels) or sorted({0, len(chain.links)})
    for level in wanted:
        chain.check_level(level)
    if loss and loss not in LOSSES:
        raise InputError(f"loss '{loss}'{suggest(loss, LOSSES)}: expected one of {', '.join(LOSSES)}")
    parts = _parts(recipe, datasets, examples, say)
    folder = out or root
    with folder_lock(folder, "similarity"):
        known = {similarity.key(row): row.n for row in similarity.read(folder)}
        similarity.add(folder, _links(recipe, chain))
        for level in wanted:
            for part in (GOLD, SHUFFLED) if shuffled else (GOLD,):
                at = At(level, loss or OWN_LOSS, part)
                blank = _rows(recipe, at, parts, None)
                if not again and all(known.get(similarity.key(row)) == row.n for row in blank):
                    say(f"level {level}, {at.how}: kept")
                    continue
                gram = _gram(recipe, chain, at, parts, say)
                similarity.add(folder, _rows(recipe, at, parts, gram))
        return similarity.read(folder)


def _parts(recipe: Recipe, datasets: Sequence[str], examples: int, say: Say) -> Parts:
    """Return each dataset's examples in parts."""
    known = {source.name: source for source in recipe.sources()}
    for name in datasets:
        if name not in known:
            raise InputError(
                f"dataset '{name}' is not in this run{suggest(name, known)}: expected one of {sorted(known)}"
            )
    found: Parts = {}
    for name, source in known.items():
        if datasets and name not in datasets:
            continue
        drawn = draw(training_examples(source, recipe.seed), examples, zlib.crc32(name.encode()))
        parts = in_parts(drawn, PARTS)
        if len(parts) > 1:
            found[name] = parts
        else:
            say(f"{name}: its training examples are one dialogue, which has no halves: left out")
    if len(found) < 2:
        raise InputError(
            f"gradients of {', '.join(found) or 'no dataset'}: expected two datasets or more, each with two "
            "training dialogues or more"
        )
    return found


def in_parts(examples: Sequence[Example], most: int) -> list[list[Example]]:
    """Deal whole dialogues out to at most so many parts, each to the one that has fewest examples."""
    whole = dialogues(examples)
    parts: list[list[Example]] = [[] for _ in range(min(most, len(whole)))]
    for mine in whole:
        min(parts, key=len).extend(mine)
    return parts


def _gram(recipe: Recipe, chain: Chain, at: At, parts: Parts, say: Say) -> NDArray[np.float64]:
    """Return inner products of all parts' gradients, (draws, parts, parts), datasets one after another."""
    loaded = chain.load(recipe.backbone, at.level)
    probed = probe(loaded.model, recipe.lora, DRAWS, recipe.seed)
    found = []
    for source in (source for source in recipe.sources() if source.name in parts):
        encoder = Encoder(loaded.tokenizer, recipe.layout, task_of(source))
        prompts = [encoder.encode(mine) for mine in parts[source.name]]
        if at.part == SHUFFLED:
            prompts = _shuffled(prompts, zlib.crc32(f"{recipe.seed}/{source.name}".encode()))
        level = level_of(recipe, source)
        if at.loss != OWN_LOSS:
            level = level.model_copy(update={"loss": at.loss, "answer_weight": 0.0})
        power = level.balance_of(source) if at.loss == OWN_LOSS else 0.0
        for mine in _weighted(prompts, power) if power else prompts:
            rows: list[PackedRow] = pack(group(mine), level.loss == "labels", recipe.training.row_tokens)
            found.append(gradient(probed, rows, loss_of(level), DRAWS))
        say(f"level {at.level}, {at.how}: {source.name}, {sum(map(len, prompts))} examples")
    drawn = (torch.stack([each[draw] for each in found]).double() for draw in range(DRAWS))
    return np.stack([(each @ each.T).numpy() for each in drawn])


def level_of(recipe: Recipe, source: Source) -> Level:
    """Return the first level that is tuned on a dataset."""
    return next(level for level in recipe.levels if source.name in [each.name for each in level.datasets])


def _shuffled(parts: Sequence[Sequence[Prompt]], seed: int) -> list[list[Prompt]]:
    """Deal the gold labels of all parts out anew."""
    gold = [prompt.gold for part in parts for prompt in part]
    dealt = iter([gold[i] for i in np.random.default_rng(seed).permutation(len(gold))])
    return [[replace(prompt, gold=next(dealt)) for prompt in part] for part in parts]


def _weighted(parts: Sequence[Sequence[Prompt]], power: float) -> list[list[Prompt]]:
    """Weight the prompts of all parts by their labels' counts, as tuning does."""
    weighted = iter(balanced([prompt for part in parts for prompt in part], power))
    return [list(islice(weighted, len(part))) for part in parts]


def _rows(recipe: Recipe, at: At, parts: Parts, gram: NDArray[np.float64] | None) -> list[Similarity]:
    """Return the rows of a level; without inner products rows without values, as they would be called."""
    numbers = iter(range(sum(map(len, parts.values()))))
    places = {name: list(islice(numbers, len(mine))) for name, mine in parts.items()}
    sizes = {name: sum(map(len, mine)) for name, mine in parts.items()}

    def row(first: str, second: str, kind: str, value: float | None, error: float | None = None) -> Any:
        n = min(sizes[first], sizes[second])
        where = (recipe.name, recipe.seed, at.level, GRADIENT, at.loss, first, second, at.part, kind)
        return Similarity(*where, _short(value), _short(error), 0.0, n)

    found = []
    for name, mine in places.items():
        ceiling = None if gram is None else halves(gram, mine)
        found.append(row(name, name, similarity.HALVES, ceiling))
    for first, second in combinations(places, 2):
        both = Cosine() if gram is None else cosine(gram, places[first], places[second])
        found.append(row(first, second, similarity.COSINE, both.value))
        found.append(row(first, second, similarity.CORRECTED, both.corrected, both.error))
    return found


def _links(recipe: Recipe, chain: Chain) -> list[Similarity]:
    """Return the rows of every two links of a chain."""
    stored = dict(zip([link.name for link in chain.links], chain.link_weights(), strict=True))
    return [
        Similarity(recipe.name, recipe.seed, 0, LINK, "", first, second, *rest)
        for first, second in combinations(stored, 2)
        for rest in compare(stored[first], stored[second])
    ]


def compare(first: LinkWeights, second: LinkWeights) -> list[tuple[Any, ...]]:
    """Compare two links layer by layer, B's columns, A's rows and products.

    Returns part, measure, mean over layers, standard deviation over layers, chance and the number of layers
    for each name of target layers and each measure. Layers where a link is zero are left out.
    """
    values: dict[tuple[str, str], list[tuple[float, float]]] = {}
    for name in (name for name in first.pairs if name in second.pairs):
        (a, b), (c, d) = ([each.double().numpy() for each in link.pairs[name]] for link in (first, second))
        product = product_cosine((a, b), (c, d))
        columns, rows = overlap(b, d), overlap(a.T, c.T)
        if product is None or columns is None or rows is None:
            continue
        measured = {
            similarity.COLUMNS: (columns.shared, columns.chance_shared),
            similarity.ROWS: (rows.shared, rows.chance_shared),
            similarity.COLUMN_ANGLE: (columns.angle, columns.chance_angle),
            similarity.ROW_ANGLE: (rows.angle, rows.chance_angle),
            similarity.UPDATE: (product, 0.0),
        }
        for kind, pair in measured.items():
            values.setdefault((name.rpartition(".")[2], kind), []).append(pair)
    found = []
    for (part, kind), pairs in values.items():
        numbers, chances = np.asarray(pairs).T
        spread = float(numbers.std(ddof=1)) if len(numbers) > 1 else None
        summary = (_short(float(numbers.mean())), _short(spread), round(float(chances.mean()), 6))
        found.append((part, kind, *summary, len(numbers)))
    return found


def _short(value: float | None) -> float | None:
    return None if value is None else round(value, 6)
