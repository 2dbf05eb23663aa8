"""The forward pass of a Llama over one row, made for shared prefixes on CPU.

In: a transformers Llama, plain or with one link on it, and the inputs of a row. Out: the logits at the
nodes that predict. It reads the model's own weights and computes what the model's own `forward` does, in
fewer passes over memory, and in the last layer only for nodes whose logits are wanted. Models of other
architectures go through transformers; `suits` decides.
"""

from dataclasses import replace
from math import ceil
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint

from gsa.model.lean import LeanLlama
from gsa.model.linked import LinkedLinear
from gsa.model.ops import Projection, gate, norm, project, rotate
from gsa.trie import attention

PROJECTIONS = ("q_proj", "k_proj", "v_proj", "o_proj")
NORMS = ("input_layernorm", "post_attention_layernorm")
GATES = ("gate_proj", "up_proj", "down_proj")


LLAMA = "transformers.models.llama.modeling_llama.LlamaForCausalLM"
LORA_LINEAR = "peft.tuners.lora.layer.Linear"
"""PEFT's linear layer with a LoRA. Classes are known by name, because their imports take seconds."""


def bare(model: Any) -> Any:
    """Return the causal LM below a link, or the model itself."""
    return model.get_base_model() if hasattr(model, "get_base_model") else model


def recompute(model: Any) -> None:
    """Let each layer keep its input alone while tuning, and compute the rest again for the gradients."""
    base = bare(model)  # transformers has renamed it, and warns of the old name
    enable = getattr(base, "activation_checkpointing_enable", None) or base.gradient_checkpointing_enable
    enable({"use_reentrant": False})


INPUT_SHARE = 0.1
"""A layer's input, which is kept in any case, as a share of all that the layer keeps for its gradients."""


def limit_activations(model: Any, nodes: int, tokens: int) -> int:
    """Recompute as many layers as a row of `nodes` needs to keep at most the activations of `tokens`.

    Returns how many layers are recomputed from now on. A row of up to `tokens` nodes recomputes none; one
    beyond `longest_row` recomputes all and keeps more than asked for.
    """
    layers = getattr(getattr(bare(model), "model", None), "layers", None)
    if layers is None:  # another architecture, such as GPT-2: nothing is recomputed
        return 0
    excess = nodes * (len(layers) + 1) - tokens * len(layers)  # with one layer that is being recomputed
    count = 0 if nodes <= tokens else min(len(layers), ceil(excess / (nodes * (1 - INPUT_SHARE))))
    if count and not any(layer.gradient_checkpointing for layer in layers):
        recompute(model)
    for number, layer in enumerate(layers):
        layer.gradient_checkpointing = number < count
    return count


def longest_row(layers: int, tokens: int) -> int:
    """Return the most nodes of a row whose recomputed layers keep at most the activations of `tokens`."""
    return int(tokens * layers / (layers * INPUT_SHARE + 1))


def _class_name(module: Any) -> str:
    return f"{type(module).__module__}.{type(module).__name__}"


def _is_llama(base: Any) -> bool:
    return isinstance(base, LeanLlama) or _class_name(base) == LLAMA


def suits(model: Any) -> bool:
    """Return whether `logits` computes what the model's own forward pass would."""
    base = bare(model)
    if not _is_llama(base) or base.config._attn_implementation != attention.NAME:
        return False
    config = base.config
    plain = base.dtype in (torch.bfloat16, torch.float32, torch.float64)
    plain = plain and config.hidden_act == "silu" and not (base.training and config.attention_dropout)
    blocks: list[tuple[Any, tuple[str, ...]]] = [(base, ("lm_head",))]
    for layer in base.model.layers:
        blocks += [(layer.self_attn, PROJECTIONS), (layer.mlp, GATES)]
        plain = plain and not any(getattr(layer, name).weight.requires_grad for name in NORMS)
    plain = plain and not base.model.norm.weight.requires_grad
    return plain and all(_part(getattr(block, name)) is not None for block, names in blocks for name in names)


