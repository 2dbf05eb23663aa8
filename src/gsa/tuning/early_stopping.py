"""Early stopping: the link of the epoch that is best on held-out examples is kept."""

import logging
from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from sklearn.metrics import f1_score
from torch import Tensor

from gsa.chain.lora import adapter_tensors
from gsa.data.encoder import Prompt
from gsa.model.scoring import score
from gsa.progress import count_of
from gsa.training.hf_trainer import TrainerCallback

logger = logging.getLogger(__name__)
MIN_PROBABILITY = 1e-9


class EarlyStopping(TrainerCallback):  # type: ignore[misc]
    """Scores held-out prompts after every epoch; ends tuning when they no longer improve.

    An epoch is better than another by weighted F1, and of equal ones by the mean log-probability of the gold
    labels, for which alone tuning does not go on. At the end the link has the weights of the best epoch.
    """

    def __init__(
        self, prompts: Sequence[Prompt], epochs: float, patience: int = 3, max_row_tokens: int = 8192
    ) -> None:
        """`prompts` have gold labels; `patience` is how many epochs may pass without a higher weighted F1."""
        self.prompts, self.epochs, self.patience = prompts, epochs, patience
        self.max_row_tokens = max_row_tokens
        self.scores: list[float] = []
        """Weighted F1 of every epoch in percent."""
        self.best_step = 0
        """Optimizer step of the best epoch; 0 before the first one."""
        self._best = (-1.0, 0.0)
        self._highest_epoch = self._max_steps = 0
        self._weights: dict[str, Tensor] = {}

    @property
    def is_early(self) -> bool:
        """Whether the best epoch is not the last one of the schedule."""
        return self.best_step < self._max_steps

    def on_step_end(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        """Score the held-out prompts where an epoch ends."""
        epoch, self._max_steps = len(self.scores) + 1, state.max_steps
        if state.global_step < min(state.max_steps, round(epoch * state.max_steps / self.epochs)):
            return
        model = kwargs["model"]
        result = self._score(model)
        self.scores.append(result[0])
        logger.info(
            "epoch %d: weighted F1 %.1f on %s",
            epoch,
            result[0],
            count_of(len(self.prompts), "held-out example"),
        )
        if result[0] > self._best[0]:
            self._highest_epoch = epoch
        if result > self._best:
            self._best, self.best_step = result, state.global_step
            self._weights = {name: tensor.detach().clone() for name, tensor in adapter_tensors(model).items()}
        if epoch - self._highest_epoch >= self.patience:
            control.should_training_stop = True

    def on_train_end(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        """Give the link the weights of the best epoch."""
        with torch.no_grad():
            for name, tensor in adapter_tensors(kwargs["model"]).items():
                if name in self._weights:
                    tensor.copy_(self._weights[name])

    def _score(self, model: Any) -> tuple[float, float]:
        """Return weighted F1 in percent, and the mean log-probability of the gold labels."""
        model.eval()
        predictions = score(model, self.prompts, self.max_row_tokens)
        gold = np.asarray([prompt.gold for prompt in self.prompts], dtype=np.int64)
        probabilities = np.asarray([list(prediction.probabilities.values()) for prediction in predictions])
        likelihood = np.log(probabilities[np.arange(len(gold)), gold].clip(MIN_PROBABILITY)).mean()
        f1 = f1_score(gold, probabilities.argmax(1), average="weighted", zero_division=0.0)
        return 100 * float(f1), float(likelihood)
