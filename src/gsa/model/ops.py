"""Differentiable pieces of a decoder layer that touch memory as seldom as they can.

In and out: tensors with one row a token. Each keeps for its backward pass only what cannot be had again for
less, and frozen weights get no gradient. The numbers are those of the plain torch expressions (tests hold
both together); the arithmetic is the same, the passes over memory are fewer.

Where frozen weights are bfloat16, products read bfloat16 and sum in float32, and links stay float32 beside
the weights. Normalisation and rotation compute in float32.
"""

from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

PIECE = 4096
"""Rows of a 16-bit weight that are widened to float32 at a time."""


def linear(x: Tensor, weight: Tensor, bias: Tensor | None = None) -> Tensor:
    """Return x W^T + b, by oneDNN where torch carries it: its float32 products are the faster ones on CPU.

    Shapes: x (tokens, in), weight (out, in), bias (out,). Knows nothing of gradients.
    """
    if (
        x.device.type == "cpu"
        and x.dtype == torch.float32
        and len(x)
        and torch.backends.mkldnn.is_available()
    ):
        out: Tensor = torch.ops.mkldnn._linear_pointwise(x, weight, bias, "none", [], "")
        return out
    return torch.nn.functional.linear(x, weight, bias)


def linear_float(x: Tensor, weight: Tensor) -> Tensor:
    """Return x W^T in float32 for a 16-bit weight, which is widened a piece at a time.

    Shapes: x (tokens, in), weight (out, in). A product of bfloat16 would round its sums, here the logits, to
    8 bits. Knows nothing of gradients.
    """
    out = x.new_empty(len(x), len(weight))
    for rows, columns in zip(weight.split(PIECE), out.split(PIECE, dim=1), strict=True):
        columns.copy_(linear(x, rows.to(x.dtype)))
    return out


def linear_float_gradient(grad: Tensor, weight: Tensor) -> Tensor:
    """Return the gradient of the input of `linear_float`, shape (tokens, in)."""
    out = grad.new_zeros(len(grad), weight.shape[1])
    for rows, columns in zip(weight.split(PIECE), grad.split(PIECE, dim=1), strict=True):
        out.addmm_(columns, rows.to(grad.dtype))
    return out


@dataclass(frozen=True)
class Projection:
    """A frozen linear layer, with a link on it or without."""

    weight: Tensor
    """Shape (out, in)."""
    bias: Tensor | None = None
    a: Tensor | None = None
    """The link's A, shape (rank, in)."""
    b: Tensor | None = None
    """The link's B, shape (out, rank)."""
    scaling: float = 1.0
    frozen: tuple[Tensor, Tensor] | None = None
    """A and scaled B of earlier links that are kept beside 16-bit weights, shapes as of `a` and `b`."""

    @property
    def links(self) -> list[tuple[Tensor, Tensor, float]]:
        """Return the A, B and scaling of each link on the layer."""
        earlier = [] if self.frozen is None else [(*self.frozen, 1.0)]
        return earlier if self.a is None or self.b is None else [*earlier, (self.a, self.b, self.scaling)]

    @property
    def merges(self) -> bool:
        """Whether links are added into the weight: 16 bits would round most of a small update away."""
        return self.weight.dtype.itemsize > 2

    def merged(self) -> Tensor:
        """Return W + s B A, shape (out, in), or W itself where links stay beside it."""
        weight = self.weight
        for a, b, scaling in self.links if self.merges else ():
            weight = torch.addmm(weight, b, a, alpha=scaling)
        return weight

    def product(self, x: Tensor) -> Tensor:
        """Return the layer's output for x, shape (tokens, out)."""
        if x.dtype == self.weight.dtype:
            out = linear(x, self.merged(), self.bias)
        else:
            out = linear_float(x, self.weight)
            out = out if self.bias is None else out.add_(self.bias)
        for a, b, scaling in () if self.merges else self.links:
            thin = linear(x, a.to(x.dtype))
            out.addmm_(thin, b.to(x.dtype).t(), alpha=scaling)
        return out

    def gradient(self, grad: Tensor) -> Tensor:
        """Return the gradient of the layer's input, shape (tokens, in)."""
        same = grad.dtype == self.weight.dtype
        out = linear(grad, self.merged().t()) if same else linear_float_gradient(grad, self.weight)
        for a, b, scaling in () if self.merges else self.links:
            thin = linear(grad, b.to(grad.dtype).t())
            out.addmm_(thin, a.to(grad.dtype), alpha=scaling)
        return out