def logits(model: Any, inputs: dict[str, Any]) -> Tensor:
    """Return the logits at `logits_to_keep`, shape (kept nodes, vocabulary).

    `inputs` are those of `trie_inputs` with an index of the nodes to keep. Beside bfloat16 weights the
    residual stream, attention and the logits are float32.
    """
    base = bare(model)
    trunk = base.model
    ids, kept = inputs["input_ids"][0], inputs["logits_to_keep"]
    x = trunk.embed_tokens(ids)
    x = x.float() if x.dtype == torch.bfloat16 else x
    cos, sin = trunk.rotary_emb(x, inputs["position_ids"])
    half = cos.shape[-1] // 2
    angles = cos[0, :, :half].contiguous(), sin[0, :, :half].contiguous()
    last = len(trunk.layers) - 1
    for number, layer in enumerate(trunk.layers):
        given = layer, x, angles, inputs["trie_spans"], kept if number == last else None
        if layer.gradient_checkpointing and layer.training:
            x = checkpoint(_layer, *given, use_reentrant=False, preserve_rng_state=False)
        else:
            x = _layer(*given)
    hidden = norm(x, trunk.norm.weight, trunk.norm.variance_epsilon)
    return project(hidden, _projection(base.lm_head))[0]


def _layer(
    layer: Any, x: Tensor, angles: tuple[Tensor, Tensor], spans: attention.Spans, kept: Tensor | None
) -> Tensor:
    """Return what a layer makes of x, of the kept nodes alone if they are given."""
    seen = _attend(layer, x, angles, spans)
    if kept is not None:
        x, seen = x[kept], seen[kept]
    # Sums and strided copies of mixed precision are slow on CPU, so outputs are converted first.
    x = x + _through(layer.self_attn, ("o_proj",), seen)[0].to(x.dtype)
    hidden = _norm(layer.post_attention_layernorm, x)
    hidden = gate(*_through(layer.mlp, ("gate_proj", "up_proj"), hidden))
    return x + _through(layer.mlp, ("down_proj",), hidden)[0].to(x.dtype)


def _attend(layer: Any, x: Tensor, angles: tuple[Tensor, Tensor], spans: attention.Spans) -> Tensor:
    """Return what each node reads from its ancestors, shape (nodes, heads * size)."""
    block = layer.self_attn
    q, k, v = _through(block, PROJECTIONS[:3], _norm(layer.input_layernorm, x))
    cos, sin = angles
    heads = k.shape[-1] // block.head_dim
    q = rotate(q, cos * block.scaling, sin * block.scaling, heads)
    k = rotate(k, cos, sin, heads)[:, :, 0]
    values = v.to(q.dtype).view(len(v), heads, -1).transpose(0, 1)
    out = attention.attend(q, k, values, spans)
    return out.transpose(0, 1).flatten(1).to(v.dtype)


def _norm(module: Any, x: Tensor) -> Tensor:
    return norm(x, module.weight, module.variance_epsilon, module.weight.dtype)


def _through(block: Any, names: tuple[str, ...], x: Tensor) -> tuple[Tensor, ...]:
    return project(x, *(_projection(getattr(block, name)) for name in names))


def _projection(module: Any) -> Projection:
    part = _part(module)
    assert part is not None, "`suits` has looked at every layer"
    return part


def _part(module: Any) -> Projection | None:
    """Return a layer's weights, None where it is more than a frozen product and at most one plain link."""
    if type(module) in (nn.Linear, LinkedLinear):
        return None if module.weight.requires_grad else _frozen(module)
    if _class_name(module) != LORA_LINEAR:
        return None
    base = module.get_base_layer()
    if module.merged or module.lora_variant or type(base) not in (nn.Linear, LinkedLinear):
        return None
    if module.disable_adapters or not module.active_adapters:
        return _frozen(base)
    (name, *others) = module.active_adapters
    dropout = module.lora_dropout[name]
    drops = module.training and not isinstance(dropout, nn.Identity)
    if others or drops or module.lora_B[name].bias is not None:
        return None
    a, b = module.lora_A[name].weight, module.lora_B[name].weight
    return replace(_frozen(base), a=a, b=b, scaling=module.scaling[name])


def _frozen(module: Any) -> Projection:
    links = (module.link_a, module.link_b) if isinstance(module, LinkedLinear) else None
    return Projection(module.weight, module.bias, frozen=links)
