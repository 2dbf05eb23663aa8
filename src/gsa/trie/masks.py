"""The attention mask of a TokenTrie, for kernels that take one: made on the device that uses it.

In: the `end` array of a trie. Out: an additive mask for SDPA, or the block mask of FlexAttention. Both are
made once a row, and all layers share them; what is sent to a device is `end` alone.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor
from torch.nn.attention.flex_attention import BlockMask

from gsa.trie.trie import Array

NAME = "gsa_masked"
"""Under which `model.hf_attention` registers SDPA or FlexAttention, as the mask of a row demands."""
BLOCK = 128
"""Side of FlexAttention's blocks, in nodes: its kernels' default."""
ALIGNMENT = 16
"""SDPA's kernels on GPUs copy a mask in every layer unless its rows start at a multiple of this."""
FLEX_NODES = 8192
"""Nodes from which a GPU takes FlexAttention unless a recipe says otherwise."""


@dataclass(frozen=True)
class AdditiveMask:
    """A dense mask that is added to the attention scores."""

    end: Tensor
    """`TokenTrie.end`, shape (nodes,)."""
    dtype: torch.dtype
    """That of the queries: any other mask is converted in every layer, and the copies are kept."""

    def to(self, device: torch.device) -> Tensor:
        """Return 0 where a key is visible and minus infinity elsewhere, shape (1, 1, nodes, nodes)."""
        end = self.end.to(device, non_blocking=True)
        nodes = torch.arange(len(end), device=device)
        width = padded(len(end), ALIGNMENT)
        mask = torch.full((len(end), width), float("-inf"), dtype=self.dtype, device=device)[:, : len(end)]
        mask.masked_fill_(visible(nodes[:, None], nodes, end), 0.0)
        return mask[None, None]

    def pin_memory(self) -> "AdditiveMask":
        """Return the same in memory from which a GPU copies while it computes."""
        return AdditiveMask(self.end.pin_memory(), self.dtype)


@dataclass(frozen=True)
class FlexMask:
    """A mask in blocks, of which FlexAttention computes those with a visible key."""

    end: Tensor
    """`TokenTrie.end`, continued to a multiple of `BLOCK` by nodes that see themselves alone."""

    def to(self, device: torch.device) -> BlockMask:
        """Return the block mask.

        Which blocks count follows from `end`, without the (nodes, nodes) mask that
        `create_block_mask` goes through: query block i sees a key of block j < i if the largest end in j
        lies beyond the start of i, and all of j if the smallest lies at or beyond the stop of i.
        """
        end = self.end.to(device, non_blocking=True)
        by_block = end.view(-1, BLOCK)
        block = torch.arange(len(by_block), device=device)
        earlier = block < block[:, None]
        start = block[:, None] * BLOCK
        full = earlier & (by_block.amin(1) >= start + BLOCK)
        partial = (earlier & (by_block.amax(1) > start) & ~full) | (block == block[:, None])
        return BlockMask.from_kv_blocks(
            *_ordered(partial), *_ordered(full), BLOCK_SIZE=BLOCK, mask_mod=_mask_mod(end)
        )

    def pin_memory(self) -> "FlexMask":
        """Return the same in memory from which a GPU copies while it computes."""
        return FlexMask(self.end.pin_memory())


def visible(query: Any, key: Any, end: Tensor) -> Any:
    """Return whether a query sees a key: its ancestors and itself."""
    return (key <= query) & (query < end[key])


def padded(nodes: int, multiple: int) -> int:
    """Return the smallest multiple that is at least `nodes`."""
    return -(-nodes // multiple) * multiple


def flex_length(nodes: int) -> int:
    """Return the length to which a row is padded for FlexAttention, at most an eighth longer.

    There are eight lengths between a number and its double, so that a kernel is compiled for few of them.
    """
    return padded(nodes, max(BLOCK, 2 ** (nodes.bit_length() - 4)))


def flex_mask(end: Array) -> FlexMask:
    """Return the block mask of a trie's `end`, padded to `flex_length`."""
    padding = torch.arange(len(end), flex_length(len(end)))
    return FlexMask(torch.cat([torch.from_numpy(end), padding + 1]))


def _mask_mod(end: Tensor) -> Callable[[Tensor, Tensor, Tensor, Tensor], Tensor]:
    """Return `visible` as FlexAttention calls it: by batch, head, query and key."""

    def mask_mod(_batch: Tensor, _head: Tensor, query: Tensor, key: Tensor) -> Tensor:
        seen: Tensor = visible(query, key, end)
        return seen

    return mask_mod


def _ordered(blocks: Tensor) -> tuple[Tensor, Tensor]:
    """Return how many key blocks each query block has, and their numbers in front of all others."""
    counts = blocks.sum(-1, dtype=torch.int32)
    numbers = blocks.int().argsort(dim=-1, descending=True, stable=True).int()
    return counts[None, None], numbers[None, None]
