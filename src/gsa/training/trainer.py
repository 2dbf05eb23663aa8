"""Tuning one link: rows in, a trained link on frozen weights out (paper, equation 5).

transformers' Trainer runs the loop on Accelerate, with its integrations. What is ours: one row is one
batch, the loss is taken at answer tokens only, a checkpoint is whole or does not count, and a number that
is none, or somebody who asks to stop, ends the loop where nothing is lost.
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch.utils.data import Dataset, SequentialSampler
from transformers import Trainer, TrainerCallback, TrainingArguments

from gsa.chain.chain import link_weights
from gsa.errors import InputError
from gsa.model.llama import recompute
from gsa.model.losses import Loss, loss_of
from gsa.model.scoring import PackedBatch
from gsa.recipes.schema import Level, Recipe
from gsa.signals import Stop
from gsa.training.checkpoint import check_finite, load_random, load_state, load_weights, save_checkpoint
from gsa.training.dataset import TrainingData
from gsa.trie.packing import PackedRow

NAMED = 20
"""Examples that a message names before it only counts the others."""


@dataclass(frozen=True)
class Progress:
    """Where a level's checkpoints are, and who is told of its steps."""

    level: str
    """How messages call the level."""
    scratch: Path
    resume: Path | None
    """The checkpoint to go on from."""
    fingerprint: str
    """What checkpoints are of: base, links and data."""
    report: Callable[[dict[str, Any]], None]
    """Called after each step with step, loss, gradient norm and learning rate."""
    log: Callable[[], str]
    """Returns the level's lines of the log, to be kept in a checkpoint."""
    stop: Stop


class _Rows(Dataset[dict[str, Any]]):
    """Rows made into tensors when their step comes."""

    def __init__(self, rows: list[PackedRow], model: Any) -> None:
        self.rows, self.model = rows, model

    def __len__(self) -> int:
        return len(self.rows)

    def __getitem__(self, index: int) -> dict[str, Any]:
        return {"reading": PackedBatch.from_row(self.rows[index], self.model), "row": self.rows[index]}


class ChainTrainer(Trainer):  # type: ignore[misc]
    """Trainer that reads one row a batch, in the given order, and keeps gsa's checkpoints."""

    loss: Loss
    progress: Progress

    def compute_loss(self, model: Any, inputs: Any, return_outputs: bool = False, **_: Any) -> Any:
        """Return a row's loss; stop at once, with the step and examples, when it is not a number."""
        loss = self.loss(model, inputs["reading"])
        if not torch.isfinite(loss):
            raise InputError(
                f"{self.progress.level} step {self.state.global_step + 1}: the loss is {loss.item()} on "
                f"{named([inputs['row']])}: expected a finite number; try a lower learning rate"
            )
        return (loss, None) if return_outputs else loss

    def _save_checkpoint(self, *_: Any, **__: Any) -> None:
        save_checkpoint(self.progress.scratch, self, self.progress.fingerprint, self.progress.log())

    def _load_from_checkpoint(self, resume_from_checkpoint: str, model: Any = None) -> None:
        load_weights(Path(resume_from_checkpoint), self.model)

    def _load_optimizer_and_scheduler(self, checkpoint: str | None) -> None:
        if checkpoint:
            load_state(Path(checkpoint), self)

    def _load_rng_state(self, checkpoint: str | None) -> None:
        if checkpoint:
            load_random(Path(checkpoint))

    def _get_train_sampler(self, *_: Any) -> Any:
        return SequentialSampler(self.train_dataset)


def named(rows: Iterable[PackedRow]) -> str:
    """Return the examples of rows as a message names them: dataset and ids."""
    found: dict[str, list[str]] = {}
    for prompt in (prompt for row in rows for prompt in row.prompts):
        found.setdefault(prompt.example.dataset, []).append(prompt.example.id)
    parts = []
    for dataset, ids in found.items():
        more = f" and {len(ids) - NAMED} more" if len(ids) > NAMED else ""
        parts.append(f"{dataset} {', '.join(ids[:NAMED])}{more}")
    return "; ".join(parts)


