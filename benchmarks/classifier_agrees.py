"""Classifier exports beside the predictor: how often their labels agree, and how far probabilities differ.

    python benchmarks/classifier_agrees.py gsa-135m [--count 500] [--out results/classifier.json] [--onnx]

Sentiment is read from SST-2's, MOSI's and MOSEI's test sets in turn, emotion from single utterances of
MELD's and EmoryNLP's. transformers' pipeline answers in padded batches of 8. With `--onnx` torch's exporter
writes the model, and ONNX Runtime answers the same batches. Prints one JSON line a task.
"""

import argparse
import json
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np
import torch
from transformers import AutoModelForSequenceClassification, AutoTokenizer, pipeline
from transformers.utils import logging

import gsa
from gsa.data.types import Utterance
from gsa.datasets.catalogue import load
from gsa.export.export import export
from gsa.prediction.inputs import dialogue, example

SETS = {"sentiment": ("sst2", "mosi", "mosei"), "emotion": ("meld", "emorynlp")}
BATCH = 8


def texts_of(task: str, count: int) -> list[str]:
    """Return test texts of a task's datasets in turn."""
    pools = [[item.utterance.text for item in load(name)["test"]] for name in SETS[task]]
    mixed = [pool[i] for i in range(max(map(len, pools))) for pool in pools if i < len(pool)]
    return mixed[:count]


def by_pipeline(folder: Path, texts: list[str]) -> Any:
    """Return probabilities of shape (texts, labels) from transformers' pipeline."""
    classify = pipeline("text-classification", model=str(folder))
    rows = classify(texts, top_k=None, batch_size=BATCH, truncation=True)
    labels = [classify.model.config.id2label[i] for i in range(classify.model.config.num_labels)]
    return np.array([[{r["label"]: r["score"] for r in row}[label] for label in labels] for row in rows])


class _Logits(torch.nn.Module):
    def __init__(self, model: Any) -> None:
        super().__init__()
        self.model = model

    def forward(self, input_ids: torch.Tensor, attention_mask: torch.Tensor) -> torch.Tensor:
        return self.model(input_ids=input_ids, attention_mask=attention_mask, use_cache=False).logits


def by_onnx(folder: Path, texts: list[str], file: Path) -> Any:
    """Return probabilities of shape (texts, labels) from ONNX Runtime."""
    import onnxruntime

    tokenizer = AutoTokenizer.from_pretrained(folder)
    model = AutoModelForSequenceClassification.from_pretrained(folder, attn_implementation="eager").eval()
    sample = tokenizer(texts[:2], padding=True, truncation=True, return_tensors="pt")
    names = ["input_ids", "attention_mask"]
    batch, length = torch.export.Dim("batch"), torch.export.Dim("length")
    torch.onnx.export(
        _Logits(model).eval(), tuple(sample[name] for name in names), file, input_names=names, dynamo=True,
        dynamic_shapes={name: {0: batch, 1: length} for name in names}, verbose=False,
    )  # fmt: skip
    session = onnxruntime.InferenceSession(str(file))
    rows = []
    for start in range(0, len(texts), BATCH):
        inputs = tokenizer(texts[start : start + BATCH], padding=True, truncation=True, return_tensors="np")
        (logits,) = session.run(None, {name: inputs[name].astype(np.int64) for name in names})
        weights = np.exp(logits - logits.max(1, keepdims=True))
        rows.append(weights / weights.sum(1, keepdims=True))
    return np.concatenate(rows)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("run", type=Path)
    parser.add_argument("--count", type=int, default=500)
    parser.add_argument("--task", choices=tuple(SETS))
    parser.add_argument("--out", type=Path)
    parser.add_argument("--onnx", action="store_true")
    options = parser.parse_args()
    logging.set_verbosity_error()
    logging.disable_progress_bar()
    model, lines = gsa.load(options.run, precision="float32"), ""
    for name in [options.task] if options.task else SETS:
        task, texts, started = model.tasks[name], texts_of(name, options.count), time.monotonic()
        known = model.predict([example(task, dialogue(text)) for text in texts], task)
        expected = np.array([list(prediction.probabilities.values()) for prediction in known])
        texts = [model.layout.line(Utterance(text)) for text in texts]  # a tokenizer folds no case
        with tempfile.TemporaryDirectory() as scratch:
            folder = export(
                options.run, "classifier", Path(scratch) / "out", task=name, context=not task.context
            )
            file = Path(scratch) / "model.onnx"
            probabilities = by_onnx(folder, texts, file) if options.onnx else by_pipeline(folder, texts)
        row = {
            "task": name, "program": "onnxruntime" if options.onnx else "transformers", "texts": len(texts),
            "batch": BATCH, "same_label": int((probabilities.argmax(1) == expected.argmax(1)).sum()),
            "largest_difference": float(f"{np.abs(probabilities - expected).max():.1e}"),
            "seconds": round(time.monotonic() - started, 1),
        }  # fmt: skip
        lines += json.dumps(row) + "\n"
        print(json.dumps(row), flush=True)
    if options.out:
        with options.out.open("a", encoding="utf-8") as out:
            out.write(lines)


if __name__ == "__main__":
    main()
