"""Dry runs: counted from the same rows as tuning, without weights."""

from pathlib import Path

import pytest
from transformers import PreTrainedTokenizerFast

from gsa.cli import format as terminal
from gsa.errors import InputError
from gsa.recipes.loader import load_recipe
from gsa.recipes.schema import Backbone
from gsa.training import plan as planning
from gsa.training.dataset import build_training_data


def test_a_plan_counts_what_tuning_reads(recipe_file: Path, tokenizer: PreTrainedTokenizerFast) -> None:
    recipe = load_recipe(recipe_file)
    plan = planning.make_plan(recipe)
    assert plan.gflops > 0
    assert plan.notes == ()
    for level, planned in zip(recipe.levels, plan.levels, strict=True):
        real = build_training_data(recipe, level, tokenizer)
        assert planned.steps == len(real.steps)
        assert planned.trie_tokens == sum(len(row.trie) for row in real.rows)
        assert planned.flat_tokens > planned.trie_tokens
        assert planned.examples == {name: len(prompts) for name, prompts in real.prompts.items()}
        # rank 2 on q, k, v, o of two layers: inputs of 32; outputs of 32, 16, 16, 32
        assert planned.trainable == 2 * 2 * (4 * 32 + 32 + 16 + 16 + 32)
        assert planned.seconds > 0
    text = terminal.plan(recipe, plan)
    for word in ("SA", "ERC", "SD", "tokens shared", "sampler-emotion 20", "GiB"):
        assert word in text


def test_a_known_model_out_of_reach_is_planned_on_the_meta_device(
    recipe_file: Path, tiny_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    honest = planning.load_config

    def stand_in(backbone: Backbone) -> object:
        return honest(Backbone(name=str(tiny_folder)) if backbone.name == "smollm2-135m" else backbone)

    monkeypatch.setattr(planning, "load_config", stand_in)
    recipe = load_recipe(
        recipe_file, ["backbone.name=meta-llama/Llama-2-7b-hf", "backbone.precision=bfloat16"]
    )
    plan = planning.make_plan(recipe)
    assert plan.parameters == 6_738_415_616
    assert plan.memory > 2 * plan.parameters
    assert "cannot be loaded: tokens are" in plan.notes[0]


def test_datasets_that_are_not_here_are_left_out_in_words(
    recipe_file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("GSA_DATA", str(tmp_path))
    added = load_recipe(recipe_file, ['levels.ERC.datasets=["sampler-emotion", "iemocap"]'])
    plan = planning.make_plan(added)
    assert set(plan.levels[1].examples) == {"sampler-emotion"}
    assert any("left out of the plan: dataset 'iemocap'" in note for note in plan.notes)
    with pytest.raises(InputError, match="level 'ERC': dataset 'iemocap'"):
        planning.make_plan(load_recipe(recipe_file, ['levels.ERC.datasets=["iemocap"]']))


def test_an_unknown_model_out_of_reach_is_refused(recipe_file: Path) -> None:
    with pytest.raises(InputError, match="'nobody/nothing' cannot be loaded"):
        planning.make_plan(load_recipe(recipe_file, ["backbone.name=nobody/nothing"]))
