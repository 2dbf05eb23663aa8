"""Documents whose balance is known: how well a document's distribution gives the share of positive sentences.

    python benchmarks/documents.py [--documents 40] [--out results/documents.json]

A document is 20 labelled test sentences of SST-2, of which a known number is positive. It is read in passages
of several sizes, and at once. Prints one JSON line a size: Pearson's correlation and mean absolute error of
(score + 1) / 2 against the known share, and how often it is on the majority's side.
"""

import argparse
import json
import random
import time
from pathlib import Path

import numpy as np

import gsa
from gsa.datasets.catalogue import load
from gsa.prediction import documents

SENTENCES = 20
SIZES = (1, 120, 240, 480, 960)
"""Characters of a passage; 1 is each sentence by itself."""


def make_documents(count: int, mixed: bool) -> list[tuple[float, str]]:
    """Return documents with their share of positive sentences, which come first unless `mixed`."""
    rng, pool = random.Random(0), {"positive": [], "negative": []}
    for example in load("sst2")["test"]:
        text = example.utterance.text.strip()
        pool[str(example.label)].append(text[:1].upper() + text[1:])
    made = []
    for number in range(count):
        positive = round(SENTENCES * number / (count - 1))
        parts = rng.sample(pool["positive"], positive) + rng.sample(pool["negative"], SENTENCES - positive)
        if mixed:
            rng.shuffle(parts)
        made.append((positive / SENTENCES, " ".join(parts)))
    return made


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--documents", type=int, default=40)
    parser.add_argument("--order", nargs="+", choices=("mixed", "sorted"), default=["mixed", "sorted"])
    parser.add_argument("--out", type=Path)
    options = parser.parse_args()
    model, rows = gsa.load(precision="float32"), []
    for order in options.order:
        made = make_documents(options.documents, mixed=order == "mixed")
        shares = np.array([share for share, _ in made])
        for size in (*SIZES, 0):
            documents.PASSAGE, started = size, time.monotonic()
            predictions = model.sentiment([text for _, text in made], document=bool(size))
            positive = np.array([(prediction.score + 1) / 2 for prediction in predictions])
            clear = shares != 0.5
            row = {
                "order": order, "passage": size or "at once", "documents": len(made),
                "pearson": round(float(np.corrcoef(positive, shares)[0, 1]), 3),
                "mae": round(float(np.abs(positive - shares).mean()), 3),
                "majority": round(float(((positive > 0.5) == (shares > 0.5))[clear].mean()), 3),
                "seconds": round(time.monotonic() - started, 1),
            }  # fmt: skip
            rows.append(row)
            print(json.dumps(row), flush=True)
    if options.out:
        with options.out.open("a", encoding="utf-8") as out:
            out.writelines(json.dumps(row) + "\n" for row in rows)


if __name__ == "__main__":
    main()
