"""What `gsa predict` does with a text, a file and a stream."""

import io
import json
import logging
import re
import shutil
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

import gsa
from gsa.chain.chain import Chain
from gsa.cli import labelling as module
from gsa.cli.labelling import file_of, label
from gsa.cli.predict_options import PredictOptions
from gsa.data.task import ASPECT, EMOTION, EMOTIONS
from gsa.data.types import Prediction
from gsa.datasets.records import Columns, ReadOptions
from gsa.errors import InputError
from gsa.prediction.parts import RowCounts

REVIEW = ReadOptions("", Columns("review"))


@pytest.fixture
def options(tuned: Path) -> PredictOptions:
    return PredictOptions(model=str(tuned))


def test_a_text_is_a_line_of_labels(options: PredictOptions) -> None:
    said, succeeded = label("sentiment", "It was fine.", options)
    assert succeeded
    names, chances = said.split()[::2], [float(p) for p in said.split()[1::2]]
    assert set(names) == {"negative", "neutral", "positive"}
    assert chances == sorted(chances, reverse=True)
    long, _ = label("emotion", "word " * 3000, options)
    assert long.endswith("words not read)")


@pytest.mark.usefixtures("native_bfloat16")
def test_the_precision_is_reported(tuned: Path, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, "gsa")
    exact, _ = label(
        "sentiment", "Fine.", PredictOptions(model=str(tuned), precision="float32", as_json=True)
    )
    assert caplog.messages == []
    fast, _ = label("sentiment", "Fine.", PredictOptions(model=str(tuned), as_json=True))
    assert caplog.messages == ["precision bfloat16"]
    probabilities = json.loads(exact)["probabilities"]
    assert json.loads(fast)["probabilities"] == pytest.approx(probabilities, abs=0.02)


def test_a_text_as_json(tuned: Path) -> None:
    said = json.loads(label("sarcasm", "Lovely.", PredictOptions(model=str(tuned), as_json=True, level=1))[0])
    assert set(said) == {"label", "probabilities", "truncated", "language"}
    assert said["truncated"] == {"turns": 0, "words": 0}


