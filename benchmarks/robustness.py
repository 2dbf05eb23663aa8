"""What becomes of a model's accuracy when the same sentences are written in another way, and plain ones.

    python benchmarks/robustness.py [--model runs/quick] [--out results/gsa-135m-generic/robustness.jsonl]

In: a model, or the shipped one. Out: a table and one JSON line a measurement. The sentences are those of the
samplers, all splits, which the shipped model was not tuned on: with three polarities, and the turns with
their emotions. `sarcastic` is the share of plain sentences, without a trace of irony, that are called
sarcastic: those of sampler-sentiment, each as a lone turn, and the held-out plain texts of
robustness-sarcasm and robustness-plain; `ironic`, `offensive` and `hate` the same of sampler-sentiment.
"""

import argparse
import json
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from random import Random

import gsa
from gsa.data import augmentation
from gsa.data.task import EMOTION, SARCASM, SENTIMENT, Task
from gsa.data.types import Dialogue, Example
from gsa.datasets.catalogue import load
from gsa.prediction.predictor import Predictor

VARIANTS = {
    "capitals": augmentation.upper,
    "small letters": augmentation.lower,
    "title case": augmentation.title,
    "sign-off": augmentation.sign_off,
    "greeting and sign-off": augmentation.mail,
    "curly quotes": augmentation.curly,
    "no final mark": augmentation.no_final_mark,
}
LONE = ("sign-off", "greeting and sign-off")
"""Variants for sentences that are read alone."""
TWEETS = {"irony": "ironic", "offense": "offensive", "hate": "hate"}
"""Tasks that were learned from tweets, and the label that no plain sentence has."""


def sampler(task: Task) -> list[Example]:
    """Return all examples of a task's sampler."""
    return [example for examples in load(f"sampler-{task.name}").values() for example in examples]


def varied(examples: Sequence[Example], variant: augmentation.TextVariant) -> list[Example]:
    """Return the examples with every turn of their dialogues written in another way."""
    dialogues: dict[int, Dialogue] = {}
    for example in examples:
        if id(example.dialogue) not in dialogues:
            rng = Random(example.dialogue.id)
            turns = tuple(replace(turn, text=variant(turn.text, rng)) for turn in example.dialogue.turns)
            dialogues[id(example.dialogue)] = replace(example.dialogue, turns=turns)
    return [replace(example, dialogue=dialogues[id(example.dialogue)]) for example in examples]


def accuracy(model: Predictor, task: Task, examples: Sequence[Example]) -> float:
    """Return the share of right labels in percent."""
    predictions = model.predict(examples, task)
    right = [p.label == example.label for p, example in zip(predictions, examples, strict=True)]
    return 100 * sum(right) / len(right)


def rows(model: Predictor) -> Iterator[dict[str, object]]:
    """Yield one row a task and variant, and one a set of plain sentences."""
    for task in (SENTIMENT, EMOTION):
        examples = sampler(task)
        plain = accuracy(model, task, examples)
        yield {"task": task.name, "variant": "as written", "n": len(examples), "accuracy": round(plain, 2)}
        for name, variant in VARIANTS.items():
            if task.context and name in LONE:
                continue
            value = accuracy(model, task, varied(examples, variant))
            yield {
                "task": task.name, "variant": name, "n": len(examples), "accuracy": round(value, 2),
                "loss": round(plain - value, 2),
            }  # fmt: skip
    plain_texts = {"sampler-sentiment": sampler(SENTIMENT)}
    for name in ("robustness-sarcasm", "robustness-plain"):
        plain_texts[name] = [e for e in load(name)["test"] if e.label == "non-sarcastic"]
    for name, examples in plain_texts.items():
        yield false_alarms(model, SARCASM, "sarcastic", name, examples)
    for task_name, label in TWEETS.items():
        if task_name in model.tasks:
            task = model.tasks[task_name]
            yield false_alarms(model, task, label, "sampler-sentiment", plain_texts["sampler-sentiment"])


def false_alarms(
    model: Predictor, task: Task, label: str, name: str, examples: Sequence[Example]
) -> dict[str, object]:
    """Return the row of how many plain texts get a label that none of them has."""
    unlabelled = [replace(example, label=None) for example in examples]
    called = [p.label == label for p in model.predict(unlabelled, task)]
    share = round(100 * sum(called) / len(called), 2)
    return {"task": task.name, "variant": name, "n": len(called), label: share}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--model", help="what gsa.load takes; the shipped model if left out")
    parser.add_argument("--level", type=int, help="links to apply; all if left out")
    parser.add_argument("--out", type=Path, help="file for the rows")
    options = parser.parse_args()
    measured = []
    for row in rows(gsa.load(options.model, options.level)):
        measured.append(row)
        print("  ".join(f"{key} {value}" for key, value in row.items()), flush=True)
    if options.out:
        options.out.parent.mkdir(parents=True, exist_ok=True)
        options.out.write_text("".join(json.dumps(row) + "\n" for row in measured), encoding="utf-8")


if __name__ == "__main__":
    main()
