"""Documents: passages at sentence borders, all of the text read, the mean of what was read."""

import json
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from jobs import make_job, read
from tiny import byte_tokenizer

import gsa
from gsa.data.layout import Layout
from gsa.data.task import EMOTION, SENTIMENT, Task
from gsa.data.types import Example, Prediction, Truncated
from gsa.errors import InputError
from gsa.model.backbone import LoadedModel
from gsa.prediction.documents import (
    LONGEST_SENTENCE,
    PASSAGE,
    DocumentPrediction,
    Passage,
    combine_passages,
    passages_of,
    predict_texts,
)
from gsa.prediction.inputs import dialogue, example
from gsa.prediction.job import label_file
from gsa.prediction.predictor import Predictor

GOOD = "The cast is superb, and Dr. Ames steals every scene."
BAD = "The ending, at 3.5 hours, is a mess!"


def pair(positive: float, words: int = 0) -> Prediction:
    label = "positive" if positive >= 0.5 else "negative"
    return Prediction(label, {"negative": 1 - positive, "positive": positive}, Truncated(0, words))


def by_word(examples: Sequence[Example], task: Task, progress: Any = None) -> list[Prediction]:
    """Answer by the word `superb`; a text above 300 characters loses words."""
    if progress:
        progress(len(examples))
    texts = [one.utterance.text for one in examples]
    return [pair(0.9 if "superb" in text else 0.2, 7 * (len(text) > 300)) for text in texts]


def test_passages_end_between_sentences() -> None:
    sentences = [GOOD, BAD] * 6
    text = "\n ".join(sentences)
    passages = passages_of(text)
    assert len(passages) > 2
    for start, passage in passages:
        assert text[start : start + len(passage)] == passage
        assert passage.endswith((GOOD, BAD))
        assert passage.startswith((GOOD[:9], BAD[:9]))
        assert len(passage) <= PASSAGE
    assert sum(passage.count("scene.") + passage.count("mess!") for _, passage in passages) == 12
    assert passages_of("Fine.") == [(0, "Fine.")]
    assert passages_of("  Fine.\n") == [(2, "Fine.")]


def test_a_sentence_without_end_is_cut_at_white_space() -> None:
    text = "word " * 1000
    passages = passages_of(text)
    assert all(len(passage) <= LONGEST_SENTENCE for _, passage in passages)
    assert {word for _, passage in passages for word in passage.split()} == {"word"}
    assert sum(len(passage.split()) for _, passage in passages) == 1000
    assert "".join(passage for _, passage in passages_of("x" * 5000)) == "x" * 5000


@settings(deadline=None)
@given(st.text(alphabet=st.sampled_from("ab .!?\n\"'\u3002\u00e9\U0001f600"), min_size=1, max_size=400))
def test_nothing_of_a_document_is_lost(text: str) -> None:
    passages = passages_of(text)
    assert "".join("".join(passage.split()) for _, passage in passages) == "".join(text.split())
    for start, passage in passages:
        assert text[start : start + len(passage)] == passage


def test_the_mean_is_weighted_by_length() -> None:
    document = combine_passages([Passage("x" * 30, 0, pair(0.9, 2)), Passage("y" * 10, 31, pair(0.1, 3))])
    assert document.probabilities == pytest.approx({"negative": 0.3, "positive": 0.7})
    assert (document.label, document.truncated) == ("positive", Truncated(0, 5))
    assert document.score == pytest.approx(0.4)


def test_only_long_texts_are_documents_unless_asked_otherwise() -> None:
    texts = [f"{GOOD} {BAD}", " ".join([GOOD, BAD] * 5), BAD]
    examples = [example(SENTIMENT, dialogue(text)) for text in texts]
    short, long, other = predict_texts(by_word, examples, SENTIMENT)
    assert [type(one) for one in (short, long, other)] == [Prediction, DocumentPrediction, Prediction]
    assert isinstance(long, DocumentPrediction)
    assert long.truncated == Truncated()
    assert [passage.start for passage in long.passages] == [start for start, _ in passages_of(texts[1])]
    cut = predict_texts(by_word, examples, SENTIMENT, document=False)
    assert cut[1].truncated.words == 7
    done: list[int] = []
    all_three = predict_texts(by_word, examples, SENTIMENT, True, done.append)
    assert {type(one) for one in all_three} == {DocumentPrediction}
    assert done == [3]
    with pytest.raises(InputError, match="task 'emotion': expected one of a single label that reads texts"):
        predict_texts(by_word, examples, EMOTION, document=True)


