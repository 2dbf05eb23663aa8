"""The predictor: the same answers alone and together, from one thread and from many."""

import logging
import threading
from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from tiny import byte_tokenizer

import gsa
from gsa.chain import pipeline as module
from gsa.data.encoder import Encoder, Prompt
from gsa.data.layout import Layout
from gsa.data.task import ASPECT, EMOTION, EMOTIONS, SARCASM, SENTIMENT, Task
from gsa.data.types import Dialogue, Example, Prediction, Truncated, Utterance
from gsa.errors import InputError
from gsa.model.backbone import LoadedModel
from gsa.model.forward import row_logits
from gsa.model.scoring import score
from gsa.prediction.inputs import dialogue, example, report_untuned_aspects
from gsa.prediction.predictor import Predictor

TALK = [
    {"speaker": "Ana", "text": "They cancelled my flight."},
    {"speaker": "Ben", "text": "Oh no."},
    {"speaker": "Ana", "text": "I love airports so much."},
]
ABOUT = replace(SENTIMENT, labels=("poor", "fine"), about="Aspect")
TEXTS = ["It was fine.", "Dreadful, all of it!", "The lamp is on the table."]
HI = example(SENTIMENT, dialogue("Hi"))


@pytest.fixture(scope="module")
def tuned_model(tuned: Path) -> Predictor:
    return gsa.load(tuned)


@pytest.fixture
def plain(model: Any) -> Predictor:
    """A predictor on a fresh random model with short prompts."""
    return Predictor(LoadedModel(model, byte_tokenizer(), "tiny"), Layout(max_tokens=600), max_row_tokens=800)


def close(one: Prediction, other: Prediction) -> bool:
    return one.label == other.label and one.probabilities == pytest.approx(other.probabilities, abs=1e-5)


def test_one_text_or_many(tuned_model: Predictor) -> None:
    one = tuned_model.sentiment(TEXTS[0])
    many = tuned_model.sentiment(TEXTS)
    assert isinstance(one, Prediction)
    assert [type(each) for each in many] == [Prediction] * 3
    assert close(one, many[0])
    assert tuned_model.sentiment([]) == []
    for each in many:
        assert list(each.probabilities) == ["negative", "neutral", "positive"]
        assert sum(each.probabilities.values()) == pytest.approx(1)
        assert each.label == max(each.probabilities, key=lambda label: each.probabilities[label])
        assert not each.truncated


def test_missing_texts_are_named_or_skipped(tuned_model: Predictor) -> None:
    texts = [TEXTS[0], None, float("nan"), "\u200b", TEXTS[1]]
    with pytest.raises(
        InputError, match=r"^input 2: expected a text, found None; with errors='skip' its pred"
    ):
        tuned_model.sentiment(texts)  # type: ignore[arg-type]
    found = tuned_model.sentiment(texts, errors="skip")  # type: ignore[arg-type]
    assert [each is None for each in found] == [False, True, True, True, False]
    assert close(found[4], tuned_model.sentiment(TEXTS[1]))
    assert tuned_model.sentiment("", errors="skip") is None
    for task in (tuned_model.sentiment, tuned_model.emotions, tuned_model.sarcasm):
        with pytest.raises(InputError, match="errors: expected one of raise, skip, found 'ignore'"):
            task("a", errors="ignore")


def test_missing_turns_are_left_out(tuned_model: Predictor) -> None:
    talk = [TALK[0], None, TALK[1]]
    emotions = tuned_model.emotions(talk, errors="skip")
    assert emotions[1] is None
    assert [emotions[0], emotions[2]] == tuned_model.emotions(TALK[:2])
    both = tuned_model.emotions([TALK[:1], None], errors="skip")  # type: ignore[list-item]
    assert [both[0][0].label, both[1]] == [emotions[0].label, None]
    sarcasm = tuned_model.sarcasm([talk, [*TALK, " "], None], errors="skip")  # type: ignore[list-item]
    assert close(sarcasm[0], tuned_model.sarcasm(TALK[:2]))
    assert sarcasm[1:] == [None, None]


