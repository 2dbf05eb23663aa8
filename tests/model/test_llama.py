"""Our forward pass of a Llama: the numbers of transformers' own, and a word about what it does not suit."""

import pytest
import torch
from tiny import tiny_llama
from transformers import GPT2Config, GPT2LMHeadModel

from gsa.chain.lora import fresh_link
from gsa.model import llama
from gsa.model.forward import row_logits, trie_inputs
from gsa.recipes.schema import Lora
from gsa.trie import attention
from gsa.trie.trie import TokenTrie

USUAL = Lora().targets
EVERYWHERE = ("q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj")
SEQUENCES = [[1, 2, 3, *[i] * 4] for i in range(4, 12)]


def off(found, expected):
    return float((found - expected).detach().norm() / expected.detach().norm())


def linked(targets=USUAL, dropout=0.0, **changes):
    """A tiny Llama that attends by trie, with a link whose B is not zero."""
    base = tiny_llama(**changes).requires_grad_(False)
    base.set_attn_implementation(attention.NAME)
    model = fresh_link(base, Lora(rank=3, alpha=5.0, targets=targets, dropout=dropout), 0)
    for name, weight in model.named_parameters():
        if "lora_B" in name:
            torch.nn.init.normal_(weight, std=0.3)
    return model


def inputs_of(model):
    trie = TokenTrie.build(SEQUENCES)
    return {**trie_inputs(trie, model), "logits_to_keep": torch.tensor([len(trie) - 1, 2, 9])}


def gradients(model, logits):
    model.zero_grad()
    logits.logsumexp(-1).sum().backward()
    return torch.cat([w.grad.flatten() for w in model.parameters() if w.requires_grad])


@pytest.mark.parametrize("targets", [USUAL, EVERYWHERE, ("down_proj", "k_proj")], ids=len)
@pytest.mark.parametrize(
    "changes", [{}, {"attention_bias": True, "mlp_bias": True}, {"num_key_value_heads": 4}]
)
def test_logits_and_gradients_are_those_of_transformers(targets, changes):
    model = linked(targets, **changes)
    assert llama.suits(model)
    inputs = inputs_of(model)
    found, expected = llama.logits(model, inputs), model(**inputs).logits[0]
    assert found.shape == (3, 257)
    assert off(found, expected) <= 1e-5
    assert off(gradients(model, found), gradients(model, expected)) <= 1e-5


def test_a_link_on_the_head_is_read():
    model = linked(("q_proj", "lm_head"), tie_word_embeddings=False)
    assert llama.suits(model)
    inputs = inputs_of(model)
    found, expected = llama.logits(model, inputs), model(**inputs).logits[0]
    assert off(found, expected) <= 1e-5
    assert off(gradients(model, found), gradients(model, expected)) <= 1e-5


@pytest.mark.parametrize("own", [True, False], ids=["own", "transformers"])
def test_recomputing_gives_the_same_bits_and_keeps_less(own):
    def run(model):
        kept = []
        with torch.autograd.graph.saved_tensors_hooks(lambda t: kept.append(t.numel()) or t, lambda t: t):
            found = llama.logits(model, inputs) if own else model(**inputs).logits[0]
        return found, gradients(model, found), sum(kept)

    model = linked(num_hidden_layers=4).train()
    inputs = inputs_of(model)
    plain = run(model)
    llama.recompute(model)
    again = run(model)
    assert torch.equal(again[0], plain[0])
    assert torch.equal(again[1], plain[1])
    assert again[2] < plain[2] / 3


@pytest.mark.parametrize(("tokens", "recomputed"), [(10**6, 0), (40, 0), (30, 3), (1, 6)])
def test_a_row_keeps_no_more_activations_than_asked_for(tokens, recomputed):
    model = linked(num_hidden_layers=6).train()
    inputs = inputs_of(model)
    nodes = inputs["input_ids"].shape[1]
    assert nodes == 35

    def run():
        kept = []
        with torch.autograd.graph.saved_tensors_hooks(lambda t: kept.append(t.numel()) or t, lambda t: t):
            found = llama.logits(model, inputs)
        return gradients(model, found), sum(kept)

    expected, everything = run()
    assert llama.limit_activations(model, nodes, tokens) == recomputed
    actual, kept = run()
    assert torch.equal(actual, expected)
    assert kept == everything if not recomputed else kept < everything
    assert llama.limit_activations(model, nodes, nodes) == 0
    assert run()[1] < everything * 1.05


def test_the_longest_row_just_recomputes_all_layers():
    model = linked(num_hidden_layers=6)
    nodes = llama.longest_row(6, 1000)
    assert 3000 < nodes < 6000
    assert llama.limit_activations(model, nodes - 10, 1000) <= 6
    assert llama.limit_activations(model, nodes // 2, 1000) < 6


def test_a_plain_model_is_read_as_well():
    model = tiny_llama().requires_grad_(False)
    model.set_attn_implementation(attention.NAME)
    inputs = inputs_of(model)
    with torch.inference_mode():
        assert off(llama.logits(model, inputs), model(**inputs).logits[0]) <= 1e-5


def test_a_link_switched_off_is_left_out():
    model = linked()
    inputs = inputs_of(model)
    with torch.inference_mode(), model.disable_adapter():
        assert llama.suits(model)
        assert off(llama.logits(model, inputs), model(**inputs).logits[0]) <= 1e-5
        without = llama.logits(model, inputs)
    assert off(llama.logits(model, inputs), without) > 0.01


def unsuitable():
    dense = linked()
    dense.get_base_model().set_attn_implementation("sdpa")
    trained = linked()
    trained.get_base_model().model.layers[1].mlp.up_proj.weight.requires_grad_(True)
    norm, biased = linked(), linked()
    norm.get_base_model().model.norm.weight.requires_grad_(True)
    up = biased.get_base_model().model.layers[0].self_attn.q_proj.lora_B["default"]
    up.bias = torch.nn.Parameter(torch.ones(up.out_features))
    return {
        "half precision": linked().to(torch.float16),
        "a norm that is trained": norm,
        "a link with a bias": biased,
        "a dense mask": dense,
        "dropout": linked(dropout=0.5).train(),
        "another activation": linked(hidden_act="gelu"),
        "weights that are trained": trained,
    }


KINDS = (
    "a norm that is trained", "a link with a bias", "a dense mask", "dropout", "another activation",
    "weights that are trained", "half precision",
)  # fmt: skip


@pytest.mark.parametrize("kind", KINDS)
def test_what_it_does_not_suit_goes_through_transformers(kind, monkeypatch):
    model = unsuitable()[kind]
    assert not llama.suits(model)
    monkeypatch.setattr(llama, "logits", None)
    torch.manual_seed(0)
    found = row_logits(model, inputs_of(model))
    torch.manual_seed(0)
    assert torch.equal(found, model(**inputs_of(model)).logits[0])


def test_dropout_matters_in_training_only():
    assert llama.suits(linked(dropout=0.5).eval())


def test_other_architectures_recompute_no_layer() -> None:
    model = GPT2LMHeadModel(GPT2Config(n_layer=1, n_head=2, n_embd=8, vocab_size=11, n_positions=16))
    assert llama.limit_activations(model, nodes=5000, tokens=100) == 0
