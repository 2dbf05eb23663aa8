"""A LeanLlama computes what transformers' Llama does, to the last bit, once that was found exact."""

import json
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file
from transformers import LlamaForCausalLM

import gsa
from gsa import cache
from gsa.errors import InputError
from gsa.model import backbone as module
from gsa.model import forward
from gsa.model.backbone import load_backbone
from gsa.model.forward import row_logits, trie_inputs
from gsa.model.lean import LeanConfig, LeanLlama
from gsa.recipes.schema import Backbone
from gsa.trie.trie import TokenTrie

SEQUENCES = [[5, 6, 7, 8, 9], [5, 6, 7, 10], [5, 6, 11, 12]]


@pytest.fixture
def folder(tiny_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A model of its own and an empty cache."""
    (tmp_path / "cache").mkdir()
    monkeypatch.setattr(cache, "_file", lambda: tmp_path / "cache" / "verified.json")
    return Path(shutil.copytree(tiny_folder, tmp_path / "model"))


def load(folder: Path, prediction: bool = True, **settings: Any) -> Any:
    return load_backbone(Backbone(name=str(folder), **settings), "cpu", prediction)


def logits(model: Any) -> torch.Tensor:
    trie = TokenTrie.build(SEQUENCES)
    inputs = {**trie_inputs(trie, model), "logits_to_keep": torch.arange(len(trie))}
    with torch.inference_mode():
        return row_logits(model, inputs)


@pytest.mark.parametrize("precision", ["float32", "bfloat16"])
@pytest.mark.usefixtures("native_bfloat16")
def test_it_computes_the_same_bits(folder: Path, precision: str) -> None:
    first, second = (load(folder, precision=precision) for _ in range(2))
    assert isinstance(first.model, LlamaForCausalLM), "which is compared with its own forward pass"
    assert isinstance(second.model, LeanLlama)
    assert torch.equal(logits(first.model), logits(second.model))
    assert first.identity == second.identity
    texts = ["Anna: It was fine. =>", "\u00e9\u2026 \U0001f600"]
    assert first.tokenizer(texts)["input_ids"] == second.tokenizer(texts)["input_ids"]
    assert second.precision == precision
    assert not any(weight.requires_grad for weight in second.model.parameters())


def test_tuning_gets_the_transformers_model(folder: Path) -> None:
    load(folder)
    assert isinstance(load(folder, prediction=False).model, LlamaForCausalLM)
    assert isinstance(load(folder, attention="dense").model, LlamaForCausalLM)


def test_another_precision_or_other_code_is_checked_again(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert "hf_attention.py" in forward.ROW_CODE
    checked: list[str] = []
    check = module.check_exact
    monkeypatch.setattr(module, "check_exact", lambda model, name: (checked.append(name), check(model, name)))
    load(folder)
    load(folder)
    assert len(checked) == 1
    monkeypatch.setattr(forward, "ROW_CODE", (*forward.ROW_CODE, "linked.py"))
    load(folder)
    assert len(checked) == 2
    config = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps({**config, "rms_norm_eps": 1e-3}))
    load(folder)
    assert len(checked) == 3


@pytest.mark.parametrize(
    "change",
    [
        {"model_type": "mistral"},
        {"rope_parameters": {"rope_type": "linear", "rope_theta": 1e4, "factor": 2.0}},
        {"pretraining_tp": 2},
        {"quantization_config": {}},
        {"hidden_size": None},
        {"rope_parameters": None},
    ],
)
def test_only_a_plain_llama_is_read(folder: Path, change: dict[str, Any]) -> None:
    assert LeanConfig.read(folder)
    config = {**json.loads((folder / "config.json").read_text()), **change}
    config = {name: value for name, value in config.items() if value is not None}
    (folder / "config.json").write_text(json.dumps(config))
    assert LeanConfig.read(folder) is None


@pytest.mark.parametrize("extra", ["unknown", "twice", "without prefix"])
def test_weights_that_it_cannot_place_are_left_to_transformers(folder: Path, extra: str) -> None:
    (file,) = folder.glob("*.safetensors")
    tensors = load_file(file)
    name = "model.embed_tokens.weight"
    if extra == "without prefix":
        renamed = {key.removeprefix("model."): tensor for key, tensor in tensors.items()}
        save_file(renamed, file, {"format": "pt"})
    else:
        added = {name if extra == "twice" else "other.weight": torch.zeros_like(tensors[name])}
        save_file(added, folder / "z.safetensors", {"format": "pt"})
    first, second = load(folder), load(folder)
    assert isinstance(second.model, LlamaForCausalLM)
    assert torch.equal(second.model.get_input_embeddings().weight, tensors[name])
    assert torch.equal(logits(first.model), logits(second.model))


def test_it_is_for_the_cpu_alone(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def on_the_gpu(*_: object) -> None:
        raise InputError("transformers' model on the GPU")

    monkeypatch.setattr(module, "_load_lean", lambda *_: pytest.fail("a LeanLlama is on the CPU"))
    monkeypatch.setattr(module, "_transformers_model", on_the_gpu)
    with pytest.raises(InputError, match="on the GPU"):
        load_backbone(Backbone(name=str(folder), attention="runs"), "cuda", prediction=True)


def test_models_without_an_identity_are_checked_each_time(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    checked: list[str] = []
    monkeypatch.setattr(module, "check_exact", lambda model, name: checked.append(name))
    monkeypatch.setattr(module, "_identity", lambda *_: "")
    load(folder)
    assert load(folder).identity == "commit:None"
    assert len(checked) == 2


def test_a_weight_that_was_damaged_since_is_refused(folder: Path) -> None:
    load(folder)
    (file,) = folder.glob("*.safetensors")
    file.write_bytes(file.read_bytes()[:-8])
    with pytest.raises(InputError, match="safetensors"):
        load(folder)


def test_labelling_imports_no_modelling_code(folder: Path) -> None:
    """In a process of its own, after this one has found the model exact."""
    gsa.load(str(folder))
    code = (
        "import sys; from pathlib import Path; from gsa import cache;"
        f"cache._file = lambda: Path({str(cache._file())!r});"
        f"import gsa; gsa.load({str(folder)!r}).sentiment('Fine.');"
        "print([name for name in ('transformers.modeling_utils', 'torch._dynamo', 'scipy', 'peft', 'sklearn')"
        " if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
