import pytest

from gsa.datasets import mosi
from gsa.datasets.catalogue import load
from gsa.errors import InputError


def test_mosi_is_labelled_by_sign_and_readable(tiny):
    splits = load("mosi", root=tiny)
    assert [(e.id, e.utterance.text, e.label) for e in splits["train"]] == [
        ("-a_B9_1", "I liked what I saw", "positive"),
        ("-a_B9_2", "The ending was silly", "negative"),
    ]
    assert [(e.id, e.label) for e in splits["dev"]] == [("c_d_1", "neutral"), ("c_d_2", "negative")]
    assert [e.label for e in splits["test"]] == ["positive", "neutral", "negative"]
    assert splits["test"][0].dataset == "mosi"


def test_mosei_is_labelled_by_sign_and_its_texts_are_as_they_are(tiny):
    splits = load("mosei", root=tiny)
    assert [(e.id, e.utterance.text, e.label) for e in splits["train"]] == [
        ("-x1_10_2", "We tried it, twice.\nAnd it held.", "positive"),
        ("-x1_11_7", "It broke.", "negative"),
    ]
    assert [(e.utterance.text, e.label) for e in splits["dev"]] == [('It is "blue".', "neutral")]
    assert [e.utterance.text for e in splits["test"]] == ["OK THEN", "Nobody came."]


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("AND THEN I SAID IT", "And then I said it"),
        ("I", "I"),
        ("Mixed Case I AM", "Mixed Case I AM"),
        ("", ""),
        ("3D", "3d"),
    ],
)
def test_sentence_case(text, said):
    assert mosi.sentence_case(text) == said


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ("2.2", "high", "line 2: expected a score from -3 to 3, found 'high'"),
        ("2.2", "nan", "line 2: expected a score from -3 to 3, found 'nan'"),
        ("2.2", "3.5", "line 2: expected a score from -3 to 3, found '3.5'"),
        ("train", "dev", "line 2: expected one of train, valid, test, found 'dev'"),
        ("e,1", "-a_B9,1", "line 6: expected a unique id, found '-a_B9_1', as at .* line 2"),
        ("clip_id", "clip", "line 1: expected a column 'clip_id', found video_id, clip, text, label, mode"),
    ],
)
def test_bad_rows_are_refused(root, spoil, old, new, said):
    spoil("mosi/label.csv", old, new)
    with pytest.raises(InputError, match=said):
        load("mosi", root=root)


def test_the_owners_scores_by_clip(tiny):
    scores = mosi.intensities(tiny / "mosi" / "label.csv")
    assert scores == {
        "-a_B9_1": 2.2, "-a_B9_2": -1.4, "c_d_1": 0.0, "c_d_2": -0.2, "e_1": 3.0, "e_2": 0.0, "e_3": -3.0
    }  # fmt: skip
    ids = {example.id for split in load("mosi", root=tiny).values() for example in split}
    assert scores.keys() == ids
