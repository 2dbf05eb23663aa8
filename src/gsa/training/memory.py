"""The most memory that tuning takes, estimated from a configuration and counts; no weights are read.

On CPU it is the resident memory of the process, for a GPU what is on the device. `benchmarks/tune_memory.py`
compares it with what processes take.
"""

import os
from dataclasses import dataclass
from typing import Any

import torch

from gsa.recipes.schema import Recipe
from gsa.training import gpus
from gsa.trie.attention import LONGEST
from gsa.trie.masks import FLEX_NODES

PROCESS = 0.5e9
"""Bytes of Python, torch, transformers, PEFT and a tokenizer, before data and weights are read."""
CACHED_PRODUCTS = 128
"""How many shapes of products torch and oneDNN keep what they prepared for; a row has about 50 at most."""
PRODUCTS = 0.08e9
"""Bytes that they keep for that many shapes."""
PROMPT = 1.5e3
"""Bytes of a training example beside its token ids: texts, labels, and gaps that its file leaves."""
TOKEN_ID = 8
"""Bytes of a token id of a prompt (`data.token_counts.tokenize`)."""
NODE = 48
"""Bytes of a token of a row: the arrays of its trie, and what is predicted."""
NF4_BYTES = (4 + 8 / 64 + 32 / 64 / 256) / 8
"""Bytes of a weight in 4 bits: a scale of 8 bits for 64 of them, and one of 32 bits for 256 scales."""
LOGITS_KEPT = 4
"""Float32 tensors of logits in memory when the backward pass begins: themselves and their gradients."""
GAPS = 1.5
"""Memory that a row's tensors take to their size: rows of other lengths leave gaps between them."""


def limit_cached_products() -> None:
    """Let torch and oneDNN keep less for products, unless the user's environment says how much.

    Each shape takes some 0.3 MB, and rows have hundreds of lengths: with the libraries' limit of 1,024 for
    each cache, tuning holds a gigabyte more. The limit is read at the first product of a process. It is not
    for short texts one by one: there, preparing products anew costs 3 to 5% of the time.
    """
    for variable in ("LRU_CACHE_CAPACITY", "ONEDNN_PRIMITIVE_CACHE_CAPACITY"):
        os.environ.setdefault(variable, str(CACHED_PRODUCTS))


@dataclass(frozen=True)
class Sizes:
    """What is counted of a recipe's model and data."""

    parameters: int
    """Of the backbone."""
    body: int
    """Those of the layers, without embeddings and logits."""
    links: tuple[int, ...]
    """Parameters of the link of each level."""
    earlier: int
    """Parameters of the links that the backbone has already."""
    prompts: int
    """Examples of all levels."""
    prompt_tokens: int
    """Their tokens, before prefixes are shared."""
    nodes: int
    """Tokens of all rows of all levels and epochs."""
    longest: int
    """Tokens of the longest row."""
    deepest: int
    """Tokens of the longest prompt."""
    predicting: int
    """The most nodes of a row whose logits are needed."""


def weight_bytes(recipe: Recipe, sizes: Sizes, itemsize: int) -> float:
    """Return the bytes of the frozen weights, with the links that stay beside 16-bit and 4-bit ones."""
    weights = float(sizes.parameters * itemsize)
    if recipe.backbone.quantize:
        weights += sizes.body * (NF4_BYTES - itemsize)
    merged = itemsize == 4 and not recipe.backbone.quantize
    return weights + (0 if merged else 4 * (sizes.earlier + sum(sizes.links[:-1])))


def cpu_memory(recipe: Recipe, config: Any, sizes: Sizes, precision: torch.dtype) -> float:
    """Return the peak of resident memory in bytes: while weights are converted, or while a step is computed.

    Weights that are stored in another precision are in memory twice while they are loaded.
    """
    stored = getattr(config, "dtype", None) or precision
    loading = sizes.parameters * (precision.itemsize + (stored.itemsize if stored != precision else 0))
    weights = weight_bytes(recipe, sizes, precision.itemsize)
    step = GAPS * _step_bytes(recipe, config, sizes, precision.itemsize) + 16.0 * max(sizes.links)
    data = PROMPT * sizes.prompts + TOKEN_ID * sizes.prompt_tokens + NODE * sizes.nodes
    return PROCESS + data + max(loading, weights + PRODUCTS + step)


