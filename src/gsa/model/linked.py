"""Links beside weights: a chain is applied without merging it.

Merging a link into bfloat16 weights rounds up to a quarter of its update away, and 4-bit ones hold none of
it, so the links of a chain stay beside such weights as one float32 low-rank pair: y = x W^T + (x A^T) B^T,
with the A's of all links below one another and the scaled B's side by side (paper, equations 2 to 6).
"""

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor, nn

from gsa.errors import InputError
from gsa.model.hf_logging import no_fetched_kernels

NF4_BLOCK = 64
"""Weights that share a scale."""


class LinkedLinear(nn.Linear):
    """A frozen linear layer with the links of a chain beside its weight."""

    link_a: Tensor
    """Shape (sum of ranks, in), float32."""
    link_b: Tensor
    """Shape (out, sum of ranks), float32, scaled."""

    @classmethod
    def of(cls, layer: nn.Linear) -> "LinkedLinear":
        """Return a layer that shares the weight of another and has no link yet."""
        linked = cls(layer.in_features, layer.out_features, bias=False, device="meta")
        linked.weight, linked.bias = layer.weight, layer.bias
        device = layer.weight.device
        linked.register_buffer("link_a", torch.zeros(0, layer.in_features, device=device), persistent=False)
        linked.register_buffer("link_b", torch.zeros(layer.out_features, 0, device=device), persistent=False)
        return linked.train(layer.training)

    def add(self, a: Tensor, b: Tensor, scaling: float) -> None:
        """Put one more link on the layer: a of shape (rank, in), b of shape (out, rank)."""
        self.link_a = torch.cat([self.link_a, a.to(self.link_a)])
        self.link_b = torch.cat([self.link_b, (b * scaling).to(self.link_b)], dim=1)

    def forward(self, input: Tensor) -> Tensor:
        """Return the product with the weight and the links, in the precision of the input."""
        out = self.product(input)
        if not len(self.link_a):
            return out
        thin = input.to(self.link_a.dtype) @ self.link_a.t()
        return out + (thin @ self.link_b.t()).to(out.dtype)

    def product(self, input: Tensor) -> Tensor:
        """Return the product with the weight alone."""
        return super().forward(input)


class QuantizedLinear(LinkedLinear):
    """A linear layer whose weight is held in 4 bits: NF4 of bitsandbytes, as in QLoRA (Dettmers et al. 2023).

    Blocks of 64 weights share a scale, which is held in 8 bits. Products are those of the weights that come
    out of it, in the precision of the input.
    """

    state: Any
    """bitsandbytes' scales, and the shape of the weight."""

    @classmethod
    def of(cls, layer: nn.Linear) -> "QuantizedLinear":
        """Return the layer in 4 bits; from bfloat16, so that they do not depend on a recipe's precision."""
        quantized = super().of(layer)
        assert isinstance(quantized, cls)
        weight, quantized.state = bitsandbytes().functional.quantize_4bit(
            layer.weight.detach().bfloat16().contiguous(), quant_type="nf4", compress_statistics=True
        )
        quantized.state.dtype = layer.weight.dtype  # what the backward pass computes with
        quantized.weight = nn.Parameter(weight, requires_grad=False)
        return quantized

    def product(self, input: Tensor) -> Tensor:
        """Return the product with the weight alone; the backward pass makes the weight anew."""
        out: Tensor = bitsandbytes().matmul_4bit(input, self.weight, self.state, bias=self.bias)
        return out


def bitsandbytes() -> Any:
    """Return the package; raises InputError if it is not installed."""
    try:
        with no_fetched_kernels():
            import bitsandbytes
    except ImportError:
        raise InputError(
            "backbone.quantize needs the extra 'quantize': pip install '.[quantize]' in a clone"
        ) from None
    return bitsandbytes


def quantize(model: Any, name: str, device: str) -> None:
    """Put the weights of a model's linear layers into 4 bits on a device, except those of the logits.

    It is done one layer at a time, so that the device never holds all of the model in 16 bits. Layers whose
    rows are not whole blocks are left out: bitsandbytes' CPU kernels mix up the scales of such blocks. Raises
    InputError for a model without any, such as GPT-2, whose layers are of another kind.
    """
    head = model.get_output_embeddings()
    layers = {
        path: layer
        for path, layer in model.named_modules()
        if type(layer) is nn.Linear and layer is not head and layer.in_features % NF4_BLOCK == 0
    }
    if not layers:
        raise InputError(
            f"backbone '{name}': expected linear layers with inputs in multiples of {NF4_BLOCK} for "
            "backbone.quantize, found none"
        )
    for path, layer in layers.items():
        _replace(model, path, QuantizedLinear.of(layer.to(device)))


def is_quantized(model: Any) -> bool:
    """Return whether a model has weights in 4 bits."""
    return any(isinstance(module, QuantizedLinear) for module in model.modules())


def add_link(model: Any, pairs: Mapping[str, tuple[Tensor, Tensor]], scaling: float) -> None:
    """Put a link beside the weights of a model in place; `pairs` holds A and B by the name of their layer.

    Raises InputError for a layer that is not a linear one, such as GPT-2's, whose weights are transposed.
    """
    for name, (a, b) in pairs.items():
        layer = model.get_submodule(name)
        if not isinstance(layer, nn.Linear):
            raise InputError(
                f"layer '{name}' is a {type(layer).__name__}: expected a linear layer for a link beside "
                "16-bit weights; load the model in float32"
            )
        if not isinstance(layer, LinkedLinear):
            layer = LinkedLinear.of(layer)
            _replace(model, name, layer)
        layer.add(a, b, scaling)


def _replace(model: Any, name: str, layer: nn.Module) -> None:
    parent, _, child = name.rpartition(".")
    setattr(model.get_submodule(parent), child, layer)