def test_labels_may_be_an_array_and_are_trimmed(plain: Predictor) -> None:
    expected = plain.sentiment(TEXTS[0], ["bad", "good"])
    for labels in (np.array(["bad", "good"]), pd.Series([" bad", "good "])):
        assert close(plain.sentiment(TEXTS[0], labels), expected)
    with pytest.raises(InputError, match="labels: expected a list of texts, found 'bad'"):
        plain.sentiment(TEXTS[0], "bad")


def test_aspects_do_not_share_an_encoder_with_a_task_without(plain: Predictor) -> None:
    about = replace(SENTIMENT, about="Aspect")
    dialogue_ = dialogue(TEXTS[0])
    asked = [Example("", "sentiment", dialogue_, 0, aspect=aspect) for aspect in ("the lamp", "the table")]
    without, *answers = plain.predict([example(SENTIMENT, dialogue_), *asked], [SENTIMENT, about, about])
    assert not close(answers[0], answers[1])
    assert not close(without, answers[0])


def test_every_utterance_has_an_emotion(tuned_model: Predictor) -> None:
    found = tuned_model.emotions(TALK)
    assert len(found) == 3
    assert set(found[0].probabilities) == set(EMOTION.labels)
    both = tuned_model.emotions([TALK, TALK[:1]])
    assert [len(each) for each in both] == [3, 1]
    assert all(close(a, b) for a, b in zip(found, both[0], strict=True))
    assert close(both[1][0], found[0]), "the first turn does not know what follows"
    assert len(tuned_model.emotions("Oh no.")) == 1


def test_emotions_of_a_task_that_reads_sentences_are_those_of_its_turns(plain: Predictor) -> None:
    plain.tasks["emotion"] = alone = replace(EMOTION, context=False)
    for talk in (TALK, [turn["text"] for turn in TALK]):
        expected = plain.classify(alone, talk)
        (nested,) = plain.emotions([talk])
        for answers in (plain.emotions(talk), nested):
            assert all(close(a, b) for a, b in zip(answers, expected, strict=True))


def test_sarcasm_is_of_the_last_turn(plain: Predictor) -> None:
    labels = ("yes", "not")  # of one length, or a random model would always prefer the shorter
    one = plain.sarcasm(TALK, labels)
    assert [close(one, each) for each in plain.sarcasm([TALK, TALK[:1]], labels)] == [True, False]
    assert set(plain.sarcasm(TALK).probabilities) == set(SARCASM.labels)
    assert isinstance(plain.sarcasm("Great."), Prediction)


def test_answers_are_those_of_evaluation(plain: Predictor, model: Any) -> None:
    talk = Dialogue("d", tuple(Utterance(turn["text"], turn["speaker"]) for turn in TALK))
    prompts = Encoder(byte_tokenizer(), plain.layout, EMOTION).encode(
        [Example(str(i), "set", talk, i) for i in range(3)]
    )
    expected = score(model, prompts)
    for found, known in zip(plain.emotions(TALK), expected, strict=True):
        assert list(found.probabilities.values()) == pytest.approx(
            list(known.probabilities.values()), abs=1e-6
        )


def test_a_conversation_is_one_forward_pass(plain: Predictor, monkeypatch: pytest.MonkeyPatch) -> None:
    passes = []

    def counted(*given: Any) -> Any:
        passes.append(1)
        return row_logits(*given)

    monkeypatch.setattr("gsa.model.scoring.row_logits", counted)
    plain.emotions(TALK)
    assert len(passes) == 1


def test_examples_of_any_tasks_go_together(plain: Predictor) -> None:
    talk = dialogue(TALK)
    twin = dialogue(TALK[::-1])  # has the same id, and must not be taken for the other
    pairs = [
        (EMOTION, talk, 2), (SENTIMENT, dialogue(TEXTS[1]), 0), (EMOTION, twin, 2), (SARCASM, talk, 1),
        (EMOTION, talk, 0), (SENTIMENT, dialogue(TEXTS[0]), 0),
    ]  # fmt: skip
    examples, tasks = [example(*pair) for pair in pairs], [task for task, _, _ in pairs]
    together = plain.predict(examples, tasks)
    alone = [plain.predict([one], task)[0] for one, task in zip(examples, tasks, strict=True)]
    assert all(close(a, b) for a, b in zip(together, alone, strict=True))
    assert len({found.label for found in together} | {tuple(f.probabilities) for f in together}) > 2
    assert plain.predict([], []) == []


