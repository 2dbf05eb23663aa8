"""Attention over a TokenTrie for transformers' own forward passes: importing this registers it."""

from typing import Any

import torch
from torch import Tensor
from torch.nn.attention.flex_attention import BlockMask
from transformers import AttentionInterface
from transformers.integrations.flex_attention import flex_attention_forward
from transformers.integrations.sdpa_attention import sdpa_attention_forward
from transformers.masking_utils import AttentionMaskInterface, sdpa_mask

from gsa.errors import InputError
from gsa.trie import masks
from gsa.trie.attention import NAME, Spans, attend


def trie_attention(
    module: torch.nn.Module,
    query: Tensor,
    key: Tensor,
    value: Tensor,
    attention_mask: Tensor | None,
    scaling: float | None = None,
    dropout: float = 0.0,
    trie_spans: Spans | None = None,
    **kwargs: Any,
) -> tuple[Tensor, None]:
    """Attend by `trie_spans` where the model was called with one, otherwise as plain SDPA does.

    Shapes: query (1, heads, nodes, size), key and value (1, kv heads, nodes, size). Returns
    (1, nodes, heads, size). Raises InputError for attention variants that a trie cannot express.
    """
    if trie_spans is None:
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
    scale = size**-0.5 if scaling is None else scaling
    q = (query[0] * scale).view(kv, heads // kv, nodes, size).transpose(1, 2).contiguous()
    out = attend(q, key[0], value[0], trie_spans)
    return out.permute(1, 0, 2, 3).reshape(1, nodes, heads, size), None


def masked_attention(
    module: torch.nn.Module,
    query: Tensor,
    key: Tensor,
    value: Tensor,
    attention_mask: Tensor | BlockMask | None,
    **kwargs: Any,
) -> tuple[Tensor, Tensor | None]:
    """Attend by FlexAttention under a block mask, by SDPA under any other; shapes as in `trie_attention`."""
    forward = flex_attention_forward if isinstance(attention_mask, BlockMask) else sdpa_attention_forward
    out: tuple[Tensor, Tensor | None] = forward(module, query, key, value, attention_mask, **kwargs)
    return out


for name, function in ((NAME, trie_attention), (masks.NAME, masked_attention)):
    AttentionInterface.register(name, function)
    AttentionMaskInterface.register(name, sdpa_mask)
