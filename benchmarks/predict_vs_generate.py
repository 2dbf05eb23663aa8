"""Labelling a file: `gsa predict`'s road against a transformers text-generation loop, same model, same rows.

    python benchmarks/predict_vs_generate.py [--model RUN] [--rows 60] [--rounds 3] [--task sentiment]

The rows are the shipped sampler's test sentences or utterances, read from a file. The loop asks the
text-generation pipeline for each prompt in turn, greedily, for as many tokens as the longest label has;
`batched` does so with padded batches of 8. Rounds alternate. Prints one JSON line a round and the medians.
"""

import argparse
import json
import statistics
import tempfile
import time
from pathlib import Path
from typing import Any

from transformers import pipeline
from transformers.utils import logging

import gsa
from gsa.chain.source import ModelSource
from gsa.data.encoder import Encoder
from gsa.data.task import Task
from gsa.data.types import Example
from gsa.datasets.catalogue import load
from gsa.datasets.records import ReadOptions
from gsa.prediction.job import JobConfig, LabelJob, label_file
from gsa.prediction.predictor import Predictor
from gsa.progress import Progress
from gsa.trie import attention


def rows_file(path: Path, examples: list[Example]) -> None:
    with path.open("w", encoding="utf-8") as out:
        for example in examples:
            turn = example.utterance
            row = {"text": turn.text, "speaker": turn.speaker, "dialogue_id": example.dialogue.id}
            out.write(json.dumps(row) + "\n")


def prompts_of(model: Predictor, task: Task, examples: list[Example]) -> list[str]:
    texts = []
    for example, prompt in zip(
        examples, Encoder(model.tokenizer, model.layout, task).encode(examples), strict=True
    ):
        texts.append(model.layout.prompt(task, example.dialogue, example.target, prompt.turns))
    return texts


def by_file(model: Predictor, task: Task, source: Path, out: Path) -> list[str]:
    config = JobConfig(source, ReadOptions("jsonl"), task, "jsonl")
    label_file(LabelJob(config, model.predict, Progress(source.name)), out, overwrite=True)
    return [json.loads(line)["predicted"] for line in out.read_text(encoding="utf-8").splitlines()]


def by_loop(generator: Any, texts: list[str], task: Task, batch: int) -> list[str]:
    labels = []
    answers = generator(texts, batch_size=batch) if batch > 1 else (generator(text) for text in texts)
    for answer in answers:
        text = answer[0]["generated_text"].strip()
        labels.append(next((label for label in task.labels if text.startswith(task.word(label))), ""))
    return labels


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--model", help="the shipped one if not said")
    parser.add_argument("--task", default="sentiment")
    parser.add_argument("--rows", type=int, default=60)
    parser.add_argument("--rounds", type=int, default=3)
    options = parser.parse_args()
    logging.set_verbosity_error()
    model = gsa.load(options.model).with_model(ModelSource.find(options.model).load())
    task = model.task(options.task)
    examples = load(f"sampler-{options.task}")["test"][: options.rows]
    examples = [Example(e.id, e.dataset, e.dialogue, e.target) for e in examples]
    texts = prompts_of(model, task, examples)
    longest = max(len(model.tokenizer(f" {task.word(label)}")["input_ids"]) for label in task.labels)
    model.tokenizer.padding_side = "left"
    settings = {"max_new_tokens": longest, "do_sample": False, "return_full_text": False}
    generator = pipeline("text-generation", model=model.model, tokenizer=model.tokenizer, **settings)
    rounds: list[dict[str, float]] = []
    with tempfile.TemporaryDirectory() as scratch:
        source, out = Path(scratch) / "in.jsonl", Path(scratch) / "out.jsonl"
        rows_file(source, examples)
        n = len(examples)
        for _ in range(options.rounds):
            model.model.set_attn_implementation(attention.NAME)
            began = time.perf_counter()
            labels = by_file(model, task, source, out)
            times = [time.perf_counter() - began]
            model.model.set_attn_implementation("sdpa")
            generated = []
            for batch in (1, 8):
                began = time.perf_counter()
                generated.append(by_loop(generator, texts, task, batch))
                times.append(time.perf_counter() - began)
            agree = sum(a == b for a, b in zip(labels, generated[0], strict=True)) / n
            rounds.append(
                {
                    "rows": n,
                    "predict_rows_per_s": n / times[0],
                    "loop_rows_per_s": n / times[1],
                    "batched_rows_per_s": n / times[2],
                    "ratio_to_loop": times[1] / times[0],
                    "ratio_to_batched": times[2] / times[0],
                    "labels_agree": agree,
                }
            )
            print(json.dumps(rounds[-1]), flush=True)
    print(json.dumps({"median": {key: statistics.median(r[key] for r in rounds) for key in rounds[0]}}))


if __name__ == "__main__":
    main()
