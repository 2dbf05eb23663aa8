"""What a level is tuned on: caps, folds, few-shot draws, own data, rows of all epochs in a seeded order."""

import tomllib
from collections import Counter
from pathlib import Path

import pytest
from transformers import PreTrainedTokenizerFast

from gsa.data.selection import draw, draw_per_class
from gsa.errors import InputError
from gsa.recipes.schema import Recipe, Source
from gsa.recipes.sources import examples_of, metrics_of, task_of, training_examples
from gsa.training.dataset import build_training_data


def recipe(**level: object) -> Recipe:
    base = {"name": "L", "datasets": ["sampler-emotion"], "learning_rate": 0.1}
    return Recipe.model_validate(
        {"name": "r", "training": {"row_tokens": 3000}, "levels": [{**base, **level}]}
    )


@pytest.fixture
def own(tmp_path: Path) -> Path:
    lines = ['{"text": "one", "label": "calm"}', '{"text": "two", "label": "angry"}']
    (tmp_path / "train.jsonl").write_text("\n".join(lines))
    return tmp_path


def test_draws_whole_dialogues_up_to_the_limit_in_file_order() -> None:
    examples = examples_of(Source(name="sampler-emotion"), "train")
    drawn = draw(examples, 50, seed=1)
    assert len(drawn) == 50
    ids = [example.id for example in examples]
    assert [ids.index(e.id) for e in drawn] == sorted(ids.index(e.id) for e in drawn)
    whole = Counter(e.dialogue.id for e in examples)
    cut = [d for d, n in Counter(e.dialogue.id for e in drawn).items() if n < whole[d]]
    assert len(cut) <= 1
    assert draw(examples, 50, seed=1) == drawn
    assert draw(examples, 50, seed=2) != drawn
    assert draw(examples, 0, seed=1) == examples
    assert draw(examples, 10**6, seed=1) == examples


def test_few_shot_draws_k_of_each_class() -> None:
    source = Source(name="sampler-emotion", per_class=5)
    drawn = training_examples(source, seed=3)
    assert set(Counter(example.label for example in drawn).values()) == {5}
    assert training_examples(source, seed=3) == drawn
    assert training_examples(source, seed=4) != drawn
    examples = examples_of(source, "train")
    assert draw_per_class(examples, task_of(source), 10**6, 0) == examples


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


def test_own_data_and_its_labels(own: Path) -> None:
    source = Source(name="mine", path=str(own), task="sentiment", labels=("calm", "angry"))
    assert [example.label for example in training_examples(source, 0)] == ["calm", "angry"]
    task = task_of(source)
    assert (task.level, task.labels, task.context) == (1, ("calm", "angry"), False)
    assert metrics_of(source)[0] == "weighted_f1"
    asked = source.model_copy(update={"task": "urgency", "instruction": "How urgent is it?"})
    assert (task_of(asked).name, task_of(asked).level) == ("urgency", 4)
    assert task_of(asked).instruction == "How urgent is it?"
    with pytest.raises(InputError, match=r"'mine': its dev split is empty"):
        examples_of(source, "dev")


def test_a_task_of_the_benchmark_follows_its_protocol() -> None:
    assert task_of(Source(name="sst2")).labels == ("negative", "positive")
    assert task_of(Source(name="sst2", protocol="with-neutral")).labels == ("negative", "neutral", "positive")
    assert metrics_of(Source(name="mosi"))[0] == "acc2_has0"
