"""How well an explanation finds the words that a label rests on.

    python benchmarks/explanations.py [--model gsa-135m] [--texts 25] [--words 20]

Of SST-2's test sentences with so many words, the words with the largest effects are removed, and the log-odds
of the predicted label are read again: as explained by default, with `exact`, and for words drawn at random.
Prints one JSON line for each number of removed words: the mean loss of log-odds.
"""

import argparse
import json
import math
import random
import statistics
from collections.abc import Sequence

import gsa
from gsa.datasets.catalogue import load
from gsa.prediction.predictor import Predictor

REMOVED = (1, 4)
"""How many words are removed."""


def log_odds(model: Predictor, text: str, label: str) -> float:
    """Return the log-odds of a label of a text."""
    probability = model.sentiment(text).probabilities[label]
    return math.log(probability / (1 - probability))


def without(words: Sequence[str], effects: Sequence[float], count: int) -> str:
    """Return a text without the words of its `count` largest effects."""
    removed = sorted(range(len(words)), key=lambda index: -effects[index])[:count]
    return " ".join(word for index, word in enumerate(words) if index not in removed)


def losses(model: Predictor, text: str, draw: random.Random) -> dict[tuple[int, str], float]:
    """Return how many log-odds a text's label loses, by removed words and way to choose them."""
    short, exact = (model.explain(text, exact=exact) for exact in (False, True))
    effects = {
        "explain": short.effects,
        "exact": exact.effects,
        "random": [draw.random() for _ in short.words],
    }
    before = log_odds(model, text, short.label)
    return {
        (count, way): before - log_odds(model, without(short.words, values, count), short.label)
        for count in REMOVED
        for way, values in effects.items()
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--model", default="gsa-135m")
    parser.add_argument("--texts", type=int, default=25)
    parser.add_argument("--words", type=int, default=20)
    options = parser.parse_args()
    model, draw = gsa.load(options.model, precision="float32"), random.Random(0)
    texts = [example.utterance.text for example in load("sst2")["test"]]
    chosen = [text for text in texts if len(text.split()) == options.words][: options.texts]
    rows = [losses(model, text, draw) for text in chosen]
    for count in REMOVED:
        means = {
            way: round(statistics.mean(row[count, way] for row in rows), 2)
            for way in ("explain", "exact", "random")
        }
        print(json.dumps({"removed": count, "texts": len(rows), **means}), flush=True)


if __name__ == "__main__":
    main()
