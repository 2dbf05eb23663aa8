"""The datasets of a recipe: their tasks, metrics, splits and training examples."""

from collections import Counter
from pathlib import Path

import pytest

from gsa.data.task import EMOTION, SENTIMENT
from gsa.errors import InputError
from gsa.recipes.datasets import (
    load_split,
    load_splits,
    metrics_of,
    task_of,
    training_examples,
    training_pool,
    tuned_tasks,
)
from gsa.recipes.schema import DatasetConfig, Recipe


@pytest.fixture
def own(tmp_path: Path) -> DatasetConfig:
    """A folder of the user's own data, which has a train split only."""
    lines = ['{"text": "one", "label": "calm"}', '{"text": "two", "label": "angry"}']
    (tmp_path / "train.jsonl").write_text("\n".join(lines))
    return DatasetConfig(name="mine", path=str(tmp_path), task="sentiment", labels=("calm", "angry"))


def recipe(*datasets: dict[str, object]) -> Recipe:
    level = {"name": "L", "datasets": list(datasets), "learning_rate": 0.1}
    return Recipe.model_validate({"name": "r", "levels": [level]})


def test_a_dataset_of_the_catalogue_has_the_task_of_its_protocol() -> None:
    assert task_of(DatasetConfig(name="sst2")).labels == ("negative", "positive")
    with_neutral = DatasetConfig(name="sst2", protocol="three-class")
    assert task_of(with_neutral).labels == ("negative", "neutral", "positive")
    assert metrics_of(DatasetConfig(name="mosi"))[0] == "acc2_has0"
    with pytest.raises(InputError, match="found 'sst4'"):
        task_of(DatasetConfig(name="sst4"))


def test_own_data_has_a_known_task_with_its_own_labels(own: DatasetConfig) -> None:
    task = task_of(own)
    assert (task.level, task.labels, task.context) == (1, ("calm", "angry"), False)
    assert task.instruction == SENTIMENT.instruction
    assert metrics_of(own)[0] == "weighted_f1"


@pytest.mark.parametrize(
    ("name", "expected"),
    [("urgency", ("urgency", 4, False)), ("", ("mine", 4, False)), ("emotion", ("emotion", 2, True))],
)
def test_own_data_may_have_an_instruction_of_its_own(
    own: DatasetConfig, name: str, expected: tuple[str, int, bool]
) -> None:
    task = task_of(own.model_copy(update={"task": name, "instruction": "How urgent is it?"}))
    assert (task.name, task.level, task.context) == expected
    assert task.instruction == "How urgent is it?"
    assert task.labels == ("calm", "angry")


def test_the_tasks_of_a_recipe_take_the_papers_label_list_or_the_first() -> None:
    tasks = tuned_tasks(recipe({"name": "emorynlp"}, {"name": "meld"}))
    assert tasks["emotion"].labels == EMOTION.labels, "MELD's, though it is listed second"
    assert "sarcasm" not in tasks
    tasks = tuned_tasks(recipe({"name": "emorynlp"}, {"name": "iemocap"}))
    assert tasks["emotion"].labels == task_of(DatasetConfig(name="emorynlp")).labels
    levels = [{"name": n, "datasets": [n], "learning_rate": 0.1} for n in ("sst2", "sst3", "mams")]
    grown = Recipe.model_validate({"name": "r", "levels": levels})
    assert tuned_tasks(grown, 1)["sentiment"].labels == ("negative", "positive")
    assert tuned_tasks(grown)["sentiment"].labels == ("negative", "neutral", "positive")
    assert "aspect" in tuned_tasks(grown)
    assert "aspect" not in tuned_tasks(grown, 2)
    assert "tweet-emotion" in tuned_tasks(recipe({"name": "tweeteval-emotion"}))


def test_the_splits_of_own_data_and_of_the_catalogue(own: DatasetConfig) -> None:
    assert {split: len(examples) for split, examples in load_splits(own).items()} == {
        "train": 2, "dev": 0, "test": 0,
    }  # fmt: skip
    assert load_splits(DatasetConfig(name="sampler-emotion"))["test"]


def test_an_empty_split_is_refused(own: DatasetConfig) -> None:
    with pytest.raises(InputError, match=r"'mine': its dev split is empty: expected examples, found"):
        load_split(own, "dev")


def test_few_shot_examples_come_from_dev_where_there_is_no_train(own: DatasetConfig) -> None:
    folder = Path(own.path)
    (folder / "train.jsonl").rename(folder / "dev.jsonl")
    (folder / "test.jsonl").write_text('{"text": "three", "label": "calm"}')
    few = own.model_copy(update={"per_class": 1})
    assert [example.label for example in training_pool(few)] == ["calm", "angry"]
    with pytest.raises(InputError, match="its train split is empty"):
        training_pool(own)


def test_training_examples_are_sampled_by_the_seed_and_the_dataset(own: DatasetConfig) -> None:
    assert [example.label for example in training_examples(own, 0)] == ["calm", "angry"]
    config = DatasetConfig(name="sampler-emotion", per_class=5)
    sampled = training_examples(config, seed=3)
    assert set(Counter(example.label for example in sampled).values()) == {5}
    assert training_examples(config, seed=3) == sampled
    assert training_examples(config, seed=4) != sampled
    limited = DatasetConfig(name="sampler-emotion", limit=20)
    assert len(training_examples(limited, seed=3)) == 20


@pytest.mark.parametrize(
    ("augment", "message"),
    [
        (
            {"uper_case": 0.1},
            "found 'uper_case' .did you mean 'upper_case'.*expected variants among upper_case, ",
        ),
        ({"mail": 0.0}, "mail: found 0.0: expected a share above 0, at most 1"),
        ({"mail": 0.6, "upper_case": 0.5}, "the shares sum to 1.1: expected at most 1"),
    ],
)
def test_shares_of_variants_are_checked(augment: dict[str, float], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        DatasetConfig(name="sampler-emotion", augment=augment)


def test_augmentation_varies_a_share_of_the_dialogues_and_keeps_labels() -> None:
    plain = training_examples(DatasetConfig(name="sampler-emotion"), seed=1)
    varied = training_examples(DatasetConfig(name="sampler-emotion", augment=0.5), seed=1)
    assert [(e.id, e.target, e.label) for e in varied] == [(e.id, e.target, e.label) for e in plain]
    pairs = {e.dialogue.id: (e.dialogue, other.dialogue) for e, other in zip(plain, varied, strict=True)}
    changed = sum(one != other for one, other in pairs.values()) / len(pairs)
    assert 0.25 < changed < 0.75
    assert varied == training_examples(DatasetConfig(name="sampler-emotion", augment=0.5), seed=1)
