"""Weights in 4 bits: what comes out of them, links beside them, and a run from tuning to prediction."""

import copy
import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from tiny import byte_tokenizer, tiny_llama
from torch import nn
from transformers import GPT2Config, GPT2LMHeadModel
from tries import relative_error

import gsa
from gsa.chain.base import load_base
from gsa.chain.chain import Chain
from gsa.chain.lora import fresh_link
from gsa.errors import InputError
from gsa.evaluation.evaluate import Evaluator
from gsa.export.export import export
from gsa.model import llama
from gsa.model.backbone import load_backbone
from gsa.model.linked import QuantizedLinear, add_link, is_quantized, quantize
from gsa.recipes.loader import load_recipe
from gsa.recipes.schema import Lora, Recipe
from gsa.training.run import tune

pytest.importorskip("bitsandbytes")

SIZES = {"hidden_size": 64, "intermediate_size": 128}
LAYER = "model.layers.0.self_attn.q_proj"


def dense(layer: QuantizedLinear) -> torch.Tensor:
    """The weight that comes out of 4 bits."""
    return layer.product(torch.eye(layer.in_features)).t()


@pytest.fixture
def quantized() -> nn.Module:
    model = tiny_llama(**SIZES).requires_grad_(False)
    quantize(model, "m", "cpu")
    return model


def test_the_linear_layers_are_in_4_bits_near_their_weights(quantized: nn.Module) -> None:
    plain = tiny_llama(**SIZES)
    count = 0
    for name, module in quantized.named_modules():
        if isinstance(module, QuantizedLinear):
            count += 1
            weight = plain.get_submodule(name).weight.detach()
            assert module.weight.dtype == torch.uint8
            assert module.weight.numel() == weight.numel() // 2
            assert 0 < relative_error(dense(module), weight) < 0.12
    assert count == 2 * 7
    assert is_quantized(quantized)
    assert not is_quantized(plain)
    assert type(quantized.lm_head) is nn.Linear
    assert not llama.suits(quantized)


def test_the_bits_do_not_depend_on_the_precision(quantized: nn.Module) -> None:
    half = tiny_llama(**SIZES).bfloat16()
    quantize(half, "m", "cpu")
    assert torch.equal(half.get_submodule(LAYER).weight, quantized.get_submodule(LAYER).weight)


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_links_and_their_gradients_are_those_beside_the_dense_weight(
    quantized: nn.Module, dtype: torch.dtype
) -> None:
    layer = quantized.get_submodule(LAYER)
    assert isinstance(layer, QuantizedLinear)
    weight = dense(layer).to(dtype)
    generator = torch.Generator().manual_seed(0)
    a, b, x = (torch.randn(*shape, generator=generator) for shape in ((3, 64), (64, 3), (5, 64)))
    add_link(quantized, {LAYER: (a, b)}, 0.5)
    x = x.to(dtype).requires_grad_()
    out = layer(x)
    out.square().sum().backward()
    again = x.detach().clone().requires_grad_()
    expected = again @ weight.t() + ((again.float() @ a.t()) @ b.t() * 0.5).to(dtype)
    expected.square().sum().backward()
    close = 1e-5 if dtype == torch.float32 else 2e-2
    assert out.dtype == dtype
    assert relative_error(out.detach().float(), expected.detach().float()) <= close
    assert relative_error(x.grad.float(), again.grad.float()) <= close


def test_a_fresh_link_is_float32_on_top_of_it(quantized: nn.Module) -> None:
    linked = fresh_link(quantized, Lora(rank=2), 0).train()
    trained = [p for p in linked.parameters() if p.requires_grad]
    assert {p.dtype for p in trained} == {torch.float32}
    assert not llama.suits(linked)
    linked(input_ids=torch.arange(9)[None]).logits.logsumexp(-1).sum().backward()
    assert all(p.grad is not None and torch.isfinite(p.grad).all() for p in trained)


