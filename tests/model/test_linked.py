"""Links beside weights: the numbers of merged links, in float32, and of the same chain in bfloat16."""

import copy

import pytest
import torch
from tiny import tiny_llama
from torch import nn
from tries import relative_error

from gsa.chain.lora import fresh_link
from gsa.errors import InputError
from gsa.model import llama
from gsa.model.forward import row_logits, trie_inputs
from gsa.model.linked import LinkedLinear, add_link
from gsa.recipes.schema import Lora
from gsa.trie import attention
from gsa.trie.trie import TokenTrie

SEQUENCES = [[1, 2, 3, *[i] * 4] for i in range(4, 12)]
LAYERS = {
    "model.layers.0.self_attn.q_proj": (32, 32),
    "model.layers.1.mlp.down_proj": (32, 48),
    "lm_head": (257, 32),
}


def chain(ranks):
    """The pairs and scaling of links on three layers."""
    generator = torch.Generator().manual_seed(0)

    def draw(*shape):
        return torch.randn(*shape, generator=generator) * 0.2

    return [({name: (draw(r, i), draw(o, r)) for name, (o, i) in LAYERS.items()}, 0.5 + r) for r in ranks]


def base(kind=attention.NAME):
    model = tiny_llama(tie_word_embeddings=False).requires_grad_(False)
    model.set_attn_implementation(kind)
    return model


def merged(links):
    model = base()
    for pairs, scaling in links:
        for name, (a, b) in pairs.items():
            model.get_submodule(name).weight += scaling * b @ a
    return model


def unmerged(links, dtype=torch.float32):
    model = base().to(dtype)
    for pairs, scaling in links:
        add_link(model, pairs, scaling)
    return model


def logits(model):
    trie = TokenTrie.build(SEQUENCES)
    inputs = {**trie_inputs(trie, model), "logits_to_keep": torch.arange(len(trie))}
    assert llama.suits(model)
    with torch.inference_mode():
        return row_logits(model, inputs), model(**inputs).logits[0]


@pytest.mark.parametrize("ranks", [[2], [2, 3, 1]])
def test_links_beside_the_weights_are_links_merged(ranks):
    links = chain(ranks)
    expected, _ = logits(merged(links))
    for actual in logits(unmerged(links)):  # by our forward pass and by transformers'
        assert relative_error(actual, expected) <= 1e-5
    assert relative_error(logits(base())[0], expected) > 0.01


def test_links_of_a_chain_are_stacked_in_float32():
    model = unmerged(chain([2, 3]), torch.bfloat16)
    layer = model.get_submodule("model.layers.1.mlp.down_proj")
    assert isinstance(layer, LinkedLinear)
    assert (layer.link_a.shape, layer.link_b.shape) == ((5, 48), (32, 5))
    assert layer.link_a.dtype == layer.link_b.dtype == torch.float32
    assert layer.weight.dtype == torch.bfloat16
    assert not layer.weight.requires_grad
    assert "link_a" not in "".join(model.state_dict())  # saved weights are those of the base


def test_bfloat16_weights_give_nearly_the_logits_of_float32():
    links = chain([2, 3])
    expected, _ = logits(merged(links))
    actual, of_transformers = logits(unmerged(links, torch.bfloat16))
    assert actual.dtype == torch.float32  # logits are not rounded
    assert relative_error(actual, expected) < 0.02
    # transformers rounds the residual stream and the logits too.
    assert relative_error(actual, expected) < relative_error(of_transformers.float(), expected)


def test_a_new_link_is_trained_in_float32_on_top_of_a_bfloat16_chain():
    def gradients(model):
        model = fresh_link(model, Lora(rank=3, targets=("q_proj", "down_proj")), 0)
        for name, weight in model.named_parameters():
            if "lora_" in name:
                torch.manual_seed(len(name))
                weight.data = torch.randn(weight.shape) * 0.3
        assert llama.suits(model)
        trie = TokenTrie.build(SEQUENCES)
        inputs = {**trie_inputs(trie, model), "logits_to_keep": torch.tensor([len(trie) - 1, 2, 9])}
        llama.logits(model, inputs).logsumexp(-1).sum().backward()
        trained = [w for w in model.parameters() if w.requires_grad]
        assert {w.grad.dtype for w in trained} == {torch.float32}
        return torch.cat([w.grad.flatten() for w in trained])

    links = chain([2])
    expected = gradients(merged(links))
    assert relative_error(gradients(unmerged(links)), expected) <= 1e-5
    assert relative_error(gradients(unmerged(links, torch.bfloat16)), expected) < 0.1


def test_a_layer_that_is_not_linear_is_refused():
    model = nn.Sequential(nn.Embedding(3, 4))
    with pytest.raises(InputError, match="layer '0' is a Embedding: expected a linear layer"):
        add_link(model, {"0": (torch.zeros(1, 3), torch.zeros(4, 1))}, 1.0)


def test_a_copied_model_has_links_of_its_own():
    model = unmerged(chain([2]))
    twin = copy.deepcopy(model)
    add_link(twin, chain([3])[0][0], 1.0)
    assert relative_error(logits(model)[0], logits(twin)[0]) > 0.01
