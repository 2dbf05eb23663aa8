"""Exports load without this package and hold the same weights."""

import json
import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from peft import PeftModel
from safetensors.torch import load_file, save_file
from tiny import byte_tokenizer
from transformers import AutoModelForCausalLM, AutoTokenizer

import gsa
from gsa.chain.calibration import Calibration
from gsa.chain.chain import Chain
from gsa.chain.link import WEIGHTS, LinkWeights
from gsa.chain.run_folder import RunFolder
from gsa.checksums import sha256
from gsa.datasets.catalogue import load
from gsa.errors import InputError
from gsa.evaluation.evaluate import Evaluator
from gsa.export.export import export, stacked
from gsa.model.hf_logging import quiet_libraries

IDS = torch.arange(40)[None] % 257


def logits(model: Any) -> torch.Tensor:
    with torch.no_grad():
        return model(input_ids=IDS, use_cache=False).logits


def test_merged_is_a_plain_model_folder(folders: dict[str, Path], tuned: Path) -> None:
    expected = RunFolder(tuned).load()[2].model
    plain = AutoModelForCausalLM.from_pretrained(folders["merged"])
    for (name, a), (_, b) in zip(plain.state_dict().items(), expected.state_dict().items(), strict=True):
        assert torch.equal(a, b), name
    assert "gsa" not in (folders["merged"] / "config.json").read_text()
    tokenizer = AutoTokenizer.from_pretrained(folders["merged"])
    assert tokenizer("Ana: hi =>")["input_ids"] == byte_tokenizer()("Ana: hi =>")["input_ids"]
    again = gsa.load(folders["merged"])
    assert again.layout == gsa.load(tuned).layout
    assert again.sentiment("Fine.") == gsa.load(tuned).sentiment("Fine.")


@pytest.mark.usefixtures("native_bfloat16")
def test_a_merged_export_of_a_bfloat16_run_is_float32(tuned: Path, tmp_path: Path) -> None:
    """Merging into 16 bits would round the links away."""
    run = RunFolder(Path(shutil.copytree(tuned, tmp_path / "run")))
    recipe, chain = run.read()
    backbone = recipe.backbone.model_copy(update={"precision": "bfloat16"})
    run.recipe_file.write_text(recipe.model_copy(update={"backbone": backbone}).toml())
    replace(chain, recipe=sha256(run.recipe_file)).write()
    out = export(run.root, "merged", tmp_path / "merged")
    assert AutoModelForCausalLM.from_pretrained(out).dtype == torch.float32
    loaded = gsa.load(out)
    assert loaded.precision == "float32"
    assert loaded.pipeline.max_row_tokens == recipe.training.max_row_tokens == 800
    assert loaded.sentiment("Fine.") == gsa.load(tuned).sentiment("Fine.")
    assert gsa.load(run.root).model.dtype == torch.bfloat16
    assert gsa.load(out, precision="auto").model.dtype == torch.bfloat16


