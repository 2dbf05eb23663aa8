"""The TokenTrie: token sequences in, one flat row of their distinct prefixes out.

The sequences of a batch form a trie, flattened in preorder. With each token's depth as its position and
the end of its subtree, `query i sees key k <=> k <= i < end[k]` is the whole attention mask: every token
sees its ancestors and itself, exactly as in its own sequence.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from gsa.data.encoder import common_prefix_length

Array = NDArray[np.int64]


@dataclass(frozen=True)
class TokenTrie:
    """A preorder-flattened trie; all arrays have shape (nodes,)."""

    tokens: Array
    """Token ids."""
    depth: Array
    """Position of each token in its own sequence, from 0."""
    parent: Array
    """Index of the token before, -1 at a root."""
    end: Array
    """One past the last node of the subtree: node k's subtree is k..end[k]-1."""
    leaf: Array
    """For each sequence, in the order given, the node of its last token; shape (sequences,), -1 if empty."""

    @classmethod
    def build(cls, sequences: Sequence[Sequence[int]]) -> "TokenTrie":
        """Return the trie of any sequences; equal ones share a leaf, a prefix of another ends inside it."""
        order = sorted(range(len(sequences)), key=lambda i: tuple(sequences[i]))
        tokens: list[int] = []
        depth: list[int] = []
        parent: list[int] = []
        end: list[int] = []
        leaf = np.full(len(sequences), -1, dtype=np.int64)
        path: list[int] = []  # the nodes of the previous sequence
        previous = sequences[order[0]][:0] if order else ()
        for i in order:
            ids = sequences[i]
            keep = common_prefix_length(previous, ids)
            for node in path[keep:]:
                end[node] = len(tokens)
            del path[keep:]
            for d in range(keep, len(ids)):
                parent.append(path[-1] if path else -1)
                path.append(len(tokens))
                tokens.append(ids[d])
                depth.append(d)
                end.append(0)
            leaf[i] = path[-1] if path else -1
            previous = ids
        for node in path:
            end[node] = len(tokens)
        arrays = [np.asarray(x, dtype=np.int64) for x in (tokens, depth, parent, end)]
        return cls(arrays[0], arrays[1], arrays[2], arrays[3], leaf)

    def __len__(self) -> int:
        """Return the number of nodes: tokens that are computed."""
        return len(self.tokens)

    def path(self, node: int) -> list[int]:
        """Return the nodes from the root to `node`, both included."""
        nodes = []
        while node >= 0:
            nodes.append(node)
            node = int(self.parent[node])
        return nodes[::-1]

    def mask(self) -> NDArray[np.bool_]:
        """Return the attention mask, shape (nodes, nodes): [query, key] is True where key is visible."""
        i = np.arange(len(self))
        return (i[None, :] <= i[:, None]) & (i[:, None] < self.end[None, :])


def size(sequences: Sequence[Sequence[int]]) -> int:
    """Return the number of nodes that TokenTrie.build would make, without building it."""
    order = sorted(map(tuple, sequences))
    return sum(map(len, order)) - sum(common_prefix_length(a, b) for a, b in pairwise(order))
