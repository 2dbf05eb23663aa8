"""Tuning one link: rows in, a trained link on frozen weights out (paper, equation 5).

transformers' Trainer runs the loop on Accelerate, with its integrations. What differs: a batch is the rows of
one optimizer step, the loss is taken at answer tokens only, checkpoints are those of `checkpoint`, and NaN,
infinity or a signal end the loop where nothing is lost.
"""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from torch.utils.data import SequentialSampler
from transformers import Trainer, TrainerCallback, TrainingArguments

from gsa.chain.lora import adapter_tensors
from gsa.errors import InputError
from gsa.model.llama import limit_activations, recompute
from gsa.model.losses import Loss, Totals, loss_of
from gsa.model.scoring import PackedBatch
from gsa.recipes.schema import Level, Recipe
from gsa.signals import Stop
from gsa.training.checkpoint import Checkpoints, check_finite, load_optimizer, load_random, load_weights
from gsa.training.dataset import TrainingData
from gsa.trie.packing import PackedRow

MAX_NAMED = 20
"""How many examples of a dataset a message names before it only counts the others."""


@dataclass(frozen=True)
class Session:
    """What one level's tuning resumes from, stores to and reports to."""

    title: str
    """What messages call the level."""
    checkpoints: Checkpoints
    checkpoint: Path | None
    """The checkpoint to resume from."""
    on_step: Callable[[dict[str, Any]], None]
    """Called after each step with step, loss, gradient norm and learning rate."""
    log_text: Callable[[], str]
    """Returns the level's lines of the log, to be stored in a checkpoint."""
    stop: Stop
    callbacks: Sequence[TrainerCallback] = ()
    """Callbacks of the caller, such as one that ends the level early."""


class ChainTrainer(Trainer):  # type: ignore[misc]
    """Trainer whose batch is the rows of one optimizer step, in the given order, with gsa's checkpoints."""

    loss: Loss
    session: Session
    activation_tokens: int
    """Tokens whose activations are kept; a longer row recomputes some layers. 0 where all are recomputed."""

    def training_step(self, model: Any, inputs: list[PackedRow], *_: Any, **__: Any) -> Tensor:
        """Return the mean loss over all targets of a step, after the backward passes of its rows.

        Rows are read one after another, so memory is that of the longest one. Raises InputError with the step
        and the examples if a loss is NaN or infinite.
        """
        model.train()
        totals = Totals.of(inputs)
        step_loss = torch.zeros((), device=model.device)
        for row in inputs:
            if self.activation_tokens:
                limit_activations(model, len(row.trie), self.activation_tokens)
            with self.compute_loss_context_manager():
                loss = self.loss(model, PackedBatch.from_row(row, model), totals)
            self.accelerator.backward(loss)
            step_loss += loss.detach()
        if not torch.isfinite(step_loss):
            raise InputError(
                f"{self.session.title} step {self.state.global_step + 1}: the loss is {step_loss.item()} on "
                f"{_names(inputs)}: expected a finite number; try a lower learning rate"
            )
        return step_loss

    def _save_checkpoint(self, *_: Any, **__: Any) -> None:
        self.session.checkpoints.save(self, self.session.log_text())

    def _load_from_checkpoint(self, resume_from_checkpoint: str, model: Any = None) -> None:
        load_weights(Path(resume_from_checkpoint), self.model)

    def _load_optimizer_and_scheduler(self, checkpoint: str | None) -> None:
        if checkpoint:
            load_optimizer(Path(checkpoint), self)

    def _load_rng_state(self, checkpoint: str | None) -> None:
        if checkpoint:
            load_random(Path(checkpoint))

    def _get_train_sampler(self, *_: Any) -> Any:
        return SequentialSampler(self.train_dataset)


def _names(rows: Iterable[PackedRow]) -> str:
    """Return dataset and ids of the examples in rows, for a message."""
    ids: dict[str, list[str]] = {}
    for prompt in (prompt for row in rows for prompt in row.prompts):
        ids.setdefault(prompt.example.dataset, []).append(prompt.example.id)
    parts = []
    for dataset, names in ids.items():
        more = f" and {len(names) - MAX_NAMED} more" if len(names) > MAX_NAMED else ""
        parts.append(f"{dataset} {', '.join(names[:MAX_NAMED])}{more}")
    return "; ".join(parts)


