"""Evaluation of a run: each level's model on each dataset, predictions and results kept in the run.

    run/predictions/     tables, as `predictions` keeps them
    run/results.jsonl    one row a number

What is there already and undamaged is not computed again.
"""

import json
import time
import zlib
from collections import Counter
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl

from gsa.chain.base import load_chain
from gsa.chain.chain import Chain
from gsa.chain.run_folder import RunFolder
from gsa.data.encoder import Encoder
from gsa.data.selection import sample_dialogues
from gsa.data.types import Example
from gsa.errors import InputError, suggest
from gsa.evaluation import predictions, results
from gsa.evaluation.metrics import Answers, answers_of, measure
from gsa.evaluation.results import Result
from gsa.locking import folder_lock
from gsa.model.scoring import score
from gsa.recipes.datasets import load_split, load_splits, metrics_of, task_of, training_pool
from gsa.recipes.schema import DatasetConfig, Recipe

Say = Callable[[str], None]
MAJORITY = -1


def evaluate(
    root: Path,
    levels: Sequence[int] | None = None,
    datasets: Sequence[str] = (),
    split: str = "",
    limit: int | None = None,
    again: bool = False,
    say: Say = print,
) -> list[Result]:
    """Measure a run and return all of its rows of that split.

    `levels` None is every level from untuned to last; `datasets` empty is all of the recipe; `limit` None
    is the recipe's. Raises InputError for names and levels that the run does not have, for a damaged run,
    and for one that another process measures.
    """
    recipe, chain = RunFolder(root).read()
    with folder_lock(root, "eval"):
        return _evaluate(recipe, chain, levels, datasets, split, limit, again, say)


def _evaluate(
    recipe: Recipe,
    chain: Chain,
    levels: Sequence[int] | None,
    datasets: Sequence[str],
    split: str,
    limit: int | None,
    again: bool,
    say: Say,
) -> list[Result]:
    root = chain.root
    results.read(root)  # says what is wrong before anything is computed
    split = split or recipe.evaluation.split
    if split not in ("train", "dev", "test"):
        raise InputError(f"split '{split}': expected train, dev or test")
    wanted = list(range(len(chain.links) + 1)) if levels is None else list(levels)
    sources = _sources(recipe, datasets, split, say)
    chosen = {source.name: load_split(source, split) for source in sources}
    for level in wanted:
        between = levels is None and 0 < level < len(chain.links)
        cap = limit if limit is not None else recipe.evaluation.sample if between else recipe.evaluation.limit
        cut = {
            name: sample_dialogues(found, cap, zlib.crc32(name.encode())) for name, found in chosen.items()
        }
        _level(recipe, chain, level, sources, cut, split, again, say)
    for source in sources:
        _majority(recipe, root, source, chosen[source.name], split)
    return [row for row in results.read(root) if row.split == split]


def _sources(recipe: Recipe, datasets: Sequence[str], split: str, say: Say) -> list[DatasetConfig]:
    """Return the datasets to measure: those that are named, or all that have the split."""
    known = {source.name: source for source in recipe.datasets}
    for name in datasets:
        if name not in known:
            raise InputError(
                f"dataset '{name}' is not in this run{suggest(name, known)}: expected one of {sorted(known)}"
            )
    if datasets:
        return [known[name] for name in known if name in datasets]
    there = [source for source in known.values() if load_splits(source)[split]]
    if not there:
        load_split(next(iter(known.values())), split)  # says what is missing
    for name in known.keys() - {source.name for source in there}:
        say(f"  {name} has no {split} split: left out")
    return there


def _level(
    recipe: Recipe,
    chain: Chain,
    level: int,
    sources: Sequence[DatasetConfig],
    examples: dict[str, list[Example]],
    split: str,
    again: bool,
    say: Say,
) -> None:
    files = {s.name: predictions.path_of(chain.root, level, s.name, split) for s in sources}
    kept = {
        s.name: None if again else _stored(chain.root, files[s.name], examples[s.name], say) for s in sources
    }
    missing = any(table is None for table in kept.values())
    loaded = load_chain(chain, recipe.backbone, level) if missing else None
    for source in sources:
        table, speed = kept[source.name], "kept"
        if table is None:
            assert loaded is not None
            began = time.monotonic()
            encoder = Encoder(loaded.tokenizer, recipe.layout, task_of(source))
            table = predict(loaded.model, encoder, examples[source.name], recipe.training.row_tokens)
            predictions.store(chain.root, files[source.name], table)
            speed = f"{len(table) / (time.monotonic() - began):.1f} targets/s"
        rows = rows_of(recipe, level, source, split, table)
        results.add(chain.root, rows)
        agree = np.mean([a == b for a, b in zip(table["predicted"], table["greedy"], strict=True)])
        say(
            f"  level {level}  {source.name:<20} {rows[0].metric} {rows[0].value:.1f}  n={rows[0].n}  "
            f"greedy decoding agrees {100 * agree:.1f}%  {speed}"
        )


