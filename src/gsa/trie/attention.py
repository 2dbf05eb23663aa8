"""Exact attention over a TokenTrie.

In: queries, keys and values of one row, grouped by key head, and the row's spans. Out: the
same as dense attention under `TokenTrie.mask`, without ever building it.

A span of nodes s..e-1 in preorder sees nothing outside itself but the proper ancestors of s: an ancestor
k < s of a later node i has s < i < end[k], hence is an ancestor of s too. So the row is cut into spans,
each a small dense problem of (e - s) queries by depth[s] + (e - s) keys, and the cuts that cost least are
found by dynamic programming. Whatever shares little (a batch of sentences, conversations, one long
conversation with its answers) is served by the same rule.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import pairwise
from typing import Any

import numpy as np
import torch
from torch import Tensor

from gsa.trie.trie import Array, TokenTrie

NAME = "gsa_trie"
"""Under which `model.hf_attention` registers it with transformers."""
OVERHEAD = 2048
"""What starting one more span costs, in query-key pairs."""
LONGEST = 384
"""Longest span considered, in nodes."""


Nodes = slice | Tensor
"""Node indices, as a slice where they are consecutive, so that no copy is needed to take them."""


@dataclass(frozen=True)
class Span:
    """A dense piece of the mask: queries start..stop-1 against their ancestors and themselves."""

    start: int
    stop: int
    reused: int
    """How many of the keys, from the first, are the same nodes as in the previous span."""
    new: Nodes
    """The other keys."""
    shared: int
    """How many of the keys, from the first, are reused by the next span; 0 for the last one."""
    dropped: Nodes
    """The other keys."""
    masked: int
    """Keys before this one are seen by all queries of the span."""
    bias: Tensor
    """0 where a key is visible, minus infinity elsewhere; shape (stop - start, 1, keys - masked)."""
    keys: int
    """Number of keys, ancestors first."""

    def to(self, device: torch.device) -> "Span":
        """Return the span with its tensors on a device."""
        new, dropped = (
            nodes if isinstance(nodes, slice) else nodes.to(device) for nodes in (self.new, self.dropped)
        )
        return replace(self, new=new, dropped=dropped, bias=self.bias.to(device))


Spans = tuple[Span, ...]


def cuts(depth: Sequence[int] | np.ndarray[Any, Any]) -> list[int]:
    """Return the boundaries 0 = c0 < c1 < ... = nodes that minimise the cost of all spans."""
    depth = np.asarray(depth)
    n = len(depth)
    best = np.zeros(n + 1)
    back = np.zeros(n + 1, dtype=np.int64)
    for stop in range(1, n + 1):
        start = np.arange(max(0, stop - LONGEST), stop)
        width = stop - start
        cost = best[start] + width * (depth[start] + width) + OVERHEAD
        i = int(cost.argmin())
        best[stop], back[stop] = cost[i], start[i]
    bounds = [n]
    while bounds[-1] > 0:
        bounds.append(int(back[bounds[-1]]))
    return bounds[::-1]


def spans_of(trie: TokenTrie, dtype: torch.dtype = torch.float32) -> Spans:
    """Return the spans of a trie; `dtype` is the one of the attention scores."""
    bounds = list(pairwise(cuts(trie.depth)))
    keys = [np.array([*trie.path(int(trie.parent[s])), *range(s, e)], dtype=np.int64) for s, e in bounds]
    common = [0, *(_common_length(before, after) for before, after in pairwise(keys)), 0]
    spans = []
    for number, (start, stop) in enumerate(bounds):
        nodes, shared = keys[number], common[number + 1]
        queries = np.arange(start, stop)[:, None]
        visible = (nodes[None] <= queries) & (queries < trie.end[nodes][None])
        masked = int(np.logical_and.accumulate(visible.all(0)).sum())
        bias = torch.zeros(visible[:, masked:].shape, dtype=dtype)
        bias.masked_fill_(torch.from_numpy(~visible[:, masked:]), float("-inf"))
        new, dropped = (_nodes(nodes[i:]) for i in (common[number], shared))
        spans.append(
            Span(start, stop, common[number], new, shared, dropped, masked, bias[:, None], len(nodes))
        )
    return tuple(spans)


def _common_length(a: Array, b: Array) -> int:
    """Return the length of the longest common prefix of two arrays of nodes."""
    n = min(len(a), len(b))
    return int(np.logical_and.accumulate(a[:n] == b[:n]).sum())


def _nodes(nodes: Array) -> Nodes:
    if len(nodes) and nodes[-1] - nodes[0] + 1 == len(nodes):  # they are in rising order
        return slice(int(nodes[0]), int(nodes[-1]) + 1)
    return torch.from_numpy(nodes)


class _TrieAttention(torch.autograd.Function):
    """Softmax attention span by span.

    Keys and values of the path to a span lie in a buffer that works as a stack: the next span replaces only
    what differs, so a node is copied when the path first reaches it and not once a span. Attention weights
    are not kept for the backward pass: computing them again is one product of seven, and keeping them would
    be up to a third of a long row's memory.
    """

    @staticmethod
    def forward(ctx: Any, q: Tensor, k: Tensor, v: Tensor, spans: Spans) -> Tensor:
        """Shapes: q (kv heads, nodes, group, size), k and v (kv heads, nodes, size)."""
        out = torch.empty_like(q)
        keys, values = _buffer(k, spans), _buffer(v, spans)
        for span in spans:
            _load(span, (k, keys), (v, values))
            weights = _weights(q, keys[:, : span.keys], span)
            out[:, span.start : span.stop] = (weights @ values[:, : span.keys]).view(len(q), -1, *q.shape[2:])
        ctx.save_for_backward(q, k, v)
        ctx.spans = spans
        return out

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor, Tensor, Tensor, None]:
        """Return the gradients of q, k and v, from the usual softmax identities."""
        q, k, v = ctx.saved_tensors
        grad = grads[0].contiguous()
        dq, dk, dv = torch.empty_like(q), torch.zeros_like(k), torch.zeros_like(v)
        keys, values = _buffer(k, ctx.spans), _buffer(v, ctx.spans)
        key_sums, value_sums = torch.zeros_like(keys), torch.zeros_like(values)
        for span in ctx.spans:
            _load(span, (k, keys), (v, values))
            weights = _weights(q, keys[:, : span.keys], span)
            queries, filled = slice(span.start, span.stop), slice(span.keys)
            g = grad[:, queries].flatten(1, 2)
            value_sums[:, filled].baddbmm_(weights.transpose(1, 2), g)
            ds = g @ values[:, filled].transpose(1, 2)
            ds = torch._softmax_backward_data(ds, weights, -1, ds.dtype)
            dq[:, queries] = (ds @ keys[:, filled]).view(len(q), -1, *q.shape[2:])
            key_sums[:, filled].baddbmm_(ds.transpose(1, 2), q[:, queries].flatten(1, 2))
            _unload(span, (dk, key_sums), (dv, value_sums))
        return dq, dk, dv, None


def _buffer(x: Tensor, spans: Spans) -> Tensor:
    return x.new_empty(len(x), max((span.keys for span in spans), default=0), x.shape[-1])


def _load(span: Span, *pairs: tuple[Tensor, Tensor]) -> None:
    """Put the span's new keys on the stack."""
    for source, stack in pairs:
        stack[:, span.reused : span.keys] = source[:, span.new]


def _unload(span: Span, *pairs: tuple[Tensor, Tensor]) -> None:
    """Give the gradients of keys that leave the stack to their nodes."""
    for target, sums in pairs:
        gradients = sums[:, span.shared : span.keys]
        if isinstance(span.dropped, slice):
            target[:, span.dropped] += gradients
        else:
            target.index_add_(1, span.dropped, gradients)
        gradients.zero_()


def _weights(q: Tensor, keys: Tensor, span: Span) -> Tensor:
    """Return one span's attention weights, shape (kv heads, queries * group, keys)."""
    scores = q[:, span.start : span.stop].flatten(1, 2) @ keys.transpose(1, 2)
    by_query = scores.view(len(q), span.stop - span.start, -1, span.keys)
    by_query[..., span.masked :].add_(span.bias)
    return torch.softmax(scores, -1)


def attend(q: Tensor, k: Tensor, v: Tensor, spans: Spans) -> Tensor:
    """Return exact attention over a trie, in the shape of q.

    Shapes: q (kv heads, nodes, group, size), already scaled; k and v (kv heads, nodes, size).
    """
    out: Tensor = _TrieAttention.apply(q, k, v, spans)
    return out
