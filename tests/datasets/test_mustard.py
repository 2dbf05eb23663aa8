import hashlib
import json

import pytest

from gsa.datasets import mustard
from gsa.datasets.catalogue import load
from gsa.errors import InputError


def ids(splits, *names):
    return {e.id for name in names for e in splits[name]}


def test_the_last_turn_is_the_target(tiny):
    test = load("mustard", root=tiny)["test"]
    assert [(e.id, e.label, e.target) for e in test] == [
        ("1_00", "sarcastic", 2),
        ("2_90", "non-sarcastic", 2),
    ]
    assert [turn.line() for turn in test[0].dialogue.turns] == [
        "BEN: It rains for day 0.",
        "CY: Again?",
        "ADA: Lovely weather number 0.",
    ]


def test_each_item_is_tested_in_one_fold(tiny):
    tested = []
    for fold in range(5):
        splits = load("mustard", "folds", fold, tiny)
        assert len(ids(splits, "train", "dev", "test")) == 10
        assert all(mustard.is_dev(e.id) for e in splits["dev"])
        assert not any(mustard.is_dev(e.id) for e in splits["train"])
        tested += [e.id for e in splits["test"]]
    assert len(tested) == len(set(tested)) == 10


def test_speaker_independent_tests_friends(tiny):
    splits = load("mustard", "speaker-independent", root=tiny)
    assert ids(splits, "test") == {"2_60", "2_70", "2_80", "2_90"}
    assert len(ids(splits, "train", "dev")) == 6


def test_broken_apostrophes_are_repaired(tiny):
    splits = load("mustard", "speaker-independent", root=tiny)
    assert "It's dry as a fish." in {e.utterance.text for e in splits["test"]}
    assert mustard.repair_apostrophes("Weā€™re; Iʼm; it'’s; don’t") == "We're; Iʼm; it's; don’t"


def test_the_folds_that_come_with_the_package_are_the_owners():
    (file,) = (file for file in mustard.DATASET.files if file.generate)
    assert hashlib.sha256(mustard.derived_folds()).hexdigest() == file.sha256
    assert len(mustard.TEST_FOLDS) == 690


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ('"sarcasm": true', '"sarcasm": "yes"', "item '1_00' key 'sarcasm': expected true or false"),
        ('"show"', '"series"', "item '1_00': expected a key 'show', found utterance"),
        ('"CY"', '"CY", "DI"', "'1_00': expected a speaker for each context turn, found 3 for 2"),
        ('"Again?"', "7", "item '1_00': expected a text, found 7"),
    ],
)
def test_bad_items_are_refused(root, spoil, old, new, said):
    spoil("mustard/sarcasm_data.json", old, new)
    with pytest.raises(InputError, match=said):
        load("mustard", root=root)


def change(pairs, how):
    pairs = json.loads(json.dumps(pairs))
    return how(pairs) or pairs


@pytest.mark.parametrize(
    ("how", "said"),
    [
        (lambda pairs: pairs[:4], "expected 5 folds, found 4"),
        (lambda pairs: pairs[1][0].pop() and None, "fold 1: expected each of the items 0 to 9 once"),
        (lambda pairs: pairs[1].append([]), "fold 1: expected each of the items 0 to 9 once"),
        (lambda pairs: [pairs[0], pairs[0], *pairs[2:]], "expected each item in the test of one fold"),
        (lambda pairs: {"a": 1}, "expected a list, found"),
    ],
)
def test_folds_that_do_not_share_out_the_items_are_refused(root, how, said):
    path = root / "mustard" / "derived_split_indices.json"
    path.write_text(json.dumps(change(json.loads(path.read_text()), how)))
    with pytest.raises(InputError, match=said):
        load("mustard", root=root)
    # The other protocol has no use for them.
    assert load("mustard", "speaker-independent", root=root)["test"]