def _stored(root: Path, file: Path, examples: Sequence[Example], say: Say) -> pl.DataFrame | None:
    """Return stored predictions if they are whole and hold at least these examples with these labels."""
    table = predictions.load(root, file)
    if table is None:
        if file.exists():
            say(f"  {file} is damaged, or its checksum is not noted: computed again")
        return None
    known = dict(zip(table["id"], table["gold"], strict=True))
    return table if all(known.get(e.id, "") == e.label for e in examples) else None


def predict(model: Any, encoder: Encoder, examples: Sequence[Example], row_tokens: int) -> pl.DataFrame:
    """Return the table of predictions: one row an example, a probability column a label."""
    labels = encoder.task.labels
    predicted = score(model, encoder.encode(examples), row_tokens)
    columns: dict[str, list[Any]] = {
        "id": [e.id for e in examples],
        "dialogue": [e.dialogue.id for e in examples],
        "gold": [e.label for e in examples],
        "predicted": [p.label for p in predicted],
        "greedy": [p.greedy for p in predicted],
    }
    columns |= {f"p_{label}": [p.probabilities[label] for p in predicted] for label in labels}
    text = dict.fromkeys(("id", "dialogue", "gold", "predicted", "greedy"), pl.String)
    return pl.DataFrame(columns, schema_overrides=text)


def rows_of(
    recipe: Recipe, level: int, source: DatasetConfig, split: str, table: pl.DataFrame
) -> list[Result]:
    """Return the result rows of a table of predictions, the main metric first."""
    task = task_of(source)
    probabilities = table.select([f"p_{label}" for label in task.labels]).to_numpy()
    return _results(recipe, level, source, split, answers_of(task, table["gold"].to_list(), probabilities))


def _majority(
    recipe: Recipe, root: Path, source: DatasetConfig, examples: Sequence[Example], split: str
) -> None:
    """Add the rows of always answering the most frequent label of the training split."""
    task = task_of(source)
    counts = Counter(task.canonical_label(str(example.label)) for example in training_pool(source))
    always = np.zeros((len(examples), len(task.labels)))
    always[:, max(range(len(task.labels)), key=lambda i: counts[task.labels[i]])] = 1.0
    answers = answers_of(task, [str(example.label) for example in examples], always)
    results.add(root, _results(recipe, MAJORITY, source, split, answers))


def _results(recipe: Recipe, level: int, source: DatasetConfig, split: str, answers: Answers) -> list[Result]:
    return [
        Result(recipe.name, recipe.seed, level, source.name, split, metric, round(value, 4), n)
        for metric, (value, n) in measure(answers, metrics_of(source)).items()
    ]


def matrix(root: Path, rows: Sequence[Result]) -> list[list[str]]:
    """Return the forgetting matrix of a run's rows, header first."""
    recipe, chain = RunFolder(root).read()
    mains = {source.name: metrics_of(source)[0] for source in recipe.datasets}
    names = {MAJORITY: "majority", 0: "untuned"}
    names |= {number: f"after {link.name}" for number, link in enumerate(chain.links, 1)}
    return results.forgetting_matrix(rows, mains, names)


def shown(root: Path, split: str, count: int) -> list[dict[str, Any]]:
    """Return some predictions of the last level with their texts, `count` a dataset, spread over it."""
    recipe, chain = RunFolder(root).read()
    rows = []
    for source in recipe.datasets:
        table = predictions.load(root, predictions.path_of(root, len(chain.links), source.name, split))
        if table is None:
            continue
        by_id = {example.id: example for example in load_split(source, split)}
        for row in table[:: max(1, len(table) // count)][:count].iter_rows(named=True):
            chances = {name[2:]: p for name, p in row.items() if name.startswith("p_")}
            text = by_id[row["id"]].utterance.line()
            rows.append({"dataset": source.name, "text": text, "probabilities": chances, **row})
    return rows


def as_json(rows: Sequence[Result]) -> str:
    """Return rows as JSON lines."""
    return "\n".join(json.dumps(row.__dict__) for row in rows)
