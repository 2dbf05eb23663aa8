"""Labels that llama.cpp's server or vLLM reads off an export, against the predictor's.

    python benchmarks/served_agrees.py RUN --llamacpp URL [--tasks sentiment,emotion] [--count 500] [--skip 0]
    python benchmarks/served_agrees.py RUN --vllm URL --model NAME

Takes the first test examples of the run's datasets for each task, and prints one JSON line a task. A label of
one token is compared by its probability; where a label of the list has more, its tokens are multiplied.
"""

import argparse
import itertools
import json
import time
from dataclasses import replace

import gsa
from gsa.chain.run_folder import RunFolder
from gsa.data.encoder import Encoder
from gsa.data.types import Example
from gsa.recipes.datasets import load_split, task_of
from gsa.serving.remote import LlamaCpp, RemotePredictor, Vllm


def examples_of(run: str, task: str, labels: tuple[str, ...], skip: int, count: int) -> list[Example]:
    """Return examples of a task without their labels: the test sets first, then the training sets."""
    recipe, _ = RunFolder.find(run).read()
    sources = [s for s in recipe.datasets if task_of(s).name == task and task_of(s).labels == labels]
    splits = (load_split(source, split) for split in ("test", "train") for source in sources)
    chosen = itertools.islice(itertools.chain.from_iterable(splits), skip, skip + count)
    return [replace(example, label=None) for example in chosen]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("run")
    parser.add_argument("--llamacpp")
    parser.add_argument("--vllm")
    parser.add_argument("--model", default="")
    parser.add_argument("--tasks", default="sentiment,emotion,sarcasm")
    parser.add_argument("--count", type=int, default=500)
    parser.add_argument("--skip", type=int, default=0)
    parser.add_argument("--parallel", type=int, default=1)
    options = parser.parse_args()
    server = Vllm(options.vllm, options.model) if options.vllm else LlamaCpp(options.llamacpp)
    known = gsa.load(options.run)
    served = RemotePredictor(options.run, server, parallel=options.parallel)
    for name in options.tasks.split(","):
        task = known.task(name)
        examples = examples_of(options.run, name, task.labels, options.skip, options.count)
        (prompt,) = Encoder(known.tokenizer, known.layout, task).encode(examples[:1])
        expected = known.predict(examples, task)
        began = time.monotonic()
        answers = served.predict(examples, task)
        seconds = time.monotonic() - began
        differences = [
            max(abs(answer.probabilities[label] - prediction.probabilities[label]) for label in task.labels)
            for answer, prediction in zip(answers, expected, strict=True)
        ]
        labels = [a.label == e.label for a, e in zip(answers, expected, strict=True)]
        margins = [
            sorted(e.probabilities.values())[-1] - sorted(e.probabilities.values())[-2]
            for e, same in zip(expected, labels, strict=True)
            if not same
        ]
        print(
            json.dumps(
                {
                    "server": server.dtype, "task": name, "examples": len(examples),
                    "tokens_of_labels": [len(answer) for answer in prompt.answers],
                    "same_label": sum(labels), "largest_difference": round(max(differences), 5),
                    "mean_difference": round(sum(differences) / len(differences), 6),
                    "largest_margin_of_another_label": round(max(margins, default=0.0), 5),
                    "seconds": round(seconds, 1),
                }
            ),
            flush=True,
        )  # fmt: skip


if __name__ == "__main__":
    main()