def test_long_lists_are_taken_in_parts(plain: Predictor, monkeypatch: pytest.MonkeyPatch) -> None:
    whole = plain.sentiment(TEXTS)
    monkeypatch.setattr(module, "CHUNK", 2)
    told: list[int] = []
    parts = plain.predict([example(SENTIMENT, dialogue(text)) for text in TEXTS], SENTIMENT, told.append)
    assert all(close(a, b) for a, b in zip(whole, parts, strict=True))
    assert told[-1] == 3
    assert told == sorted(told)


def test_what_was_cut_is_told(plain: Predictor) -> None:
    long = " ".join(["word"] * 300)
    found = plain.sentiment(f"It was fine. {long} Dreadful.", document=False)
    assert found.truncated.turns == 0
    assert 200 < found.truncated.words < 304
    talk = [f"This is turn {number}, about nothing." for number in range(20)]
    emotions = plain.emotions(talk)
    assert emotions[0].truncated == Truncated()
    assert 5 < emotions[-1].truncated.turns < 20
    assert plain.sentiment(talk)[-1].truncated == Truncated(), "a sentence is read alone"


def test_a_label_without_the_least_confidence_is_none(plain: Predictor) -> None:
    sure = {"labels": ("yes", "not"), "min_confidence": 0.0}
    unsure = {**sure, "min_confidence": 1.0}
    for known, withheld in (
        (plain.sentiment(TEXTS, **sure), plain.sentiment(TEXTS, **unsure)),
        (plain.emotions(TALK, **sure), plain.emotions(TALK, **unsure)),
        ([plain.sarcasm(TALK, **sure)], [plain.sarcasm(TALK, **unsure)]),
        ([plain.classify("sentiment", "a", **sure)], [plain.classify("sentiment", "a", **unsure)]),
    ):
        assert None not in [one.label for one in known]
        assert {one.label for one in withheld} == {None}
        assert [one.likeliest for one in withheld] == [one.label for one in known]


def test_labels_that_no_level_was_tuned_on_are_reported_once(
    plain: Predictor, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, "gsa")
    for _ in range(2):
        plain.sentiment("a", labels=["negatve", " positive"])
        plain.sentiment(["a", "b"], labels=["negative", "positive"])
        plain.emotions(["a"], labels=("joy", "ochre"))
    assert [(record.levelname, record.message) for record in caplog.records] == [
        ("WARNING", "no level was tuned on 'negatve' (did you mean 'negative'?)"),
        ("INFO", "no level was tuned on 'ochre'"),
    ]


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"instruction": 5}, "instruction: expected a text, found 5"),
        ({"instruction": None}, "instruction: expected a text, found None"),
        ({"instruction": " \n"}, r"instruction: expected a text, found ' \\n'"),
        ({"min_confidence": "0.9"}, "min_confidence: expected a number from 0 to 1, found '0.9'"),
        ({"min_confidence": float("nan")}, "min_confidence: expected a number from 0 to 1, found nan"),
        ({"task": 5}, "task: expected a name or a Task, found 5"),
    ],
)
def test_arguments_of_another_type_are_refused(plain: Predictor, change: dict[str, Any], says: str) -> None:
    arguments = {"task": "tone", "inputs": "x", "labels": ["a", "b"], "instruction": "Which?", **change}
    with pytest.raises(InputError, match=says):
        plain.classify(**arguments)


def test_white_space_around_an_instruction_is_not_read(plain: Predictor) -> None:
    assert plain.task("tone", ["a", "b"], " Which?\n") == plain.task("tone", ["a", "b"], "Which?")


def test_own_labels_and_tasks(tuned_model: Predictor) -> None:
    assert set(tuned_model.sentiment("Fine.", labels=["bad", "good"]).probabilities) == {"bad", "good"}
    found = tuned_model.classify(
        "urgency",
        ["Call me now!", "No hurry."],
        labels=["urgent", "can wait"],
        instruction="How urgent is it?",
    )
    assert [list(each.probabilities) for each in found] == [["urgent", "can wait"]] * 2
    task = Task("urgency", 4, "How urgent is it?", ("urgent", "can wait"), context=False)
    assert close(tuned_model.classify(task, "Call me now!"), found[0])
    assert len(tuned_model.classify("emotion", [TALK, TALK])) == 2


