"""Links beside 16-bit weights: a chain is applied without merging it.

Merging a link into bfloat16 weights rounds up to a quarter of its update away, so the links of a chain stay
beside the weights as one float32 low-rank pair: y = x W^T + (x A^T) B^T, with the A's of all links below one
another and the scaled B's side by side (paper, equations 2 to 6).
"""

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor, nn

from gsa.errors import InputError


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
        out = super().forward(input)
        thin = input.to(self.link_a.dtype) @ self.link_a.t()
        return out + (thin @ self.link_b.t()).to(out.dtype)


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
            parent, _, child = name.rpartition(".")
            setattr(model.get_submodule(parent), child, layer)
        layer.add(a, b, scaling)