class _Project(torch.autograd.Function):
    """Several projections of one input, each by its frozen weight with the link added in.

    The sum W + s B A costs less than a thin product over every token of a row, so little that it is made
    anew for the backward pass rather than kept. Beside 16-bit weights the link is a thin product of its own.
    The link's own gradients are thin products: dA = s (g B)^T x and dB = s g^T (x A^T).
    """

    @staticmethod
    def forward(ctx: Any, x: Tensor, parts: tuple[Projection, ...], *links: Tensor) -> tuple[Tensor, ...]:
        ctx.save_for_backward(*([x] if links else []), *links)
        ctx.parts = parts
        return tuple(part.product(x) for part in parts)

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor | None, ...]:
        saved = ctx.saved_tensors
        dx: Tensor | None = None
        of_links: list[Tensor] = []
        for part, out in zip(ctx.parts, grads, strict=True):
            grad = out.contiguous()
            if ctx.needs_input_grad[0]:
                own = part.gradient(grad)
                dx = own if dx is None else dx.add_(own)
            if part.a is not None and part.b is not None:
                x, grad = saved[0].to(part.a.dtype), grad.to(part.a.dtype)
                back, thin = linear(grad, part.b.t()), linear(x, part.a)
                of_links += [(back.t() @ x).mul_(part.scaling), (grad.t() @ thin).mul_(part.scaling)]
        return dx, None, *of_links


def project(x: Tensor, *parts: Projection) -> tuple[Tensor, ...]:
    """Return each projection of x, shape (tokens, out); gradients go to x and to the links."""
    links = [t for part in parts if part.a is not None for t in (part.a, part.b)]
    outs: tuple[Tensor, ...] = _Project.apply(x, parts, *links)
    return outs


class _Norm(torch.autograd.Function):
    """Root-mean-square normalisation with a frozen gain, in the precision of its input."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, gain: Tensor, eps: float, dtype: torch.dtype) -> Tensor:
        size = x.shape[-1]
        rate: Tensor = torch.linalg.vector_norm(x, dim=-1, keepdim=True)
        rate = rate.square_().div_(size).add_(eps).rsqrt_()
        ctx.save_for_backward(x, gain, rate)
        out: Tensor = x * rate
        return out.mul_(gain).to(dtype)

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor, None, None, None]:
        x, gain, rate = ctx.saved_tensors
        out = grads[0].to(x.dtype) * gain
        along = (out * x).sum(-1, keepdim=True).mul_(rate**3).div_(x.shape[-1])
        return out.mul_(rate).addcmul_(x, along, value=-1), None, None, None


def norm(x: Tensor, gain: Tensor, eps: float, dtype: torch.dtype | None = None) -> Tensor:
    """Return x / rms(x) * gain over the last dimension, rounded to `dtype`; gradients go to x alone."""
    out: Tensor = _Norm.apply(x, gain, eps, dtype or x.dtype)
    return out


class _Gate(torch.autograd.Function):
    """silu(gate) * up."""

    @staticmethod
    def forward(ctx: Any, gate: Tensor, up: Tensor) -> Tensor:
        ctx.save_for_backward(gate, up)
        return torch.nn.functional.silu(gate, inplace=not any(ctx.needs_input_grad)).mul_(up)

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor, Tensor]:
        gate, up = ctx.saved_tensors
        grad = grads[0]
        of_up = torch.nn.functional.silu(gate).mul_(grad)
        of_gate = grad * up
        torch.ops.aten.silu_backward.grad_input(of_gate, gate, grad_input=of_gate)
        return of_gate, of_up


def gate(gate: Tensor, up: Tensor) -> Tensor:
    """Return silu(gate) * up, the middle of a SwiGLU block; any equal shapes.

    Where no gradient is needed, the memory of `gate` is overwritten.
    """
    out: Tensor = _Gate.apply(gate, up)
    return out


class _Rotate(torch.autograd.Function):
    """Rotary positions, written straight into the order that attention reads."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, cos: Tensor, sin: Tensor, heads: int) -> Tensor:
        ctx.save_for_backward(cos, sin)
        ctx.shape, ctx.dtype = x.shape, x.dtype
        tokens, half = cos.shape
        source = x.to(cos.dtype).view(tokens, heads, -1, 2 * half).transpose(0, 1)
        return _turn(source, cos, sin, torch.empty(source.shape, dtype=cos.dtype, device=x.device))

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor, None, None, None]:
        cos, sin = ctx.saved_tensors
        out = torch.empty(ctx.shape, dtype=grads[0].dtype, device=grads[0].device)
        heads, tokens, _, size = grads[0].shape
        _turn(grads[0], cos, -sin, out.view(tokens, heads, -1, size).transpose(0, 1))
        return out.to(ctx.dtype), None, None, None


def _turn(x: Tensor, cos: Tensor, sin: Tensor, out: Tensor) -> Tensor:
    """Turn each pair (x_i, x_{i + half}) of (heads, tokens, group, size) by its token's angle, into `out`."""
    half = cos.shape[-1]
    cos, sin = cos[:, None], sin[:, None]
    low, high = x[..., :half], x[..., half:]
    torch.mul(low, cos, out=out[..., :half]).addcmul_(high, sin, value=-1)
    torch.mul(high, cos, out=out[..., half:]).addcmul_(low, sin)
    return out


def rotate(x: Tensor, cos: Tensor, sin: Tensor, heads: int) -> Tensor:
    """Return x with rotary positions, by key-value head.

    Shapes: x (tokens, heads * group * size), cos and sin (tokens, size / 2); out (heads, tokens, group,
    size), contiguous, in the precision of cos. What cos and sin are multiplied with, such as the attention's
    scale, passes through.
    """
    out: Tensor = _Rotate.apply(x, cos, sin, heads)
    return out
