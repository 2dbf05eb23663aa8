"""Label probabilities from a causal language model.

In: a model and Prompts. Out: one Prediction per prompt, from the log-probability of every answer token.
Logits are computed only at the nodes that predict an answer token.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, fields
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from gsa.data.encoder import Prompt
from gsa.data.types import Prediction, Truncated
from gsa.model.forward import RowFormat, row_logits, to_device
from gsa.trie.packing import MAX_ROW_TOKENS, PackedRow, group, pack


@dataclass(frozen=True)
class PackedBatch:
    """A row as tensors: what the model reads, and where its answers are."""

    inputs: dict[str, Any]
    """Keyword arguments of the model; its logits have one row a distinct predicting node."""
    logit_index: Tensor
    """For each answer token, the row of the logits that predicts it; shape (answer tokens,)."""
    tokens: Tensor
    """The answer tokens; shape (answer tokens,)."""
    answer_index: Tensor
    """For each answer token, the running number of its answer; shape (answer tokens,)."""
    gold: Tensor
    """For each prompt, the index of its gold label, -1 if unknown; shape (prompts,)."""
    weight: Tensor
    """For each prompt, how much it counts in the labels loss."""
    labels: Tensor
    """For each answer, prompt and label index; shape (2, answers)."""
    gold_tokens: Tensor
    """The answer tokens of the gold labels, as indices of `tokens`."""
    most_labels: int
    """Largest number of labels of a prompt."""

    @classmethod
    def from_row(cls, row: PackedRow, model: Any) -> "PackedBatch":
        """Lay out a row for a model, on its device."""
        return cls.build(row, RowFormat.of(model)).to(model.device)

    @classmethod
    def build(cls, row: PackedRow, row_format: RowFormat) -> "PackedBatch":
        """Lay out a row on the CPU; a process without the model can."""
        nodes, tokens, answer_index = row.predicted
        predicting, logit_index = np.unique(nodes, return_inverse=True)
        sizes = [len(prompt.answers) if row.score else 1 for prompt in row.prompts]
        labels = np.array([[p, i] for p, size in enumerate(sizes) for i in range(size)]).T
        gold = np.array([-1 if prompt.gold is None else prompt.gold for prompt in row.prompts])
        is_gold = labels[1] == gold[labels[0]]
        return cls(
            {**row_format.inputs(row.trie), "logits_to_keep": torch.from_numpy(predicting)},
            torch.from_numpy(logit_index),
            torch.from_numpy(tokens),
            torch.from_numpy(answer_index),
            torch.from_numpy(gold),
            torch.from_numpy(np.array([prompt.weight for prompt in row.prompts], np.float32)),
            torch.from_numpy(labels),
            torch.from_numpy(np.flatnonzero(is_gold[answer_index])),
            max(sizes),
        )

    def __len__(self) -> int:
        """Return the number of nodes that are computed."""
        return int(self.inputs["input_ids"].shape[1])

    def to(self, device: torch.device) -> "PackedBatch":
        """Return the batch as a model on a device reads it."""
        return self._map(lambda value: to_device(value, device))

    def pin_memory(self) -> "PackedBatch":
        """Return the batch in memory from which a GPU copies while it computes."""
        return self._map(lambda value: value.pin_memory() if hasattr(value, "pin_memory") else value)

    def _map(self, change: Callable[[Any], Any]) -> "PackedBatch":
        inputs = {name: change(value) for name, value in self.inputs.items()}
        others = {f.name: change(getattr(self, f.name)) for f in fields(self) if f.name != "inputs"}
        return PackedBatch(inputs=inputs, **others)


def log_probabilities(model: Any, batch: PackedBatch) -> tuple[Tensor, Tensor]:
    """Return each answer token's log-probability, and whether it is the most probable of all tokens."""
    logits = row_logits(model, batch.inputs).float()
    log_p = logits[batch.logit_index, batch.tokens] - logits.logsumexp(-1)[batch.logit_index]
    return log_p, logits.argmax(-1)[batch.logit_index] == batch.tokens


def score(
    model: Any,
    prompts: Sequence[Prompt],
    max_row_tokens: int = MAX_ROW_TOKENS,
    progress: Callable[[int], None] | None = None,
) -> list[Prediction]:
    """Return one Prediction a prompt, in order; neighbours of one dialogue share their prefixes.

    All labels hang below one prompt as sibling branches, so a label is always valid and probabilities sum
    to 1. `max_row_tokens` bounds the memory of a forward pass and changes no prediction. `progress` is called
    with the number of prompts done after each row.
    """
    predictions: list[Prediction] = []
    for row in pack(group(prompts), score=True, max_tokens=max_row_tokens):
        predictions += score_row(model, row)
        if progress:
            progress(len(predictions))
    return predictions


def score_row(model: Any, row: PackedRow) -> list[Prediction]:
    """Return the predictions of one row's prompts, from one forward pass."""
    with torch.inference_mode():
        batch = PackedBatch.from_row(row, model)
        token_log_p, is_argmax = (x.cpu().numpy() for x in log_probabilities(model, batch))
    answer_index = batch.answer_index.cpu().numpy()
    answer_log_p = np.bincount(answer_index, weights=token_log_p).astype(np.float64)
    is_greedy = np.bincount(answer_index, weights=~is_argmax) == 0
    predictions, start = [], 0
    for prompt in row.prompts:
        stop = start + len(prompt.answers)
        predictions.append(to_prediction(prompt, answer_log_p[start:stop], is_greedy[start:stop]))
        start = stop
    return predictions


def to_prediction(prompt: Prompt, log_p: NDArray[np.float64], is_greedy: NDArray[np.bool_]) -> Prediction:
    """Return the prediction of one prompt from its labels' log-probabilities, up to a constant.

    Both arrays have the shape (labels,); `is_greedy` marks labels whose tokens are all the most probable.
    """
    weights = np.exp(log_p - log_p.max())
    probabilities = weights / weights.sum()
    labels, greedy = prompt.task.labels, np.flatnonzero(is_greedy)
    return Prediction(
        label=labels[int(probabilities.argmax())],
        probabilities=dict(zip(labels, probabilities.tolist(), strict=True)),
        truncated=Truncated(prompt.omitted_turns, prompt.cut_words),
        greedy=labels[int(greedy[0])] if len(greedy) else None,
    )
