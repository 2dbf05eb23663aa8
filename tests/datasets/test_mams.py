import pytest

from gsa.datasets import mams, parsing
from gsa.datasets.catalogue import load
from gsa.errors import InputError


def test_every_aspect_is_an_example_of_its_sentence(tiny):
    splits = load("mams", root=tiny)
    train = splits["train"]
    assert [(e.id, e.aspect, e.label) for e in train] == [
        ("train_1_1", "soup", "positive"),
        ("train_1_2", "bread", "positive"),
        ("train_1_3", "spoon", "negative"),
        ("train_2_1", "waiter", "neutral"),
        ("train_2_2", "bill", "negative"),
    ]
    assert train[0].utterance.text == "The soup & the bread were fine, the spoon was bent."
    assert train[0].dialogue is train[1].dialogue is train[2].dialogue
    assert [e.id for e in splits["dev"]] == ["val_1_1", "val_1_2"]


def test_plain_has_each_sentence_once_as_non_sarcastic(tiny):
    splits = load("mams-plain", root=tiny)
    assert [(e.id, e.aspect, e.label) for e in splits["train"]] == [
        ("train_1", "", "non-sarcastic"),
        ("train_2", "", "non-sarcastic"),
    ]
    assert splits["train"][0].utterance.text == "The soup & the bread were fine, the spoon was bent."


def test_a_training_sentence_of_semeval2014s_tests_is_left_out(tiny, root, monkeypatch):
    text = "our waiter brought the menu, and forgot the bill"
    monkeypatch.setattr(mams, "IN_SEMEVAL2014", frozenset({parsing.fingerprint(text)}))
    assert {e.dialogue.id for e in load("mams", root=root)["train"]} == {"train_1"}


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("</sentences>", "", "train.xml: expected XML, found an error: no element found"),
        ("positive", "good", "train.xml sentence 1: expected one of negative, neutral, positive, found"),
        ('term="soup"', 'term=" "', "train.xml sentence 1: expected a 'term' of aspect 1, found none"),
    ],
)
def test_bad_files_are_refused(root, spoil, old, new, message):
    spoil("mams/train.xml", old, new)
    with pytest.raises(InputError, match=message):
        load("mams", root=root)


def test_a_file_without_sentences_is_refused(root):
    (root / "mams" / "val.xml").write_text("<sentences/>")
    with pytest.raises(InputError, match=r"val.xml: expected 'sentence' elements, found none"):
        load("mams", root=root)
