"""Sampling: whole dialogues up to a limit, k examples of each class, in file order, the same for a seed."""

from collections import Counter

from gsa.data.selection import group_by_dialogue, sample_dialogues, sample_per_class
from gsa.data.task import SENTIMENT
from gsa.data.types import Dialogue, Example, Utterance, sentence

TASK = SENTIMENT.with_labels("negative", "positive")


def talks(*lengths: int) -> list[Example]:
    examples = []
    for number, length in enumerate(lengths):
        dialogue = Dialogue(f"d{number}", tuple(Utterance(f"turn {i}") for i in range(length)))
        examples += [Example(f"d{number}_{i}", "set", dialogue, i) for i in range(length)]
    return examples


def test_examples_are_grouped_by_dialogue_in_order_of_first_appearance() -> None:
    one, two = talks(2, 2)[:2], talks(2, 2)[2:]
    mixed = [two[0], one[0], two[1], one[1]]
    assert group_by_dialogue(mixed) == [two, one]


def test_whole_dialogues_are_sampled_up_to_the_limit_in_file_order() -> None:
    examples = talks(*[3, 5, 2, 7] * 10)
    sampled = sample_dialogues(examples, 50, seed=1)
    assert len(sampled) == 50
    ids = [example.id for example in examples]
    assert [ids.index(e.id) for e in sampled] == sorted(ids.index(e.id) for e in sampled)
    sizes = Counter(e.dialogue.id for e in examples)
    cut = [d for d, n in Counter(e.dialogue.id for e in sampled).items() if n < sizes[d]]
    assert len(cut) <= 1
    assert sample_dialogues(examples, 50, seed=1) == sampled
    assert sample_dialogues(examples, 50, seed=2) != sampled


def test_no_limit_or_a_high_one_is_everything() -> None:
    examples = talks(3, 4)
    for limit in (0, 7, 10**6):
        assert sample_dialogues(examples, limit, seed=1) == examples


def test_k_examples_of_each_class_are_sampled() -> None:
    labels = ["negative", "positive", "positive"] * 10
    examples = [sentence("Oh.", str(i), "set", label) for i, label in enumerate(labels)]
    sampled = sample_per_class(examples, TASK, 5, seed=3)
    assert Counter(example.label for example in sampled) == {"negative": 5, "positive": 5}
    assert [int(e.id) for e in sampled] == sorted(int(e.id) for e in sampled)
    assert sample_per_class(examples, TASK, 5, seed=3) == sampled
    assert sample_per_class(examples, TASK, 5, seed=4) != sampled
    assert sample_per_class(examples, TASK, 10**6, seed=0) == examples
