"""Tuning one link: rows in, a trained link on frozen weights out (paper, equation 5).

transformers' Trainer runs the loop on Accelerate, so that torchrun, FSDP and its integrations work as
everyone knows them. What is ours: one row is one batch, and the loss is taken at answer tokens only.
"""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import Dataset, SequentialSampler
from transformers import Trainer, TrainerCallback, TrainingArguments

from gsa.chain.backbone import trie_inputs
from gsa.chain.batches import Lessons
from gsa.chain.recipe import Level, Recipe
from gsa.errors import InputError
from gsa.trie.rows import Row

Report = Callable[[dict[str, Any]], None]


def answer_loss(model: Any, inputs: dict[str, Any], targets: Tensor) -> Tensor:
    """Return the mean cross-entropy of a row's answer tokens; `targets` has shape (answer tokens,)."""
    logits = model(**inputs).logits[0]
    return torch.nn.functional.cross_entropy(logits.float(), targets)


def row_inputs(row: Row, model: Any) -> tuple[dict[str, Any], Tensor]:
    """Return what a model reads of a training row, and the tokens that it must predict."""
    nodes, tokens, _ = row.predicted
    keep = torch.from_numpy(nodes).to(model.device)
    inputs = {**trie_inputs(row.trie, model), "logits_to_keep": keep}
    return inputs, torch.from_numpy(tokens).to(model.device)


class _Rows(Dataset[dict[str, Any]]):
    """Rows made into tensors when their step comes."""

    def __init__(self, rows: list[Row], model: Any) -> None:
        self.rows, self.model = rows, model

    def __len__(self) -> int:
        return len(self.rows)

    def __getitem__(self, index: int) -> dict[str, Any]:
        inputs, targets = row_inputs(self.rows[index], self.model)
        return {"inputs": inputs, "targets": targets}


class ChainTrainer(Trainer):  # type: ignore[misc]
    """Trainer that reads one row a batch, in the given order."""

    def compute_loss(self, model: Any, inputs: Any, return_outputs: bool = False, **_: Any) -> Any:
        """Return the answer loss; stop at once, with the step, when it is not a number."""
        loss = answer_loss(model, inputs["inputs"], inputs["targets"])
        if not torch.isfinite(loss):
            raise InputError(
                f"step {self.state.global_step + 1}: the loss is {loss.item()}: expected a finite number; "
                "try a lower learning rate"
            )
        return (loss, None) if return_outputs else loss

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


def tune_link(
    model: Any, lessons: Lessons, recipe: Recipe, level: Level, scratch: Path, report: Report
) -> None:
    """Train the active link of `model` in place, resuming from the newest checkpoint in `scratch`.

    Only the link's A and B get gradients. Raises InputError if the loss stops being a number.
    """
    training = recipe.training
    arguments = TrainingArguments(
        output_dir=str(scratch),
        max_steps=lessons.steps,
        per_device_train_batch_size=1,
        gradient_accumulation_steps=training.rows_per_step,
        learning_rate=level.learning_rate,
        lr_scheduler_type=training.schedule,
        warmup_steps=int(training.warmup * lessons.steps),
        max_grad_norm=training.clip,
        weight_decay=0.0,  # plain Adam (section 5.3)
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
    trainer = ChainTrainer(
        model=model,
        args=arguments,
        train_dataset=_Rows(lessons.rows, model),
        data_collator=lambda batch: batch[0],
        callbacks=[_Progress(report)],
    )
    trainer.model_accepts_loss_kwargs = False
    for callback in list(trainer.callback_handler.callbacks):
        if type(callback).__name__ == "PrinterCallback":
            trainer.remove_callback(callback)
    step = reached(scratch)
    trainer.train(resume_from_checkpoint=str(scratch / f"checkpoint-{step}") if step else None)
    model.eval()


def reached(scratch: Path) -> int:
    """Return the step of the newest checkpoint in `scratch`, 0 if there is none."""
    return max((int(path.name.split("-")[1]) for path in scratch.glob("checkpoint-*")), default=0)


def token_count(rows: list[Row]) -> int:
    """Return the tokens that are computed, summed over rows."""
    return int(np.sum([len(row.trie) for row in rows]))
