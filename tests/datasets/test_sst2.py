import pytest

from gsa.datasets import sst2
from gsa.datasets.catalogue import load
from gsa.errors import InputError


def test_binary_leaves_neutral_out_and_escapes_are_gone(tiny):
    splits = load("sst2", root=tiny)
    assert [(e.id, e.utterance.text, e.label) for e in splits["train"]] == [
        ("train_1", "A warm (if slow) kettle.", "positive"),
        ("train_2", "It doesn't boil, and we've \"waited\".", "negative"),
        ("train_4", "Dreadful...", "negative"),
        ("train_5", "Superb café!", "positive"),
    ]
    assert [e.utterance.text for e in splits["dev"]] == ["I love the 'teapot'.", "No taste."]
    assert [e.label for e in splits["test"]] == ["negative", "positive"]


def test_three_classes_keep_all(tiny):
    splits = load("sst2", "three-class", root=tiny)
    assert {split: len(found) for split, found in splits.items()} == {"train": 5, "dev": 2, "test": 3}
    assert splits["train"][2].utterance.text == "The cooks' tea/coffee costs $3."
    assert splits["train"][2].label == "neutral"
    # The no-break space belongs to the word, and the prompt folds it.
    assert splits["test"][1].utterance.text == "Weak 2\u00a01/2 stars"


TREE = "(3 (2 (2 It) (1 (1 drips) (2 badly))) (4 (2 but) (4 (2 it) (4 (2 makes) (3 (3 good) (2 tea))))))"


def test_parts_of_a_tree_come_before_the_whole():
    found = [(digit, " ".join(words)) for digit, words in sst2.constituents(TREE)]
    assert found[:5] == [
        ("2", "It"),
        ("1", "drips"),
        ("2", "badly"),
        ("1", "drips badly"),
        ("2", "It drips badly"),
    ]
    assert found[-3:] == [
        ("4", "it makes good tea"),
        ("4", "but it makes good tea"),
        ("3", "It drips badly but it makes good tea"),
    ]


def test_a_bracket_without_a_digit_is_refused(root):
    (root / "sst2" / "train.txt").write_text("(3 (2 A) (treat))\n")
    with pytest.raises(InputError, match=r"train.txt line 1: expected a digit in every bracket"):
        load("sst2", "phrases", root=root)


def test_phrases_are_trained_on_once_and_are_no_text_of_dev_or_test(root):
    folder = root / "sst2"
    (folder / "train.txt").write_text(f"{TREE}\n{TREE.replace('It', 'This')}\n")
    (folder / "test.txt").write_text("(4 (2 but) (4 (2 it) (4 (2 makes) (3 (3 good) (2 tea)))))\n")
    plain, more = load("sst2", root=root), load("sst2", "phrases", root=root)
    assert more["train"][:2] == plain["train"]
    # Shorter phrases and neutral ones are left out, and one that is a test sentence.
    assert [(e.id, e.utterance.text, e.label) for e in more["train"][2:]] == [
        ("train_1_12", "it makes good tea", "positive")
    ]
    assert (more["dev"], more["test"]) == (plain["dev"], plain["test"])


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ("the '70s , 'em and C'mon", "the '70s, 'em and C'mon"),
        ("I 'll say he 'd go , 'S all", "I'll say he'd go,'S all"),
        ("so ... no -- yes ; 100 % : ok", "so... no -- yes; 100%: ok"),
        ("`` Analyze That '' is `` one '' .", '"Analyze That" is "one".'),
        ("a -LSB- b -RSB- -LCB- c -RCB- \\*\\*", "a [b] {c} **"),
        ("... an end", "... an end"),
    ],
)
def test_sentences_read_as_typed(words, said):
    assert sst2.detokenize(words.split(" ")) == said


@pytest.mark.parametrize("line", ["(5 (2 A) (2 b))", "(2 (2 A) (2 b)", "A b", "(2 )", ""])
def test_a_line_that_is_no_tree_is_refused(root, line):
    path = root / "sst2" / "dev.txt"
    path.write_text(f"(3 (3 Good) (2 .))\n{line}\n")
    with pytest.raises(InputError, match=r"dev.txt line 2: expected"):
        load("sst2", root=root)
