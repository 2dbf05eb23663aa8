"""Exact attention over a TokenTrie, registered with transformers as ``gsa_trie``.

In: queries, keys and values of one row, shape (1, heads, nodes, head size), and the row's Plan. Out: the
same as dense attention under `TokenTrie.mask`, without ever building it.

A run of nodes s..e-1 in preorder sees nothing outside itself but the proper ancestors of s: an ancestor
k < s of a later node i has s < i < end[k], hence is an ancestor of s too. So the row is cut into runs,
each a small dense problem of (e - s) queries by depth[s] + (e - s) keys, and the cuts that cost least are
found by dynamic programming. Whatever shares little (a batch of sentences, conversations, one long
conversation with its answers) is served by the same rule.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np
import torch
from torch import Tensor
from transformers import AttentionInterface
from transformers.integrations.sdpa_attention import sdpa_attention_forward
from transformers.masking_utils import AttentionMaskInterface, sdpa_mask

from gsa.errors import InputError
from gsa.trie.trie import TokenTrie

NAME = "gsa_trie"
OVERHEAD = 4096
"""What starting one more run costs, in query-key pairs."""
LONGEST = 384
"""Longest run considered, in nodes."""


@dataclass(frozen=True)
class Run:
    """A dense piece of the mask."""

    start: int
    stop: int
    keys: Tensor
    """Node indices of the keys, ancestors first; shape (keys,)."""
    bias: Tensor
    """0 where a key is visible, minus infinity elsewhere; shape (stop - start, keys)."""


Plan = tuple[Run, ...]


def cuts(depth: Sequence[int] | np.ndarray[Any, Any]) -> list[int]:
    """Return the boundaries 0 = c0 < c1 < ... = nodes that minimise the cost of all runs."""
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


def plan(trie: TokenTrie, dtype: torch.dtype = torch.float32, device: str | torch.device = "cpu") -> Plan:
    """Return the runs of a trie; `dtype` is the one of the attention scores."""
    bounds = cuts(trie.depth)
    runs = []
    for start, stop in pairwise(bounds):
        ancestors = trie.path(int(trie.parent[start]))
        keys = np.concatenate([np.asarray(ancestors, np.int64), np.arange(start, stop)])
        queries = np.arange(start, stop)[:, None]
        seen = (keys[None] <= queries) & (queries < trie.end[keys][None])
        bias = torch.zeros(seen.shape, dtype=dtype).masked_fill_(torch.from_numpy(~seen), float("-inf"))
        runs.append(Run(start, stop, torch.from_numpy(keys).to(device), bias.to(device)))
    return tuple(runs)


class _TrieAttention(torch.autograd.Function):
    """Softmax attention run by run; the backward pass recomputes each run's small score matrix."""

    @staticmethod
    def forward(ctx: Any, q: Tensor, k: Tensor, v: Tensor, runs: Plan, scale: float) -> Tensor:
        """Shapes: q (kv heads, group, nodes, size), k and v (kv heads, nodes, size)."""
        out = torch.empty_like(q)
        for run in runs:
            weights = _weights(q, k, run, scale)
            o = weights @ v.index_select(1, run.keys)
            out[:, :, run.start : run.stop] = o.view(*q.shape[:2], -1, q.shape[-1])
        ctx.save_for_backward(q, k, v, out)
        ctx.runs, ctx.scale = runs, scale
        return out

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor, Tensor, Tensor, None, None]:
        """Return the gradients of q, k and v, from the usual softmax identities."""
        q, k, v, out = ctx.saved_tensors
        grad = grads[0]
        dq, dk, dv = torch.empty_like(q), torch.zeros_like(k), torch.zeros_like(v)
        delta = (grad * out).sum(-1, keepdim=True)
        heads, _, _, size = q.shape
        for run in ctx.runs:
            here = slice(run.start, run.stop)
            weights = _weights(q, k, run, ctx.scale)
            g = grad[:, :, here].reshape(heads, -1, size)
            dv.index_add_(1, run.keys, weights.transpose(1, 2) @ g)
            ds = g @ v.index_select(1, run.keys).transpose(1, 2)
            ds.sub_(delta[:, :, here].reshape(heads, -1, 1)).mul_(weights).mul_(ctx.scale)
            dq[:, :, here] = (ds @ k.index_select(1, run.keys)).view(heads, -1, run.stop - run.start, size)
            dk.index_add_(1, run.keys, ds.transpose(1, 2) @ q[:, :, here].reshape(heads, -1, size))
        return dq, dk, dv, None, None


def _weights(q: Tensor, k: Tensor, run: Run, scale: float) -> Tensor:
    """Return one run's attention weights, shape (kv heads, group * queries, keys)."""
    heads, group, _, size = q.shape
    queries = q[:, :, run.start : run.stop].reshape(heads, -1, size)
    scores = queries @ k.index_select(1, run.keys).transpose(1, 2)
    scores = scores.view(heads, group, *run.bias.shape).mul_(scale).add_(run.bias)
    return torch.softmax(scores, -1).view(heads, -1, run.bias.shape[1])


def trie_attention(
    module: torch.nn.Module,
    query: Tensor,
    key: Tensor,
    value: Tensor,
    attention_mask: Tensor | None,
    scaling: float | None = None,
    dropout: float = 0.0,
    trie_plan: Plan | None = None,
    **kwargs: Any,
) -> tuple[Tensor, None]:
    """Attend by `trie_plan` where the model was called with one, otherwise as plain SDPA does.

    Shapes: query (1, heads, nodes, size), key and value (1, kv heads, nodes, size). Returns
    (1, nodes, heads, size). Raises InputError for attention variants that a trie cannot express.
    """
    if trie_plan is None:
        plain: tuple[Tensor, None] = sdpa_attention_forward(
            module, query, key, value, attention_mask, scaling=scaling, dropout=dropout, **kwargs
        )
        return plain
    odd = [name for name in ("sliding_window", "softcap", "s_aux") if kwargs.get(name) is not None]
    if odd or dropout:
        raise InputError(
            f"this model's attention uses {odd or ['dropout']}, which shared prefixes do not support: "
            "expected plain softmax attention over all earlier tokens"
        )
    _, heads, nodes, size = query.shape
    kv = key.shape[1]
    q = query[0].reshape(kv, heads // kv, nodes, size)
    scale = size**-0.5 if scaling is None else scaling
    out: Tensor = _TrieAttention.apply(q, key[0], value[0], trie_plan, scale)
    return out.reshape(1, heads, nodes, size).transpose(1, 2), None


AttentionInterface.register(NAME, trie_attention)
AttentionMaskInterface.register(NAME, sdpa_mask)
