"""The real files: every count that is published of them, and that nothing leaks."""

import hashlib
import json
from collections import Counter
from functools import cache

import pytest

from gsa.datasets import catalogue, emorynlp, mams, mustard, parsing, semeval2017
from gsa.datasets.catalogue import CATALOGUE, data_root, get, missing_message
from gsa.datasets.stats import stats

pytestmark = pytest.mark.data

BOTH = [("folds", fold) for fold in range(5)] + [("speaker-independent", 0)]


@pytest.fixture(autouse=True, scope="module")
def forget_datasets():
    yield
    read.cache_clear()


def load(name, protocol="", fold=0):
    """Load a dataset, once for the tests of this file, or skip the test where it is not there."""
    return read(name, protocol, fold)


@cache
def read(name, protocol, fold):
    for required in (name, *get(name).requires):
        if missing_message(get(required), data_root()):
            pytest.skip(missing_message(get(required), data_root()))
    return catalogue.load(name, protocol, fold)


def sizes(splits):
    return tuple(len(splits[split]) for split in ("train", "dev", "test"))


def dialogues(splits):
    return tuple(len({e.dialogue.id for e in splits[split]}) for split in ("train", "dev", "test"))


def ids(splits, *names):
    return {e.id for name in names for e in splits[name]}


@pytest.mark.parametrize(
    ("name", "protocol", "expected"),
    [
        ("sst2", "binary", (6920, 872, 1821)),
        ("sst2", "three-class", (8544, 1101, 2210)),
        ("sst2", "phrases", (56292, 872, 1821)),
        ("mosi", "", (1284, 229, 686)),
        ("mosei", "", (16274, 1861, 4653)),
        ("meld", "", (9989, 1109, 2610)),
        ("emorynlp", "", (9934, 1344, 1328)),
        ("tweeteval-hate", "", (9000, 1000, 2970)),
        ("tweeteval-emoji", "", (45000, 5000, 50000)),
        ("tweeteval-emotion", "", (3257, 374, 1421)),
        ("tweeteval-irony", "", (2862, 955, 784)),
        ("tweeteval-offensive", "", (11916, 1324, 860)),
        ("semeval2017", "", (47338, 2000, 12284)),
        ("goemotions", "", (43410, 5426, 5427)),
        ("goemotions-ekman", "", (39555, 4946, 4968)),
        # Without the 23 aspects of the ten sentences that SemEval-2014 tests on.
        ("mams", "", (11186 - 23, 1332, 1336)),
        ("semeval2014-restaurants", "", (0, 0, 1120)),
        ("semeval2014-restaurants", "supervised", (3608, 0, 1120)),
        ("semeval2014-laptops", "", (0, 0, 638)),
        ("semeval2014-laptops", "supervised", (2328, 0, 638)),
        ("sst3", "", (8544, 1101, 2210)),
        ("mosi3", "", (1284, 229, 686)),
        ("mosei3", "", (16274, 1861, 4653)),
        ("meld-sentiment", "", (9989, 1109, 2610)),
        ("emorynlp-sentiment", "", (9934, 1344, 1328)),
    ],
)
def test_sizes(name, protocol, expected):
    assert sizes(load(name, protocol)) == expected


def test_sentiment_of_tweets_has_no_train_text_here():
    splits = load("tweeteval-sentiment")
    train = data_root() / get("tweeteval-sentiment").folder / "train_text.txt"
    assert sizes(splits) == (45615 if train.exists() else 0, 2000, 12284)


def test_dialogues():
    assert dialogues(load("meld")) == (1038, 114, 280)
    assert dialogues(load("emorynlp")) == (713, 99, 85)
    assert "dia60" not in {e.dialogue.id for e in load("meld")["train"]}


def test_scores_without_zero():
    for name, expected in (("mosi", 656), ("mosei", 3632)):
        assert len(load(name)["test"]) > expected
        (row,) = stats([name])
        assert row["non_zero"]["test"] == expected


def test_mosi_is_readable():
    texts = [e.utterance.text for found in load("mosi").values() for e in found]
    assert not any(text.isupper() and len(text) > 3 for text in texts)


def test_sst2_has_no_escapes_left():
    texts = [e.utterance.text for found in load("sst2", "three-class").values() for e in found]
    for left in ("-LRB-", "-RRB-", "``", "''", "\\", " n't", " 's ", "( ", " )", " ,"):
        assert not [text for text in texts if left in text]


def test_no_tweet_of_dev_or_test_is_trained_on():
    splits = load("semeval2017")
    texts = {
        split: {semeval2017.characters(e.utterance.text) for e in examples}
        for split, examples in splits.items()
    }
    assert len(texts["train"]) == len(splits["train"]), "every tweet once"
    assert not texts["train"] & (texts["dev"] | texts["test"])