class _StepCallback(TrainerCallback):  # type: ignore[misc]
    """Reports each step, refuses gradients with NaN or infinity, and ends the loop early.

    That is after a signal, and after the level's `stop_step`.
    """

    def __init__(self, session: Session, steps: list[list[PackedRow]], stop_step: int | None) -> None:
        self.session, self.steps, self.stop_step = session, steps, stop_step

    def on_log(self, args: Any, state: Any, control: Any, logs: Any = None, **_: Any) -> None:
        if logs and "loss" in logs:
            self.session.on_step(
                {"step": state.global_step, **{k: logs[k] for k in ("loss", "grad_norm", "learning_rate")}}
            )

    def on_pre_optimizer_step(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        gradients = (p.grad for p in kwargs["model"].parameters() if p.grad is not None)
        if not all(torch.isfinite(gradient).all() for gradient in gradients):
            raise InputError(
                f"{self.session.title} step {state.global_step + 1}: the gradient is not finite on "
                f"{_names(self.steps[state.global_step])}: expected finite numbers; "
                "try a lower learning rate"
            )

    def on_step_end(self, args: Any, state: Any, control: Any, **_: Any) -> None:
        if self.session.stop.signum:
            control.should_save = control.should_training_stop = True
        if state.global_step == self.stop_step:
            control.should_training_stop = True


def _arguments(data: TrainingData, recipe: Recipe, level: Level, folder: Path) -> TrainingArguments:
    """Return the Trainer's settings; plain Adam is AdamW without decay (section 5.3)."""
    training = recipe.training
    arguments = TrainingArguments(
        output_dir=str(folder),
        max_steps=len(data.steps),
        per_device_train_batch_size=1,
        learning_rate=level.learning_rate,
        lr_scheduler_type="constant_with_warmup" if training.schedule == "constant" else training.schedule,
        warmup_steps=int(training.warmup * len(data.steps)),
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
    arguments._n_gpu = min(arguments.n_gpu, 1)  # the rows of a step are read one after another
    if arguments.world_size > 1:
        raise InputError(
            f"found {arguments.world_size} processes: expected one, as tuning is not distributed"
        )
    return arguments


def tune_link(model: Any, data: TrainingData, recipe: Recipe, level: Level, session: Session) -> int:
    """Train the active link of `model` in place, from the session's checkpoint on; return the step reached.

    Only the link's A and B get gradients. The step is the last one, or an earlier one after a signal, of
    which a checkpoint is stored then. Raises InputError if the loss, a gradient or a weight becomes NaN or
    infinite.
    """
    if recipe.training.recompute:
        recompute(model)
    trainer = ChainTrainer(
        model=model,
        args=_arguments(data, recipe, level, session.checkpoints.folder),
        train_dataset=data.steps,
        data_collator=_single,
        callbacks=[_StepCallback(session, data.steps, level.stop_step), *session.callbacks],
    )
    trainer.loss = loss_of(level)
    trainer.session = session
    trainer.activation_tokens = 0 if recipe.training.recompute else recipe.training.activation_tokens
    trainer.model_accepts_loss_kwargs = False
    for callback in list(trainer.callback_handler.callbacks):
        if type(callback).__name__ == "PrinterCallback":
            trainer.remove_callback(callback)
    session.stop.deferred = True
    try:
        trainer.train(resume_from_checkpoint=str(session.checkpoint) if session.checkpoint else None)
    finally:
        session.stop.deferred = False
    check_finite(adapter_tensors(model), f"{session.title} step {trainer.state.global_step}")
    model.eval()
    return int(trainer.state.global_step)


def _single(batch: list[list[PackedRow]]) -> list[PackedRow]:
    """Return the only step of a batch."""
    (rows,) = batch
    return rows
