"""Robustness texts: enough, distinct, no template in two splits, and none of the behavioural set."""

from collections import Counter
from random import Random

import pytest

from gsa.datasets.catalogue import CATALOGUE
from gsa.datasets.overlaps import normalized_words
from gsa.datasets.robustness import DATASETS, FOLDER, SIZES, Group, _toml, fill, generate
from gsa.evaluation.behaviour import read_cases

WORDS = 5
"""A sequence of this many words may not be both in a behavioural case and in a training text."""
PHRASES = ("dear sir or madam", "to whom it may concern", "in the middle of the", "has been moved to")
"""Phrases of everybody; sequences that hold four words of one of them may be."""
SPLITS = {task: generate(task, 0) for task in SIZES}
GROUPS = [(task, Group(**group)) for task in SIZES for group in _toml(FOLDER / f"{task}.toml")["group"]]


def texts(task: str, seed: int = 0) -> list[str]:
    splits = SPLITS[task] if seed == 0 else generate(task, seed)
    return [turn.text for split in splits.values() for example in split for turn in example.dialogue.turns]


def sequences(text: str) -> set[tuple[str, ...]]:
    words = normalized_words(text)
    return {words[i : i + WORDS] for i in range(len(words) - WORDS + 1)}


def common(sequence: tuple[str, ...]) -> bool:
    """Whether four words or more of a sequence are of one of the phrases."""
    parts = (" ".join(sequence), " ".join(sequence[1:]), " ".join(sequence[:-1]))
    return any(part in phrase for part in parts for phrase in PHRASES)


def test_there_are_enough_distinct_examples_of_every_label() -> None:
    assert sum(len(splits["train"]) for splits in SPLITS.values()) >= 3000
    for task, splits in SPLITS.items():
        dialogues = [example.dialogue.turns for split in splits.values() for example in split]
        assert len(set(dialogues)) == len(dialogues)
        for split, examples in splits.items():
            assert abs(len(examples) - SIZES[task][split != "train"]) <= 5, (task, split)
            counts = Counter(example.label for example in examples)
            labels = next(dataset.task.labels for dataset in DATASETS if dataset.name.endswith(task))
            assert set(counts) == set(labels)
            assert min(counts.values()) >= len(examples) // 12
            assert {example.dataset for example in examples} == {f"robustness-{task}"}
            assert len({example.id for example in examples}) == len(examples)
            assert all(example.target == len(example.dialogue.turns) - 1 for example in examples)


def test_a_seed_gives_the_same_examples_and_another_gives_others() -> None:
    assert generate("sarcasm", 0) == SPLITS["sarcasm"]
    assert generate("sarcasm", 1) != SPLITS["sarcasm"]


def test_no_template_is_in_two_splits_of_a_task() -> None:
    for task in SIZES:
        seen = [
            (group.label, split, template)
            for name, group in GROUPS
            if name == task
            for split in ("train", "dev", "test")
            for template in group.templates(split)
        ]
        templates = Counter(template for _, _, template in seen)
        assert [template for template, n in templates.items() if n > 1] == [], task
        assert all(group.templates("dev") and group.templates("test") for _, group in GROUPS)


def test_there_are_several_hundred_neutral_sentences() -> None:
    neutral = {
        " ".join(normalized_words(example.utterance.text))
        for example in SPLITS["sentiment"]["train"]
        if example.label == "neutral"
    }
    assert len(neutral) > 700


@pytest.mark.parametrize("seed", [0, 1])
def test_no_text_and_no_sequence_of_words_is_of_the_behavioural_set(seed: int) -> None:
    behavioural = [turn.text for case in read_cases() for turns in case.inputs for turn in turns]
    training = [text for task in SIZES for text in texts(task, seed)]
    assert {normalized_words(text) or text for text in behavioural} & {
        normalized_words(text) or text for text in training
    } == set()
    held = set().union(*map(sequences, behavioural))
    shared = {sequence for text in training for sequence in sequences(text) & held}
    assert sorted(each for each in shared if not common(each)) == []


def test_words_are_distinct_slots_are_known_and_articles_fit() -> None:
    words = _toml(FOLDER / "words.toml")
    assert all(len(set(listed)) == len(listed) for listed in words.values())
    for task in SIZES:
        for text in texts(task):
            assert "{" not in text
            assert " a awful" not in text.lower()
    slots = {"thing": ["kettle", "oven"], "bad": ["awful", "useless"]}
    filled = {fill("a {bad} {thing}", slots, Random(seed)) for seed in range(40)}
    assert filled == {"an awful kettle", "an awful oven", "a useless kettle", "a useless oven"}
    assert (
        fill("{Bad} {thing} or {thing}", {"bad": ["awful"], "thing": ["x", "y"]}, Random(0))[:6] == "Awful "
    )


def test_names_are_free_in_the_catalogue_or_theirs() -> None:
    for dataset in DATASETS:
        assert CATALOGUE.get(dataset.name, dataset) is dataset
        assert not dataset.missing_files(FOLDER)
        task = dataset.name.removeprefix("robustness-")
        assert dataset.read(FOLDER, "standard", 0) == SPLITS[task]
