"""What `gsa predict` does with a text, a file and a stream."""

import io
import json
import logging
from pathlib import Path
from types import SimpleNamespace

import pytest

from gsa.cli import predict as module
from gsa.cli.predict import PredictOptions, file_of, predict
from gsa.datasets.records import Columns
from gsa.errors import InputError


@pytest.fixture
def options(tuned: Path) -> PredictOptions:
    return PredictOptions(model=str(tuned))


def test_a_text_is_a_line_of_labels(options: PredictOptions) -> None:
    said = predict("sentiment", "It was fine.", options)
    names, chances = said.split()[::2], [float(p) for p in said.split()[1::2]]
    assert set(names) == {"negative", "neutral", "positive"}
    assert chances == sorted(chances, reverse=True)
    long = predict("sentiment", "word " * 3000, options)
    assert long.endswith("words were not read)")


@pytest.mark.usefixtures("native_bfloat16")
def test_the_precision_is_reported(tuned: Path, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, "gsa")
    exact = predict("sentiment", "Fine.", PredictOptions(model=str(tuned), precision="float32", as_json=True))
    assert caplog.messages == []
    fast = predict("sentiment", "Fine.", PredictOptions(model=str(tuned), as_json=True))
    assert caplog.messages == ["precision bfloat16"]
    probabilities = json.loads(exact)["probabilities"]
    assert json.loads(fast)["probabilities"] == pytest.approx(probabilities, abs=0.02)


def test_a_text_as_json(tuned: Path) -> None:
    said = json.loads(predict("sarcasm", "Lovely.", PredictOptions(model=str(tuned), as_json=True, level=1)))
    assert set(said) == {"label", "probabilities", "truncated"}
    assert said["truncated"] == {"turns": 0, "words": 0}


def test_a_conversation_to_standard_output(
    options: PredictOptions, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, "gsa")
    chat = tmp_path / "chat.jsonl"
    chat.write_text(json.dumps({"turns": [{"speaker": "Ana", "text": "Hi"}, {"text": "Oh no!"}]}) + "\nbad\n")
    out = io.BytesIO()
    monkeypatch.setattr(module.sys, "stdout", SimpleNamespace(buffer=out))
    assert predict("emotion", str(chat), options) == ""
    rows = [json.loads(line) for line in out.getvalue().splitlines()]
    assert [row["turn"] for row in rows] == [1, 2]
    assert rows[1]["predicted"] in ("neutral", "joy", "surprise", "anger", "sadness", "disgust", "fear")
    message = caplog.messages[-1]
    assert "2 rows labelled" in message
    assert "1 rejected (row 2: expected JSON" in message
    assert "--rejects FILE keeps them" in message


def test_standard_input(tuned: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    out = io.BytesIO()
    monkeypatch.setattr(module.sys, "stdin", SimpleNamespace(buffer=io.BytesIO(b"review\nfine\nbad\n")))
    monkeypatch.setattr(module.sys, "stdout", SimpleNamespace(buffer=out))
    predict("sentiment", "-", PredictOptions(model=str(tuned), columns=Columns("review"), format="csv"))
    lines = out.getvalue().decode().splitlines()
    assert lines[0].startswith("review,predicted,")
    assert len(lines) == 3


def test_a_file_is_told_from_a_text(tmp_path: Path) -> None:
    assert file_of("It was fine.") is None
    assert file_of("I read it in reviews.csv") is None
    assert file_of("x" * 5000) is None
    assert file_of("a\0b") is None
    assert [file_of(text) for text in ("and/or", "/s", "", ".", "tests")] == [None] * 5
    (tmp_path / "a b.csv").write_text("text\n")
    assert file_of(str(tmp_path / "a b.csv")) == tmp_path / "a b.csv"
    with pytest.raises(InputError, match=r"'reviews\.csv': expected a file, found none"):
        file_of("reviews.csv")
    for name in ("reviews.xlsx", "notes.TXT", str(tmp_path / "reviews")):
        with pytest.raises(InputError, match="expected a file, found none"):
            file_of(name)
    with pytest.raises(InputError, match="expected a file or a text, found a folder"):
        file_of(str(tmp_path))


def test_what_needs_no_model_is_said_before_it_is_loaded(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "load", lambda *_, **__: pytest.fail("nothing is to be loaded"))
    path = tmp_path / "in.txt"
    path.write_text("text\n")
    table, there = tmp_path / "in.csv", tmp_path / "there.csv"
    table.write_text("review\nfine\n")
    there.write_text("mine")
    (tmp_path / "empty.csv").write_text("")
    for source, options, says in (
        (
            str(table),
            PredictOptions(),
            "found no column 'text': expected the text column to be",
        ),
        (str(tmp_path / "empty.csv"), PredictOptions(), "found an empty file"),
        (
            str(table),
            PredictOptions(columns=Columns("review"), output=there),
            "exists already: expected another --out",
        ),
        (
            str(table),
            PredictOptions(columns=Columns("review"), rejects=there),
            "exists already: expected another --rej",
        ),
        (
            str(table),
            PredictOptions(columns=Columns("review"), rejects=table, overwrite=True),
            "is the input",
        ),
        ("-", PredictOptions(rejects=there), "exists already: expected another --rejects"),
        ("fine", PredictOptions(output=tmp_path / "x.csv"), "--output: expected a file as the input"),
        (" ", PredictOptions(), "text: expected a text, found an empty one"),
        (str(path), PredictOptions(), "expected one of csv, tsv, jsonl, parquet, found 'txt'"),
        (str(path), PredictOptions(format="csv", output=tmp_path / "x.xls"), "found 'xls'"),
    ):
        with pytest.raises(InputError, match=says):
            predict("sentiment", source, options)
    assert (there.read_text(), table.read_text()) == ("mine", "review\nfine\n")
