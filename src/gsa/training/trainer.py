"""Tuning one link: rows in, a trained link on frozen weights out (paper, equation 5).

transformers' Trainer runs the loop on Accelerate, with its integrations. What differs: a batch is the rows of
one optimizer step, the loss is taken at answer tokens only, checkpoints are those of `checkpoint`, and NaN,
infinity or a signal end the loop where nothing is lost. A step reads numbers back from the device when it
checks loss and gradients, and for the log. On several ranks each computes its share of a step's rows, and
only rank 0 logs and stores.
"""

import math
import zlib
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from gsa.chain.lora import adapter_tensors
from gsa.errors import InputError
from gsa.model.forward import RowFormat
from gsa.model.llama import limit_activations, recompute
from gsa.model.losses import Loss, Totals, loss_of
from gsa.model.scoring import PackedBatch
from gsa.recipes.schema import Level, Recipe
from gsa.signals import Stop
from gsa.training.batches import GPU_WORKERS, StepBatches, step_loader
from gsa.training.checkpoint import (
    Checkpoints,
    check_finite,
    load_optimizer,
    load_random,
    load_weights,
    step_of,
)
from gsa.training.distributed import Ranks
from gsa.training.hf_trainer import Trainer, TrainerCallback, TrainingArguments
from gsa.training.sharding import is_sharded
from gsa.training.training_data import TrainingData
from gsa.trie.packing import PackedRow

MAX_NAMED = 20
"""How many examples of a dataset a message names before it only counts the others."""


@dataclass(frozen=True)
class Control:
    """What a run is steered by from outside."""

    stop: Stop
    ranks: Ranks
    callbacks: Sequence[TrainerCallback] = ()
    """Callbacks of the caller, such as one that ends the level early."""


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
    control: Control


class ChainTrainer(Trainer):  # type: ignore[misc]
    """Trainer whose batch is the rows of one optimizer step, in the given order, with gsa's checkpoints."""

    loss: Loss
    session: Session
    activation_tokens: int
    """Tokens whose activations are kept; a longer row recomputes some layers. 0 where all are recomputed."""
    step_loss: Tensor
    """Of the step under way, on the device."""

    def training_step(self, model: Any, inputs: list[PackedBatch], *_: Any, **__: Any) -> Tensor:
        """Return the mean loss over all targets of a step, after the backward passes of its rows.

        Rows are read one after another, so memory is that of the longest one; on several ranks each rank
        reads its own, and the sums over all ranks are returned and left as gradients.
        """
        model.train()
        totals = Totals.of(self._rows)
        self._seed_dropout()
        self.step_loss = torch.zeros((), device=model.device)
        own = self.train_dataset.row_count(self.state.global_step)
        for number, batch in enumerate(inputs):
            if self.activation_tokens:
                limit_activations(model, len(batch), self.activation_tokens)
            with self.compute_loss_context_manager():
                loss = self.loss(model, batch.to(model.device), totals)
                if number >= own:  # a filler
                    loss = loss * 0.0
            self.accelerator.backward(loss)
            self.step_loss += loss.detach()
        self.session.control.ranks.sum_gradients(self.step_loss, model.parameters())
        return self.step_loss

    def _clip_grad_norm(self, model: Any) -> Tensor:
        """Clip the gradients, and return their norm before; the only check of a step.

        Raises InputError with the step and the examples if the loss or the norm is NaN or infinite.
        """
        norm = super()._clip_grad_norm(model)
        loss, length = torch.stack([self.step_loss, norm.to(self.step_loss)]).tolist()
        if not math.isfinite(loss + length):
            what = "the gradient is not finite" if math.isfinite(loss) else f"the loss is {loss}"
            raise InputError(
                f"{self.session.title} step {self.state.global_step + 1}: {what} on {_names(self._rows)}: "
                "expected finite numbers; try a lower learning rate"
            )
        return torch.tensor(length)

    @property
    def _rows(self) -> list[PackedRow]:
        """The rows of the step under way, of all ranks."""
        rows: list[PackedRow] = self.train_dataset.steps[self.state.global_step]
        return rows

    def _seed_dropout(self) -> None:
        """Seed dropout for each step and rank if there are several, so that a resumed run repeats it."""
        ranks = self.session.control.ranks
        if ranks.size > 1:
            seed = f"{self.args.seed}/{self.session.title}/{self.state.global_step}/{ranks.rank}"
            torch.manual_seed(zlib.crc32(seed.encode()))

    def create_accelerator_and_postprocess(self) -> None:
        """Keep Accelerate from wrapping the model in DDP: `Ranks.sum_gradients` does what it would."""
        super().create_accelerator_and_postprocess()
        self.accelerator.prepare_model = partial(self.accelerator.prepare_model, evaluation_mode=True)

    def get_train_dataloader(self) -> Any:
        """Return this rank's rows of the steps in order; Accelerate would deal the steps out."""
        on_gpu = self.args.device.type == "cuda"
        return step_loader(self.train_dataset, self.args.dataloader_num_workers, pin_memory=on_gpu)

    def _save_checkpoint(self, *_: Any, **__: Any) -> None:
        self.session.control.ranks.broadcast(
            lambda: self.session.checkpoints.save(self, self.session.log_text())
        )

    def _load_from_checkpoint(self, resume_from_checkpoint: str, model: Any = None) -> None:
        load_weights(Path(resume_from_checkpoint), self.model)

    def _load_optimizer_and_scheduler(self, checkpoint: str | None) -> None:
        if checkpoint:
            load_optimizer(Path(checkpoint), self)

    def _load_rng_state(self, checkpoint: str | None) -> None:
        if checkpoint:
            load_random(Path(checkpoint))


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
    """Reports each step, and ends the loop early: after a signal, and after the level's `stop_step`."""

    def __init__(self, session: Session, stop_step: int | None) -> None:
        self.session, self.stop_step = session, stop_step

    def on_log(self, args: Any, state: Any, control: Any, logs: Any = None, **_: Any) -> None:
        if logs and "loss" in logs and self.session.control.ranks.is_main:
            self.session.on_step(
                {"step": state.global_step, **{k: logs[k] for k in ("loss", "grad_norm", "learning_rate")}}
            )

    def on_step_end(self, args: Any, state: Any, control: Any, **_: Any) -> None:
        stop = self.session.control.stop
        stop.signum = self.session.control.ranks.max(stop.signum)
        if stop.signum:
            control.should_save = control.should_training_stop = True
        if state.global_step == self.stop_step:
            control.should_training_stop = True


