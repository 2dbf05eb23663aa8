"""What the training peers share: the link, the Trainer's settings, calibration, the check of the loss.

In: a peer's own Trainer, already holding its dataset and collator. Out: the JSON line.
"""

import tempfile
import time
from typing import Any

import torch
from peft import LoraConfig
from transformers import TrainerCallback

from common import CALIBRATION, Clock, by_length, chunks, report, spread


def link(meta: dict[str, Any]) -> LoraConfig:
    """Return the LoRA that gsa trains, for PEFT."""
    lora = meta["lora"]
    return LoraConfig(
        r=lora["rank"],
        lora_alpha=lora["alpha"],
        lora_dropout=lora["dropout"],
        target_modules=lora["targets"],
        init_lora_weights="gaussian",
        task_type="CAUSAL_LM",
    )


def settings(meta: dict[str, Any], batch: int) -> dict[str, Any]:
    """Return the Trainer's arguments: about as many examples a step as gsa takes, nothing saved."""
    return {
        "output_dir": tempfile.mkdtemp(),
        "num_train_epochs": 1,
        "per_device_train_batch_size": batch,
        "gradient_accumulation_steps": max(1, -(-meta["per_step"] // batch)),
        "learning_rate": meta["learning_rate"],
        "lr_scheduler_type": "constant",
        "weight_decay": 0.0,
        "optim": "adamw_torch",
        "bf16": False,
        "train_sampling_strategy": "group_by_length",
        "save_strategy": "no",
        "logging_strategy": "no",
        "report_to": "none",
        "dataloader_pin_memory": False,
        "disable_tqdm": True,
        "use_cpu": True,
        "seed": 0,
    }


class Timed(TrainerCallback):
    """Runs the clock from the first step's beginning to the last step's end."""

    def __init__(self) -> None:
        self.clock = Clock()

    def on_train_begin(self, *_: Any, **__: Any) -> None:
        self.clock.__enter__()

    def on_train_end(self, *_: Any, **__: Any) -> None:
        self.clock.__exit__()


def loss_before(trainer: Any, batches: list[list[Any]]) -> float:
    """Return the mean answer-token cross-entropy, by the trainer's own collator and loss."""
    total, count = 0.0, 0
    for batch in batches:
        inputs = trainer.data_collator(batch)
        tokens = int((inputs["labels"] != -100).sum())
        with torch.no_grad():
            total += float(trainer.compute_loss(trainer.model, inputs)) * tokens
        count += tokens
    return total / count


def step(trainer: Any, batch: list[Any]) -> None:
    """Take one forward and backward pass that changes nothing."""
    trainer.model.train()
    trainer.compute_loss(trainer.model, trainer.data_collator(batch)).backward()
    trainer.model.zero_grad()


def calibrate(trainer: Any, peer: str, features: list[Any], batch: int) -> None:
    """Print the seconds that a few examples take, forward and backward, in batches of one size."""
    sample = chunks(spread(features, CALIBRATION), batch)
    step(trainer, sample[0])
    with Clock() as clock:
        for part in sample:
            step(trainer, part)
    report(peer, (), sum(map(len, sample)), clock, settings={"batch": batch})


def measure(trainer: Any, peer: str, packages: tuple[str, ...], targets: int, **more: Any) -> None:
    """Warm up, train one epoch, print the line."""
    trainer.remove_callback(
        next(c for c in trainer.callback_handler.callbacks if "Print" in type(c).__name__)
    )
    timed = Timed()
    trainer.add_callback(timed)
    began = time.perf_counter()
    trainer.train()
    whole = time.perf_counter() - began
    steps = trainer.state.global_step
    report(peer, packages, targets, timed.clock, steps=steps, whole_seconds=round(whole, 3), **more)


__all__ = ["by_length", "calibrate", "link", "loss_before", "measure", "settings", "step"]