def test_tweets_are_decoded():
    texts = [e.utterance.text for examples in load("semeval2017").values() for e in examples]
    for left in ("\\u", '""', "&amp;", "&lt;"):
        assert not [text for text in texts if left in text]
    train = [e.utterance.text for e in load("semeval2017")["train"]]
    assert not [text for text in train if "http" in text]
    assert {name for text in train for name in semeval2017.MENTION.findall(text)} == {"@user"}


def test_no_training_sentence_of_mams_is_tested_in_semeval2014():
    tested = {
        parsing.fingerprint(e.utterance.text)
        for domain in ("restaurants", "laptops")
        for e in load(f"semeval2014-{domain}")["test"]
    }
    assert tested >= mams.IN_SEMEVAL2014
    assert not tested & {parsing.fingerprint(e.utterance.text) for e in load("mams")["train"]}


def test_every_aspect_is_in_its_sentence():
    for name in ("mams", "semeval2014-restaurants", "semeval2014-laptops"):
        assert all(e.aspect in e.utterance.text for split in load(name).values() for e in split)


def test_several_emotions_of_a_comment():
    train = load("goemotions")["train"]
    assert sum("," in e.label for e in train) == 7102


def test_the_sentiment_of_emorynlp_is_that_of_its_column():
    path = data_root() / "emorynlp" / "test.csv"
    rows = {row["Utterance_ID"]: row["Sentiment"] for _, row in parsing.read_table(path, ("Sentiment",))}
    assert {e.id: e.label for e in load("emorynlp-sentiment")["test"]} == rows


def test_sarcasm_sizes():
    for name, total, each in (("mustard", 690, 345), ("mustardpp", 1202, 601)):
        for protocol, fold in BOTH:
            splits = load(name, protocol, fold)
            assert sum(sizes(splits)) == total
            labels = Counter(e.label for found in splits.values() for e in found)
            assert set(labels.values()) == {each}
    assert len(load("mustard", "speaker-independent")["test"]) == 356
    assert len(load("mustardpp", "speaker-independent")["test"]) == 354
    assert [len(load("mustard", "folds", fold)["test"]) for fold in range(5)] == [138] * 5


def test_context_rows_of_mustardpp():
    splits = load("mustardpp")
    assert sum(len(e.dialogue.turns) - 1 for found in splits.values() for e in found) == 4839


@pytest.mark.parametrize(("protocol", "fold"), BOTH)
def test_nothing_leaks_between_mustard_and_mustardpp(protocol, fold):
    old, new = load("mustard", protocol, fold), load("mustardpp", protocol, fold)
    assert len(ids(old, "train", "dev", "test") & ids(new, "train", "dev", "test")) == 688
    for split in ("train", "dev", "test"):
        others = {"train", "dev", "test"} - {split}
        assert not ids(old, split) & ids(new, *others)


def test_folds_of_mustardpp_are_balanced():
    tested = [load("mustardpp", "folds", fold)["test"] for fold in range(5)]
    assert len({e.id for found in tested for e in found}) == sum(map(len, tested)) == 1202
    assert {len(found) for found in tested} == {240, 241}
    for label in ("sarcastic", "non-sarcastic"):
        assert {sum(e.label == label for e in found) for found in tested} == {120, 121}


def test_the_folds_of_mustard_are_those_that_the_package_knows():
    load("mustard")
    path = data_root() / "mustard" / "derived_split_indices.json"
    assert json.loads(path.read_bytes()) == json.loads(mustard.derived_folds())


@pytest.mark.parametrize("split", ["dev", "test"])
def test_the_two_forms_of_emorynlp_agree_but_for_several_speakers(split):
    folder = data_root() / "emorynlp"
    if not (folder / emorynlp.JSON[split]).exists():
        pytest.skip("the owner's files are not there")
    ours = list(emorynlp._csv_turns(folder / emorynlp.CSV[split]))
    owners = list(emorynlp._json_turns(folder / emorynlp.JSON[split]))
    assert len(ours) == len(owners)
    for one, other in zip(ours, owners, strict=True):
        assert (one.id, one.text, one.label, one.dialogue) == (
            other.id,
            other.text,
            other.label,
            other.dialogue,
        )
        assert one.speaker == other.speaker.split(" & ")[0]
    several = sum(" & " in turn.speaker for turn in owners)
    assert several == {"dev": 5, "test": 10}[split]


def test_checksums():
    for dataset in CATALOGUE.values():
        for file in dataset.files:
            path = dataset.locate(data_root()) / file.path
            if file.sha256 and path.exists():
                assert hashlib.sha256(path.read_bytes()).hexdigest() == file.sha256, path
