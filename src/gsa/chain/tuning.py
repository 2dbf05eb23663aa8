"""Tuning one link: rows in, a trained link on frozen weights out (paper, equation 5).

transformers' Trainer runs the loop on Accelerate, with its integrations. What is ours: one row is one
batch, the loss is taken at answer tokens only, and a checkpoint counts once its checksums are noted.
"""

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch.utils.data import Dataset, SequentialSampler
from transformers import Trainer, TrainerCallback, TrainingArguments

from gsa.chain.answers import LOSSES, Reading, answer_loss
from gsa.chain.batches import Lessons
from gsa.chain.recipe import Level, Recipe
from gsa.errors import InputError
from gsa.files import flush, sha256, write
from gsa.trie.rows import Row

SEAL = "gsa.json"
Report = Callable[[dict[str, Any]], None]


class _Rows(Dataset[dict[str, Any]]):
    """Rows made into tensors when their step comes."""

    def __init__(self, rows: list[Row], model: Any) -> None:
        self.rows, self.model = rows, model

    def __len__(self) -> int:
        return len(self.rows)

    def __getitem__(self, index: int) -> dict[str, Any]:
        return {"reading": Reading.of(self.rows[index], self.model)}


class ChainTrainer(Trainer):  # type: ignore[misc]
    """Trainer that reads one row a batch, in the given order."""

    loss = staticmethod(answer_loss)

    def compute_loss(self, model: Any, inputs: Any, return_outputs: bool = False, **_: Any) -> Any:
        """Return a row's loss; stop at once, with the step, when it is not a number."""
        loss = self.loss(model, inputs["reading"])
        if not torch.isfinite(loss):
            raise InputError(
                f"step {self.state.global_step + 1}: the loss is {loss.item()}: expected a finite number; "
                "try a lower learning rate"
            )
        return (loss, None) if return_outputs else loss

    def _save_checkpoint(self, *args: Any, **kwargs: Any) -> None:
        super()._save_checkpoint(*args, **kwargs)
        seal(Path(self.args.output_dir) / f"checkpoint-{self.state.global_step}")

    def _get_train_sampler(self, *_: Any) -> Any:
        return SequentialSampler(self.train_dataset)


class _Progress(TrainerCallback):  # type: ignore[misc]
    """Reports each step: step, loss, gradient norm, learning rate."""

    def __init__(self, report: Report) -> None:
        self.report = report

    def on_log(self, args: Any, state: Any, control: Any, logs: Any = None, **_: Any) -> None:
        if logs and "loss" in logs:
            self.report(
                {"step": state.global_step, **{k: logs[k] for k in ("loss", "grad_norm", "learning_rate")}}
            )


def _arguments(lessons: Lessons, recipe: Recipe, level: Level, scratch: Path) -> TrainingArguments:
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
        save_total_limit=2,
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


def tune_link(
    model: Any, lessons: Lessons, recipe: Recipe, level: Level, scratch: Path, report: Report
) -> None:
    """Train the active link of `model` in place, resuming from the newest whole checkpoint in `scratch`.

    Only the link's A and B get gradients. Raises InputError if the loss stops being a number.
    """
    trainer = ChainTrainer(
        model=model,
        args=_arguments(lessons, recipe, level, scratch),
        train_dataset=_Rows(lessons.rows, model),
        data_collator=_only,
        callbacks=[_Progress(report)],
    )
    trainer.loss = LOSSES[level.loss]
    trainer.model_accepts_loss_kwargs = False
    for callback in list(trainer.callback_handler.callbacks):
        if type(callback).__name__ == "PrinterCallback":
            trainer.remove_callback(callback)
    step = reached(scratch)
    trainer.train(resume_from_checkpoint=str(scratch / f"checkpoint-{step}") if step else None)
    model.eval()


def _only(batch: list[dict[str, Any]]) -> dict[str, Any]:
    (row,) = batch
    return row


def seal(checkpoint: Path) -> None:
    """Flush a checkpoint's files and note their checksums; without the note it does not count."""
    files = {file.name: sha256(file) for file in sorted(checkpoint.iterdir()) if file.is_file()}
    for file in checkpoint.iterdir():
        flush(file)
    write(checkpoint / SEAL, json.dumps(files))


def reached(scratch: Path) -> int:
    """Return the step of the newest whole checkpoint in `scratch`, 0 if there is none; drop damaged ones."""
    steps = sorted(int(path.name.split("-")[1]) for path in scratch.glob("checkpoint-*"))
    for step in reversed(steps):
        checkpoint = scratch / f"checkpoint-{step}"
        try:
            files = json.loads((checkpoint / SEAL).read_text(encoding="utf-8"))
            if all(sha256(checkpoint / name) == known for name, known in files.items()):
                return step
        except (OSError, ValueError, AttributeError):
            pass
        shutil.rmtree(checkpoint)
    return 0


def token_count(rows: list[Row]) -> int:
    """Return the tokens that are computed, summed over rows."""
    return int(np.sum([len(row.trie) for row in rows]))
