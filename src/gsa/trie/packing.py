"""Rows: how Prompts are grouped into tries that fit a token budget, and what a row predicts.

In: groups of Prompts (a dialogue's targets, or one sentence). Out: Rows, each one trie, with the nodes
whose logits are needed and the tokens that they predict. Training follows the gold answer; scoring lays
all candidate labels below one prompt as sibling branches.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import groupby

import numpy as np

from gsa.data.encoder import Prompt, common_prefix_length
from gsa.data.token_counts import TokenIds
from gsa.trie.trie import Array, TokenTrie, size

Group = Sequence[Prompt]


def branches(prompt: Prompt, score: bool) -> list[TokenIds]:
    """Return the token sequences that a prompt needs: the last answer token is predicted, never read."""
    if score:
        return [prompt.ids + answer[:-1] for answer in prompt.answers]
    if prompt.gold is None:
        raise ValueError(f"example '{prompt.example.id}' has no gold label to train on")
    return [prompt.ids + prompt.answers[prompt.gold][:-1]]


@dataclass(frozen=True)
class PackedRow:
    """Prompts whose trie is computed in one forward pass."""

    prompts: tuple[Prompt, ...]
    score: bool
    """Whether all labels' answers are laid out, or only the gold one."""

    @cached_property
    def trie(self) -> TokenTrie:
        """The trie of all branches."""
        return TokenTrie.build([b for p in self.prompts for b in branches(p, self.score)])

    @cached_property
    def predicted(self) -> tuple[Array, Array, Array]:
        """What is read off the logits.

        Three arrays of shape (answer tokens,): the node whose logits count, the token it must predict,
        and the running number of the answer (prompt by prompt, label by label) it belongs to.
        """
        nodes: list[int] = []
        tokens: list[int] = []
        owner: list[int] = []
        leaves = iter(self.trie.leaf)
        answer_number = 0
        for prompt in self.prompts:
            answers = prompt.answers if self.score else [prompt.answers[prompt.gold or 0]]
            for answer in answers:
                node = int(next(leaves))
                path = []
                for _ in answer:
                    path.append(node)
                    node = int(self.trie.parent[node])
                nodes += path[::-1]
                tokens += answer
                owner += [answer_number] * len(answer)
                answer_number += 1
        return np.asarray(nodes, np.int64), np.asarray(tokens, np.int64), np.asarray(owner, np.int64)


def group(prompts: Iterable[Prompt]) -> list[list[Prompt]]:
    """Return neighbouring prompts about one Dialogue object together; a lone sentence is a group of one."""
    return [list(g) for _, g in groupby(prompts, key=lambda p: (id(p.task), id(p.example.dialogue)))]


def pack(groups: Iterable[Group], budget: int, score: bool) -> list[PackedRow]:
    """Fill rows with whole groups, in order, up to `budget` nodes each.

    A group too large for a row is split, its trunk repeated; a single prompt beyond the budget gets a
    row of its own.
    """
    rows: list[PackedRow] = []
    filling: list[Prompt] = []
    filled = 0
    first: TokenIds = ()
    for part in (part for g in groups for part in split(g, budget, score)):
        cost = size([b for p in part for b in branches(p, score)])
        saved = common_prefix_length(first, part[0].ids) if filling else 0
        if filling and filled + cost - saved > budget:
            rows.append(PackedRow(tuple(filling), score))
            filling, filled, saved = [], 0, 0
        if not filling:
            first = part[0].ids
        filling += part
        filled += cost - saved
    if filling:
        rows.append(PackedRow(tuple(filling), score))
    return rows


def split(prompts: Group, budget: int, score: bool) -> list[Group]:
    """Cut one dialogue's prompts into runs whose tries fit the budget."""
    if len(prompts) == 1 or _fits(prompts, budget, score):
        return [prompts]
    half = len(prompts) // 2
    return [*split(prompts[:half], budget, score), *split(prompts[half:], budget, score)]


def _fits(prompts: Group, budget: int, score: bool) -> bool:
    """Whether a trie of all prompts has at most `budget` nodes; one of some that has more settles it."""
    some = 16
    while size([b for p in prompts[:some] for b in branches(p, score)]) <= budget:
        if some >= len(prompts):
            return True
        some *= 2
    return False
