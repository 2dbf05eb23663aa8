import shutil
from collections import Counter

import pytest

from gsa.datasets.catalogue import load
from gsa.errors import InputError

BOTH = [("folds", fold) for fold in range(5)] + [("speaker-independent", 0)]


def ids(splits, *names):
    return {e.id for name in names for e in splits[name]}


def test_the_row_with_a_sarcasm_value_is_the_target_of_its_scene(tiny):
    splits = load("mustardpp", "speaker-independent", root=tiny)
    found = {e.id: e for examples in splits.values() for e in examples}
    assert len(found) == 15
    example = found["1_00"]
    assert (example.label, example.target) == ("sarcastic", 2)
    # Newlines stay in the text and are folded in the prompt; "-" is nobody.
    assert example.dialogue.turns[0].text == "It rains for\nday 0."
    assert [turn.line() for turn in example.dialogue.turns] == [
        "BEN: It rains for day 0.",
        "Again?",
        "ADA: Lovely weather number 0.",
    ]


def test_the_corrupt_key_and_the_broken_apostrophes(tiny):
    splits = load("mustardpp", "speaker-independent", root=tiny)
    found = {e.id: e for examples in splits.values() for e in examples}
    assert found["3_S01E01_003"].label == "sarcastic"
    assert found["3_S01E01_003"].dialogue.turns[0].text == "That's new."
    assert found["2_60"].utterance.text == "It's dry as a fish."


@pytest.mark.parametrize(("protocol", "fold"), BOTH)
def test_nothing_leaks_between_the_two_datasets(tiny, protocol, fold):
    ours, theirs = load("mustardpp", protocol, fold, tiny), load("mustard", protocol, fold, tiny)
    for split in ("train", "dev", "test"):
        others = {"train", "dev", "test"} - {split}
        assert not ids(ours, split) & ids(theirs, *others)
    assert ids(ours, "test") & ids(theirs, "test")


def test_folds_are_balanced(tiny):
    tested = [load("mustardpp", "folds", fold, tiny)["test"] for fold in range(5)]
    assert sorted(e.id for found in tested for e in found) == sorted({e.id for f in tested for e in f})
    assert [len(found) for found in tested] == [3] * 5
    for label in ("sarcastic", "non-sarcastic"):
        counts = Counter(fold for fold, found in enumerate(tested) for e in found if e.label == label)
        assert max(counts.values()) - min(counts.values()) <= 1


def test_folds_need_mustard(root):
    shutil.rmtree(root / "mustard")
    with pytest.raises(InputError, match=r"found none: run 'gsa data fetch mustard'$"):
        load("mustardpp", root=root)
    assert len(load("mustardpp", "speaker-independent", root=root)["test"]) == 3


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ("ADA,BBT,1,", "ADA,BBT,2,", "line 5: expected one of 1, 0, found '2'"),
        ("ADA,BBT,1,", "ADA,BBT,,", "line 5: expected a Sarcasm value in the last row of scene '1_00' alone"),
        ("-,BBT,,", "-,BBT,1,", "line 5: expected .* found 2 rows with one"),
        ("SHOW", "SERIES", "line 1: expected a column 'SHOW'"),
    ],
)
def test_bad_rows_are_refused(root, spoil, old, new, said):
    spoil("mustardpp/mustard++_text.csv", old, new)
    with pytest.raises(InputError, match=said):
        load("mustardpp", root=root)
