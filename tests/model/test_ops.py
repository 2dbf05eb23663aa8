"""The pieces of a layer: the numbers and gradients of the plain torch expressions."""

import pytest
import torch
from torch.nn import functional

from gsa.model import ops
from gsa.model.ops import Projection, gate, linear, norm, project, rotate


def doubles(*shape, grad=True):
    return torch.randn(*shape, dtype=torch.float64, requires_grad=grad)


@pytest.fixture(autouse=True)
def seed():
    torch.manual_seed(0)


def test_a_product_is_the_one_of_torch_in_every_form():
    x, weight, bias = torch.randn(7, 5), torch.randn(3, 5), torch.randn(3)
    for way in (x, torch.randn(5, 7).t(), torch.randn(7, 10)[:, ::2]):
        assert torch.allclose(linear(way, weight), way @ weight.t(), atol=1e-5)
        assert torch.allclose(linear(way, weight, bias), way @ weight.t() + bias, atol=1e-5)
        assert torch.allclose(linear(way, torch.randn(5, 3).t() * 0 + weight), way @ weight.t(), atol=1e-5)
    assert linear(x[:0], weight).shape == (0, 3)
    assert linear(x.double(), weight.double()).dtype == torch.float64
    assert linear(x.bfloat16(), weight.bfloat16()).dtype == torch.bfloat16


def test_a_projection_adds_its_link_and_gives_gradients_to_x_and_the_link():
    x, a, b = doubles(6, 5), doubles(2, 5), doubles(4, 2)
    weight, bias, other = doubles(4, 5, grad=False), doubles(4, grad=False), doubles(3, 5, grad=False)

    def parts(a, b):
        return Projection(weight, bias, a, b, 0.7), Projection(other)

    one, two = project(x, *parts(a, b))
    assert torch.allclose(one, x @ weight.t() + bias + 0.7 * (x @ a.t()) @ b.t())
    assert torch.allclose(two, x @ other.t())
    assert torch.autograd.gradcheck(lambda x, a, b: project(x, *parts(a, b)), (x, a, b))


def test_an_input_without_gradient_gets_none():
    a, b = doubles(2, 5), doubles(4, 2)
    (out,) = project(doubles(6, 5, grad=False), Projection(doubles(4, 5, grad=False), None, a, b))
    out.sum().backward()
    assert a.grad is not None
    assert b.grad is not None


def test_frozen_projections_keep_nothing_for_the_backward_pass():
    x = doubles(6, 5)
    (out,) = project(x, Projection(doubles(4, 5, grad=False)))
    assert out.grad_fn.saved_tensors == ()


def test_a_link_beside_16_bit_weights_is_not_rounded_away():
    """An update far below the last bit of the weight still shows in the output and its gradients."""
    torch.manual_seed(0)
    x, weight = torch.randn(6, 64), torch.randn(32, 64).bfloat16()
    a, b = torch.randn(2, 64) * 1e-2, torch.randn(32, 2) * 1e-2
    part = Projection(weight, None, a, b, 2.0, frozen=(a, b))
    (found,) = project(x.bfloat16(), part)
    (without,) = project(x.bfloat16(), Projection(weight))
    update = 3 * (x.bfloat16().float() @ a.t()) @ b.t()
    (exact,) = project(x.bfloat16().float(), Projection(weight.float()))
    assert found.dtype == torch.bfloat16
    assert ((found.float() - exact) - update).abs().max() <= 2**-7 * exact.abs().max()
    assert torch.equal(Projection(weight, None, a, b).merged(), weight)
    assert not torch.equal(found, without)


def test_a_wide_product_of_a_16_bit_weight_sums_in_float32(monkeypatch):
    monkeypatch.setattr(ops, "PIECE", 3)
    x, weight, bias = torch.randn(4, 16, requires_grad=True), torch.randn(8, 16).bfloat16(), torch.randn(8)
    (found,) = project(x, Projection(weight, bias.bfloat16()))
    assert found.dtype == torch.float32
    expected = x @ weight.float().t() + bias.bfloat16().float()
    assert torch.allclose(found, expected, atol=1e-5)
    grad = torch.randn(4, 8)
    assert torch.allclose(*(torch.autograd.grad(y, x, grad)[0] for y in (found, expected)), atol=1e-5)


def test_norm():
    x, gain = doubles(6, 5), doubles(5, grad=False)
    expected = x / (x.square().mean(-1, keepdim=True) + 1e-3).sqrt() * gain
    assert torch.allclose(norm(x, gain, 1e-3), expected)
    assert torch.autograd.gradcheck(lambda x: norm(x, gain, 1e-3), (x,))


def test_gate():
    a, b = doubles(6, 5), doubles(6, 5)
    assert torch.allclose(gate(a, b), functional.silu(a) * b)
    assert torch.autograd.gradcheck(gate, (a, b))


def test_rotation_is_that_of_transformers_by_key_value_head():
    from transformers.models.llama.modeling_llama import apply_rotary_pos_emb

    tokens, heads, group, size = 5, 2, 3, 4
    x = doubles(tokens, heads * group * size)
    angle = torch.rand(tokens, size // 2, dtype=torch.float64)
    cos, sin = angle.cos(), angle.sin()
    both = x.view(1, tokens, heads * group, size).transpose(1, 2)
    expected, _ = apply_rotary_pos_emb(
        both, both, torch.cat([cos, cos], -1)[None], torch.cat([sin, sin], -1)[None]
    )
    found = rotate(x, cos, sin, heads)
    assert found.is_contiguous()
    assert torch.allclose(found, expected.view(heads, group, tokens, size).transpose(1, 2))
    assert torch.autograd.gradcheck(lambda x: rotate(x, cos, sin, heads), (x,))
