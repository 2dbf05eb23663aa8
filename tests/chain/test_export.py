"""Exports load without this package and give the same labels; their cards' scripts run as they are."""

import json
import re
import runpy
import shlex
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import gguf
import numpy as np
import pytest
import torch
import yaml
from peft import PeftModel
from safetensors.torch import load_file, save_file
from tiny import byte_tokenizer, tiny_llama
from transformers import AutoModelForCausalLM, AutoTokenizer

import gsa
from gsa.chain import backbone, smollm2
from gsa.chain.backbone import Loaded
from gsa.chain.batches import tasks_of
from gsa.chain.card import prompt
from gsa.chain.chain import Chain
from gsa.chain.export import export, stacked
from gsa.chain.gguf_file import check_architecture, interleaved, write_gguf
from gsa.chain.links import LinkWeights
from gsa.chain.quiet import quiet
from gsa.chain.recipe_file import load_recipe
from gsa.chain.run import load_run, read_run
from gsa.datasets.catalogue import load
from gsa.errors import InputError
from gsa.evaluation.evaluate import evaluate
from gsa.files import sha256, signed
from gsa.tasks.task import EMOTION, SENTIMENT

KINDS = ("merged", "adapter", "gguf")
IDS = torch.arange(40)[None] % 257


@pytest.fixture(scope="module")
def folders(tuned: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    out = tmp_path_factory.mktemp("exports")
    return {kind: export(tuned, kind, out / kind) for kind in KINDS}


def script(folder: Path) -> str:
    (block,) = re.findall(r"```python\n(.*?)```", (folder / "README.md").read_text(encoding="utf-8"), re.S)
    return str(block)


def by_card(folder: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Callable[..., list[float]]:
    """Run a card's script in its folder and return its function."""
    monkeypatch.chdir(folder)
    file = tmp_path / "card.py"
    file.write_text(script(folder), encoding="utf-8")
    assert "import gsa" not in file.read_text()
    with quiet():  # PEFT calls what transformers deprecates
        return runpy.run_path(str(file))["probabilities"]  # type: ignore[no-any-return]


def logits(model: Any) -> torch.Tensor:
    with torch.no_grad():
        return model(input_ids=IDS, use_cache=False).logits


@pytest.mark.parametrize("kind", KINDS)
def test_the_cards_script_gives_the_predictors_labels(
    kind: str, folders: dict[str, Path], tuned: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:  # fmt: skip
    probabilities = by_card(folders[kind], monkeypatch, tmp_path)
    assert "positive" in capsys.readouterr().out
    model, tasks = gsa.load(tuned), tasks_of(load_recipe(tuned / "recipe.toml"))
    checked = 0
    for name in ("sentiment", "emotion", "sarcasm"):
        task = tasks[name]
        for example in load(f"sampler-{name}")["test"][:6]:
            turns = range(example.target + 1) if task.context else range(1)
            text = model.layout.prompt(task, example.dialogue, example.target, turns)
            found = probabilities(text, list(task.labels))
            known = model.classify(task, list(example.dialogue.turns[: example.target + 1]))
            known = known if task.context else known[0]
            assert found == pytest.approx(
                list(known.probabilities.values()), abs=2e-2 if kind == "gguf" else 1e-4
            )
            if kind != "gguf":
                assert task.labels[int(np.argmax(found))] == known.label
            checked += 1
    assert checked == 18


def test_merged_is_a_plain_model_folder(folders: dict[str, Path], tuned: Path) -> None:
    expected = load_run(tuned)[2].model
    plain = AutoModelForCausalLM.from_pretrained(folders["merged"])
    for (name, a), (_, b) in zip(plain.state_dict().items(), expected.state_dict().items(), strict=True):
        assert torch.equal(a, b), name
    assert "gsa" not in (folders["merged"] / "config.json").read_text()
    tokenizer = AutoTokenizer.from_pretrained(folders["merged"])
    assert tokenizer("Ana: hi =>")["input_ids"] == byte_tokenizer()("Ana: hi =>")["input_ids"]
    again = gsa.load(folders["merged"])
    assert again.layout == gsa.load(tuned).layout
    assert again.sentiment("Fine.") == gsa.load(tuned).sentiment("Fine.")


def test_the_adapter_is_one_of_summed_rank(folders: dict[str, Path], tuned: Path, tiny_folder: Path) -> None:
    config = json.loads((folders["adapter"] / "adapter_config.json").read_text())
    assert config["r"] == config["lora_alpha"] == 6
    with quiet():
        linked = PeftModel.from_pretrained(
            AutoModelForCausalLM.from_pretrained(tiny_folder), folders["adapter"]
        )
    expected = logits(load_run(tuned)[2].model)
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


def test_a_gguf_reads_back_as_what_it_was(folders: dict[str, Path], tuned: Path) -> None:
    (file,) = folders["gguf"].glob("*.gguf")
    plain = AutoModelForCausalLM.from_pretrained(folders["gguf"], gguf_file=file.name, dtype=torch.float32)
    expected = load_run(tuned)[2].model
    weights = plain.state_dict()
    for name, weight in expected.state_dict().items():
        kept = weight.half().float() if weight.ndim > 1 else weight
        assert torch.equal(weights[name], kept), name
    assert plain.config.num_key_value_heads == 2
    tokenizer = AutoTokenizer.from_pretrained(folders["gguf"], gguf_file=file.name)
    text = "Ana: 12  naïve\n=> positive"
    assert tokenizer(text)["input_ids"] == byte_tokenizer()(text)["input_ids"]
    fields = gguf.GGUFReader(file).fields
    said = {
        key: fields[f"tokenizer.ggml.{key}"].contents()
        for key in ("model", "pre", "add_bos_token", "eos_token_id")
    }
    assert said == {"model": "gpt2", "pre": "gpt-2", "add_bos_token": False, "eos_token_id": 256}


def test_rows_of_a_head_are_paired_as_llama_cpp_turns_them() -> None:
    weight = np.arange(8)[:, None].repeat(2, 1)  # two heads of four rows
    assert interleaved(weight, 2)[:, 0].tolist() == [0, 2, 1, 3, 4, 6, 5, 7]


def test_what_a_gguf_cannot_hold_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="scaled positions"):
        check_architecture(
            tiny_llama(rope_parameters={"rope_type": "linear", "factor": 2.0, "rope_theta": 1e4}).config, "x"
        )
    with pytest.raises(InputError, match="has biases: expected the plain Llama architecture"):
        check_architecture(tiny_llama(attention_bias=True).config, "x")
    other = tiny_llama().config
    other.model_type = "mamba"
    with pytest.raises(InputError, match="has the architecture mamba"):
        check_architecture(other, "x")
    tokenizer = byte_tokenizer()
    from tokenizers import pre_tokenizers

    tokenizer.backend_tokenizer.pre_tokenizer = pre_tokenizers.Whitespace()
    with pytest.raises(InputError, match="expected byte-level BPE as GPT-2's"):
        write_gguf(Loaded(tiny_llama(), tokenizer, ""), "x", tmp_path / "x.gguf")


def test_digits_cut_one_by_one_are_smollms(tmp_path: Path) -> None:
    from tokenizers import pre_tokenizers

    tokenizer = byte_tokenizer()
    parts = [pre_tokenizers.Digits(individual_digits=True), pre_tokenizers.ByteLevel(add_prefix_space=False)]
    tokenizer.backend_tokenizer.pre_tokenizer = pre_tokenizers.Sequence(parts)
    untied = tiny_llama(tie_word_embeddings=False, vocab_size=260)
    write_gguf(Loaded(untied, tokenizer, ""), "x", tmp_path / "x.gguf")
    reader = gguf.GGUFReader(tmp_path / "x.gguf")
    assert reader.fields["tokenizer.ggml.pre"].contents() == "smollm"
    assert len(reader.fields["tokenizer.ggml.tokens"].data) == 260
    assert "output.weight" in {tensor.name for tensor in reader.tensors}


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
        ("gguff", None, r"expected one of merged, adapter, gguf, chain \(did you mean 'gguf'\?\)"),
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
    with pytest.raises(InputError, match="is there already: expected a new or empty folder"):
        export(tuned, "merged", tmp_path)
    assert (tmp_path / "mine").read_text() == "x"


def test_cards_show_each_tasks_exact_prompt(folders: dict[str, Path], tuned: Path) -> None:
    recipe = load_recipe(tuned / "recipe.toml")
    for folder in folders.values():
        text = (folder / "README.md").read_text()
        assert "the likeliest label of the list" in text
        for task in (SENTIMENT, EMOTION):
            assert f"```text\n{prompt(recipe, task)}\n```" in text


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
    assert evaluate(out, levels=[1], datasets=["sampler-sentiment"], limit=4, say=lambda _: None)


def test_the_script_of_a_chains_card_runs(
    tuned: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    out = export(tuned, "chain", tmp_path / "chain", level=2)
    monkeypatch.chdir(out)
    exec(script(out), {})
    assert "Prediction(label=" in capsys.readouterr().out
    assert len(Chain.read(out).links) == 2


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
    links = (replace(chain.links[0], sha256=sha256(file)), *chain.links[1:])
    replace(chain, links=links).write()
    with pytest.raises(InputError, match="16 bits"):
        export(copy, "chain", tmp_path / "two")
    assert not (tmp_path / "two").exists()


@pytest.fixture
def shipped(tuned: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A copy of the run in the shipped model's place, with a card."""
    folder = Path(shutil.copytree(tuned, tmp_path / "shipped"))
    (folder / "README.md").write_text("licences and limits")
    monkeypatch.setattr(backbone, "SHIPPED", folder)
    return folder


def front(folder: Path) -> dict[str, Any]:
    _, head, _ = (folder / "README.md").read_text(encoding="utf-8").split("---\n", 2)
    return dict(yaml.safe_load(head))


def test_the_shipped_model_is_exported_by_its_name(
    shipped: Path, tuned: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    out = export(Path("gsa-135m"), "chain", tmp_path / "out")
    assert Chain.read(out).links
    assert (out / "GSA-135M.md").read_text() == "licences and limits"
    assert "[GSA-135M](GSA-135M.md)" in (out / "README.md").read_text()
    assert (front(out)["license"], front(out)["library_name"]) == ("apache-2.0", "gsa-llm")
    with pytest.raises(InputError, match="nothing is written into the shipped model: expected a run, or the"):
        evaluate(Path("gsa-135m"), say=lambda _: None)
    assert not Path("gsa-135m").exists()
    shutil.copytree(tuned, "gsa-135m")
    assert read_run(Path("gsa-135m"))[1].root == Path("gsa-135m"), "a folder of that name is meant"
    assert not (export(shipped, "merged", tmp_path / "base", 0) / "GSA-135M.md").exists()


@pytest.mark.parametrize("kind", [*KINDS, "chain"])
def test_cards_open_with_what_the_hub_reads(kind: str, tuned: Path, tmp_path: Path) -> None:
    found = front(export(tuned, kind, tmp_path / kind, 2))
    library = {"merged": "transformers", "adapter": "peft", "gguf": "transformers", "chain": "gsa-llm"}
    assert found["library_name"] == library[kind]
    assert found["license"] == "unknown", "nobody said"
    assert "base_model" not in found, "a folder has no name on the hub"
    assert found["tags"][:2] == ["sentiment-analysis", "emotion-recognition-in-conversation"]
    assert ("gguf" in found["tags"], "sarcasm-detection" in found["tags"]) == (kind == "gguf", False)


@pytest.mark.parametrize("kind", KINDS)
def test_cards_show_commands_with_the_exact_prompt(kind: str, folders: dict[str, Path], tuned: Path) -> None:
    (block,) = re.findall(
        r"not run here:\n\n```bash\n(.*?)```", (folders[kind] / "README.md").read_text(), re.S
    )
    words = shlex.split(block)
    recipe = load_recipe(tuned / "recipe.toml")
    expected = prompt(recipe, tasks_of(recipe)["sentiment"])
    if kind == "gguf":
        assert words[words.index("-p") + 1] == expected
        assert words[words.index("--grammar") + 1] == 'root ::= " negative" | " neutral" | " positive"'
        assert (folders[kind] / words[words.index("-m") + 1]).is_file()
        return
    assert json.loads(words[words.index("--json") + 1])["prompt"] == expected
    assert ("--lora-modules" in words) == (kind == "adapter")
    if kind == "adapter":
        assert int(words[words.index("--max-lora-rank") + 1]) == 8, "not below the rank, 6"


@pytest.mark.parametrize("base", ["default", "run"])
def test_the_card_of_an_adapter_runs_as_it_is_beside_its_base(
    base: str, tuned: Path, tiny_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:  # fmt: skip
    root = Path(shutil.copytree(tuned, tmp_path / "run"))
    monkeypatch.setattr(smollm2, "folder", lambda: tiny_folder)
    recipe = load_recipe(
        root / "recipe.toml", [f"backbone.name={'smollm2-135m' if base == 'default' else tuned}"]
    )
    (root / "recipe.toml").write_text(signed(recipe.toml()))
    replace(
        Chain.read(root), base=smollm2.IDENTITY if base == "default" else Chain.read(tuned).identity()
    ).write()
    out = export(root, "adapter", tmp_path / "adapter")
    assert 'BASE = "base"  # made here by: gsa export RUN --format merged --level 0 --out base' in script(out)
    assert front(out).get("base_model") == (
        "HuggingFaceTB/SmolLM2-135M-Instruct" if base == "default" else None
    )
    export(root, "merged", out / "base", 0)
    probabilities = by_card(out, monkeypatch, tmp_path)
    assert "positive" in capsys.readouterr().out
    known = gsa.load(root).sentiment("It was fine.")
    task = tasks_of(recipe)["sentiment"]
    text = recipe.layout.prompt(task, *_lone("It was fine."))
    assert probabilities(text, list(task.labels)) == pytest.approx(
        list(known.probabilities.values()), abs=1e-4
    )


def _lone(text: str) -> tuple[gsa.Dialogue, int, range]:
    return gsa.Dialogue("", (gsa.Utterance(text),)), 0, range(1)
