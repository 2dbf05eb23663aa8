"""Rows: how Prompts are grouped into tries of bounded size, and which tokens a row predicts.

In: groups of Prompts (a dialogue's targets, or one sentence). Out: PackedRows, each one trie, with the nodes
whose logits are needed and the tokens that they predict. Training follows the gold answer; scoring lays
all candidate labels below one prompt as sibling branches.

Short groups are put together until a row has `FILL_TOKENS` nodes. A dialogue that needs more gets a row of
its own, as long as it needs within `max_tokens`, and is cut only where that repeats little (`split`).
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property, lru_cache
from itertools import groupby, pairwise

import numpy as np

from gsa.data.encoder import Prompt, common_prefix_length
from gsa.data.token_counts import TokenIds
from gsa.trie.trie import Array, TokenTrie, size

Group = Sequence[Prompt]

FILL_TOKENS = 768
"""Nodes up to which short groups share a row: longer rows repeat less of an instruction but take memory."""
MAX_ROW_TOKENS = 8192
"""Default bound on the nodes of a row."""
REPEATED = 0.05
"""Share of a dialogue's nodes that may be computed again to have shorter rows."""


def branches(prompt: Prompt, score: bool) -> list[TokenIds]:
    """Return the token sequences that a prompt needs: the last answer token is predicted, never read."""
    return [prompt.ids + answer for answer in _read_answers(prompt, score)]


def _read_answers(prompt: Prompt, score: bool) -> tuple[TokenIds, ...]:
    """Return the answer tokens that the model reads below a prompt, one sequence per laid-out label."""
    if score:
        return tuple(answer[:-1] for answer in prompt.answers)
    if prompt.gold is None:
        raise ValueError(f"example '{prompt.example.id}' has no gold label to train on")
    return (prompt.answers[prompt.gold][:-1],)


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
        answer_index: list[int] = []
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
                answer_index += [answer_number] * len(answer)
                answer_number += 1
        return np.asarray(nodes, np.int64), np.asarray(tokens, np.int64), np.asarray(answer_index, np.int64)


def group(prompts: Iterable[Prompt]) -> list[list[Prompt]]:
    """Return neighbouring prompts about one Dialogue object together; a lone sentence is a group of one."""
    return [list(g) for _, g in groupby(prompts, key=lambda p: (id(p.task), id(p.example.dialogue)))]


def pack(
    groups: Iterable[Group],
    score: bool,
    max_tokens: int = MAX_ROW_TOKENS,
    fill_tokens: int = FILL_TOKENS,
    max_prompts: int | None = None,
) -> list[PackedRow]:
    """Return rows that hold all groups in order.

    Groups share a row of up to `fill_tokens` nodes and `max_prompts` prompts. A larger group gets rows of its
    own, of up to `max_tokens` nodes; a single prompt beyond that is a row by itself.
    """
    fill_tokens = min(fill_tokens, max_tokens)
    rows: list[PackedRow] = []
    filling: list[Prompt] = []
    filled = 0
    for part in (part for g in groups for part in split(g, score, max_tokens, fill_tokens)):
        cost = size([b for p in part for b in branches(p, score)])
        saved = common_prefix_length(filling[0].ids, part[0].ids) if filling else 0
        too_many = max_prompts is not None and len(filling) + len(part) > max_prompts
        if filling and (too_many or filled + cost - saved > fill_tokens):
            rows.append(PackedRow(tuple(filling), score))
            filling, filled, saved = [], 0, 0
        filling += part
        filled += cost - saved
    if filling:
        rows.append(PackedRow(tuple(filling), score))
    return rows


def split(
    prompts: Group, score: bool, max_tokens: int = MAX_ROW_TOKENS, fill_tokens: int = FILL_TOKENS
) -> list[Group]:
    """Cut one dialogue's prompts into the parts of separate rows, or return them as one part.

    The limit of the parts is `fill_tokens`, doubled until they repeat at most `REPEATED` of the nodes more
    than parts of `max_tokens` would. A history that was dropped in blocks is thus cut at its blocks.
    """
    nodes = np.array([len(p.ids) + _answer_nodes(_read_answers(p, score)) for p in prompts])
    common = np.array([0, *(common_prefix_length(a.ids, b.ids) for a, b in pairwise(prompts))])
    total = int((nodes - common).sum())
    if len(prompts) == 1 or total <= fill_tokens:
        return [prompts]
    starts = cheapest_cuts(nodes, common, max_tokens)
    allowed = (total + common[starts].sum()) * (1 + REPEATED)
    limit = fill_tokens
    while limit < max_tokens:
        shorter = cheapest_cuts(nodes, common, limit)
        if total + common[shorter].sum() <= allowed:
            starts = shorter
            break
        limit *= 2
    return [prompts[start:stop] for start, stop in pairwise([*starts, len(prompts)])]


@lru_cache(maxsize=256)
def _answer_nodes(answers: tuple[TokenIds, ...]) -> int:
    return size(answers)


def cheapest_cuts(nodes: Array, common: Array, limit: int) -> list[int]:
    """Return where parts of at most `limit` nodes start, so that the fewest nodes are repeated.

    nodes, common: shape (prompts,); the nodes of each prompt alone, and how many of them it shares with the
    prompt before it. A part that starts at i repeats common[i] nodes. The nodes of a part are exact where no
    prompt shares more with an earlier one than with the one before it, an upper bound otherwise. A prompt
    that alone exceeds the limit is a part of its own.
    """
    sums = np.concatenate([[0], np.cumsum(nodes - common)])
    first = np.minimum(np.searchsorted(sums, sums[1:] - limit), np.arange(len(nodes)))
    best = np.zeros(len(nodes) + 1)
    back = np.zeros(len(nodes) + 1, dtype=np.int64)
    for stop in range(1, len(nodes) + 1):
        start = np.arange(first[stop - 1], stop)
        cost = best[start] + common[start]
        cost[:-1][common[start[:-1]] + sums[stop] - sums[start[:-1]] > limit] = np.inf
        i = int(cost.argmin())
        best[stop], back[stop] = cost[i], start[i]
    starts = [int(back[-1])]
    while starts[-1] > 0:
        starts.append(int(back[starts[-1]]))
    return starts[::-1]


def steps_of(rows: Sequence[PackedRow], examples_per_step: int) -> list[list[PackedRow]]:
    """Return the rows of each optimizer step, in order: as many as come nearest to `examples_per_step`.

    A step has at least one row, so a long conversation may be more than that. Gradients of a step's rows are
    summed, each row's loss divided by the totals of the step (`losses.Totals`).
    """
    steps: list[list[PackedRow]] = []
    count = 0
    for row in rows:
        missing = examples_per_step - count
        if not steps or missing <= 0 or len(row.prompts) - missing > missing:
            steps.append([])
            count = 0
        steps[-1].append(row)
        count += len(row.prompts)
    return steps
