"""The cards of exports: their scripts run as they are, and what they show is what a model reads."""

import json
import re
import runpy
import shlex
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml

import gsa
from gsa.chain import run_folder
from gsa.chain.base import load_config
from gsa.chain.chain import Chain
from gsa.chain.run_folder import RunFolder
from gsa.checksums import sha256
from gsa.data.task import EMOTION, SENTIMENT
from gsa.datasets.catalogue import load
from gsa.errors import InputError
from gsa.evaluation.evaluate import Evaluator
from gsa.export.export import export
from gsa.export.model_card import Exported, card, prompt
from gsa.model import smollm2
from gsa.model.hf_logging import quiet_libraries
from gsa.recipes.datasets import task_of, tuned_tasks
from gsa.recipes.loader import load_recipe

KINDS = ("merged", "adapter", "gguf")


def script(folder: Path) -> str:
    (block,) = re.findall(r"```python\n(.*?)```", (folder / "README.md").read_text(encoding="utf-8"), re.S)
    return str(block)


def by_card(folder: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Callable[..., list[float]]:
    """Run a card's script in its folder and return its function."""
    monkeypatch.chdir(folder)
    file = tmp_path / "card.py"
    file.write_text(script(folder), encoding="utf-8")
    assert "import gsa" not in file.read_text()
    with quiet_libraries():  # PEFT calls what transformers deprecates
        return runpy.run_path(str(file))["probabilities"]  # type: ignore[no-any-return]


@pytest.mark.parametrize("kind", KINDS)
def test_the_cards_script_gives_the_predictors_labels(
    kind: str, folders: dict[str, Path], tuned: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:  # fmt: skip
    probabilities = by_card(folders[kind], monkeypatch, tmp_path)
    assert "positive" in capsys.readouterr().out
    model, tasks = gsa.load(tuned), gsa.load(tuned).tasks
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


def test_cards_show_each_tasks_exact_prompt(folders: dict[str, Path], tuned: Path) -> None:
    recipe = load_recipe(tuned / "recipe.toml")
    for folder in folders.values():
        text = (folder / "README.md").read_text()
        assert "the most probable label of the list" in text
        assert "collapsed to single spaces" in text
        for task in (SENTIMENT, EMOTION):
            assert f"```text\n{prompt(recipe, task)}\n```" in text


def test_the_script_of_a_chains_card_runs(
    tuned: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    out = export(tuned, "chain", tmp_path / "chain", level=2)
    monkeypatch.chdir(out)
    exec(script(out), {})
    assert "Prediction(label=" in capsys.readouterr().out
    assert len(Chain.read(out).links) == 2


@pytest.fixture
def shipped(tuned: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A copy of the run in the shipped model's place, with a card."""
    folder = Path(shutil.copytree(tuned, tmp_path / "shipped"))
    (folder / "README.md").write_text("licences and limits")
    monkeypatch.setattr(run_folder, "SHIPPED", folder)
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
    with pytest.raises(InputError, match="the shipped model's folder is never written to: expected a run"):
        Evaluator(Path("gsa-135m"))
    assert not Path("gsa-135m").exists()
    shutil.copytree(tuned, "gsa-135m")
    assert RunFolder(Path("gsa-135m")).read()[1].root == Path("gsa-135m"), "a folder of that name is meant"
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


def test_a_classifier_has_the_tags_of_its_task_alone(tuned: Path, tmp_path: Path) -> None:
    recipe, chain = RunFolder.find(tuned).read()
    task = task_of(recipe.datasets[0])
    exported = Exported(recipe, "classifier", [link.name for link in chain.links], "", "", True, {}, task)
    text = card(exported, load_config(recipe.backbone)[1])
    tags = yaml.safe_load(text.split("---\n", 2)[1])["tags"]
    assert tags == ["sentiment-analysis"]


@pytest.mark.parametrize("kind", KINDS)
def test_cards_show_commands_with_the_exact_prompt(kind: str, folders: dict[str, Path], tuned: Path) -> None:
    (block,) = re.findall(
        r"not run here:\n\n```bash\n(.*?)```", (folders[kind] / "README.md").read_text(), re.S
    )
    words = shlex.split(block)
    recipe = load_recipe(tuned / "recipe.toml")
    expected = prompt(recipe, tuned_tasks(recipe)["sentiment"])
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
    monkeypatch.setattr(smollm2, "folder", lambda weights=True: tiny_folder)
    recipe = load_recipe(
        root / "recipe.toml", [f"backbone.name={'smollm2-135m' if base == 'default' else tuned}"]
    )
    (root / "recipe.toml").write_text(recipe.toml())
    replace(
        Chain.read(root),
        recipe=sha256(root / "recipe.toml"),
        base=smollm2.IDENTITY if base == "default" else Chain.read(tuned).identity(),
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
    task = tuned_tasks(recipe)["sentiment"]
    text = recipe.layout.prompt(task, *_lone("It was fine."))
    assert probabilities(text, list(task.labels)) == pytest.approx(
        list(known.probabilities.values()), abs=1e-4
    )


def _lone(text: str) -> tuple[gsa.Dialogue, int, range]:
    return gsa.Dialogue("", (gsa.Utterance(text),)), 0, range(1)