def _step_bytes(recipe: Recipe, config: Any, sizes: Sizes, itemsize: int) -> float:
    """Return the bytes of a step's tensors on CPU when the backward pass reaches the last layer."""
    heads, vocabulary = int(config.num_attention_heads), int(config.vocab_size)
    hidden, inner = int(config.hidden_size), int(config.intermediate_size)
    targets = recipe.lora.targets
    layer = layer_bytes(config, targets, itemsize)
    if config.model_type != "llama":  # transformers' own forward pass, as on a GPU
        layer = itemsize * gpu_layer_activations(config, len(targets), itemsize)
    kept = _kept_bytes(recipe, config, sizes.longest, layer)
    gradients = sizes.longest * (3 * inner * itemsize + 8 * hidden)
    attention = 3 * 4 * heads * min(sizes.deepest, LONGEST) * sizes.deepest
    logits = 4 * LOGITS_KEPT * sizes.predicting * vocabulary
    return kept + gradients + attention + logits


def gpu_memory(recipe: Recipe, config: Any, sizes: Sizes, itemsize: int) -> float:
    """Return the peak of a GPU's memory in bytes: weights, a link with its optimizer, activations, CUDA."""
    layer = itemsize * gpu_layer_activations(config, len(recipe.lora.targets), itemsize)
    activations = _kept_bytes(recipe, config, sizes.longest, layer, itemsize)
    if sizes.longest < FLEX_NODES:  # one mask, which all layers share
        activations += itemsize * sizes.longest**2
    logits = 4.0 * LOGITS_KEPT * sizes.predicting * int(config.vocab_size)
    weights = weight_bytes(recipe, sizes, itemsize)
    return gpus.CONTEXT + weights + 16.0 * max(sizes.links) + activations + logits


def _kept_bytes(recipe: Recipe, config: Any, longest: int, layer: float, residual: int = 4) -> float:
    """Return the bytes of activations that the longest row keeps; `layer` are those of a token in a layer.

    Layers that are recomputed keep their input, numbers of `residual` bytes.
    """
    layers, hidden = int(config.num_hidden_layers), int(config.hidden_size)
    recomputed = longest * (layers * hidden * residual + layer)
    kept = min(longest, recipe.training.activation_tokens) * layers * layer
    return recomputed if recipe.training.recompute else max(kept, recomputed)


def layer_bytes(config: Any, targets: tuple[str, ...], itemsize: int) -> int:
    """Return the bytes that a layer keeps a token for its gradients in `llama.logits`.

    Residual stream, queries, keys, values and angles are float32, the rest has the precision of the weights.
    """
    hidden, inner = int(config.hidden_size), int(config.intermediate_size)
    heads = int(config.num_attention_heads)
    size = int(getattr(config, "head_dim", None) or hidden // heads)
    queries, keys = size * heads, size * int(getattr(config, "num_key_value_heads", None) or heads)
    inputs = [  # those of layers with a link; layers of one input keep it once
        (("q_proj", "k_proj", "v_proj"), hidden),
        (("o_proj",), queries),
        (("gate_proj", "up_proj"), hidden),
        (("down_proj",), inner),
    ]
    linked = sum(width for names, width in inputs if set(names) & set(targets))
    return 4 * (2 * hidden + queries + 2 * keys + size) + itemsize * (linked + 2 * inner)


def gpu_layer_activations(config: Any, targets: int, itemsize: int) -> int:
    """Return how many numbers of `itemsize` bytes a layer of transformers' Llama keeps a token.

    Beside bfloat16 weights norms and the inputs of the links' `targets` are float32.
    """
    hidden, inner = int(config.hidden_size), int(config.intermediate_size)
    return (7 if itemsize == 4 else 8 + 2 * targets) * hidden + 3 * inner
