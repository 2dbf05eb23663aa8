"""The chain's promises: fresh links change nothing, merging changes nothing, what is stored comes back."""

import json
import shutil
from pathlib import Path

import pytest
import torch
from peft import PeftModel
from safetensors.torch import load_file
from tiny import tiny_llama

from gsa.chain.base import load_base, load_chain, with_precision
from gsa.chain.chain import Chain
from gsa.chain.link import CONFIG, WEIGHTS
from gsa.chain.lora import adapter_tensors, apply_active, fresh_link
from gsa.chain.run_folder import RunFolder
from gsa.checksums import to_checked_json
from gsa.errors import InputError
from gsa.model.hf_logging import quiet_libraries
from gsa.model.linked import LinkedLinear
from gsa.recipes.schema import Backbone, Lora

IDS = torch.arange(40)[None] % 257


def logits(model: torch.nn.Module) -> torch.Tensor:
    with torch.no_grad():
        return model(input_ids=IDS, use_cache=False).logits


def disturbed(model: torch.nn.Module) -> torch.nn.Module:
    """Give every B of the active link random values, as if trained."""
    torch.manual_seed(5)
    for name, parameter in model.named_parameters():
        if "lora_B" in name:
            parameter.data.normal_(std=0.2)
    return model


def test_a_fresh_link_changes_nothing() -> None:
    model = tiny_llama().requires_grad_(False)
    before = logits(model)
    linked = fresh_link(model, Lora(rank=4), seed=1)
    assert torch.equal(logits(linked), before)
    weights = adapter_tensors(linked)
    assert all(not w.any() for name, w in weights.items() if "lora_B" in name)
    spread = torch.cat([w.flatten() for name, w in weights.items() if "lora_A" in name])
    assert abs(spread.mean()) < 0.05
    assert spread.std() == pytest.approx(1 / 4, rel=0.1)  # PEFT's Gaussian has deviation 1 / rank


def test_a_links_start_follows_from_its_seed() -> None:
    one, same, other = (adapter_tensors(fresh_link(tiny_llama(), Lora(), seed)) for seed in (1, 1, 2))
    assert all(torch.equal(one[name], same[name]) for name in one)
    assert not all(torch.equal(one[name], other[name]) for name in one)


@pytest.mark.parametrize(
    "targets", [("q_proj", "v_proj"), ("q_proj", "k_proj", "v_proj", "o_proj", "down_proj")]
)
def test_merged_equals_unmerged(targets: tuple[str, ...]) -> None:
    linked = disturbed(fresh_link(tiny_llama().requires_grad_(False), Lora(rank=3, targets=targets), 0))
    before = logits(linked)
    merged = logits(apply_active(linked))
    assert (merged - before).norm() / before.norm() < 1e-5
    assert not torch.equal(before, logits(tiny_llama()))


def test_a_link_stays_in_float32_beside_low_precision_weights() -> None:
    plain = tiny_llama().requires_grad_(False).to(torch.bfloat16)
    weight = plain.model.layers[0].self_attn.q_proj.weight.clone()
    linked = disturbed(fresh_link(plain, Lora(rank=3), 0))
    parameters = dict(linked.named_parameters())
    start = "base_model.model.model.layers.0.self_attn.q_proj.lora_"
    a, b = (parameters[f"{start}{x}.default.weight"].clone() for x in "AB")
    assert a.dtype == b.dtype == torch.float32
    layer = apply_active(linked).model.layers[0].self_attn.q_proj
    assert isinstance(layer, LinkedLinear)
    assert torch.equal(layer.weight, weight)
    assert torch.equal(layer.link_a, a)
    assert torch.equal(layer.link_b, b * (16 / 3))


@pytest.mark.usefixtures("native_bfloat16")
def test_a_fresh_link_on_a_low_precision_backbone_changes_nothing(tiny_folder: Path) -> None:
    """Rotary frequencies stay float32: rounding them moves every logit of a long text."""
    model = load_base(Backbone(name=str(tiny_folder), precision="bfloat16")).model
    before = logits(model)
    applied = apply_active(fresh_link(model, Lora(), 0))
    assert applied.model.rotary_emb.inv_freq.dtype == torch.float32
    assert applied.dtype == torch.bfloat16
    assert torch.equal(logits(applied), before)


@pytest.mark.usefixtures("native_bfloat16")
def test_a_chain_in_bfloat16_is_unmerged_and_close_to_float32(tuned: Path) -> None:
    recipe, chain = RunFolder(tuned).read()
    backbone = with_precision(recipe.backbone, "bfloat16")
    base = dict(load_base(backbone).model.named_parameters())
    for level in range(4):
        model = load_chain(chain, backbone, level).model
        assert all(torch.equal(weight, base[name]) for name, weight in model.named_parameters())
        layers = [layer for layer in model.modules() if isinstance(layer, LinkedLinear)]
        assert {len(layer.link_a) for layer in layers} == ({2 * level} if level else set())
        exact = logits(load_chain(chain, recipe.backbone, level).model).softmax(-1)
        assert (logits(model).float().softmax(-1) - exact).abs().max() < 0.02


@pytest.mark.usefixtures("native_bfloat16")
def test_a_run_as_backbone_in_bfloat16_is_its_chain(tuned: Path) -> None:
    chain = Chain.read(tuned)
    loaded = load_base(Backbone(name=str(tuned), precision="bfloat16"))
    assert loaded.identity == chain.identity()
    backbone = with_precision(RunFolder(tuned).read()[0].backbone, "bfloat16")
    assert torch.equal(logits(loaded.model), logits(load_chain(chain, backbone).model))


