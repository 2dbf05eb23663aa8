"""transformers' Trainer with PEFT: padded to the longest of the batch, grouped by length, loss on the answer.

    python benchmarks/peers/trainer.py DATA --batch 4

Its best settings: left padding, so that `logits_to_keep` computes logits at the answers alone.
"""

from typing import Any

import torch
from peft import get_peft_model
from transformers import Trainer, TrainingArguments

from common import by_length, chunks, load_model, options, padded, read
from training import calibrate, link, loss_before, measure, settings, step


def collate(features: list[dict[str, Any]]) -> dict[str, Any]:
    """Return a left-padded batch, with labels and logits for the last few positions only."""
    inputs = padded([f["input_ids"] for f in features])
    keep = max(f["answer"] for f in features) + 1
    labels = torch.full((len(features), keep), -100)
    for row, feature in enumerate(features):
        labels[row, -feature["answer"] :] = torch.tensor(feature["input_ids"][-feature["answer"] :])
    return {**inputs, "labels": labels, "logits_to_keep": keep, "use_cache": False}


def main() -> None:
    """Measure, or calibrate one batch size."""
    asked = options(__doc__, "bfloat16")
    meta, examples = read(asked.data)
    features = [
        {"input_ids": e["prompt"] + e["answer"], "answer": len(e["answer"])} for e in by_length(examples)
    ]
    trainer = Trainer(
        model=get_peft_model(load_model(meta, asked.precision), link(meta)),
        args=TrainingArguments(**settings(meta, asked.batch), remove_unused_columns=False),
        train_dataset=features,
        data_collator=collate,
    )
    if asked.calibrate:
        calibrate(trainer, "trainer", features, asked.batch)
        return
    checked = [
        {"input_ids": e["prompt"] + e["answer"], "answer": len(e["answer"])} for e in examples[: asked.check]
    ]
    loss = loss_before(trainer, chunks(checked, asked.batch)) if checked else None
    step(trainer, features[: asked.batch])
    measure(
        trainer,
        "trainer",
        ("torch", "transformers", "peft"),
        len(examples),
        loss=loss,
        settings={
            "weights": asked.precision,
            "batch": asked.batch,
            "padding": "left",
            "logits_to_keep": True,
            "per_step": meta["per_step"],
        },
    )


if __name__ == "__main__":
    main()
