"""Selection of examples: the yes-or-no examples of multi-label tasks."""

from dataclasses import replace

from gsa.data.selection import yes_or_no_examples
from gsa.data.task import EMOTIONS
from gsa.data.types import sentence

TEXT = sentence("The food was great, the service slow.", "s", "own")
TASK = EMOTIONS.with_labels("joy", "fear", "love", "anger")


def test_a_text_is_asked_each_label_yes_or_no():
    example = replace(TEXT, label="joy,love")
    asked = yes_or_no_examples([example], TASK)
    assert [(e.id, e.aspect, e.label) for e in asked] == [
        ("s/joy", "joy", "yes"),
        ("s/fear", "fear", "no"),
        ("s/love", "love", "yes"),
        ("s/anger", "anger", "no"),
    ]
    assert all(e.dialogue is TEXT.dialogue for e in asked)
    assert [e.label for e in yes_or_no_examples([TEXT], TASK)] == [None] * 4


def test_training_keeps_all_that_hold_and_a_seeded_sample_of_the_others():
    examples = [replace(TEXT, id=f"s{i}", label="joy,love") for i in range(40)]
    asked = yes_or_no_examples(examples, TASK, negatives=1, seed=3)
    assert len(asked) == 3 * len(examples)
    assert sum(e.label == "yes" for e in asked) == 2 * len(examples)
    assert {e.aspect for e in asked if e.label == "no"} == {"fear", "anger"}
    assert asked == yes_or_no_examples(examples, TASK, negatives=1, seed=3)
    assert asked != yes_or_no_examples(examples, TASK, negatives=1, seed=4)
