import pytest

from gsa.datasets.catalogue import get, load
from gsa.datasets.goemotions import EKMAN, EKMAN_OF
from gsa.errors import InputError


def test_every_comment_has_all_its_emotions_in_the_order_of_the_task(tiny):
    splits = load("goemotions", root=tiny)
    assert [(e.id, e.label) for e in splits["train"]] == [
        ("aa1", "neutral"),
        ("aa2", "admiration,love"),
        ("aa3", "curiosity,fear"),
        ("aa4", "anger,annoyance"),
        ("aa5", "admiration,neutral"),
    ]
    assert splits["train"][1].utterance.text == '[NAME] called it "the good kettle", and I love it.'
    task = get("goemotions").task
    assert task.multilabel
    assert task.split_labels("admiration,love") == ("admiration", "love")


def test_ekman_keeps_what_is_of_one_of_seven(tiny):
    splits = load("goemotions-ekman", root=tiny)
    assert [(e.id, e.label) for e in splits["train"]] == [
        ("aa1", "neutral"),
        ("aa2", "joy"),
        ("aa4", "anger"),
    ]
    assert [e.label for e in splits["dev"]] == ["surprise", "sadness"]
    assert [e.label for e in splits["test"]] == ["joy", "disgust", "joy", "fear"]


def test_every_emotion_belongs_to_one_of_seven():
    assert set(EKMAN) == set(get("goemotions-ekman").task.labels)
    assert set(EKMAN_OF) == set(get("goemotions").task.labels)
    assert len(EKMAN_OF) == sum(map(len, EKMAN.values())) == 28


@pytest.mark.parametrize(
    ("file", "old", "new", "message"),
    [
        ("emotions.txt", "amusement\n", "", "emotions.txt line 2: expected 'amusement', found 'anger'"),
        ("emotions.txt", "neutral\n", "", "emotions.txt: expected 28 emotions, found 27"),
        ("train.tsv", "\t27\t", "\t28\t", "train.tsv line 1: expected one of 0, 1, .*, found '28'"),
        ("train.tsv", "\t27\t", "\t", "line 1: expected text, emotions and id between tabs, found 2"),
    ],
)
def test_bad_files_are_refused(root, spoil, file, old, new, message):
    spoil(f"goemotions/{file}", old, new)
    with pytest.raises(InputError, match=message):
        load("goemotions", root=root)
