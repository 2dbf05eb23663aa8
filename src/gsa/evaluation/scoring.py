"""Scoring: the probability of every label of every prompt, one forward pass a row.

In: a model and Prompts. Out: one Score a prompt. All labels hang below one prompt as sibling branches,
so a label is always valid and probabilities sum to 1. Greedy decoding (section 5.3), the paper's own way
to answer, is read off the same pass.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from gsa.chain.answers import Reading, log_probabilities
from gsa.tasks.encoding import Prompt
from gsa.trie.rows import Row, group, pack


@dataclass(frozen=True)
class Score:
    """What the model thinks of one prompt."""

    probabilities: NDArray[np.float64]
    """Of each label, in the task's order; shape (labels,), sums to 1."""
    greedy: int | None
    """The label that greedy decoding answers with; None where it leaves the label list."""

    @property
    def best(self) -> int:
        """Index of the most probable label."""
        return int(self.probabilities.argmax())


def score(
    model: Any,
    prompts: Sequence[Prompt],
    row_tokens: int = 1024,
    progress: Callable[[int], None] | None = None,
) -> list[Score]:
    """Score prompts in order; neighbours of one dialogue share their prefixes.

    `progress` is called with the number of prompts done after each row.
    """
    scores: list[Score] = []
    for row in pack(group(prompts), row_tokens, score=True):
        scores += score_row(model, row)
        if progress:
            progress(len(scores))
    return scores


def score_row(model: Any, row: Row) -> list[Score]:
    """Return the scores of one row's prompts."""
    with torch.inference_mode():
        reading = Reading.of(row, model)
        found, follows = (x.cpu().numpy() for x in log_probabilities(model, reading))
    owner = reading.owner.cpu().numpy()
    log_p = np.bincount(owner, weights=found.astype(np.float64))
    greedy = np.bincount(owner, weights=~follows) == 0
    scores, at = [], 0
    for prompt in row.prompts:
        here = slice(at, at + len(prompt.answers))
        at = here.stop
        weights = np.exp(log_p[here] - log_p[here].max())
        hits = np.flatnonzero(greedy[here])
        scores.append(Score(weights / weights.sum(), int(hits[0]) if len(hits) else None))
    return scores