def _arguments(
    data: TrainingData, recipe: Recipe, level: Level, folder: Path, device: torch.device
) -> TrainingArguments:
    """Return the Trainer's settings; plain Adam is AdamW without decay (section 5.3)."""
    training = recipe.training
    workers = training.loader_workers
    if workers is None:
        workers = 0 if device.type == "cpu" else GPU_WORKERS
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
        dataloader_num_workers=workers,
        disable_tqdm=True,
        seed=recipe.seed,
        use_cpu=device.type == "cpu",
    )
    arguments._n_gpu = min(arguments.n_gpu, 1)  # the rows of a step are read one after another
    if device.type == "cuda" and arguments.device != device:
        raise InputError(
            f"device '{device}': the Trainer tunes on '{arguments.device}': expected that one; "
            "CUDA_VISIBLE_DEVICES chooses another GPU"
        )
    return arguments


def tune_link(model: Any, data: TrainingData, recipe: Recipe, level: Level, session: Session) -> int:
    """Train the active link of `model` in place, from the session's checkpoint on; return the step reached.

    Only the link's A and B get gradients. The step is the last one, or an earlier one after a signal, of
    which a checkpoint is stored then. A checkpoint of the level's `stop_step` is not trained on. Raises
    InputError if the loss, a gradient or a weight becomes NaN or infinite.
    """
    if session.checkpoint and level.stop_step and step_of(session.checkpoint) >= level.stop_step:
        load_weights(session.checkpoint, model)
        model.eval()
        return step_of(session.checkpoint)
    if recipe.training.recompute:
        recompute(model)
    trainer = ChainTrainer(
        model=model,
        args=_arguments(data, recipe, level, session.checkpoints.folder, model.device),
        train_dataset=StepBatches(
            data.steps, ranks := session.control.ranks, RowFormat.of(model), is_sharded(recipe, ranks)
        ),
        callbacks=[_StepCallback(session, level.stop_step), *session.control.callbacks],
    )
    trainer.loss = loss_of(level)
    trainer.session = session
    trainer.activation_tokens = 0 if recipe.training.recompute else recipe.training.activation_tokens
    trainer.model_accepts_loss_kwargs = False
    for callback in list(trainer.callback_handler.callbacks):
        if type(callback).__name__ == "PrinterCallback":
            trainer.remove_callback(callback)
    session.control.stop.deferred = True
    try:
        trainer.train(resume_from_checkpoint=str(session.checkpoint) if session.checkpoint else None)
    except RuntimeError as error:
        if not str(error).startswith("DataLoader worker"):
            raise
        raise InputError(
            f"{session.title} step {trainer.state.global_step + 1}: a process that builds rows was killed: "
            "the same command resumes from the last checkpoint; see training.loader_workers"
        ) from error
    finally:
        session.control.stop.deferred = False
    check_finite(adapter_tensors(model), f"{session.title} step {trainer.state.global_step}")
    model.eval()
    return int(trainer.state.global_step)
