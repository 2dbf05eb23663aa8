"""A Llama without transformers' modelling code, whose import takes longer than the weights: for prediction.

In: a model folder. Out: its configuration and tokenizer, and a module with transformers' names for its
layers, which `llama.logits` reads. It has no forward pass of its own, so whether it is exact on a trie is
checked on the transformers model first (see `backbone.check_exact`).
"""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file
from torch import Tensor, nn

from gsa.trie import attention

TOKENIZERS = ("TokenizersBackend", "PreTrainedTokenizerFast")
"""Classes of tokenizers that are all in tokenizer.json."""


@dataclass
class LeanConfig:
    """What of a Llama's config.json its forward pass depends on."""

    hidden_size: int
    intermediate_size: int
    num_hidden_layers: int
    num_attention_heads: int
    num_key_value_heads: int
    head_dim: int
    vocab_size: int
    rms_norm_eps: float
    rope_theta: float
    hidden_act: str
    tie_word_embeddings: bool
    attention_bias: bool
    mlp_bias: bool
    attention_dropout: float
    max_position_embeddings: int = 0
    model_type: str = "llama"
    _attn_implementation: str = attention.NAME

    @classmethod
    def read(cls, folder: Path) -> "LeanConfig | None":
        """Return the configuration of a folder, None unless it is complete and of a plain Llama."""
        try:
            values = json.loads((folder / "config.json").read_text(encoding="utf-8"))
            rope, names = values["rope_parameters"], cls.__dataclass_fields__.keys()
            plain = values["model_type"] == "llama" and rope["rope_type"] == "default"
            if not plain or values.get("pretraining_tp", 1) != 1 or "quantization_config" in values:
                return None
            known = {name: values[name] for name in names if name in values}
            return cls(**known, rope_theta=rope["rope_theta"])
        except (OSError, ValueError, KeyError, TypeError):
            return None


class RMSNorm(nn.Module):
    """The scale of a normalisation; `ops.norm` computes it."""

    def __init__(self, size: int, epsilon: float) -> None:
        """Make the layers; their weights are loaded later."""
        super().__init__()
        self.weight = nn.Parameter(torch.empty(size))
        self.variance_epsilon = epsilon


class Rotary(nn.Module):
    """Cosines and sines of the rotary position embedding (Su et al. 2021)."""

    inv_freq: Tensor
    """Shape (head size / 2,), float32."""

    def __init__(self, config: LeanConfig) -> None:
        """Make the layers; their weights are loaded later."""
        super().__init__()
        steps = torch.arange(0, config.head_dim, 2, dtype=torch.float, device="cpu")
        frequencies = 1.0 / (config.rope_theta ** (steps / config.head_dim))
        self.register_buffer("inv_freq", frequencies, persistent=False)

    def forward(self, x: Tensor, position_ids: Tensor) -> tuple[Tensor, Tensor]:
        """Return cosines and sines, each of shape (1, nodes, head size), in the precision of x."""
        angles = position_ids[..., None].float() * self.inv_freq
        angles = torch.cat((angles, angles), dim=-1)
        return angles.cos().to(x.dtype), angles.sin().to(x.dtype)


class Attention(nn.Module):
    """The projections of self-attention."""

    def __init__(self, config: LeanConfig) -> None:
        """Make the layers; their weights are loaded later."""
        super().__init__()
        self.head_dim, self.scaling = config.head_dim, config.head_dim**-0.5
        hidden, bias = config.hidden_size, config.attention_bias
        queries, keys = (
            config.head_dim * n for n in (config.num_attention_heads, config.num_key_value_heads)
        )
        self.q_proj = nn.Linear(hidden, queries, bias=bias)
        self.k_proj = nn.Linear(hidden, keys, bias=bias)
        self.v_proj = nn.Linear(hidden, keys, bias=bias)
        self.o_proj = nn.Linear(queries, hidden, bias=bias)


class MLP(nn.Module):
    """The projections of the gated feed-forward part."""

    def __init__(self, config: LeanConfig) -> None:
        """Make the layers; their weights are loaded later."""
        super().__init__()
        hidden, inner, bias = config.hidden_size, config.intermediate_size, config.mlp_bias
        self.gate_proj = nn.Linear(hidden, inner, bias=bias)
        self.up_proj = nn.Linear(hidden, inner, bias=bias)
        self.down_proj = nn.Linear(inner, hidden, bias=bias)


class Layer(nn.Module):
    """One layer."""

    gradient_checkpointing = False

    def __init__(self, config: LeanConfig) -> None:
        """Make the layers; their weights are loaded later."""
        super().__init__()
        self.self_attn, self.mlp = Attention(config), MLP(config)
        self.input_layernorm = RMSNorm(config.hidden_size, config.rms_norm_eps)
        self.post_attention_layernorm = RMSNorm(config.hidden_size, config.rms_norm_eps)


class Trunk(nn.Module):
    """All that is below the logits."""

    def __init__(self, config: LeanConfig) -> None:
        """Make the layers; their weights are loaded later."""
        super().__init__()
        weight = torch.empty(config.vocab_size, config.hidden_size)  # given, so that it is not drawn
        self.embed_tokens = nn.Embedding(config.vocab_size, config.hidden_size, _weight=weight)
        self.layers = nn.ModuleList(Layer(config) for _ in range(config.num_hidden_layers))
        self.norm = RMSNorm(config.hidden_size, config.rms_norm_eps)


class LeanLlama(nn.Module):
    """A causal Llama for `llama.logits`."""

    def __init__(self, config: LeanConfig) -> None:
        """Make the layers; their weights are loaded later."""
        super().__init__()
        self.config = config
        self.model = Trunk(config)
        self.lm_head = nn.Linear(config.hidden_size, config.vocab_size, bias=False)

    @property
    def dtype(self) -> torch.dtype:
        """The precision of its weights."""
        return self.lm_head.weight.dtype

    @property
    def device(self) -> torch.device:
        """Where its weights are."""
        return self.lm_head.weight.device


def read_tokenizer(folder: Path) -> Any:
    """Return the tokenizer of a folder, None where it is not all in tokenizer.json."""
    from transformers.tokenization_utils_tokenizers import TokenizersBackend

    file = folder / "tokenizer_config.json"
    kind = json.loads(file.read_text(encoding="utf-8")).get("tokenizer_class") if file.is_file() else None
    if kind not in TOKENIZERS or not (folder / "tokenizer.json").is_file():
        return None
    return TokenizersBackend.from_pretrained(folder)


def load(folder: Path, config: LeanConfig, dtype: torch.dtype) -> LeanLlama:
    """Return the model of a folder of safetensors, frozen; its float32 weights are mapped, not read.

    Raises RuntimeError or KeyError where a weight is missing, unknown, in two files or of another shape.
    """
    with torch.device("meta"):
        model = LeanLlama(config)
    tensors: dict[str, Tensor] = {}
    for file in sorted(folder.glob("*.safetensors")):
        for name, tensor in load_file(file).items():
            if name in tensors:
                raise RuntimeError(f"'{name}' is in two files of '{folder}'")
            tensors[name] = tensor.to(dtype)
    if config.tie_word_embeddings:
        tensors["lm_head.weight"] = tensors["model.embed_tokens.weight"]
    model.load_state_dict(tensors, assign=True)
    model.model.rotary_emb = Rotary(config)
    return model.eval().requires_grad_(False)