def test_aspects_of_a_text_are_a_line_each(tuned: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    predictor = gsa.load(str(tuned))
    predictor.tasks[ASPECT.name] = ASPECT
    monkeypatch.setattr("gsa.cli.predict_options.load", lambda *_: predictor)
    text = "The food was great, the service slow."
    asked = PredictOptions(aspects=("food", "service"))
    lines = label("aspect", text, asked)[0].splitlines()
    assert [line.split(":")[0] for line in lines] == ["food", "service"]
    said = json.loads(label("aspect", text, replace(asked, as_json=True))[0])
    expected = predictor.aspects(text, ["food", "service"])
    assert [one["aspect"] for one in said] == ["food", "service"]
    for one, prediction in zip(said, expected, strict=True):
        assert one["probabilities"] == pytest.approx(prediction.probabilities)
    for task, change, says in (
        ("aspect", {"aspects": ()}, "task 'aspect': expected --aspect, what in the text is asked about"),
        ("sentiment", {}, "--aspect: task 'sentiment' is about the text: expected a task about an aspect"),
        ("aspect", {"explain": True}, "--explain, --document: expected a task about the text"),
        ("aspect", {"aspects": (" ",)}, "input: expected a list of aspects, none of them empty"),
    ):
        with pytest.raises(InputError, match=says):
            label(task, text, replace(asked, **change))


def test_labels_that_hold_at_once_are_those_of_the_line(tuned: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    predictor = gsa.load(str(tuned))
    task = predictor.tasks["feelings"] = EMOTIONS.with_labels("joy", "love", "fear")
    chances = {"joy": 0.75, "love": 0.5, "fear": 0.25}
    asked: list[Any] = []

    def predict(examples: Any, tasks: Any, *_: Any) -> list[Prediction]:
        asked.append(tasks)
        return [Prediction("joy,love", chances, language="de")]

    monkeypatch.setattr(predictor, "predict", predict)
    monkeypatch.setattr("gsa.cli.predict_options.load", lambda *_: predictor)
    said, _ = label("feelings", "Ich liebe es.", PredictOptions())
    assert said == "joy 0.75  love 0.50  (not English but 'de': a guess)"
    content = json.loads(label("feelings", "Ich liebe es.", PredictOptions(as_json=True))[0])
    assert (content["label"], content["probabilities"], content["language"]) == ("joy,love", chances, "de")
    assert asked == [task, task]
    with pytest.raises(InputError, match="--aspect: task 'emotions' is about the text"):
        label("feelings", "Fine.", PredictOptions(aspects=("food",)))


def test_a_text_is_explained(options: PredictOptions) -> None:
    explained = replace(options, explain=True)
    first, *lines = label("sentiment", "It was fine.", explained)[0].splitlines()
    assert first == label("sentiment", "It was fine.", options)[0]
    assert [line.split()[-1] for line in lines] == ["It", "was", "fine."]
    assert {len(line.split()[1]) for line in lines if len(line.split()) == 3} >= {10}, "the strongest word"
    content = json.loads(label("sentiment", "It was fine.", replace(explained, as_json=True))[0])
    assert content["words"] == ["It", "was", "fine."]
    assert [f"{effect:+.2f}" for effect in content["effects"]] == [line.split()[0] for line in lines]


def test_a_label_is_withheld_and_its_probabilities_are_not(options: PredictOptions, tmp_path: Path) -> None:
    unsure = replace(options, min_confidence=1.0)
    assert label("sentiment", "Fine.", unsure)[0].endswith("(not sure enough for a label)")
    assert json.loads(label("sentiment", "Fine.", replace(unsure, as_json=True))[0])["label"] is None
    source, out = tmp_path / "in.csv", tmp_path / "out.csv"
    source.write_text("text\nFine.\nBad.\n")
    said, _ = label("sentiment", str(source), replace(unsure, output=out))
    assert "2 of them without a label (below --min-confidence)" in said
    header, *rows = out.read_text().splitlines()
    assert header.startswith("text,predicted,p_negative,")
    assert [row.split(",")[1] for row in rows] == ["", ""]
    assert all(float(row.split(",")[2]) for row in rows)


def test_a_conversation_to_standard_output(
    options: PredictOptions, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, "gsa")
    chat = tmp_path / "chat.jsonl"
    chat.write_text(json.dumps({"turns": [{"speaker": "Ana", "text": "Hi"}, {"text": "Oh no!"}]}) + "\nbad\n")
    out = io.BytesIO()
    monkeypatch.setattr(module.sys, "stdout", SimpleNamespace(buffer=out))
    assert label("emotion", str(chat), options) == ("", True)
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
    label("sentiment", "-", PredictOptions(model=str(tuned), read=ReadOptions("csv", Columns("review"))))
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
    monkeypatch.setattr(
        "gsa.cli.predict_options.load", lambda *_, **__: pytest.fail("nothing is to be loaded")
    )
    path = tmp_path / "in.md"
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
            PredictOptions(read=REVIEW, output=there),
            "exists already: expected another --out",
        ),
        (
            str(table),
            PredictOptions(read=REVIEW, rejects=there),
            "exists already: expected another --rej",
        ),
        (
            str(table),
            PredictOptions(read=REVIEW, rejects=table, overwrite=True),
            "is the input",
        ),
        ("-", PredictOptions(rejects=there), "exists already: expected another --rejects"),
        ("fine", PredictOptions(output=tmp_path / "x.csv"), "--output: expected a file as the input"),
        (str(table), PredictOptions(explain=True), "--explain: expected a text as the input, found a file"),
        (
            str(table),
            PredictOptions(aspects=("x",)),
            "--aspect: expected a text as the input, found a file; -",
        ),
        (" ", PredictOptions(), "text: expected a text, found an empty one"),
        (
            str(path),
            PredictOptions(),
            "expected one of csv, tsv, jsonl, parquet, xlsx, txt, chat, found 'md'",
        ),
        (str(path), PredictOptions(read=ReadOptions("csv"), output=tmp_path / "x.xls"), "found 'xls'"),
    ):
        with pytest.raises(InputError, match=says):
            label("sentiment", source, options)
    assert (there.read_text(), table.read_text()) == ("mine", "review\nfine\n")


