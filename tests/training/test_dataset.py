"""Training data of a level: rows of all epochs in a seeded order, steps, and weights of the examples."""

import tomllib
from collections import Counter

import pytest
from transformers import PreTrainedTokenizerFast

from gsa.recipes.schema import Recipe
from gsa.training.dataset import build_training_data


def recipe(**level: object) -> Recipe:
    base = {"name": "L", "datasets": ["sampler-emotion"], "learning_rate": 0.1}
    return Recipe.model_validate(
        {"name": "r", "training": {"row_tokens": 3000}, "levels": [{**base, **level}]}
    )


def test_rows_hold_every_target_once_an_epoch(tokenizer: PreTrainedTokenizerFast) -> None:
    made = recipe(epochs=3)
    plan = build_training_data(made, made.levels[0], tokenizer)
    seen = Counter(prompt.example.id for row in plan.rows for prompt in row.prompts)
    assert set(seen.values()) == {3}
    assert len(seen) == len(plan.prompts["sampler-emotion"]) == 449
    assert plan.steps == len(plan.rows)
    assert max(len(row.trie) for row in plan.rows) <= 3000
    again = build_training_data(made, made.levels[0], tokenizer)
    assert [row.prompts for row in again.rows] == [row.prompts for row in plan.rows]
    other = made.model_copy(update={"seed": 1})
    assert [r.prompts for r in build_training_data(other, other.levels[0], tokenizer).rows] != [
        r.prompts for r in plan.rows
    ]


def test_a_part_of_an_epoch_is_a_part_of_its_rows(tokenizer: PreTrainedTokenizerFast) -> None:
    whole = build_training_data(recipe(), recipe().levels[0], tokenizer)
    half = recipe(epochs=1.5)
    assert len(build_training_data(half, half.levels[0], tokenizer).rows) == pytest.approx(
        1.5 * len(whole.rows), abs=2
    )
    sliver = recipe(epochs=0.0001)
    assert len(build_training_data(sliver, sliver.levels[0], tokenizer).rows) == 1


def test_steps_count_optimizer_steps(tokenizer: PreTrainedTokenizerFast) -> None:
    made = recipe()
    made = made.model_copy(update={"training": made.training.model_copy(update={"rows_per_step": 4})})
    plan = build_training_data(made, made.levels[0], tokenizer)
    assert plan.steps == -(-len(plan.rows) // 4)


def test_a_dataset_may_weigh_otherwise_than_its_level(tokenizer: PreTrainedTokenizerFast) -> None:
    other = {"name": "sampler-sentiment", "balance": 0.0}
    found = recipe(loss="labels", balance=0.5, datasets=["sampler-emotion", other])
    prompts = build_training_data(found, found.levels[0], tokenizer).prompts
    assert {prompt.weight for prompt in prompts["sampler-sentiment"]} == {1.0}
    assert len({prompt.weight for prompt in prompts["sampler-emotion"]}) > 1
    assert Recipe.model_validate(tomllib.loads(found.toml())) == found
