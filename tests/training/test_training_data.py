"""Training data of a level: rows of all epochs in a seeded order, steps, and weights of the examples."""

import gc
import tomllib
from collections import Counter

import pytest
from transformers import PreTrainedTokenizerFast

from gsa.data.types import Example
from gsa.datasets.catalogue import clear_cache, load
from gsa.recipes.schema import Recipe
from gsa.training.training_data import build_training_data
from gsa.trie.packing import group


def recipe(**level: object) -> Recipe:
    base = {"name": "L", "datasets": ["sampler-emotion"], "learning_rate": 0.1}
    return Recipe.model_validate(
        {"name": "r", "training": {"examples_per_step": 8}, "levels": [{**base, **level}]}
    )


def test_rows_hold_every_target_once_an_epoch(tokenizer: PreTrainedTokenizerFast) -> None:
    made = recipe(epochs=3)
    plan = build_training_data(made, made.levels[0], tokenizer)
    seen = Counter(prompt.example.id for row in plan.rows for prompt in row.prompts)
    assert set(seen.values()) == {3}
    assert len(seen) == len(plan.prompts["sampler-emotion"]) == 449
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


def count_examples() -> int:
    """Return how many examples of the sampler's emotions are in memory."""
    gc.collect()
    return sum(type(o) is Example and o.dataset == "sampler-emotion" for o in gc.get_objects())


def test_examples_that_are_not_sampled_do_not_stay_in_memory(tokenizer: PreTrainedTokenizerFast) -> None:
    few = recipe(datasets=[{"name": "sampler-emotion", "limit": 8}])
    clear_cache()
    before = count_examples()
    load("sampler-emotion")
    assert count_examples() > before + 449
    data = build_training_data(few, few.levels[0], tokenizer)
    assert count_examples() <= before + len(data.prompts["sampler-emotion"])


@pytest.mark.parametrize("examples", [8, 20])
def test_a_step_has_about_the_examples_that_the_recipe_says(
    tokenizer: PreTrainedTokenizerFast, examples: int
) -> None:
    made = recipe()
    training = made.training.model_copy(update={"examples_per_step": examples})
    data = build_training_data(made.model_copy(update={"training": training}), made.levels[0], tokenizer)
    counts = [sum(len(row.prompts) for row in rows) for rows in data.steps]
    assert sum(counts) == 449
    assert sum(counts) / len(counts) == pytest.approx(examples, rel=0.25)
    longest = max(len(prompts) for prompts in group(data.prompts["sampler-emotion"]))
    assert max(counts) <= examples + longest


@pytest.mark.parametrize("limit", [300, 3000])
def test_rows_are_as_long_as_conversations_within_the_bound(
    tokenizer: PreTrainedTokenizerFast, limit: int
) -> None:
    made = recipe()
    training = made.training.model_copy(update={"max_row_tokens": limit})
    data = build_training_data(made.model_copy(update={"training": training}), made.levels[0], tokenizer)
    assert all(len(row.trie) <= limit or len(row.prompts) == 1 for row in data.rows)
    cut = len({row.prompts[0].example.dialogue.id for row in data.rows}) < len(data.rows)
    assert cut == (limit == 300)


def test_a_dataset_may_weigh_otherwise_than_its_level(tokenizer: PreTrainedTokenizerFast) -> None:
    other = {"name": "sampler-sentiment", "balance": 0.0}
    found = recipe(loss="labels", balance=0.5, datasets=["sampler-emotion", other])
    prompts = build_training_data(found, found.levels[0], tokenizer).prompts
    assert {prompt.weight for prompt in prompts["sampler-sentiment"]} == {1.0}
    assert len({prompt.weight for prompt in prompts["sampler-emotion"]}) > 1
    assert Recipe.model_validate(tomllib.loads(found.toml())) == found
