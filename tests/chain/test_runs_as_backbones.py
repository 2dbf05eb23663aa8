"""A finished run as the backbone of another: its base with its links merged, and nothing else."""

import json
import logging
import shutil
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file

from gsa.chain import run_folder
from gsa.chain.base import load_base, load_chain, load_config
from gsa.chain.chain import Chain
from gsa.chain.run_folder import RunFolder
from gsa.chain.source import ModelSource
from gsa.errors import InputError
from gsa.recipes.loader import load_recipe
from gsa.recipes.schema import Backbone, DatasetConfig, Recipe
from gsa.training.run import tune


def same(first: torch.nn.Module, second: torch.nn.Module) -> bool:
    a, b = first.state_dict(), second.state_dict()
    return a.keys() == b.keys() and all(torch.equal(a[name], b[name]) for name in a)


@pytest.mark.parametrize(("revision", "level"), [("main", 3), ("2", 2), ("0", 0)])
def test_a_run_is_its_base_with_its_links(tuned: Path, revision: str, level: int) -> None:
    found = load_base(Backbone(name=str(tuned), revision=revision))
    _, chain, loaded = RunFolder(tuned).load(level)
    assert same(found.model, loaded.model)
    assert found.identity == chain.identity(level)
    assert (found.identity == chain.base) == (level == 0)
    assert not any(p.requires_grad for p in found.model.parameters())


def test_every_level_has_an_identity_of_its_own(tuned: Path) -> None:
    chain = Chain.read(tuned)
    assert len({chain.identity(level) for level in range(4)}) == 4
    assert chain.identity() == chain.identity(3)


def test_a_link_is_tuned_on_a_run_and_resumed(
    tuned: Path, recipe_file: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    few = ["levels.SA.datasets.sampler-sentiment.limit=6", "name=few", f"backbone.name={tuned}"]
    recipe = load_recipe(recipe_file, few)
    recipe = recipe.model_copy(update={"levels": recipe.levels[:1]})
    chain = tune(recipe, tmp_path / "few")
    assert chain.base == Chain.read(tuned).identity()
    _, _, loaded = RunFolder(tmp_path / "few").load(0)
    assert same(loaded.model, RunFolder(tuned).load()[2].model)
    assert not same(RunFolder(tmp_path / "few").load()[2].model, loaded.model)
    caplog.set_level(logging.INFO)
    tune(recipe, tmp_path / "few")
    assert "tuned already" in caplog.text
    top = load_base(Backbone(name=str(tmp_path / "few")))  # a run on a run
    assert same(top.model, RunFolder(tmp_path / "few").load()[2].model)


def test_a_run_has_the_tasks_of_the_runs_below(tuned: Path, tmp_path: Path) -> None:
    own = {"name": "own", "path": str(tmp_path), "instruction": "Consider it.", "labels": ("a", "b")}
    source = ModelSource.of_run(tuned)
    assert source.recipe is not None

    def recipe(name: str, backbone: Path, revision: str, datasets: list[DatasetConfig]) -> Recipe:
        levels = [
            source.recipe.levels[0].model_copy(update={"name": f"L{i}", "datasets": (config,)})
            for i, config in enumerate(datasets)
        ]
        below = Backbone(name=str(backbone), revision=revision)
        return source.recipe.model_copy(update={"name": name, "backbone": below, "levels": tuple(levels)})

    middle = Path(shutil.copytree(tuned, tmp_path / "middle"))
    binary = {"path": str(tmp_path), "task": "sentiment", "labels": ("negative", "positive")}
    configs = [DatasetConfig(name="binary", **binary), DatasetConfig(task="urgency", **own)]
    stored = recipe("middle", tuned, "main", configs)
    (middle / "recipe.toml").write_text(stored.toml())
    for revision, expected in {
        "main": {"urgency", "tone", "sentiment", "emotion", "sarcasm"},
        "1": {"tone", "sentiment", "emotion", "sarcasm"},
        "0": {"tone", "sentiment", "emotion", "sarcasm"},
    }.items():
        top = recipe("top", middle, revision, [DatasetConfig(task="tone", **own)])
        model = replace(source, backbone=top.backbone, recipe=top)
        tasks = model.tasks()
        assert set(tasks) == expected
        assert next(iter(tasks)) == "tone", "its own come first"
        assert model.tuned_names() == expected
        assert "tone" not in model.tuned_names(level=0)
        labels = ("negative", "positive") if revision != "0" else ("negative", "neutral", "positive")
        assert tasks["sentiment"].labels == labels
        assert tasks["tone"].instruction == "Consider it."


def test_a_base_that_changed_is_refused(tuned: Path, recipe_file: Path, tmp_path: Path) -> None:
    below = Path(shutil.copytree(tuned, tmp_path / "below"))
    recipe = load_recipe(recipe_file, ["name=few", f"backbone.name={below}", 'backbone.revision="2"'])
    recipe = recipe.model_copy(update={"levels": recipe.levels[:1]})
    tune(recipe, tmp_path / "few")
    other = recipe.backbone.model_copy(update={"revision": "main"})
    with pytest.raises(InputError, match="was tuned on chain sha256"):
        load_chain(Chain.read(tmp_path / "few"), other)


def test_damaged_links_and_missing_levels_are_refused(tuned: Path, tmp_path: Path) -> None:
    root = Path(shutil.copytree(tuned, tmp_path / "run"))
    with pytest.raises(InputError, match=r"level 4: expected 0 \(untuned\) to 3"):
        load_base(Backbone(name=str(root), revision="4"))
    with pytest.raises(InputError, match="revision 'v2': expected main, or how many links"):
        load_base(Backbone(name=str(root), revision="v2"))
    file = next(root.glob("links/1-*/adapter_model.safetensors"))
    tensors = load_file(file)
    save_file({name: tensor + 1 for name, tensor in tensors.items()}, file)
    with pytest.raises(InputError, match=r"link 'SA': .* is damaged"):
        load_base(Backbone(name=str(root)))
    text = (root / "chain.json").read_text()
    (root / "chain.json").write_text(json.dumps({**json.loads(text), "base": "another"}))
    with pytest.raises(InputError, match="is not a chain"):
        load_base(Backbone(name=str(root)))


def test_a_run_that_is_its_own_backbone_is_refused(tuned: Path, tmp_path: Path) -> None:
    root = Path(shutil.copytree(tuned, tmp_path / "run"))
    recipe = load_recipe(root / "recipe.toml", [f"backbone.name={root}"])
    (root / "recipe.toml").write_text(recipe.toml())
    with pytest.raises(InputError, match="8 runs on one another"):
        load_config(Backbone(name=str(root)))


def test_the_shipped_model_has_a_name(tuned: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(run_folder, "SHIPPED", tuned)
    assert same(load_base(Backbone(name="gsa-135m")).model, RunFolder(tuned).load()[2].model)
    monkeypatch.setattr(run_folder, "SHIPPED", tmp_path)
    with pytest.raises(InputError, match="the shipped model is not in this installation"):
        load_base(Backbone(name="gsa-135m"))
