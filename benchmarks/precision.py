"""bfloat16 against float32 on this machine: speed of scoring and tuning, and what changes in the answers.

    python benchmarks/precision.py --out results/bench/precision.jsonl

The shipped model scores the first dev examples of MELD and SST-2, row by row in alternating order; tuning is
the forward and backward pass of two such rows. Both models are in memory at once.
"""

import argparse
import json
import statistics
import time
from pathlib import Path
from typing import Any

import numpy as np
import torch

import gsa
from gsa.chain.lora import fresh_link
from gsa.data.encoder import Encoder
from gsa.model.losses import answer_loss
from gsa.model.scoring import PackedBatch, score_row
from gsa.recipes.datasets import load_split, task_of
from gsa.recipes.schema import DatasetConfig, Lora
from gsa.trie.packing import PackedRow, group, pack

PRECISIONS = ("float32", "bfloat16")


def rows_of(model: Any, dataset: str, count: int, score: bool) -> list[PackedRow]:
    """Return the packed rows of a dataset's first dev examples."""
    config = DatasetConfig(name=dataset)
    encoder = Encoder(model.tokenizer, model.layout, task_of(config))
    return pack(group(encoder.encode(load_split(config, "dev")[:count])), score=score)


def scoring(models: dict[str, Any], dataset: str, count: int) -> dict[str, Any]:
    """Score each row in both precisions, in alternating order."""
    rows = rows_of(models["float32"], dataset, count, True)
    seconds: dict[str, list[float]] = {name: [] for name in PRECISIONS}
    answers: dict[str, list[Any]] = {name: [] for name in PRECISIONS}
    for name in PRECISIONS:
        score_row(models[name].model, rows[0])
    for number, row in enumerate(rows):
        for name in PRECISIONS if number % 2 else PRECISIONS[::-1]:
            began = time.perf_counter()
            answers[name] += score_row(models[name].model, row)
            seconds[name].append(time.perf_counter() - began)
    pairs = list(zip(answers["float32"], answers["bfloat16"], strict=True))
    change = [
        abs(a.probabilities[label] - b.probabilities[label]) for a, b in pairs for label in a.probabilities
    ]
    return {
        "work": "scoring",
        "dataset": dataset,
        "n": len(pairs),
        **{f"{name}_per_second": len(pairs) / sum(seconds[name]) for name in PRECISIONS},
        "ratio": sum(seconds["float32"]) / sum(seconds["bfloat16"]),
        "median_row_ratio": statistics.median(
            a / b for a, b in zip(seconds["float32"], seconds["bfloat16"], strict=True)
        ),
        "mean_change": float(np.mean(change)),
        "largest_change": float(np.max(change)),
        "same_label": float(np.mean([a.label == b.label for a, b in pairs])),
    }


def tuning(models: dict[str, Any], dataset: str, count: int, rounds: int) -> dict[str, Any]:
    """Time forward and backward passes of the first rows, in alternating rounds."""
    rows = rows_of(models["float32"], dataset, count, False)[:2]
    linked = {name: fresh_link(models[name].model, Lora(), 0).train() for name in PRECISIONS}
    seconds: dict[str, list[float]] = {name: [] for name in PRECISIONS}
    for number in range(rounds + 1):
        for name in PRECISIONS if number % 2 else PRECISIONS[::-1]:
            began = time.perf_counter()
            for row in rows:
                answer_loss(linked[name], PackedBatch.from_row(row, linked[name])).backward()
            if number:  # the first round warms up
                seconds[name].append(time.perf_counter() - began)
            linked[name].zero_grad()
    tokens = sum(len(row.trie) for row in rows)
    medians = {name: statistics.median(values) for name, values in seconds.items()}
    return {
        "work": "tuning",
        "dataset": dataset,
        "tokens": tokens,
        "rounds": rounds,
        **{f"{name}_tokens_per_second": tokens / medians[name] for name in PRECISIONS},
        "ratio": medians["float32"] / medians["bfloat16"],
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--out", type=Path, default=Path("results/bench/precision.jsonl"))
    parser.add_argument("--examples", type=int, default=300)
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--threads", type=int, default=2)
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    models = {name: gsa.load(precision=name) for name in PRECISIONS}
    lines = [scoring(models, dataset, options.examples) for dataset in ("meld", "sst2")]
    lines.append(tuning(models, "meld", options.examples, options.rounds))
    options.out.parent.mkdir(parents=True, exist_ok=True)
    for line in lines:
        print(json.dumps({"threads": options.threads, **line}), flush=True)
    options.out.write_text("".join(json.dumps({"threads": options.threads, **line}) + "\n" for line in lines))


if __name__ == "__main__":
    main()
