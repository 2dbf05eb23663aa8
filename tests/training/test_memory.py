"""The memory that a plan names: counted as autograd keeps it, and as a process takes it."""

import subprocess
import sys
from dataclasses import replace

import pytest
import torch
from tiny import tiny_llama

from gsa.chain.lora import fresh_link
from gsa.model.forward import row_logits, trie_inputs
from gsa.recipes.schema import Lora, Recipe
from gsa.training import memory
from gsa.training.memory import Sizes
from gsa.trie import attention
from gsa.trie.masks import AdditiveMask
from gsa.trie.trie import TokenTrie

ATTENTION = ("q_proj", "k_proj", "v_proj", "o_proj")
TARGETS = [("q_proj", "v_proj"), ATTENTION, (*ATTENTION, "gate_proj", "up_proj", "down_proj")]
LAYERS, TOKENS = 4, 256


def linked(
    precision: torch.dtype, targets: tuple[str, ...], way: str, key_heads: int = 2, layers: int = LAYERS
) -> torch.nn.Module:
    """A Llama with a link, in training mode."""
    model = tiny_llama(
        hidden_size=128, intermediate_size=352, num_hidden_layers=layers, num_attention_heads=2,
        num_key_value_heads=key_heads, head_dim=64,
    ).to(precision).requires_grad_(False)  # fmt: skip
    model.set_attn_implementation(way)
    return fresh_link(model, Lora(rank=2, targets=targets), 0).train()


def kept_bytes(model: torch.nn.Module, inputs: dict[str, object]) -> int:
    """Return the bytes that autograd keeps for the backward pass of a row, without weights."""
    weights = {p.untyped_storage().data_ptr() for p in model.parameters()}
    kept: dict[int, int] = {}
    held = []

    def keep(tensor: torch.Tensor) -> torch.Tensor:
        storage = tensor.untyped_storage()
        if storage.data_ptr() not in weights:
            kept[storage.data_ptr()] = storage.nbytes()
        return tensor

    with torch.autograd.graph.saved_tensors_hooks(keep, lambda tensor: tensor):
        held.append(row_logits(model, inputs))
    return sum(kept.values())


@pytest.mark.parametrize("targets", TARGETS, ids=len)
@pytest.mark.parametrize(
    ("precision", "key_heads"), [(torch.float32, 2), (torch.float32, 1), (torch.bfloat16, 1)]
)
def test_activations_on_cpu_are_those_that_autograd_keeps(
    precision: torch.dtype, key_heads: int, targets: tuple[str, ...]
) -> None:
    kept = []
    for layers in (2, LAYERS):
        model = linked(precision, targets, attention.NAME, key_heads, layers)
        trie = TokenTrie.build([[i % 250 for i in range(TOKENS)]])
        inputs = {**trie_inputs(trie, model), "logits_to_keep": torch.arange(TOKENS)}
        kept.append(kept_bytes(model, inputs))
    planned = memory.layer_bytes(model.config, targets, precision.itemsize)
    assert (kept[1] - kept[0]) / TOKENS / (LAYERS - 2) == pytest.approx(planned, rel=0.01)


@pytest.mark.parametrize("precision", [torch.float32, torch.bfloat16])
@pytest.mark.parametrize("targets", TARGETS[:2], ids=len)
def test_activations_on_a_gpu_are_those_that_autograd_keeps(
    precision: torch.dtype, targets: tuple[str, ...]
) -> None:
    """Counted on CPU in transformers' own forward pass, the one that a GPU would run."""
    model = linked(precision, targets, "sdpa")
    inputs = {
        "input_ids": torch.arange(TOKENS)[None] % 100,
        "position_ids": torch.arange(TOKENS)[None],
        "attention_mask": AdditiveMask(torch.full((TOKENS,), TOKENS), precision).to(torch.device("cpu")),
        "logits_to_keep": torch.tensor([TOKENS - 1]),
        "use_cache": False,
    }
    numbers = (kept_bytes(model, inputs) / precision.itemsize - TOKENS**2) / TOKENS / LAYERS
    planned = memory.gpu_layer_activations(model.config, len(targets), precision.itemsize)
    assert numbers == pytest.approx(planned, rel=0.05)


SIZES = Sizes(
    parameters=10**8, body=8 * 10**7, links=(10**6, 10**6), earlier=10**6, prompts=1000, prompt_tokens=10**5,
    nodes=10**5, longest=1000, deepest=100, predicting=10,
)  # fmt: skip


def planned(sizes: Sizes = SIZES, precision: str = "float32", **training: object) -> float:
    """Return the planned memory of a recipe on CPU, for a model stored in float32."""
    level = {"datasets": ["sampler-emotion"], "learning_rate": 0.1}
    levels = [{"name": name, **level} for name in "AB"]
    recipe = Recipe.model_validate({"name": "r", "training": training, "levels": levels})
    config = tiny_llama(hidden_size=128, num_hidden_layers=LAYERS, num_attention_heads=2).config
    config.dtype = torch.float32
    return memory.cpu_memory(recipe, config, sizes, getattr(torch, precision))


def test_weights_count_twice_while_they_are_converted_and_links_beside_16_bits() -> None:
    few = replace(SIZES, longest=1)
    assert planned(few, "bfloat16") - planned(replace(few, parameters=0), "bfloat16") == pytest.approx(
        10**8 * 6 - memory.PRODUCTS, rel=0.1
    )
    many = replace(SIZES, longest=10**6)
    more = replace(many, earlier=10**8)
    assert planned(more, "bfloat16") - planned(many, "bfloat16") == pytest.approx(4 * (10**8 - 10**6))
    assert planned(more) == planned(many), "merged into float32"


def test_a_long_row_keeps_the_activations_that_the_recipe_allows() -> None:
    row = planned(replace(SIZES, longest=1024), activation_tokens=1024)
    assert planned(replace(SIZES, longest=1024), activation_tokens=512) < row
    assert planned(replace(SIZES, longest=1024), recompute=True) < row
    assert planned(replace(SIZES, longest=2048), activation_tokens=1024) < 1.1 * row


PRODUCTS = """
import ctypes, sys
from gsa.model.ops import linear
from gsa.training.memory import limit_cached_products
import torch

class Info(ctypes.Structure):
    _fields_ = [(str(i), ctypes.c_size_t) for i in range(10)]

info = ctypes.CDLL(None).mallinfo2
info.restype = Info
limit_cached_products()
x, weight = torch.randn(700, 64), torch.randn(64, 64)
used = []
for start in (10, 160, 460):
    for length in range(start, start + 150):
        linear(x[:length], weight)
    used.append(getattr(info(), "7"))  # bytes in use
print(used[2] - used[0])
"""


@pytest.mark.skipif(not torch.backends.mkldnn.is_available(), reason="needs oneDNN")
def test_what_is_kept_for_products_of_many_lengths_is_bounded() -> None:
    """Without the bound, 300 more lengths keep 84 MB."""
    done = subprocess.run([sys.executable, "-c", PRODUCTS], capture_output=True, text=True, check=True)
    assert int(done.stdout) < 10e6
