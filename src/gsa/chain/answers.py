"""From a row to what a model says of its answers, for tuning and scoring alike.

In: a model and a Row. Out: the log-probability of every answer token that the row lays out, and the
losses made of them. Logits are computed only at the nodes that predict an answer token.
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
import torch
from torch import Tensor

from gsa.chain.backbone import row_logits, trie_inputs
from gsa.chain.recipe import Level
from gsa.trie.rows import Row


@dataclass(frozen=True)
class Reading:
    """A row as tensors: what the model reads, and where its answers are."""

    inputs: dict[str, Any]
    """Keyword arguments of the model; its logits have one row a distinct predicting node."""
    place: Tensor
    """For each answer token, the row of the logits that predicts it; shape (answer tokens,)."""
    tokens: Tensor
    """The answer tokens; shape (answer tokens,)."""
    owner: Tensor
    """For each answer token, the running number of its answer; shape (answer tokens,)."""
    gold: Tensor
    """For each prompt, the index of its gold label, -1 if unknown; shape (prompts,)."""
    weight: Tensor
    """For each prompt, how much it counts in the labels loss."""
    labels: Tensor
    """For each answer, prompt and label index; shape (2, answers)."""

    @classmethod
    def of(cls, row: Row, model: Any) -> "Reading":
        """Lay out a row for a model, on its device."""
        nodes, tokens, owner = row.predicted
        kept, place = np.unique(nodes, return_inverse=True)
        sizes = [len(prompt.answers) if row.score else 1 for prompt in row.prompts]
        labels = [[p, i] for p, size in enumerate(sizes) for i in range(size)]
        gold = [-1 if prompt.gold is None else prompt.gold for prompt in row.prompts]

        def here(array: Any) -> Tensor:
            return torch.as_tensor(np.asarray(array)).to(model.device)

        inputs = {**trie_inputs(row.trie, model), "logits_to_keep": here(kept)}
        weight = here(np.array([prompt.weight for prompt in row.prompts], np.float32))
        return cls(inputs, here(place), here(tokens), here(owner), here(gold), weight, here(labels).T)


Loss = Callable[[Any, Reading], Tensor]
"""Of a model on a row, a mean over its answer tokens or its prompts."""


def log_probabilities(model: Any, reading: Reading) -> tuple[Tensor, Tensor]:
    """Return each answer token's log-probability, and whether it is the likeliest token of all."""
    logits = row_logits(model, reading.inputs).float()
    found = logits[reading.place, reading.tokens] - logits.logsumexp(-1)[reading.place]
    return found, logits.argmax(-1)[reading.place] == reading.tokens


def answer_loss(model: Any, reading: Reading) -> Tensor:
    """Return the mean cross-entropy of the gold answers' tokens over the whole vocabulary (equation 5)."""
    return -log_probabilities(model, reading)[0].mean()


def label_loss(model: Any, reading: Reading, answer_weight: float = 0.0) -> Tensor:
    """Return the mean cross-entropy of the gold labels over the label list alone, weighted by prompt.

    A label's score is the log-probability of its whole answer. Tokens outside the list take no part, so
    answers of earlier levels are not pushed down. With `answer_weight` that share of the answer loss is
    added, so that the likeliest tokens of all stay those of the list.
    """
    found, _ = log_probabilities(model, reading)
    prompts, labels = reading.labels
    scores = torch.zeros(len(prompts), device=found.device).index_add(0, reading.owner, found)
    table = torch.full((len(reading.gold), int(labels.max()) + 1), float("-inf"), device=found.device)
    table = table.index_put((prompts, labels), scores)
    losses = torch.nn.functional.cross_entropy(table, reading.gold, reduction="none")
    loss = (reading.weight * losses).mean()
    if answer_weight:
        gold = (labels == reading.gold[prompts])[reading.owner]
        loss = loss - answer_weight * found[gold].mean()
    return loss


LOSSES: dict[str, Loss] = {"answer": answer_loss, "labels": label_loss}


def loss_of(level: Level) -> Loss:
    """Return the loss that a level of a recipe is tuned with."""
    if level.answer_weight:
        return partial(label_loss, answer_weight=level.answer_weight)
    return LOSSES[level.loss]
