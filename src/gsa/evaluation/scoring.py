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

from gsa.chain.backbone import trie_inputs
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
    nodes, tokens, owner = row.predicted
    kept, place = np.unique(nodes, return_inverse=True)
    with torch.inference_mode():
        keep = torch.from_numpy(kept).to(model.device)
        logits = model(**trie_inputs(row.trie, model), logits_to_keep=keep).logits[0].float()
        chosen = torch.from_numpy(place).to(model.device), torch.from_numpy(tokens).to(model.device)
        found = (logits[chosen] - logits.logsumexp(-1)[chosen[0]]).double().cpu().numpy()
        follows = (logits.argmax(-1)[chosen[0]] == chosen[1]).cpu().numpy()
    answers = owner[-1] + 1
    log_p = np.bincount(owner, weights=found, minlength=answers)
    greedy = np.bincount(owner, weights=~follows, minlength=answers) == 0
    scores, at = [], 0
    for prompt in row.prompts:
        here = slice(at, at + len(prompt.answers))
        at = here.stop
        weights = np.exp(log_p[here] - log_p[here].max())
        hits = np.flatnonzero(greedy[here])
        scores.append(Score(weights / weights.sum(), int(hits[0]) if len(hits) else None))
    return scores
