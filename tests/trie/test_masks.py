"""Masks made from `end` alone: the dense mask of the trie, to the bit, in every form that a kernel takes."""

import random

import numpy as np
import pytest
import torch
from torch._dynamo.testing import CompileCounter
from torch.nn.attention.flex_attention import create_block_mask, flex_attention
from torch.nn.functional import scaled_dot_product_attention

from gsa.trie import masks
from gsa.trie.masks import AdditiveMask, flex_length, flex_mask
from gsa.trie.trie import TokenTrie

CPU = torch.device("cpu")


def random_trie(seed: int) -> TokenTrie:
    """A trunk that some sequences share whole and others in part, and branches of any length."""
    rng = random.Random(seed)
    trunk = [rng.randrange(5) for _ in range(rng.choice([1, 130, 400]))]
    return TokenTrie.build(
        [
            trunk[: rng.randrange(1, len(trunk) + 1)]
            + [rng.randrange(5, 50) for _ in range(rng.choice([3, 60, 200]))]
            for _ in range(rng.randrange(1, 12))
        ]
    )


@pytest.mark.parametrize("seed", range(4))
def test_the_blocks_are_those_of_the_dense_mask(seed: int) -> None:
    trie = random_trie(seed)
    mask = flex_mask(trie.end)
    blocks = mask.to(CPU)
    assert len(mask.end) == flex_length(len(trie))
    nodes = len(mask.end)
    expected = create_block_mask(blocks.mask_mod, None, None, nodes, nodes, device="cpu")
    for kind in ("kv", "full_kv", "q", "full_q"):  # those of the backward pass too
        counts, numbers = (getattr(blocks, f"{kind}_{name}") for name in ("num_blocks", "indices"))
        assert torch.equal(counts, getattr(expected, f"{kind}_num_blocks"))
        for row, count in enumerate(counts.flatten()):
            known = getattr(expected, f"{kind}_indices")
            assert torch.equal(numbers[0, 0, row, :count], known[0, 0, row, :count])
    query, key = np.indices((nodes, nodes))
    seen = masks.visible(torch.from_numpy(query), torch.from_numpy(key), mask.end).numpy()
    assert np.array_equal(seen[: len(trie), : len(trie)], trie.mask())
    assert not seen[: len(trie), len(trie) :].any()
    assert np.array_equal(seen[len(trie) :].sum(1), np.ones(nodes - len(trie))), "a padding node sees itself"


@pytest.mark.filterwarnings("ignore:flex_attention called without torch.compile")
@pytest.mark.parametrize("seed", range(4))
def test_attention_is_the_same_under_each_mask(seed: int) -> None:
    trie = random_trie(seed)
    torch.manual_seed(seed)
    length = flex_length(len(trie))
    q, k, v = (torch.randn(1, 2, length, 16) for _ in range(3))
    by_blocks = flex_attention(q, k, v, block_mask=flex_mask(trie.end).to(CPU))[:, :, : len(trie)]
    q, k, v = (x[:, :, : len(trie)] for x in (q, k, v))
    additive = AdditiveMask(torch.from_numpy(trie.end), torch.float32).to(CPU)
    by_sum = scaled_dot_product_attention(q, k, v, attn_mask=additive)
    by_choice = scaled_dot_product_attention(q, k, v, attn_mask=torch.from_numpy(trie.mask()))
    assert torch.equal(by_sum, by_choice)
    torch.testing.assert_close(by_blocks, by_sum, rtol=1e-5, atol=1e-6)


def test_an_additive_mask_has_rows_that_gpu_kernels_take_without_a_copy() -> None:
    trie = random_trie(1)
    mask = AdditiveMask(torch.from_numpy(trie.end), torch.bfloat16).to(CPU)
    assert mask.shape == (1, 1, len(trie), len(trie))
    assert mask.dtype == torch.bfloat16
    assert len(trie) % masks.ALIGNMENT
    assert [stride % masks.ALIGNMENT for stride in mask.stride()] == [0, 0, 0, 1]


def test_few_lengths_are_compiled_for_and_little_is_padded() -> None:
    lengths = {n: flex_length(n) for n in range(8192, 32769)}
    assert len(set(lengths.values())) == 17
    assert all(n <= length <= n * 9 / 8 and length % masks.BLOCK == 0 for n, length in lengths.items())
    assert [flex_length(n) for n in (1, 128, 129)] == [128, 128, 256]


@pytest.mark.filterwarnings("ignore")
def test_rows_of_one_length_share_a_compilation() -> None:
    """Each row has a mask function of its own, around its own `end`."""
    torch._dynamo.reset()
    counter = CompileCounter()
    attend = torch.compile(flex_attention, backend=counter)
    x = torch.randn(1, 1, 256, 16)
    for trunk, branch in ((3, 200), (20, 180), (5, 170)):
        trie = TokenTrie.build([[1] * trunk + [2] * branch, [3] * 9])
        attend(x, x, x, block_mask=flex_mask(trie.end).to(CPU))
    assert counter.frame_count == 1
    torch._dynamo.reset()
