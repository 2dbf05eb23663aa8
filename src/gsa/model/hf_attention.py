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
    (1, nodes, heads, size). A sliding window is at least as long as any path of the trie (see
    `validation.refuse_unsuitable`). Raises InputError for attention variants that are not computed here.
    """
    if trie_spans is None:
        plain: tuple[Tensor, None] = sdpa_attention_forward(
            module, query, key, value, attention_mask, scaling=scaling, dropout=dropout, **kwargs
        )
        return plain
    odd = [name for name in ("softcap", "s_aux") if kwargs.get(name) is not None]
    if odd or dropout:
        setting = "flex" if odd else "dense"
        raise InputError(
            f"this model's attention uses {odd[0] if odd else 'dropout'}, which attention by runs does not "
            f'compute: expected plain softmax attention; backbone.attention = "{setting}" computes it'
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