def test_the_current_directory_is_refused_in_a_sentence(
    tuned: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(InputError, match=r"'\.' is or contains the current directory"):
        export(tuned, "merged", Path("."))


def test_the_adapter_is_one_of_summed_rank(folders: dict[str, Path], tuned: Path, tiny_folder: Path) -> None:
    config = json.loads((folders["adapter"] / "adapter_config.json").read_text())
    assert config["r"] == config["lora_alpha"] == 6
    with quiet_libraries():
        linked = PeftModel.from_pretrained(
            AutoModelForCausalLM.from_pretrained(tiny_folder), folders["adapter"]
        )
    expected = logits(RunFolder(tuned).load()[2].model)
    assert (logits(linked) - expected).norm() / expected.norm() < 1e-5
    stored = load_file(folders["adapter"] / "adapter_model.safetensors")
    assert all(min(tensor.shape) == 6 for tensor in stored.values())


def test_stacking_is_exact_for_any_scaling_and_layers() -> None:
    torch.manual_seed(0)
    draw = torch.randn
    one = LinkWeights({"x.q": (draw(2, 5), draw(4, 2)), "x.v": (draw(2, 5), draw(3, 2))}, 0.5, False, {})
    two = LinkWeights({"x.q": (draw(3, 5), draw(4, 3))}, 4.0, False, {})
    tensors, rank = stacked([one, two])
    assert rank == 5

    def update(name: str) -> torch.Tensor:
        start = f"base_model.model.{name}.lora_"
        return tensors[f"{start}B.weight"] @ tensors[f"{start}A.weight"]

    q = sum((b @ a) * link.scaling for link in (one, two) for a, b in [link.pairs["x.q"]])
    v = (one.pairs["x.v"][1] @ one.pairs["x.v"][0]) * 0.5
    assert torch.allclose(update("x.q"), q, atol=1e-5)
    assert torch.allclose(update("x.v"), v, atol=1e-5)


def test_a_level_of_a_chain(tuned: Path, tmp_path: Path, tiny_folder: Path) -> None:
    base = export(tuned, "merged", tmp_path / "base", 0)
    assert torch.equal(
        logits(AutoModelForCausalLM.from_pretrained(base)),
        logits(AutoModelForCausalLM.from_pretrained(tiny_folder)),
    )
    export(tuned, "adapter", tmp_path / "one", 1)
    assert json.loads((tmp_path / "one" / "adapter_config.json").read_text())["r"] == 2
    assert "levels SA." in (tmp_path / "one" / "README.md").read_text()


@pytest.mark.parametrize(
    ("kind", "level", "says"),
    [
        (
            "gguff",
            None,
            r"one of merged, adapter, gguf, chain, classifier \(did you mean 'gguf'\?\)",
        ),
        ("adapter", 0, "expected a level of 1 or more for an adapter"),
        ("merged", 4, "level 4: expected 0"),
    ],
)
def test_bad_input_leaves_nothing(
    kind: str, level: int | None, says: str, tuned: Path, tmp_path: Path
) -> None:
    with pytest.raises(InputError, match=says):
        export(tuned, kind, tmp_path / "out", level)
    assert not list(tmp_path.iterdir())


def test_a_folder_that_is_there_is_kept(tuned: Path, tmp_path: Path) -> None:
    (tmp_path / "mine").write_text("x")
    with pytest.raises(InputError, match="exists already: expected a new or empty folder"):
        export(tuned, "merged", tmp_path)
    assert (tmp_path / "mine").read_text() == "x"


def test_a_chain_keeps_a_recipe_that_an_older_version_wrote(tuned: Path, tmp_path: Path) -> None:
    """Without keys that came later, whose defaults this version would write."""
    copy = Path(shutil.copytree(tuned, tmp_path / "run"))
    file = copy / "recipe.toml"
    file.write_text(file.read_text().replace('protocol = ""\n', ""))
    replace(Chain.read(copy), recipe=sha256(file)).write()
    out = export(copy, "chain", tmp_path / "chain")
    assert (out / "recipe.toml").read_bytes() == file.read_bytes()
    assert RunFolder(out).read()[0] == RunFolder(copy).read()[0]


def test_a_chain_keeps_its_calibration(tuned: Path, tmp_path: Path) -> None:
    copy = Path(shutil.copytree(tuned, tmp_path / "run"))
    temperatures = {"sentiment: negative, neutral, positive": 1.5}
    Calibration(Chain.read(copy).identity(), temperatures).write(copy)
    out = export(copy, "chain", tmp_path / "chain")
    assert Calibration.read(out, Chain.read(out).identity()).temperatures == temperatures
    first = export(copy, "chain", tmp_path / "first", level=1)
    assert not Calibration.read(first, Chain.read(first).identity()), "it is of the last level"


def test_a_chain_is_half_as_large_and_says_the_same(tuned: Path, tmp_path: Path) -> None:
    out = export(tuned, "chain", tmp_path / "chain")
    whole, half = gsa.load(tuned), gsa.load(out)
    said = [example.dialogue.turns[0].text for example in load("sampler-sentiment")["test"]]
    for one, other in zip(whole.sentiment(said), half.sentiment(said), strict=True):
        assert one.label == other.label
        assert list(one.probabilities.values()) == pytest.approx(list(other.probabilities.values()), abs=5e-3)
    assert any(
        one.probabilities != other.probabilities
        for one, other in zip(whole.sentiment(said), half.sentiment(said), strict=True)
    )
    for level, folder in enumerate(sorted((out / "links").iterdir()), 1):
        tensors = load_file(folder / "adapter_model.safetensors")
        assert {tensor.dtype for tensor in tensors.values()} == {torch.float16}
        assert (folder / "adapter_model.safetensors").stat().st_mode & 0o044, "others may read it"
        assert gsa.load(out, level=level)
    assert Evaluator(out).evaluate([1], ["sampler-sentiment"], limit=4)


def test_a_damaged_link_or_a_weight_beyond_16_bits_is_refused(tuned: Path, tmp_path: Path) -> None:
    copy = tmp_path / "run"
    shutil.copytree(tuned, copy)
    chain = Chain.read(copy)
    file = copy / "links" / chain.links[0].folder / "adapter_model.safetensors"
    tensors = load_file(file)
    name = next(iter(tensors))
    tensors[name][0, 0] = 1e6
    save_file(tensors, file)
    with pytest.raises(InputError, match="is damaged"):
        export(copy, "chain", tmp_path / "one")
    links = (replace(chain.links[0], files={**chain.links[0].files, WEIGHTS: sha256(file)}), *chain.links[1:])
    replace(chain, links=links).write()
    with pytest.raises(InputError, match="16 bits"):
        export(copy, "chain", tmp_path / "two")
    assert not (tmp_path / "two").exists()