def test_nothing_labelled_is_no_success(options: PredictOptions, tmp_path: Path) -> None:
    path = tmp_path / "in.csv"
    for rows, succeeded in ((" \n,\n", False), (" \nfine\n", True), ("", True)):
        path.write_text(f"text\n{rows}")
        result = label("sentiment", str(path), replace(options, output=tmp_path / "out.csv", overwrite=True))
        assert result[1] is succeeded


def test_a_pasted_chat_is_a_conversation_for_a_task_that_reads_one(options: PredictOptions) -> None:
    chat = "[12:04] Anna: hi\n[12:05] Ben: oh no\n"
    said, _ = label("emotion", chat, options)
    lines = said.split("\n")
    assert lines[::2] == ["Anna: hi", "Ben: oh no"]
    assert all(set(line.split()[::2]) == set(EMOTION.labels) for line in lines[1::2])
    objects = json.loads(label("emotion", chat, replace(options, as_json=True))[0])
    assert len(objects) == 2
    assert isinstance(json.loads(label("sentiment", chat, replace(options, as_json=True))[0]), dict)
    assert isinstance(json.loads(label("emotion", "Oh no: a text", replace(options, as_json=True))[0]), dict)


def test_a_file_is_summed_up_by_label(options: PredictOptions, tmp_path: Path) -> None:
    path, out = tmp_path / "in.txt", tmp_path / "out.csv"
    path.write_text("fine\nbad\nwell\n")
    said, _ = label("sentiment", str(path), replace(options, output=out, min_probability=1.0))
    assert re.search(r"3 rows labelled in \d+ s \(.*\), 0 of them written, none rejected$", said)
    counts = [int(count) for count in re.findall(r"(?:negative|neutral|positive) (\d)", said)]
    assert sum(counts) == 3
    assert out.read_text().startswith("text,predicted,")
    with pytest.raises(InputError, match=r"--only 'negativ' \(did you mean 'negative'\?\): expected one of"):
        label("sentiment", str(path), replace(options, output=out, only=("negativ",), overwrite=True))