def test_without_the_splitter_a_document_is_refused_and_a_long_text_is_cut(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setitem(sys.modules, "sentencex", None)
    monkeypatch.setattr("gsa.prediction.documents.find_spec", lambda name: None)
    examples = [example(SENTIMENT, dialogue(" ".join([GOOD, BAD] * 5)))]
    assert predict_texts(by_word, examples, SENTIMENT)[0].truncated.words == 7
    with pytest.raises(InputError, match="sentencex, which is not installed: expected the extra `documents`"):
        predict_texts(by_word, examples, SENTIMENT, document=True)


@pytest.fixture
def plain(model: Any) -> Predictor:
    return Predictor(LoadedModel(model, byte_tokenizer(), "tiny"), Layout(max_tokens=600), max_row_tokens=800)


def test_a_predictor_reads_a_document_in_passages(plain: Predictor) -> None:
    text = " ".join([GOOD, BAD] * 8)
    document = plain.sentiment(text)
    assert isinstance(document, DocumentPrediction)
    assert not document.truncated
    assert len(document.passages) >= 3
    for passage in document.passages:
        alone = plain.sentiment(passage.text)
        assert alone.probabilities == pytest.approx(passage.prediction.probabilities, abs=1e-5)
    assert document.probabilities == pytest.approx(combine_passages(document.passages).probabilities)
    assert plain.sentiment(text, document=False).truncated.words
    assert isinstance(plain.sentiment(GOOD, document=True), DocumentPrediction)
    assert type(plain.sentiment(GOOD)) is Prediction
    withheld = plain.classify("sentiment", [text], min_confidence=1.0)[0]
    assert (withheld.label, len(withheld.passages)) == (None, len(document.passages))


def test_the_language_is_found_once_a_text(plain: Predictor, monkeypatch: pytest.MonkeyPatch) -> None:
    texts: list[str] = []

    def find(text: str) -> str:
        texts.append(text)
        return "de"

    monkeypatch.setattr("gsa.prediction.documents.foreign_language", find)
    monkeypatch.setattr("gsa.prediction.predictor.foreign_language", find)
    long = " ".join([GOOD, BAD] * 8)
    for document in (None, True):
        texts.clear()
        answer = plain.sentiment(long, document=document)
        assert isinstance(answer, DocumentPrediction)
        assert (texts, answer.language) == ([long], "de")
        assert {passage.prediction.language for passage in answer.passages} == {"de"}


@pytest.mark.parametrize("kind", ["csv", "jsonl", "parquet"])
def test_files_have_a_column_of_passages(kind: str, tmp_path: Path) -> None:
    source = tmp_path / "in.jsonl"
    texts = [" ".join([GOOD, BAD] * 4), "Fine."]
    source.write_text(
        "".join(json.dumps({"id": str(i), "text": text}) + "\n" for i, text in enumerate(texts))
    )
    job = make_job(source, kind, by_word, document=True)
    label_file(job, tmp_path / f"out.{kind}")
    rows = read(tmp_path / f"out.{kind}").rows(named=True)
    for row, text in zip(rows, texts, strict=True):
        passages = row["passages"] if kind == "jsonl" else json.loads(row["passages"])
        assert [(p["start"], p["text"]) for p in passages] == passages_of(text)
        assert {"predicted", "p_negative", "p_positive"} <= passages[0].keys()
    assert label_file(make_job(source, kind, by_word), tmp_path / f"plain.{kind}").labelled == 2
    assert "passages" not in read(tmp_path / f"plain.{kind}").columns


def test_a_document_in_the_shell(tuned: Path, run: Callable[..., tuple[int, str, str]]) -> None:
    text = " ".join([GOOD, BAD] * 4)
    code, out, err = run("predict", "sentiment", text, "--model", tuned, "--document")
    assert code == 0, err
    first, *passages = out.splitlines()
    assert first.startswith(("negative", "neutral", "positive"))
    expected = [passage for _, passage in passages_of(text)]
    assert [line.split("  ", 3)[3] for line in passages] == expected
    content = json.loads(run("predict", "sentiment", text, "--model", tuned, "--document", "--json")[1])
    assert [passage["text"] for passage in content["passages"]] == [
        passage for _, passage in passages_of(text)
    ]


def test_the_page_says_what_was_measured() -> None:
    root = Path(__file__).parents[2]
    rows = [json.loads(line) for line in (root / "results" / "documents.json").read_text().splitlines()]
    page = (root / "docs" / "predict.md").read_text(encoding="utf-8")
    section = page.split("## Documents")[1].split("\n## ")[0]
    table = [line.strip("| ").split(" | ") for line in section.splitlines() if line.startswith("| ")][1:]
    assert len(table) == len(rows) >= 6
    for (order, passage, *numbers), row in zip(table, rows, strict=True):
        assert (order, passage.split()[0]) == (row["order"], str(row["passage"]).split()[0])
        assert [float(number) for number in numbers] == [row["pearson"], row["mae"], row["majority"]]


@pytest.mark.slow
def test_the_shipped_model_says_how_much_of_a_document_is_positive() -> None:
    good = "What a wonderful evening, the food was delicious and everyone was so kind to us. " * 3
    bad = "The room was filthy, the staff were rude, and nobody ever answered the phone at all. " * 3
    document = gsa.load().sentiment(good + bad + bad + bad, document=True)
    assert isinstance(document, DocumentPrediction)
    assert document.probabilities["positive"] == pytest.approx(0.25, abs=0.1)
    assert document.passages[0].prediction.label == "positive"
    assert document.label == "negative"