def test_a_question_of_ones_own_about_a_conversation(plain: Predictor) -> None:
    own = {"labels": ("urgent", "can wait"), "instruction": "How urgent is it?"}
    found = plain.classify("urgency", TALK, context=True, **own)
    assert isinstance(found, Prediction)
    task = gsa.Task("urgency", 4, own["instruction"], own["labels"])
    assert close(found, plain.predict([example(task, dialogue(TALK), 2)], task)[0])
    assert not close(found, plain.classify("urgency", TALK[-1:], context=True, **own)), "it is read"
    assert len(plain.classify("urgency", [TALK, TALK], context=True, **own)) == 2
    assert len(plain.classify("urgency", TALK, **own)) == 3, "without it each turn is a text of its own"


def test_pairs_and_iterables_are_read_as_lists_of_turns(plain: Predictor) -> None:
    pairs = [(turn["speaker"], turn["text"]) for turn in TALK]
    for found in (plain.emotions(pairs), plain.emotions(iter(TALK))):
        assert all(close(a, b) for a, b in zip(found, plain.emotions(TALK), strict=True))
    assert [len(each) for each in plain.emotions(iter([pairs, iter(pairs)]))] == [3, 3]
    assert close(plain.sarcasm(pairs), plain.sarcasm(TALK))
    assert len(plain.sentiment(text for text in TEXTS)) == 3


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (("sentimnt", "a"), r"task 'sentimnt': unknown \(did you mean 'sentiment'\?\): expected one of"),
        (("sentiment", ""), "input: expected a text, found an empty one"),
        (("sentiment", ["a", ""]), "input 2: expected a text"),
        (("emotion", [["a"], ["b", " "]]), "input 2 turn 2: expected a text"),
        (("sentiment", "a", ["one"]), "expected two or more distinct, non-empty labels"),
        (("new", "a", (), "What is it?"), "expected two or more distinct, non-empty labels"),
        (("sentiment", 5), "expected one turn or more, found 5"),
    ],
)
def test_bad_input_is_one_sentence(plain: Predictor, words: tuple[Any, ...], says: str) -> None:
    with pytest.raises(InputError, match=says):
        plain.classify(*words)


def test_threads_take_turns(plain: Predictor) -> None:
    asked = [(TEXTS[i % 3] + "!" * i, TALK[: 1 + i % 3]) for i in range(8)]
    expected = [(plain.sentiment(text), plain.emotions(talk)) for text, talk in asked]
    found: list[Any] = [None] * 8

    def ask(i: int) -> None:
        found[i] = (plain.sentiment(asked[i][0]), plain.emotions(asked[i][1]))

    threads = [threading.Thread(target=ask, args=(i,)) for i in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert found == expected


def test_texts_are_encoded_while_the_model_is_busy(plain: Predictor, monkeypatch: pytest.MonkeyPatch) -> None:
    busy, go = threading.Event(), threading.Event()

    def held(*given: Any) -> list[Prediction]:
        busy.set()
        assert go.wait(30)
        return score(*given)

    monkeypatch.setattr(module, "score", held)
    model = threading.Thread(target=plain.sentiment, args=(TEXTS[0],))
    model.start()
    assert busy.wait(30)
    encoding = threading.Thread(
        target=plain.pipeline.encode, args=([example(SENTIMENT, dialogue("So."), 0)], SENTIMENT)
    )
    encoding.start()
    encoding.join(10)
    encoded = not encoding.is_alive()
    go.set()
    for thread in (model, encoding):
        thread.join(30)
    assert encoded


def test_encoders_are_kept_but_not_forever(plain: Predictor, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "ENCODERS", 2)
    plain.sentiment("Fine.")
    mine = plain.pipeline._encoder(SENTIMENT)
    for name in "abc":
        plain.sentiment("Fine.", labels=[f"{name}1", f"{name}2"])
        assert plain.pipeline._encoder(SENTIMENT) is mine, "what is asked often is not made again"
    assert len(plain.pipeline._encoders) == 2
    assert len(plain.pipeline._token_counts.lines) == 1, "a line is counted once for all tasks"


class CountingTokenizer:
    """A tokenizer that counts how often it reads each text."""

    def __init__(self) -> None:
        self.texts: Counter[str] = Counter()
        self._tokenizer = byte_tokenizer()

    def __call__(self, texts: list[str], **options: Any) -> Any:
        self.texts.update(texts)
        return self._tokenizer(texts, **options)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._tokenizer, name)


