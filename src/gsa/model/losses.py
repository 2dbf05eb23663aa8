"""Training losses over the answers of a packed row.

In: a model and a PackedBatch. Out: a scalar, the row's share of a mean over all targets of an optimizer step;
summed over the rows of the step, the shares are that mean, however the targets are spread over rows.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from functools import partial
from typing import Any, Protocol

import torch
from torch import Tensor

from gsa.model.scoring import PackedBatch, log_probabilities
from gsa.recipes.schema import Level
from gsa.trie.packing import PackedRow


@dataclass(frozen=True)
class Totals:
    """What the losses of an optimizer step are means over."""

    targets: int
    answer_tokens: int
    """Tokens of the gold answers."""

    @classmethod
    def of(cls, rows: Iterable[PackedRow]) -> "Totals":
        """Return the totals of a step's rows, whose prompts all have gold labels."""
        answers = [p.answers[p.gold or 0] for row in rows for p in row.prompts]
        return cls(len(answers), sum(map(len, answers)))


class Loss(Protocol):
    """A function of a model and a row."""

    def __call__(self, model: Any, batch: PackedBatch, totals: Totals | None = None) -> Tensor:
        """Return the row's share of the mean loss of a step; without `totals`, the mean over the row."""


def answer_loss(model: Any, batch: PackedBatch, totals: Totals | None = None) -> Tensor:
    """Return the cross-entropy of the answers' tokens over the whole vocabulary (equation 5), a mean."""
    log_p, _ = log_probabilities(model, batch)
    return -log_p.sum() / (totals.answer_tokens if totals else len(log_p))


def label_loss(
    model: Any, batch: PackedBatch, totals: Totals | None = None, answer_weight: float = 0.0
) -> Tensor:
    """Return the cross-entropy of the gold labels over the label list alone, weighted by prompt, a mean.

    A label's score is the log-probability of its whole answer. Tokens outside the list take no part, so
    answers of earlier levels are not pushed down. With `answer_weight` that share of the answer loss is
    added, so that the likeliest tokens of all stay those of the list.
    """
    log_p, _ = log_probabilities(model, batch)
    prompts, labels = batch.labels
    scores = torch.zeros(len(prompts), device=log_p.device).index_add(0, batch.answer_index, log_p)
    table = torch.full((len(batch.gold), batch.most_labels), float("-inf"), device=log_p.device)
    table = table.index_put((prompts, labels), scores)
    losses = torch.nn.functional.cross_entropy(table, batch.gold, reduction="none")
    loss = (batch.weight * losses).sum() / (totals.targets if totals else len(losses))
    if answer_weight:
        gold = log_p[batch.gold_tokens]
        loss = loss - answer_weight * gold.sum() / (totals.answer_tokens if totals else len(gold))
    return loss


LOSSES: dict[str, Loss] = {"answer": answer_loss, "labels": label_loss}


def loss_of(level: Level) -> Loss:
    """Return the loss that a level of a recipe is tuned with."""
    if level.answer_weight:
        return partial(label_loss, answer_weight=level.answer_weight)
    return LOSSES[level.loss]
