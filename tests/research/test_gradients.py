"""Gradients of a fresh link, against those of the weights that it would be merged into."""

import pytest
import torch
from gradient_similarity.gradients import mean_gradient, with_fresh_links
from tiny import tiny_llama

from gsa.data.encoder import Encoder
from gsa.data.layout import Layout
from gsa.data.task import EMOTION
from gsa.datasets.catalogue import load
from gsa.model.losses import answer_loss
from gsa.model.scoring import PackedBatch
from gsa.recipes.schema import Lora
from gsa.trie.packing import PackedRow

LORA = Lora(rank=2, alpha=4.0, targets=("q_proj", "v_proj"))
DRAWS = 3


@pytest.fixture
def rows(tokenizer):
    prompts = Encoder(tokenizer, Layout(), EMOTION).encode(load("sampler-emotion")["train"][:9])
    return [PackedRow(tuple(mine), False) for mine in (prompts[:2], prompts[2:])]


def test_it_is_the_merged_weights_gradient_seen_through_each_a(model, rows) -> None:
    names = [f"model.layers.{i}.self_attn.{kind}" for i in (0, 1) for kind in LORA.targets]
    weights = [model.get_submodule(name).weight.requires_grad_() for name in names]
    answer_loss(model, PackedBatch.from_row(rows[0], model)).backward()
    dense = [weight.grad.clone() for weight in weights]
    for weight in weights:
        weight.grad = None
        weight.requires_grad_(False)
    probed = with_fresh_links(model, LORA, DRAWS, seed=5)
    actual = mean_gradient(probed, rows[:1], answer_loss, DRAWS)
    for draw in range(DRAWS):
        mine = slice(draw * LORA.rank, (draw + 1) * LORA.rank)
        expected = [
            full @ probed.get_submodule(f"base_model.model.{name}.lora_A.default").weight[mine].T
            for name, full in zip(names, dense, strict=True)
        ]
        scaling = LORA.alpha / (LORA.rank * DRAWS)
        whole = torch.cat([each.reshape(-1) for each in expected]) * scaling
        assert torch.allclose(actual[draw], whole, rtol=1e-4, atol=1e-7)
    assert not torch.allclose(actual[0], actual[1], rtol=0.1)


def test_each_example_counts_the_same(model, rows) -> None:
    probed = with_fresh_links(model, LORA, DRAWS, seed=5)
    parts = [mean_gradient(probed, [row], answer_loss, DRAWS) for row in rows]
    sizes = [len(row.prompts) for row in rows]
    mean = sum(part * size for part, size in zip(parts, sizes, strict=True)) / sum(sizes)
    assert torch.allclose(mean_gradient(probed, rows, answer_loss, DRAWS), mean, rtol=1e-4, atol=1e-7)


def test_the_same_seed_draws_the_same_links(rows) -> None:
    found = []
    for seed in (5, 5, 6):
        model = with_fresh_links(tiny_llama().requires_grad_(False), LORA, 1, seed)
        found.append(mean_gradient(model, rows[:1], answer_loss, 1))
    assert torch.equal(found[0], found[1])
    assert not torch.allclose(found[0], found[2], rtol=0.1)