def test_a_copy_has_weights_of_its_own(quantized: nn.Module) -> None:
    twin = copy.deepcopy(quantized)
    ids = torch.arange(9)[None]
    assert torch.equal(twin(input_ids=ids).logits, quantized(input_ids=ids).logits)


def test_models_without_linear_layers_are_refused() -> None:
    model = GPT2LMHeadModel(GPT2Config(vocab_size=257, n_embd=32, n_layer=1, n_head=2))
    with pytest.raises(
        InputError, match="backbone 'gpt2': expected linear layers with inputs in multiples of"
    ):
        quantize(model, "gpt2", "cpu")
    with pytest.raises(InputError, match="found none"):
        quantize(tiny_llama(), "narrow", "cpu")


def test_no_code_is_fetched_for_it(tmp_path: Path) -> None:
    """bitsandbytes, which PEFT imports, asks the hub for a kernel where a package `kernels` is there."""
    (tmp_path / "kernels.py").write_text("def get_kernel(*_, **__): print('fetched')")
    code = """
from gsa.chain.lora import fresh_link
from gsa.model.linked import bitsandbytes
from gsa.recipes.schema import Lora
from tiny import tiny_llama
fresh_link(tiny_llama(), Lora(), 0)
print(bitsandbytes().__name__)
"""
    path = os.pathsep.join([str(tmp_path), *sys.path])
    command = [sys.executable, "-c", code]
    done = subprocess.run(command, capture_output=True, text=True, env={**os.environ, "PYTHONPATH": path})
    assert (done.stdout, done.stderr) == ("bitsandbytes\n", "")


def test_without_the_extra_it_is_one_sentence(recipe: Recipe, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "bitsandbytes", None)
    with pytest.raises(InputError, match=r"needs the extra 'quantize': pip install '\.\[quantize\]'"):
        load_backbone(recipe.backbone)


@pytest.fixture(scope="module")
def recipe(recipe_file: Path, tmp_path_factory: pytest.TempPathFactory) -> Recipe:
    folder = tmp_path_factory.mktemp("backbone")
    tiny_llama(**SIZES).save_pretrained(folder)
    byte_tokenizer().save_pretrained(folder)
    recipe = load_recipe(recipe_file, [f"backbone.name={folder}", "backbone.quantize=nf4"])
    return recipe.model_copy(update={"levels": recipe.levels[:2]})


@pytest.fixture(scope="module")
def run(recipe: Recipe, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two levels, so that a link is tuned on top of one."""
    root = tmp_path_factory.mktemp("nf4") / "run"
    tune(recipe, root)
    return root


def test_a_run_is_resumed_evaluated_and_predicts(recipe: Recipe, run: Path, tmp_path: Path) -> None:
    chain = Chain.read(run)
    assert chain.base.endswith(" nf4")
    tune(recipe.model_copy(update={"levels": recipe.levels[:1]}), tmp_path / "run")
    tune(recipe, tmp_path / "run")  # the second level on a stored first one
    assert [link.sha256 for link in Chain.read(tmp_path / "run").links] == [
        link.sha256 for link in chain.links
    ]
    rows = Evaluator(run).evaluate([2])
    assert {(row.level, row.precision) for row in rows} == {(-1, "float32"), (2, "nf4")}
    prediction = gsa.load(run, precision="float32").sentiment("Fine.")
    assert sum(prediction.probabilities.values()) == pytest.approx(1)


def test_what_it_cannot_do_is_one_sentence(recipe: Recipe, run: Path, tmp_path: Path) -> None:
    for kind in ("merged", "gguf"):
        with pytest.raises(InputError, match=r"tuned on 4-bit weights .* expected --format adapter or chain"):
            export(run, kind, tmp_path / kind)
    assert (export(run, "adapter", tmp_path / "adapter") / "adapter_model.safetensors").is_file()
    dense_base = recipe.backbone.model_copy(update={"quantize": None})
    with pytest.raises(InputError, match=r"was tuned on sha256:.* nf4"):
        Chain.read(run).apply_to(load_base(dense_base).model, load_base(dense_base).identity, "tiny")