def test_precision_of_a_backbone(tiny_folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    backbone = Backbone(name=str(tiny_folder))
    assert with_precision(backbone) == backbone
    assert with_precision(backbone, "auto") == backbone
    with pytest.raises(InputError, match="precision 'bfloat16': cpu has no bfloat16 products"):
        with_precision(backbone, "bfloat16")
    with pytest.raises(InputError, match=r"precision 'floot32': expected .* \(did you mean 'float32'\?\)"):
        with_precision(backbone, "floot32")
    monkeypatch.setattr("gsa.model.precision.supports_bfloat16", lambda device: True)
    assert with_precision(backbone, "auto").precision == "bfloat16"


def test_a_misspelt_target_is_not_dropped() -> None:
    with pytest.raises(InputError, match=r"no layer 'vproj' \(did you mean 'v_proj'\?\)"):
        fresh_link(tiny_llama(), Lora(targets=("q_proj", "vproj")), 0)


def test_only_the_newest_link_gets_a_gradient() -> None:
    first = apply_active(disturbed(fresh_link(tiny_llama().requires_grad_(False), Lora(), 0)))
    linked = fresh_link(first, Lora(), 1)
    linked(input_ids=IDS, use_cache=False).logits.sum().backward()
    with_gradient = {name for name, p in linked.named_parameters() if p.grad is not None}
    assert with_gradient
    assert all("lora_" in name for name in with_gradient)


def test_targets_that_do_not_exist_are_refused() -> None:
    with pytest.raises(InputError, match=r"lora\.targets: this model has no layer 'nothing'"):
        fresh_link(tiny_llama(), Lora(targets=("nothing",)), 0)


def test_a_run_holds_one_adapter_a_level_and_reloads_as_it_was(tuned: Path) -> None:
    recipe, chain = RunFolder(tuned).read()
    assert [link.name for link in chain.links] == ["SA", "ERC", "SD"]
    base = load_base(recipe.backbone).model
    expected = base
    assert torch.equal(logits(load_chain(chain, recipe.backbone, 0).model), logits(base))
    for level, link in enumerate(chain.links, 1):
        path = tuned / "links" / link.folder
        stored = load_file(path / "adapter_model.safetensors")
        assert any(w.any() for name, w in stored.items() if "lora_B" in name), "the link was never trained"
        with quiet_libraries():
            expected = PeftModel.from_pretrained(expected, path)
        unmerged = logits(expected)
        expected = expected.merge_and_unload()
        loaded = logits(load_chain(chain, recipe.backbone, level).model)
        assert torch.equal(loaded, logits(expected))
        assert (loaded - unmerged).norm() / unmerged.norm() < 1e-5
    assert torch.equal(logits(RunFolder(tuned).load()[2].model), logits(expected))


def test_links_are_plain_peft_adapters_without_a_local_path(tuned: Path, tiny_folder: Path) -> None:
    for file in sorted(tuned.rglob("adapter_config.json")):
        assert json.loads(file.read_text())["base_model_name_or_path"] == tiny_folder.as_posix()
    names = {path.name for path in (tuned / "links" / "1-SA").iterdir()}
    assert names == {"adapter_config.json", "adapter_model.safetensors", "log.jsonl"}


@pytest.fixture
def copy(tuned: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(tuned, tmp_path / "run"))


def test_what_is_damaged_or_foreign_is_refused(copy: Path, tmp_path: Path) -> None:
    recipe, chain = RunFolder(copy).read()
    with pytest.raises(InputError, match=r"expected 0 \(untuned\) to 3"):
        load_chain(chain, recipe.backbone, 4)
    weights = copy / "links" / "2-ERC" / "adapter_model.safetensors"
    content = bytearray(weights.read_bytes())
    content[-3] ^= 1
    weights.write_bytes(content)
    with pytest.raises(InputError, match=r"link 'ERC'.*is damaged"):
        load_chain(chain, recipe.backbone)
    load_chain(chain, recipe.backbone, 1)  # the levels below are whole
    weights.unlink()
    with pytest.raises(InputError, match=r"link 'ERC'.*is missing"):
        load_chain(chain, recipe.backbone)
    other = tmp_path / "other"
    tiny_llama(seed=1).save_pretrained(other)
    shutil.copy(Path(recipe.backbone.name) / "tokenizer.json", other)
    shutil.copy(Path(recipe.backbone.name) / "tokenizer_config.json", other)
    with pytest.raises(InputError, match="was tuned on sha256:"):
        load_chain(chain, Backbone(name=str(other)), 1)


FILES = {WEIGHTS: "", CONFIG: ""}


def manifest(link: dict[str, object]) -> str:
    """Return a `chain.json` of one link."""
    return to_checked_json({"base": "x", "recipe": "", "links": [link]})


@pytest.mark.parametrize(
    ("content", "says"),
    [
        ("{", "is not a chain"),
        ("[]", "is not a chain"),
        (manifest({"name": "a"}), "is not a chain: KeyError 'files'"),
        (
            manifest({"name": "a", "folder": "b", "files": {WEIGHTS: ""}}),
            "is not a chain: .* expected adapter",
        ),
        (manifest({"name": "a", "folder": "../../x", "files": FILES}), "leads elsewhere"),
        (manifest({"name": "a", "folder": "..", "files": FILES}), "leads elsewhere"),
    ],
)
def test_files_that_are_not_a_chain_are_refused(tmp_path: Path, content: str, says: str) -> None:
    (tmp_path / "chain.json").write_text(content)
    with pytest.raises(InputError, match=says):
        Chain.read(tmp_path)


def test_folders_that_are_no_run(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"holds no chain\.json"):
        Chain.read(tmp_path)
    with pytest.raises(InputError, match="does not exist"):
        RunFolder(tmp_path / "nowhere").read()
