"""Instructions and label lists."""

import subprocess
import sys
from dataclasses import replace

import pytest

from gsa.data.task import ASPECT, EMOTION, EMOTIONS, HATE, IRONY, OFFENSE, SARCASM, SENTIMENT, TASKS, Task
from gsa.errors import InputError

# Section 4.1 of the paper; its stray spaces before punctuation and its curly apostrophe are typesetting.
PAPER = {
    1: "Consider the semantic information of sentence to determine its sentiment polarity.",
    2: "Consider both the semantic information of the target utterance itself and the contextual information "
    "of the dialogue it is situated in.",
    3: "Consider whether there is an incongruity between the emotional states of the target utterance's "
    "semantic information and its contextual information, and whether the expression of the target "
    "utterance involves linguistic incongruity.",
}


def test_instructions_keep_the_papers_wording():
    assert {task.level: task.instruction for task in TASKS.values()} == PAPER


def test_each_level_asks_for_what_the_levels_before_ask_for():
    # Table 2: semantic; semantic and contextual; semantic, contextual and linguistic.
    asked = ["semantic" in SENTIMENT.instruction, "semantic" in EMOTION.instruction]
    asked += ["contextual" in EMOTION.instruction, "contextual" in SARCASM.instruction]
    asked += ["semantic" in SARCASM.instruction, "linguistic" in SARCASM.instruction]
    assert all(asked)
    assert "contextual" not in SENTIMENT.instruction
    assert "linguistic" not in EMOTION.instruction


def test_tasks_are_found_by_name_in_the_order_of_levels():
    assert list(TASKS) == ["sentiment", "emotion", "sarcasm"]
    assert [task.level for task in TASKS.values()] == [1, 2, 3]
    assert [task.name for task in TASKS.values()] == list(TASKS)
    assert [task.context for task in TASKS.values()] == [False, True, True]


def test_with_labels_asks_the_same_question_over_other_labels():
    task = EMOTION.with_labels("0", "1", words={"0": "calm", "1": "angry"})
    assert task.labels == ("0", "1")
    assert [task.word(label) for label in task.labels] == ["calm", "angry"]
    assert (task.name, task.level, task.instruction, task.context) == (
        "emotion",
        2,
        EMOTION.instruction,
        True,
    )
    assert EMOTION.word("joy") == "joy"
    assert len(EMOTION.labels) == 7  # the task itself is as it was


def test_words_can_tell_apart_what_labels_cannot():
    assert SENTIMENT.with_labels("", "+", words={"": "none"}).word("") == "none"


def test_a_merged_gold_label_is_asked_as_another():
    task = replace(SENTIMENT.with_labels("negative", "positive"), merged={"neutral": "positive"})
    assert [task.canonical_label(label) for label in ("negative", "neutral", "positive")] == [
        "negative",
        "positive",
        "positive",
    ]
    assert SENTIMENT.canonical_label("neutral") == "neutral"


@pytest.mark.parametrize(
    ("labels", "words"),
    [
        ((), None),
        (("good",), None),
        (("good", "good"), None),
        (("good", "bad", "good"), None),
        (("good", ""), None),
        (("good", " \t"), None),
        (("good", "fine"), {"fine": "good"}),
        (("good", "bad"), {"bad": ""}),
    ],
)
def test_with_labels_refuses_what_cannot_be_told_apart(labels, words):
    with pytest.raises(
        InputError, match="task 'emotion': expected two or more distinct, non-empty labels"
    ) as info:
        EMOTION.with_labels(*labels, words=words)
    assert str([(words or {}).get(label, label).strip() for label in labels]) in str(info.value)


def test_labels_are_trimmed_texts():
    task = EMOTION.with_labels(" joy", "anger\n", words={"joy": "happy"})
    assert (task.labels, task.word("joy")) == (("joy", "anger"), "happy")
    for label in (1, True, None, ["joy"]):
        with pytest.raises(InputError, match="task 'emotion': expected labels that are texts, found"):
            EMOTION.with_labels("joy", label)


def test_a_recipes_own_task_needs_no_code():
    task = Task("irony", 4, "Is it ironic?").with_labels("yes", "no")
    assert (task.word("yes"), task.context, task.level) == ("yes", True, 4)


def test_tasks_and_metrics_load_no_torch():
    code = (
        "import sys, gsa.data.encoder, gsa.data.layout, gsa.data.task, gsa.trie.packing, "
        "gsa.evaluation.metrics; sys.exit('torch' in sys.modules or 'transformers' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_generic_tasks_are_beyond_the_papers():
    for task in (ASPECT, IRONY, OFFENSE, HATE, EMOTIONS):
        assert task.name not in TASKS
        assert (task.level, task.context) == (4, False)
        assert task.instruction.startswith("Consider the semantic information of sentence to determine ")


def test_a_multi_label_task_asks_yes_or_no_and_splits_its_labels():
    assert EMOTIONS.yes_or_no().labels == ("yes", "no")
    assert not EMOTIONS.yes_or_no().multilabel
    assert EMOTIONS.split_labels("joy,love") == ("joy", "love")
    assert SENTIMENT.yes_or_no() is SENTIMENT
    assert SENTIMENT.split_labels("neutral") == ("neutral",)


@pytest.mark.parametrize(
    "change",
    [{"instruction": "Wh\ud800at?"}, {"labels": ("good", "b\ud800d")}, {"words": {"positive": "\ud800"}}],
)
def test_what_no_tokenizer_can_read_is_refused(change):
    with pytest.raises(InputError, match=r"task 'sentiment': expected .* found the character U\+D800 in '"):
        replace(SENTIMENT, **change)
