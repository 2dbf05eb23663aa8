"""Differentiable pieces of a decoder layer that touch memory as seldom as they can.

In and out: float32 (or wider) tensors with one row a token. Each keeps for its backward pass only what
cannot be had again for less, and frozen weights get no gradient. The numbers are those of the plain torch
expressions (tests hold both together); the arithmetic is the same, the passes over memory are fewer.
"""

from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor


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

    def merged(self) -> Tensor:
        """Return W + s B A, shape (out, in), which is W itself without a link."""
        if self.a is None or self.b is None:
            return self.weight
        return torch.addmm(self.weight, self.b, self.a, alpha=self.scaling)


class _Project(torch.autograd.Function):
    """Several projections of one input, each by its frozen weight with the link added in.

    The sum W + s B A costs less than a thin product over every token of a row, so little that it is made
    anew for the backward pass rather than kept. The link's own gradients
    are thin products: dA = s (g B)^T x and dB = s g^T (x A^T).
    """

    @staticmethod
    def forward(ctx: Any, x: Tensor, parts: tuple[Projection, ...], *links: Tensor) -> tuple[Tensor, ...]:
        ctx.save_for_backward(*([x] if links else []), *links)
        ctx.parts = parts
        return tuple(linear(x, part.merged(), part.bias) for part in parts)

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor | None, ...]:
        saved = ctx.saved_tensors
        dx: Tensor | None = None
        of_links: list[Tensor] = []
        for part, out in zip(ctx.parts, grads, strict=True):
            grad = out.contiguous()
            if ctx.needs_input_grad[0]:
                own = linear(grad, part.merged().t())
                dx = own if dx is None else dx.add_(own)
            if part.a is not None and part.b is not None:
                x = saved[0]
                back, thin = linear(grad, part.b.t()), linear(x, part.a)
                of_links += [(back.t() @ x).mul_(part.scaling), (grad.t() @ thin).mul_(part.scaling)]
        return dx, None, *of_links


def project(x: Tensor, *parts: Projection) -> tuple[Tensor, ...]:
    """Return each projection of x, shape (tokens, out); gradients go to x and to the links."""
    links = [t for part in parts if part.a is not None for t in (part.a, part.b)]
    outs: tuple[Tensor, ...] = _Project.apply(x, parts, *links)
    return outs


class _Norm(torch.autograd.Function):
    """Root-mean-square normalisation with a frozen gain."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, gain: Tensor, eps: float) -> Tensor:
        size = x.shape[-1]
        rate: Tensor = torch.linalg.vector_norm(x, dim=-1, keepdim=True)
        rate = rate.square_().div_(size).add_(eps).rsqrt_()
        ctx.save_for_backward(x, gain, rate)
        out: Tensor = x * rate
        return out.mul_(gain)

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor, None, None]:
        x, gain, rate = ctx.saved_tensors
        out = grads[0] * gain
        along = (out * x).sum(-1, keepdim=True).mul_(rate**3).div_(x.shape[-1])
        return out.mul_(rate).addcmul_(x, along, value=-1), None, None


def norm(x: Tensor, gain: Tensor, eps: float) -> Tensor:
    """Return x / rms(x) * gain over the last dimension; gradients go to x alone."""
    out: Tensor = _Norm.apply(x, gain, eps)
    return out


class _Gate(torch.autograd.Function):
    """silu(gate) * up."""

    @staticmethod
    def forward(ctx: Any, gate: Tensor, up: Tensor) -> Tensor:
        ctx.save_for_backward(gate, up)
        return torch.nn.functional.silu(gate).mul_(up)

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor, Tensor]:
        gate, up = ctx.saved_tensors
        grad = grads[0]
        of_up = torch.nn.functional.silu(gate).mul_(grad)
        of_gate = grad * up
        torch.ops.aten.silu_backward.grad_input(of_gate, gate, grad_input=of_gate)
        return of_gate, of_up


def gate(gate: Tensor, up: Tensor) -> Tensor:
    """Return silu(gate) * up, the middle of a SwiGLU block; any equal shapes."""
    out: Tensor = _Gate.apply(gate, up)
    return out


class _Rotate(torch.autograd.Function):
    """Rotary positions, written straight into the order that attention reads."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, cos: Tensor, sin: Tensor, heads: int) -> Tensor:
        ctx.save_for_backward(cos, sin)
        ctx.shape = x.shape
        tokens, half = cos.shape
        source = x.view(tokens, heads, -1, 2 * half).transpose(0, 1)
        return _turn(source, cos, sin, torch.empty(source.shape, dtype=x.dtype, device=x.device))

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor, None, None, None]:
        cos, sin = ctx.saved_tensors
        out = torch.empty(ctx.shape, dtype=grads[0].dtype, device=grads[0].device)
        heads, tokens, _, size = grads[0].shape
        _turn(grads[0], cos, -sin, out.view(tokens, heads, -1, size).transpose(0, 1))
        return out, None, None, None


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
    size), contiguous. What cos and sin are multiplied with, such as the attention's scale, passes through.
    """
    out: Tensor = _Rotate.apply(x, cos, sin, heads)
    return out
