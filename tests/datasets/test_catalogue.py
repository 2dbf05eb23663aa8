import json
import subprocess
import sys
from collections import Counter
from pathlib import Path

import pytest

from gsa.datasets.catalogue import CATALOGUE, data_root, get, load
from gsa.errors import InputError

NAMES = [
    "sst2",
    "mosi",
    "mosei",
    "iemocap",
    "meld",
    "emorynlp",
    "mustard",
    "mustardpp",
    "tweeteval-hate",
    "tweeteval-emoji",
    "tweeteval-emotion",
    "tweeteval-irony",
    "tweeteval-offensive",
    "tweeteval-sentiment",
    "semeval2017",
    "goemotions",
    "goemotions-ekman",
    "mams",
    "mams-plain",
    "meld-plain",
    "semeval2014-restaurants",
    "semeval2014-laptops",
    "sst3",
    "mosi3",
    "mosei3",
    "meld-sentiment",
    "emorynlp-sentiment",
    "sampler-sentiment",
    "sampler-emotion",
    "sampler-sarcasm",
    "robustness-sentiment",
    "robustness-emotion",
    "robustness-sarcasm",
    "robustness-implied",
    "robustness-plain",
]

METRICS = {
    "accuracy",
    "weighted_f1",
    "macro_f1",
    "macro_recall",
    "binary_f1",
    "acc2_has0",
    "acc2_non0",
    "weighted_f1_has0",
}

LEVELS = {
    "sst2": 1,
    "mosi": 1,
    "mosei": 1,
    "iemocap": 2,
    "meld": 2,
    "emorynlp": 2,
    "mustard": 3,
    "mustardpp": 3,
    "semeval2017": 1,
    "sst3": 1,
    "mosi3": 1,
    "mosei3": 1,
    "meld-sentiment": 1,
    "emorynlp-sentiment": 1,
    "goemotions-ekman": 2,
}

MAIN = {
    "sst2": "accuracy",
    "mosi": "acc2_has0",
    "mosei": "acc2_has0",
    "tweeteval-sentiment": "macro_recall",
    "tweeteval-irony": "binary_f1",
    "semeval2017": "macro_recall",
    "goemotions": "macro_f1",
    "goemotions-ekman": "macro_f1",
    "mams": "accuracy",
    **dict.fromkeys(("sst3", "mosi3", "mosei3", "meld-sentiment", "emorynlp-sentiment"), "macro_f1"),
    "semeval2014-restaurants": "accuracy",
    **dict.fromkeys(("mams-plain", "meld-plain"), "accuracy"),
    "semeval2014-laptops": "accuracy",
}


def test_the_catalogue_is_light():
    code = (
        "import json, sys; import gsa.datasets.catalogue; "
        "print(json.dumps(sorted(name for name in sys.modules if '.' not in name)))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert not {"torch", "transformers", "polars", "pooch", "requests", "numpy"} & set(
        json.loads(done.stdout)
    )


def test_names():
    assert list(CATALOGUE) == NAMES
    for name, dataset in CATALOGUE.items():
        assert dataset.name == name
        assert get(name) is dataset


def test_metrics():
    for name, dataset in CATALOGUE.items():
        assert set(dataset.metrics) <= METRICS
        assert "weighted_f1" in dataset.metrics
        tweets = "macro_f1" if name.startswith("tweeteval") else "weighted_f1"
        assert dataset.metrics[0] == MAIN.get(name, tweets)
        assert dataset.task.level == LEVELS.get(name, dataset.task.level)


def test_an_unknown_name_is_refused():
    with pytest.raises(InputError, match=r"found 'meldd' \(did you mean 'meld'\?\)$"):
        get("meldd")


@pytest.mark.parametrize("name", NAMES)
def test_every_dataset_gives_examples_of_its_task(tiny, name):
    dataset = get(name)
    for protocol in dataset.protocols:
        task = dataset.task_for(protocol)
        labels = {*task.labels, *task.merged}
        for fold in range(dataset.folds_for(protocol)):
            splits = load(name, protocol, fold, tiny)
            assert list(splits) == ["train", "dev", "test"]
            assert splits["test"]
            for examples in splits.values():
                assert len({e.id for e in examples}) == len(examples)
                assert {e.dataset for e in examples} <= {name}
                assert {label for e in examples for label in task.split_labels(str(e.label))} <= labels
                assert all(e.utterance is e.dialogue.turns[e.target] for e in examples)
                by_id = {e.dialogue.id: e.dialogue for e in examples}
                assert all(e.dialogue is by_id[e.dialogue.id] for e in examples)


def test_the_samplers_are_whole():
    for name in (name for name in NAMES if name.startswith("sampler")):
        splits = load(name)
        assert splits["train"]
        assert splits["dev"] == []
        assert splits["test"]
        assert set(Counter(e.label for e in splits["train"])) == set(get(name).task.labels)


def test_a_protocol_of_other_labels_has_a_task_of_its_own():
    sst2 = get("sst2")
    assert sst2.task_for().labels == ("negative", "positive")
    assert sst2.task_for("three-class").labels == ("negative", "neutral", "positive")


@pytest.mark.parametrize(
    ("name", "protocol", "fold", "said"),
    [
        (
            "sst2",
            "binry",
            0,
            r"expected one of binary, three-class, phrases as its protocol, found 'binry' \(did you",
        ),
        ("sst2", "", 1, r"expected fold 0, the only one, of protocol 'binary', found 1"),
        ("mustard", "", 5, r"expected a fold from 0 to 4 of protocol 'folds', found 5"),
        ("mustard", "", -1, r"expected a fold from 0 to 4"),
        ("mustard", "speaker-independent", 1, r"expected fold 0, the only one,"),
    ],
)
def test_an_unknown_protocol_or_fold_is_refused(tiny, name, protocol, fold, said):
    with pytest.raises(InputError, match=said):
        load(name, protocol, fold, tiny)


def test_missing_files_are_named_with_the_cure(tmp_path):
    with pytest.raises(InputError) as error:
        load("sst2", root=tmp_path)
    file = tmp_path / "sst2" / "train.txt"
    cure = "run 'gsa data fetch sst2'"
    assert str(error.value) == f"dataset 'sst2': expected '{file}' and 2 more, found none: {cure}"


def test_what_is_loaded_may_be_changed_and_files_may_be_replaced(root):
    first = load("sst2", root=root)
    first["train"].clear()
    second = load("sst2", root=root)
    assert len(second["train"]) == 4
    (root / "sst2" / "train.txt").write_text("(4 (4 New) (2 .))\n")
    third = load("sst2", root=root)
    assert [e.utterance.text for e in third["train"]] == ["New."]
    # What is not replaced is read once.
    assert load("sst2", root=root)["dev"][0] is third["dev"][0]


def test_the_root_is_where_the_environment_says(monkeypatch, tiny):
    monkeypatch.setenv("GSA_DATA", str(tiny))
    assert data_root() == tiny
    assert load("sst2") == load("sst2", root=tiny)
    monkeypatch.setenv("GSA_DATA", "")
    assert data_root() == Path.home() / ".cache" / "gsa" / "data"