@pytest.fixture
def encoding(model: Any, monkeypatch: pytest.MonkeyPatch) -> Predictor:
    """A predictor that encodes and does not score."""

    def score(model: Any, prompts: Sequence[Prompt], *_: Any) -> list[Prediction]:
        return [Prediction("joy", {"joy": 1.0}) for _ in prompts]

    monkeypatch.setattr(module, "score", score)
    return Predictor(LoadedModel(model, CountingTokenizer(), "tiny"), Layout(max_tokens=600))


def test_the_length_of_each_turn_is_counted_once(encoding: Predictor) -> None:
    turns = [f"This is turn {number}." for number in range(200)]
    encoding.emotions(turns)
    assert [encoding.tokenizer.texts[turn] for turn in turns] == [1] * 200


@pytest.mark.parametrize("interleaved", [False, True])
def test_encoding_takes_work_linear_in_the_number_of_turns(
    encoding: Predictor, interleaved: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    lines = 0
    line = Utterance.line

    def count(self: Utterance) -> str:
        nonlocal lines
        lines += 1
        return line(self)

    monkeypatch.setattr(Utterance, "line", count)

    def work(turns: int) -> tuple[int, int]:
        """Return the lines made and the characters tokenised for two conversations."""
        nonlocal lines
        lines = 0
        encoding.tokenizer.texts.clear()
        pair = [dialogue([f"{name} {number:05}" for number in range(turns)]) for name in "ab"]
        examples = [example(EMOTION, talk, target) for talk in pair for target in range(turns)]
        if interleaved:
            examples = [examples[i % 2 * turns + i // 2] for i in range(2 * turns)]
        predictions = encoding.predict(examples, EMOTION)
        assert len(predictions) == 2 * turns
        return lines, sum(len(text) * n for text, n in encoding.tokenizer.texts.items())

    work(10)  # the encoder is made
    (short_lines, short_characters), (long_lines, long_characters) = work(300), work(600)
    assert long_lines < 2.2 * short_lines
    assert long_characters < 2.2 * short_characters


def test_every_aspect_of_a_text_has_a_polarity(plain: Predictor) -> None:
    both = plain.aspects("The food was great, the service slow.", ["food", "service"])
    assert [list(each.probabilities) for each in both] == [["negative", "neutral", "positive"]] * 2
    many = plain.aspects(["Good food.", "Bad soup, fine wine."], [["food"], ["soup", "wine"]])
    assert [len(each) for each in many] == [1, 2]
    assert close(many[1][1], plain.aspects("Bad soup, fine wine.", ["wine"])[0])
    assert list(plain.aspects("Fine.", ["food"], ["bad", "good"])[0].probabilities) == ["bad", "good"]


def test_aspects_that_no_level_was_tuned_on_are_said_once(
    plain: Predictor, caplog: pytest.LogCaptureFixture
) -> None:
    report_untuned_aspects.cache_clear()
    for _ in range(2):
        plain.aspects("The food was great.", ["food"])
    plain.tasks[ASPECT.name] = ASPECT
    plain.aspects("The food was great.", ["food"])
    (message,) = caplog.messages
    assert message.startswith("no level was tuned on a question about an aspect")


@pytest.mark.parametrize(
    ("tuned", "name"),
    [
        ([SENTIMENT], "aspect"),
        ([ABOUT, EMOTION, EMOTIONS], "sentiment"),
        ([ABOUT, replace(ABOUT, name="aspect", labels=("bad", "good"))], "aspect"),
        ([ABOUT, replace(ABOUT, name="quality")], "aspect"),
    ],
)
def test_aspects_are_asked_with_the_tuned_task_about_them(
    plain: Predictor, tuned: list[Task], name: str
) -> None:
    plain.tasks = {task.name: task for task in tuned}
    task = plain.aspect_task()
    assert task == plain.tasks.get(name, ASPECT)
    example = Example("", task.name, dialogue("The lamp is fine."), 0, aspect="lamp")
    assert close(plain.aspects("The lamp is fine.", ["lamp"])[0], plain.predict([example], task)[0])


@pytest.mark.parametrize(
    ("text", "aspects", "sentence"),
    [
        ("Fine.", "food", "expected a list of aspects"),
        ("Fine.", 5, "expected a list of aspects"),
        (None, ["food"], "input: expected a text, found None"),
        (["Fine.", None], [["food"], ["food"]], "input 2: expected .* found None"),
        ("Fine.", ["caf\udce9"], "input: aspects: expected text, found the byte 0xE9"),
        (["One.", "Two."], 5, "aspects: expected a list of aspects for each text, found 5"),
        ("Fine.", ["food", " "], "none of them empty"),
        ("", ["food"], "expected a text, found an empty one"),
        (["One.", "Two."], [["food"]], "found 2 texts and 1 lists of aspects"),
    ],
)
def test_aspects_that_are_none_are_refused(plain: Predictor, text: Any, aspects: Any, sentence: str) -> None:
    with pytest.raises(InputError, match=sentence):
        plain.aspects(text, aspects)


def test_the_text_of_several_aspects_is_read_once(plain: Predictor, monkeypatch: pytest.MonkeyPatch) -> None:
    prompts: list[Prompt] = []
    monkeypatch.setattr(module, "score", lambda model, p, *args: prompts.extend(p) or score(model, p, *args))
    plain.aspects("The food was great, the service slow.", ["food", "service"])
    assert prompts[0].example.dialogue is prompts[1].example.dialogue


def test_a_task_of_several_labels_gives_all_that_hold(plain: Predictor) -> None:
    task = EMOTIONS.with_labels("joy", "love", "fear")
    one = plain.classify(task, "Hurrah!")
    assert set(one.label.split(",")) <= {"joy", "love", "fear"}
    assert list(one.probabilities) == ["joy", "love", "fear"]
    examples = [Example("", "", dialogue(text), 0) for text in TEXTS]
    mixed = plain.predict([*examples, *examples], [task] * 3 + [SENTIMENT] * 3)
    assert all(close(a, b) for a, b in zip(mixed[:3], plain.classify(task, TEXTS), strict=True))
    assert all(close(a, b) for a, b in zip(mixed[3:], plain.sentiment(TEXTS), strict=True))


def test_a_text_in_another_language_is_marked(plain: Predictor) -> None:
    german, english = plain.sentiment(
        ["Die Rechnung ist am Freitag fällig.", "The invoice is due on Friday."]
    )
    assert (german.language, english.language) == ("de", "")


def test_predict_takes_names_of_tasks(plain: Predictor) -> None:
    examples = [example(SENTIMENT, dialogue(text)) for text in TEXTS[:2]]
    by_name = plain.predict(examples, "sentiment")
    assert by_name == plain.predict(examples, SENTIMENT)
    mixed = plain.predict(examples, ["sentiment", EMOTION])
    assert mixed[0].probabilities == pytest.approx(by_name[0].probabilities, abs=1e-5)
    assert list(mixed[1].probabilities) == list(EMOTION.labels)


@pytest.mark.parametrize(
    ("examples", "tasks", "says"),
    [
        (["Hi"], "sentiment", "example 1: expected an Example, found 'Hi'"),
        ("Hi", "sentiment", "examples: expected a list of Examples, found 'Hi'"),
        (None, "sentiment", "examples: expected a list of Examples, found None"),
        ([HI], "sentimnt", r"task 'sentimnt': unknown \(did you mean 'sentiment'\?\)"),
        ([HI], None, "task: expected a name or a Task, found None"),
        ([HI], [5], "task: expected a name or a Task, found 5"),
        ([HI], ["sentiment"] * 2, "or one an example, found 2 for 1 examples"),
    ],
)
def test_predict_refuses_what_is_no_example_or_task(
    plain: Predictor, examples: Any, tasks: Any, says: str
) -> None:
    with pytest.raises(InputError, match=says):
        plain.predict(examples, tasks)
