"""The command that chooses the least confidence on labelled data."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest

import gsa
from gsa.data.types import Prediction, confident
from gsa.evaluation import thresholds

Run = Callable[..., tuple[int, str, str]]
NOTHING = thresholds.Threshold(0.0, 1.0, 1.0, 6)
TEXTS = ["Fine.", "Dreadful, all of it!", "The lamp is on the table.", "Lovely hats.", "No."]


@pytest.fixture
def labelled(tuned: Path, tmp_path: Path) -> Path:
    """Texts with the labels that the model gives them, but for the one that it is least sure of."""
    predictions = gsa.load(tuned).sentiment(TEXTS)
    worst = min(range(len(TEXTS)), key=lambda i: predictions[i].confidence)
    rows = []
    for i, (text, prediction) in enumerate(zip(TEXTS, predictions, strict=True)):
        wrong = next(label for label in prediction.probabilities if label != prediction.label)
        rows.append({"text": text, "label": wrong if i == worst else prediction.label})
    path = tmp_path / "dev.jsonl"
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return path


def test_the_confidence_for_a_precision_is_printed(run: Run, tuned: Path, labelled: Path) -> None:
    words = ("threshold", "sentiment", labelled, "--model", tuned, "--target-precision", "1")
    code, out, err = run(*words)
    assert code == 0, err
    assert "80.0% of 5 texts get a label, 100.0% of these are right" in out
    found = json.loads(run(*words, "--json")[1])
    given = confident(gsa.load(tuned).sentiment(TEXTS), found["min_confidence"])
    assert sum(prediction.label is not None for prediction in given) == 4


@pytest.mark.usefixtures("native_bfloat16")
@pytest.mark.parametrize("words", [[], ["--precision", "float32"]])
def test_it_is_chosen_on_what_predict_gives(
    run: Run, tuned: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, words: list[str]
) -> None:
    """In the same precision, without speakers, and with long texts in passages."""
    texts = [*TEXTS, " ".join(["It was lovely.", "It was dreadful, all of it!"] * 150)]
    path = tmp_path / "dev.jsonl"
    rows = [{"text": text, "speaker": f"S{i}", "label": "neutral"} for i, text in enumerate(texts)]
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    code, out, err = run("predict", "sentiment", path, "--model", tuned, *words)
    assert code == 0, err
    labelled = [json.loads(line) for line in out.splitlines()]
    assert not any(row["truncated_words"] for row in labelled)
    chosen: list[Prediction] = []
    monkeypatch.setattr(
        thresholds, "choose_threshold", lambda predictions, *_: chosen.extend(predictions) or NOTHING
    )
    code, _, err = run("threshold", "sentiment", path, "--model", tuned, *words)
    assert code == 0, err
    for row, prediction in zip(labelled, chosen, strict=True):
        probabilities = {label: row[f"p_{label}"] for label in prediction.probabilities}
        assert prediction.probabilities == pytest.approx(probabilities, abs=1e-5)


def test_what_is_not_labelled_data_is_refused(run: Run, tuned: Path, tmp_path: Path) -> None:
    path = tmp_path / "dev.csv"
    path.write_text("text,label\nFine.,good\n")
    code, _, err = run("threshold", "sentiment", path, "--model", tuned)
    assert code == 2
    assert "expected a label out of negative, neutral, positive, found 'good'" in err


def test_other_columns_and_labels_are_named_as_in_predict(run: Run, tuned: Path, tmp_path: Path) -> None:
    labels = ["bad", "good, really"]
    predictions = gsa.load(tuned).sentiment(TEXTS, labels)
    path = tmp_path / "dev.jsonl"
    rows = [{"body": t, "right": p.label} for t, p in zip(TEXTS, predictions, strict=True)]
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    words = ("threshold", "sentiment", path, "--model", tuned, "--device", "cpu", "--precision", "float32")
    named = (
        "--text",
        "body",
        "--label-column",
        "right",
        "--label",
        labels[0],
        "--label",
        labels[1],
        "--json",
    )
    code, out, err = run(*words, *named)
    assert code == 0, err
    assert json.loads(out) == {"min_confidence": 0.0, "precision": 1.0, "coverage": 1.0, "count": len(TEXTS)}
    code, _, err = run(*words, "--text", "bdy")
    assert code == 2
    assert "found no column 'bdy' (did you mean 'body'?)" in err