def test_blank_lines_are_counted_in_the_summary(
    options: PredictOptions, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    path, out = tmp_path / "in.txt", tmp_path / "out.csv"
    path.write_text("\nfine\n \n\n\nbad\n" + "\n" * 1200)
    said, _ = label("sentiment", str(path), replace(options, output=out))
    assert re.search(r"2 rows labelled in \d+ s \(.*\), 1,204 blank lines skipped, none rejected$", said)
    caplog.set_level(logging.INFO, "gsa")
    stream = io.TextIOWrapper(io.BytesIO(b"fine\n\nbad\n"))
    monkeypatch.setattr("sys.stdin", stream)
    label("sentiment", "-", replace(options, read=replace(options.read, format="txt")))
    assert re.search(r"2 rows labelled .*, 1 blank line skipped, none rejected$", caplog.messages[-1])


def test_the_summary_of_many_labels_is_short() -> None:
    counts = RowCounts(78, 0, labels={f"l{i}": i for i in range(13)})
    said = module.summary(counts, 1, None)
    assert said == (
        "78 rows labelled in 1 s (l12 12, l11 11, l10 10, l9 9, l8 8, l7 7, l6 6, l5 5, l4 4, l3 3, "
        "3 more labels), none rejected"
    )


def test_a_table_of_turns_without_their_conversations_says_so(
    options: PredictOptions, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.WARNING, "gsa")
    path = tmp_path / "in.csv"
    path.write_text("text,speaker,dialogue_id\nhi,Ana,1\n")
    for task, header, warned in (
        ("emotion", "text,speaker,dialogue_id", False), ("emotion", "text,speaker,talk", True),
        ("sentiment", "text,speaker,talk", False), ("emotion", "text,who,talk", False),
    ):  # fmt: skip
        caplog.clear()
        path.write_text(f"{header}\nhi,Ana,1\n")
        label(task, str(path), replace(options, output=tmp_path / "out.csv", overwrite=True))
        messages = [
            message for message in caplog.messages if "--dialogue-id COLUMN names the conv" in message
        ]
        assert len(messages) == warned


def test_labels_that_no_level_was_tuned_on_are_reported(
    options: PredictOptions, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, "gsa")
    label("sentiment", "Fine.", replace(options, labels=["positve", " negative", "mauve"]))
    assert [(record.levelname, record.message) for record in caplog.records] == [
        ("WARNING", "no level was tuned on 'positve' (did you mean 'positive'?), 'mauve'")
    ]
    caplog.clear()
    label("sentiment", "Fine.", replace(options, labels=["positive", "negative"]))
    assert caplog.records == []


def test_rows_with_labels_that_no_level_was_tuned_on_are_counted(
    options: PredictOptions, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, "gsa")
    source, out = tmp_path / "rows.csv", tmp_path / "out.jsonl"
    source.write_text('text,choices\na,"positve,mauve"\nb,"positive,negative"\nc,"positive,grey"\nd,\n')
    read = ReadOptions("", Columns("text", labels="choices"))
    line, _ = label("sentiment", str(source), replace(options, read=read, output=out))
    assert (
        "2 of them with other labels (no level was tuned on 'positve' (did you mean 'positive'?), 'mauve')"
        in line
    )
    assert "no level was tuned on" not in caplog.text, "the labels 'yes' and 'no' were typed by nobody"


def test_names_without_times_are_speakers_only_for_tasks_that_read_conversations(
    options: PredictOptions, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, "gsa")
    review, out = tmp_path / "review.txt", tmp_path / "out.csv"
    review.write_text("Pros: light\nCons: the zip broke\n")
    label("sentiment", str(review), replace(options, output=out))
    assert caplog.text.count("review.txt: read as one text a line, though lines look like turns") == 1
    assert [line.split(",")[0] for line in out.read_text().splitlines()] == [
        "text", "Pros: light", "Cons: the zip broke",
    ]  # fmt: skip
    for task, read in (("emotion", ReadOptions("")), ("sentiment", ReadOptions("chat"))):
        label(task, str(review), replace(options, output=out, read=read, overwrite=True))
        assert [line.split(",")[2:4] for line in out.read_text().splitlines()[1:]] == [
            ["Pros", "light"], ["Cons", "the zip broke"],
        ]  # fmt: skip
    chat = "12/03/24, 12:00 - Calls are encrypted.\n12/03/24, 12:04 - Ana: Hi\n12/03/24, 12:05 - Ben: Oh\n"
    review.write_text(chat)
    for task in ("sentiment", "emotion"):
        label(task, str(review), replace(options, output=out, overwrite=True))
        assert [line.split(",")[2:4] for line in out.read_text().splitlines()[1:]] == [
            ["", "Calls are encrypted."], ["Ana", "Hi"], ["Ben", "Oh"],
        ]  # fmt: skip


def test_what_no_tokenizer_can_read_is_one_sentence(options: PredictOptions) -> None:
    question = {"labels": ["good", "caf\udce9"], "instruction": "How?"}
    for change, location in ((question, "labels"), ({"instruction": "Wh\udce9?"}, "instruction")):
        with pytest.raises(InputError, match=f"^{location}: expected text, found the byte 0xE9 "):
            label("sentiment", "Fine.", replace(options, **change))


def test_a_chat_is_reported_once(
    options: PredictOptions, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, "gsa")
    chat, out = tmp_path / "chat.txt", tmp_path / "out.csv"
    chat.write_text("Ana: Hi\n\nBen: Oh no\n")
    label("emotion", str(chat), replace(options, output=out))
    assert caplog.text.count("read as one conversation") == 1
    assert [line.split(",")[:4] for line in out.read_text().splitlines()[1:]] == [
        ["chat", "1", "Ana", "Hi"], ["chat", "2", "Ben", "Oh no"],
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("change", "name"),
    [
        ({"only": ("negative",)}, "--only"),
        ({"min_probability": 0.99}, "--min"),
        ({"rejects": Path("bad.jsonl")}, "--rejects"),
        ({"prefix": "gsa_"}, "--prefix"),
        ({"overwrite": True}, "--overwrite"),
        ({"read": ReadOptions("", Columns("review"))}, "--text"),
        ({"read": ReadOptions("", Columns(labels="choices"))}, "--labels-column"),
        ({"read": ReadOptions("chat")}, "--format"),
        ({"read": ReadOptions("", quotes=False)}, "--no-quotes"),
    ],
)
def test_options_of_files_are_refused_with_a_text(
    options: PredictOptions, change: dict[str, Any], name: str
) -> None:
    with pytest.raises(InputError) as error:
        label("sentiment", "It was fine.", replace(options, **change))
    assert str(error.value) == f"{name}: expected a file as the input, or no {name} for a text"


def test_rows_with_instructions_and_labels_need_none_of_the_command(
    options: PredictOptions, tmp_path: Path
) -> None:
    (tmp_path / "rows.csv").write_text(
        'text,ask,choices\nGood food,How is it?,"good,bad"\nBad,Really?,"yes,no"\n'
    )
    read = ReadOptions("", Columns("text", instruction="ask", labels="choices"))
    out = tmp_path / "out.jsonl"
    label("mood", str(tmp_path / "rows.csv"), replace(options, read=read, output=out))
    rows = [json.loads(line) for line in out.read_text().splitlines()]
    assert rows[0]["predicted"] in ("good", "bad")
    assert rows[1]["predicted"] in ("yes", "no")


@pytest.mark.parametrize("task", ["sentiment", "mood"])
def test_a_blank_instruction_is_refused(options: PredictOptions, tmp_path: Path, task: str) -> None:
    (tmp_path / "in.csv").write_text("text,choices\nGood,yes;no\n")
    options = replace(options, instruction=" ", read=ReadOptions("", Columns(labels="choices")))
    with pytest.raises(InputError, match="instruction: expected a text, found ' '"):
        label(task, str(tmp_path / "in.csv"), options)


def test_links_that_lead_to_one_another_are_refused(options: PredictOptions, tmp_path: Path) -> None:
    (tmp_path / "in.csv").write_text("text\nGood\n")
    loop = tmp_path / "loop.csv"
    loop.symlink_to(loop)
    with pytest.raises(InputError, match="a symbolic link that leads to itself"):
        label("sentiment", str(tmp_path / "in.csv"), replace(options, output=loop))


def test_a_stream_that_is_not_jsonl_names_the_option(
    options: PredictOptions, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sys.stdin", SimpleNamespace(buffer=io.BytesIO(b"Good.\nBad.\n")))
    with pytest.raises(InputError, match="--format csv or txt reads a table, or a text a line"):
        label("sentiment", "-", options)


def test_a_run_without_a_finished_level_is_told(
    tuned: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    root = Path(shutil.copytree(tuned, tmp_path / "run"))
    replace(Chain.read(root), links=()).write()
    label("sentiment", "Fine.", PredictOptions(model=str(root)))
    assert "has no finished level yet: its labels are those of the untuned backbone" in caplog.text
    assert "no level was tuned on the task 'sentiment'" in caplog.text
