"""TRL's SFTTrainer: prompt and completion, completion-only loss, its cheap cross-entropy.

    python benchmarks/peers/sft.py DATA --batch 4
    python benchmarks/peers/sft.py DATA --packed

Its `nll` loss is computed in chunks at the positions that have a label, so no logits are built elsewhere.
With `--packed`, sequences are packed best-fit decreasing (`bfd`); `loss` tells whether that is right on CPU.
"""

from typing import Any

from transformers import AutoTokenizer
from trl import SFTConfig, SFTTrainer

from common import by_length, chunks, load_model, options, read
from datasets import Dataset, disable_progress_bars
from training import calibrate, link, loss_before, measure, settings, step


def dataset(examples: list[dict[str, Any]]) -> Dataset:
    """Return the examples as TRL reads tokenised ones."""
    return Dataset.from_list(
        [
            {
                "input_ids": e["prompt"] + e["answer"],
                "completion_mask": [0] * len(e["prompt"]) + [1] * len(e["answer"]),
            }
            for e in examples
        ]
    )


def build(meta: dict[str, Any], examples: list[dict[str, Any]], asked: Any) -> SFTTrainer:
    """Return the trainer; packed, a batch is one row of at most `--ceiling` tokens."""
    batch = 1 if asked.packed else asked.batch
    chosen = settings(meta, batch)
    if asked.packed:
        per_row = asked.ceiling * len(examples) / meta["flat_tokens"]
        chosen["gradient_accumulation_steps"] = max(1, round(meta["per_step"] / per_row))
    config = SFTConfig(
        **chosen,
        gradient_checkpointing=False,
        completion_only_loss=True,
        packing=asked.packed,
        packing_strategy="bfd",
        max_length=asked.ceiling if asked.packed else None,
    )
    return SFTTrainer(
        model=load_model(meta),
        args=config,
        train_dataset=dataset(examples),
        processing_class=AutoTokenizer.from_pretrained(meta["backbone"]),
        peft_config=link(meta),
    )


def main() -> None:
    """Measure, or calibrate one batch size."""
    disable_progress_bars()
    asked = options(__doc__)
    meta, examples = read(asked.data)
    trainer = build(meta, by_length(examples), asked)
    name = "trl packed" if asked.packed else "trl"
    batch = 1 if asked.packed else asked.batch
    features = sorted(trainer.train_dataset, key=lambda f: -len(f["input_ids"]))
    if asked.calibrate:
        calibrate(trainer, name, features, batch)
        return
    loss = None
    if asked.check:
        few = dataset(examples[: asked.check])
        prepared = trainer._prepare_dataset(
            few, trainer.processing_class, trainer.args, trainer.args.packing, None, "check"
        )
        loss = loss_before(trainer, chunks(list(prepared), batch))
    step(trainer, features[:batch])
    measure(
        trainer,
        name,
        ("torch", "transformers", "peft", "trl"),
        len(examples),
        loss=loss,
        settings={
            "batch": batch,
            "packing": "bfd" if asked.packed else "none",
            "max_length": trainer.args.max_length,
            "loss_type": trainer.args.loss_type,
            "accumulation": trainer.args.gradient_accumulation_steps,
        },
    )


if __name__ == "__main__":
    main()
