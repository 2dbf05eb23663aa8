"""Variants change the writing, never the label, and what is drawn depends on seed and dialogue alone."""

from random import Random

import pytest

from gsa.data import augmentation
from gsa.data.augmentation import (
    MAIL,
    NAMES,
    WRITING,
    augment,
    augment_examples,
    drop_speakers,
    rename_speakers,
    vary,
)
from gsa.data.types import Dialogue, Example, Utterance, sentence

TEXT = """It's "fine", isn't it? We said so."""
TALK = Dialogue("d", (Utterance("Hello.", "Jo"), Utterance("Bye.", "Al"), Utterance("Wait!", "Jo")))


@pytest.mark.parametrize(
    ("name", "varied"),
    [
        ("upper", """IT'S "FINE", ISN'T IT? WE SAID SO."""),
        ("lower", """it's "fine", isn't it? we said so."""),
        ("title", """It's "fine", Isn't It? We Said So."""),
        ("no_final_mark", """It's "fine", isn't it? We said so"""),
        ("no_marks", """It's "fine" isn't it We said so"""),
        ("curly", "It’s “fine”, isn’t it? We said so."),
        ("spaced", """It's "fine" , isn't it ? We said so ."""),
        ("straight", TEXT),
    ],
)
def test_writing(name: str, varied: str) -> None:
    assert getattr(augmentation, name)(TEXT, Random(0)) == varied


def test_straight_undoes_curly() -> None:
    assert augmentation.straight(augmentation.curly(TEXT, Random(0)), Random(0)) == TEXT


def test_emphasis_writes_one_long_word_in_capitals() -> None:
    assert augmentation.emphasis("a warm day", Random(0)) == "a WARM day"
    assert augmentation.emphasis("a hot day", Random(0)) == "a hot day"


@pytest.mark.parametrize(
    ("text", "ends"), [("So late?", ("??", "???", "????")), ("Late.", ("!!", "!!!", "!!!!", "..."))]
)
def test_the_final_mark_is_repeated(text: str, ends: tuple[str, ...]) -> None:
    found = {augmentation.repeated_final_mark(text, Random(seed)) for seed in range(60)}
    assert found == {text[:-1] + end for end in ends}


@pytest.mark.parametrize("variant", [*WRITING, *MAIL])
@pytest.mark.parametrize("text", ["", " ", "!", "...", "😡", "ß", "no end", "\u201ca\u201d"])
def test_odd_texts_are_no_error_and_never_lost(variant: augmentation.TextVariant, text: str) -> None:
    varied = variant(text, Random(1))
    assert bool(varied.strip()) >= bool(text.strip())


def test_a_mail_keeps_its_text_between_greeting_and_sign_off() -> None:
    for seed in range(30):
        varied = augmentation.mail("Rain fell.", Random(seed))
        assert "Rain fell." in varied
        assert not varied.startswith("Rain")
        assert not varied.endswith("fell.")
        assert "{" not in varied


def test_half_of_the_openings_go_on_small_after_a_greeting() -> None:
    varied = [augmentation.greeting("The bus left.", Random(seed)) for seed in range(60)]
    assert {text[-len("The bus left.") :] for text in varied} == {"The bus left.", "the bus left."}


def test_speakers_are_exchanged_in_all_turns_alike_or_dropped() -> None:
    renamed = rename_speakers(TALK, Random(3))
    first, second, third = (turn.speaker for turn in renamed.turns)
    assert first == third != second
    assert {first, second} <= set(NAMES)
    assert [turn.text for turn in renamed.turns] == [turn.text for turn in TALK.turns]
    assert {turn.speaker for turn in drop_speakers(TALK, Random(0)).turns} == {""}
    many = Dialogue("m", tuple(Utterance("a", f"s{i}") for i in range(len(NAMES) + 1)))
    assert rename_speakers(many, Random(0)) is many


def test_label_id_and_target_stay() -> None:
    examples = [sentence("The bus left.", "a", "x", "neutral"), Example("b", "x", TALK, 1, "joy")]
    for seed in range(40):
        for example in examples:
            varied = augment(example, Random(seed))
            assert (varied.id, varied.dataset, varied.target, varied.label) == (
                example.id, example.dataset, example.target, example.label,
            )  # fmt: skip
            assert len(varied.dialogue.turns) == len(example.dialogue.turns)


def test_a_dialogue_never_becomes_a_mail() -> None:
    texts = {
        turn.text
        for seed in range(80)
        for turn in augment(Example("b", "x", TALK, 1), Random(seed)).dialogue.turns
    }
    assert not [text for text in texts if len(text) > 12]


def test_vary_gives_mails_in_the_share_that_is_asked() -> None:
    rng = Random(0)
    assert not [text for text in (vary("Rain fell.", rng, 0.0) for _ in range(200)) if len(text) > 14]
    assert all(len(vary("Rain fell.", rng, 1.0)) > len("Rain fell.") for _ in range(200))


def test_examples_of_one_dialogue_share_the_variant_and_order_does_not_matter() -> None:
    turns = [Example(f"b{i}", "x", TALK, i, "joy") for i in range(3)]
    lone = [sentence(f"Text {i} is here.", f"s{i}", "x", "neutral") for i in range(200)]
    varied = augment_examples([*turns, *lone], 0.5, seed=1)
    assert len({id(example.dialogue) for example in varied[:3]}) == 1
    changed = sum(before.dialogue != after.dialogue for before, after in zip(lone, varied[3:], strict=True))
    assert 70 <= changed <= 120
    assert augment_examples([*lone, *turns], 0.5, seed=1) == [*varied[3:], *varied[:3]]
    assert augment_examples(lone, 0.0, seed=1) == lone
    assert augment_examples(lone, 0.5, seed=2) != varied[3:]


def test_each_named_variant_has_its_own_share_and_mails_leave_conversations_as_they_are() -> None:
    lone = [sentence(f"Text {i} is here.", f"s{i}", "x", "neutral") for i in range(400)]
    shares = {"upper_case": 0.2, "no_final_mark": 0.3}
    texts = [example.utterance.text for example in augment_examples(lone, shares, seed=1)]
    assert 55 <= sum(text.isupper() for text in texts) <= 105
    assert 90 <= sum(text.endswith("here") for text in texts) <= 150
    assert sum(text == example.utterance.text for text, example in zip(texts, lone, strict=True)) >= 150
    talk = [Example("b", "x", TALK, 1, "joy")]
    assert augment_examples(talk, {"mail": 1.0}, seed=1) == talk
    assert all(
        turn.text.isupper() for turn in augment_examples(talk, {"upper_case": 1.0}, 1)[0].dialogue.turns
    )