class _Watch(TrainerCallback):  # type: ignore[misc]
    """Reports each step, refuses gradients that are no numbers, and stops the loop when asked to."""

    def __init__(self, progress: Progress, rows: list[PackedRow], rows_per_step: int) -> None:
        self.progress, self.rows, self.rows_per_step = progress, rows, rows_per_step

    def on_log(self, args: Any, state: Any, control: Any, logs: Any = None, **_: Any) -> None:
        if logs and "loss" in logs:
            self.progress.report(
                {"step": state.global_step, **{k: logs[k] for k in ("loss", "grad_norm", "learning_rate")}}
            )

    def on_pre_optimizer_step(self, args: Any, state: Any, control: Any, **given: Any) -> None:
        gradients = (p.grad for p in given["model"].parameters() if p.grad is not None)
        if not all(torch.isfinite(gradient).all() for gradient in gradients):
            first = state.global_step * self.rows_per_step
            raise InputError(
                f"{self.progress.level} step {state.global_step + 1}: the gradient is not finite on "
                f"{named(self.rows[first : first + self.rows_per_step])}: expected finite numbers; "
                "try a lower learning rate"
            )

    def on_step_end(self, args: Any, state: Any, control: Any, **_: Any) -> None:
        if self.progress.stop.signum:
            control.should_save = control.should_training_stop = True


def _arguments(lessons: TrainingData, recipe: Recipe, level: Level, scratch: Path) -> TrainingArguments:
    """Return the Trainer's settings; plain Adam is AdamW without decay (section 5.3)."""
    training = recipe.training
    arguments = TrainingArguments(
        output_dir=str(scratch),
        max_steps=lessons.steps,
        per_device_train_batch_size=1,
        gradient_accumulation_steps=training.rows_per_step,
        learning_rate=level.learning_rate,
        lr_scheduler_type="constant_with_warmup" if training.schedule == "constant" else training.schedule,
        warmup_steps=int(training.warmup * lessons.steps),
        max_grad_norm=training.clip,
        weight_decay=0.0,
        optim="adamw_torch",
        save_strategy="steps",
        save_steps=training.checkpoint_steps,
        logging_steps=1,
        logging_nan_inf_filter=False,
        report_to=list(training.report_to) or "none",
        remove_unused_columns=False,
        dataloader_pin_memory=False,
        disable_tqdm=True,
        seed=recipe.seed,
        use_cpu=not torch.cuda.is_available(),
    )
    arguments._n_gpu = min(arguments.n_gpu, 1)  # a row is a batch: it cannot be spread over devices
    if arguments.world_size > 1:
        raise InputError(
            f"found {arguments.world_size} processes: expected one, tuning is not distributed yet"
        )
    return arguments


def tune_link(model: Any, lessons: TrainingData, recipe: Recipe, level: Level, progress: Progress) -> int:
    """Train the active link of `model` in place, going on from a checkpoint if one is given.

    Only the link's A and B get gradients. Returns the step reached: the last one, or an earlier one if
    somebody asked to stop, and then a checkpoint of it is stored. Raises InputError where the loss, a
    gradient or a weight stops being a number.
    """
    if recipe.training.recompute:
        recompute(model)
    trainer = ChainTrainer(
        model=model,
        args=_arguments(lessons, recipe, level, progress.scratch),
        train_dataset=_Rows(lessons.rows, model),
        data_collator=_only,
        callbacks=[_Watch(progress, lessons.rows, recipe.training.rows_per_step)],
    )
    trainer.loss = loss_of(level)
    trainer.progress = progress
    trainer.model_accepts_loss_kwargs = False
    for callback in list(trainer.callback_handler.callbacks):
        if type(callback).__name__ == "PrinterCallback":
            trainer.remove_callback(callback)
    progress.stop.deferred = True
    try:
        trainer.train(resume_from_checkpoint=str(progress.resume) if progress.resume else None)
    finally:
        progress.stop.deferred = False
    check_finite(link_weights(model), f"{progress.level} step {trainer.state.global_step}")
    model.eval()
    return int(trainer.state.global_step)


def _only(batch: list[dict[str, Any]]) -> dict[str, Any]:
    (row,) = batch
    return row


def token_count(rows: list[PackedRow]) -> int:
    """Return the tokens that are computed, summed over rows."""
    return int(np.sum([len(row.trie) for row in rows]))
