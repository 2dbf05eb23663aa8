import pytest

from gsa.data.task import SENTIMENT
from gsa.datasets.catalogue import get, load


@pytest.mark.parametrize(
    ("name", "labels"),
    [
        ("sst3", ["positive", "negative", "neutral", "negative", "positive"]),
        ("mosi3", ["positive", "negative"]),
        ("meld-sentiment", ["negative", "negative", "positive", "neutral", "negative"]),
        ("emorynlp-sentiment", ["negative", "positive", "positive"]),
    ],
)
def test_labels_are_those_of_three_classes(tiny, name, labels):
    train = load(name, root=tiny)["train"]
    assert [example.label for example in train] == labels
    assert {example.dataset for example in train} == {name}
    assert get(name).task == SENTIMENT


@pytest.mark.parametrize(
    ("name", "original", "protocol"),
    [("mosei3", "mosei", "three-class"), ("meld-sentiment", "meld", "")],
)
def test_texts_ids_and_files_are_those_of_the_original(tiny, name, original, protocol):
    splits, expected = load(name, root=tiny), load(original, protocol, root=tiny)
    for split, examples in splits.items():
        assert [(e.id, e.dialogue) for e in examples] == [(e.id, e.dialogue) for e in expected[split]]
    assert get(name).files == get(original).files
    assert get(name).folder == get(original).folder


def test_the_two_classes_of_mosi_are_still_measured():
    assert {"acc2_has0", "acc2_non0"} <= set(get("mosi3").metrics)
