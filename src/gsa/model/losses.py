"""Training losses over the answers of a packed row.

In: a model and a PackedBatch. Out: a scalar loss, over the whole vocabulary or over the label list.
"""

from collections.abc import Callable
from functools import partial
from typing import Any

import torch
from torch import Tensor

from gsa.model.scoring import PackedBatch, log_probabilities
from gsa.recipes.schema import Level

Loss = Callable[[Any, PackedBatch], Tensor]
"""Maps a model and a row to the mean loss over the row's answer tokens or prompts."""


def answer_loss(model: Any, batch: PackedBatch) -> Tensor:
    """Return the mean cross-entropy of the gold answers' tokens over the whole vocabulary (equation 5)."""
    return -log_probabilities(model, batch)[0].mean()


def label_loss(model: Any, batch: PackedBatch, answer_weight: float = 0.0) -> Tensor:
    """Return the mean cross-entropy of the gold labels over the label list alone, weighted by prompt.

    A label's score is the log-probability of its whole answer. Tokens outside the list take no part, so
    answers of earlier levels are not pushed down. With `answer_weight` that share of the answer loss is
    added, so that the likeliest tokens of all stay those of the list.
    """
    found, _ = log_probabilities(model, batch)
    prompts, labels = batch.labels
    scores = torch.zeros(len(prompts), device=found.device).index_add(0, batch.answer_index, found)
    table = torch.full((len(batch.gold), int(labels.max()) + 1), float("-inf"), device=found.device)
    table = table.index_put((prompts, labels), scores)
    losses = torch.nn.functional.cross_entropy(table, batch.gold, reduction="none")
    loss = (batch.weight * losses).mean()
    if answer_weight:
        gold = (labels == batch.gold[prompts])[batch.answer_index]
        loss = loss - answer_weight * found[gold].mean()
    return loss


LOSSES: dict[str, Loss] = {"answer": answer_loss, "labels": label_loss}


def loss_of(level: Level) -> Loss:
    """Return the loss that a level of a recipe is tuned with."""
    if level.answer_weight:
        return partial(label_loss, answer_weight=level.answer_weight)
    return LOSSES[level.loss]
