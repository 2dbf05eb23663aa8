from gsa.datasets.catalogue import CATALOGUE
from gsa.datasets.stats import stats

LABELS = ("neutral", "joy", "surprise", "anger", "sadness", "disgust", "fear")


def test_numbers_of_a_dataset(tiny):
    (row,) = stats(["meld"], tiny)
    assert row == {
        "name": "meld",
        "level": 2,
        "splits": {"train": 5, "dev": 1, "test": 2},
        "total": 8,
        "labels": dict(zip(LABELS, (1, 2, 1, 1, 1, 1, 1), strict=True)),
        "labels_by_split": {
            "train": dict(zip(LABELS, (1, 0, 1, 1, 1, 0, 1), strict=True)),
            "dev": dict(zip(LABELS, (0, 0, 0, 0, 0, 1, 0), strict=True)),
            "test": dict(zip(LABELS, (0, 2, 0, 0, 0, 0, 0), strict=True)),
        },
        "dialogues": 4,
        "average_words": 3.1,
        "protocols": {"sentiment": {"train": 5, "dev": 1, "test": 2}},
    }


def test_a_comment_counts_for_each_of_its_labels(tiny):
    (row,) = stats(["goemotions"], tiny)
    assert row["splits"] == {"train": 5, "dev": 2, "test": 4}
    assert {label: n for label, n in row["labels_by_split"]["train"].items() if n} == {
        "admiration": 2,
        "anger": 1,
        "annoyance": 1,
        "curiosity": 1,
        "fear": 1,
        "love": 1,
        "neutral": 2,
    }


def test_other_protocols_and_scores_without_zero(tiny):
    sst2, mosi, mustard = stats(["sst2", "mosi", "mustard"], tiny)
    assert sst2["splits"] == {"train": 4, "dev": 2, "test": 2}
    assert sst2["protocols"] == {
        "three-class": {"train": 5, "dev": 2, "test": 3},
        "phrases": {"train": 4, "dev": 2, "test": 2},
    }
    assert mosi["non_zero"] == {"train": 2, "dev": 1, "test": 2}
    assert mustard["total"] == sum(mustard["splits"].values()) == 10
    assert sum(mustard["protocols"]["speaker-independent"].values()) == 10


def test_all_datasets_or_a_sentence_for_what_is_missing(tiny, tmp_path):
    assert [row["name"] for row in stats(root=tiny)] == list(CATALOGUE)
    assert not any("missing" in row for row in stats(root=tiny))
    rows = stats(root=tmp_path)
    shipped = [name for name in CATALOGUE if name.startswith(("sampler-", "robustness-"))]
    assert [row["name"] for row in rows if "missing" not in row] == shipped
    assert "run 'gsa data fetch sst2'" in rows[0]["missing"]


def test_what_needs_another_dataset_is_missing_without_it(root):
    (root / "mustard" / "sarcasm_data.json").unlink()
    (row,) = stats(["mustardpp"], root)
    assert row["missing"].startswith("dataset 'mustard': expected ")
