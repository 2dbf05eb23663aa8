"""Pasted conversations: names, colons, empty lines, any script, and what is refused."""

import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gsa.datasets.chat import is_conversation, parse_conversation, resembles_conversation
from gsa.errors import InputError

LINES = [
    ("Mara: hello", "Mara", "hello"),
    ("Mara:  wait: what?", "Mara", "wait: what?"),
    ("Mara :hello", "", "Mara :hello"),
    ("no name here", "", "no name here"),
    ("we met at 10:30", "", "we met at 10:30"),
    ("https://example.org is down", "", "https://example.org is down"),
    ("fine :)", "", "fine :)"),
    (": My answer: no", "", "My answer: no"),
    ("Well, I told them: no", "", "Well, I told them: no"),
    ("I never said that to you: never", "", "I never said that to you: never"),
    ("Is that so? Listen: no", "", "Is that so? Listen: no"),
    ("[10:30] Mara Jones: hi", "Mara Jones", "hi"),
    ("[12.03.24, 12:04:33] Anna: hi", "Anna", "hi"),
    ("12/03/2024, 12:04 - Anna: hi", "Anna", "hi"),
    ("3/12/24, 9:04 PM - Anna: hi", "Anna", "hi"),
    ("2024-03-12T12:04:33Z Anna: hi", "Anna", "hi"),
    ("2024-03-12 12:04 Anna: hi: ho", "Anna", "hi: ho"),
    ("(12:04) Anna: hi", "Anna", "hi"),
    ("12:04 Anna: hi", "Anna", "hi"),
    ("Anna [12:04]: hi", "Anna", "hi"),
    ("[12:04] joined the group", "", "joined the group"),
    ("10:30 works: see you", "", "10:30 works: see you"),
    ("10:30 is fine", "", "10:30 is fine"),
    ("[1] Anna: hi", "[1] Anna", "hi"),
    ("[12:04]", "", "[12:04]"),
    ("Dr. Anna de Vries: next", "Dr. Anna de Vries", "next"),
    ("😀: 👍🏽👩‍👩‍👧", "😀", "👍🏽👩‍👩‍👧"),
    ("美咲：元気: です", "美咲", "元気: です"),
    ("\u200fمريم: مرحبا: كيف الحال؟", "مريم", "مرحبا: كيف الحال؟"),
    ("\u2067שרה\u2069: שלום", "שרה", "שלום"),
    ("\ufeff  Mara:\thello  ", "Mara", "hello"),
    ("<b>Mara</b>: <script>alert(1)</script>", "<b>Mara</b>", "<script>alert(1)</script>"),
    (f"{'x' * 41}: too long a name", "", f"{'x' * 41}: too long a name"),
]


@pytest.mark.parametrize(("line", "speaker", "text"), LINES)
def test_one_line_is_one_turn(line: str, speaker: str, text: str) -> None:
    (turn,) = parse_conversation(line, 1)
    assert (turn.speaker, turn.text) == (speaker, text)


def test_empty_lines_are_skipped_and_any_line_end_is_one() -> None:
    found = parse_conversation("\n\nMara: a\r\n \t \r\nb\rJonas: c\n\u200f\n", 9)
    assert [(turn.speaker, turn.text) for turn in found] == [("Mara", "a"), ("", "b"), ("Jonas", "c")]


def test_a_line_without_a_time_continues_a_turn_with_one() -> None:
    found = parse_conversation(
        "[12:04] Anna: hi\nand more\n\nhttps://example.org\n[12:05] Ben: oh\nAnna: no", 9
    )
    assert [(turn.speaker, turn.text) for turn in found] == [
        ("Anna", "hi\nand more\nhttps://example.org"), ("Ben", "oh"), ("Anna", "no"),
    ]  # fmt: skip
    found = parse_conversation("Anna: hi\nand more", 9)
    assert [turn.text for turn in found] == ["hi", "and more"], "without times a line is a turn"


def test_lines_with_names_are_a_conversation() -> None:
    assert is_conversation(["Anna: hi", "Ben: oh", "Cleo: no"])
    assert is_conversation(["[12:04] Anna: hi", "and more", "[12:05] Ben: oh"])
    for lines in (
        [], ["Anna: hi"], ["Anna: hi", "oh"], ["It was fine.", "It broke."], ["Note: a", "b", "Note: c"],
        [f"Title {i}: text" for i in range(9)], ["https://example.org", "10:30"],
    ):  # fmt: skip
        assert not is_conversation(lines), lines


WHATSAPP = [
    "12/03/2024, 12:00 - Messages and calls are end-to-end encrypted. Tap to learn more.",
    '12/03/2024, 12:00 - Anna created group "Trip"',
    "12/03/2024, 12:04 - Anna: hi",
    "and more",
    "12/03/2024, 12:05 - Ben: oh",
    "12/03/2024, 12:06 - Anna: no",
]


def test_an_export_may_have_lines_of_the_program() -> None:
    assert is_conversation(WHATSAPP)
    assert is_conversation(WHATSAPP, untimed=False)
    assert is_conversation(["Chat with Ben", "", *WHATSAPP])
    turns = parse_conversation("\n".join(WHATSAPP), 9)
    assert [(turn.speaker, turn.text) for turn in turns] == [
        ("", "Messages and calls are end-to-end encrypted. Tap to learn more."),
        ("", 'Anna created group "Trip"'), ("Anna", "hi\nand more"), ("Ben", "oh"), ("Anna", "no"),
    ]  # fmt: skip
    diary = [*(f"2024-03-{day} 21:00 I slept badly" for day in range(10, 20)), *WHATSAPP[4:]]
    assert not is_conversation(diary)
    assert resembles_conversation(diary)


def test_names_without_times_may_be_titles() -> None:
    lines = ["Pros: light", "Cons: the zip broke"]
    assert is_conversation(lines)
    assert not is_conversation(lines, untimed=False)
    assert resembles_conversation(lines)
    for lines in ([], ["It was fine."], ["It was fine.", "It broke.", "Note: twice."], ["10:30", "11:30"]):
        assert not resembles_conversation(lines), lines


def test_characters_that_only_look_like_line_ends_stay_in_their_turn() -> None:
    (turn,) = parse_conversation("Mara: one\u2028two\x0bthree\x85four", 9)
    assert turn.text == "one\u2028two\x0bthree\x85four"


@pytest.mark.parametrize("nothing", ["", " \n\t\n", "\u200f\n\ufeff"])
def test_nothing_is_refused(nothing: str) -> None:
    with pytest.raises(InputError, match="expected a conversation, one turn per line as 'Name: text'"):
        parse_conversation(nothing, 9)


def test_a_name_alone_is_refused_with_its_line() -> None:
    with pytest.raises(InputError, match=r"^line 3: expected a text after 'Mara:', found none$"):
        parse_conversation("Jonas: a\n\nMara:\n", 9)


def test_two_thousand_lines_are_read_and_counted_in_no_time() -> None:
    pasted = "\n".join(f"Speaker {i % 7}: this is line {i}: yes" for i in range(2000))
    began = time.monotonic()
    assert len(parse_conversation(pasted, 2000)) == 2000
    with pytest.raises(InputError, match=r"^expected at most 256 turns, one per line, found 2,000$"):
        parse_conversation(pasted, 256)
    assert time.monotonic() - began < 5, "nothing quadratic"


def test_a_long_line_of_colons_is_read_in_no_time() -> None:
    began = time.monotonic()
    (turn,) = parse_conversation("a:" * 100_000, 9)
    assert len(turn.text) == 200_000
    assert time.monotonic() - began < 5


@given(
    st.lists(
        st.tuples(st.sampled_from(["Mara", "美咲", "😀"]), st.text(st.characters(codec="utf-8"))), min_size=1
    )
)
def test_what_is_written_as_name_and_text_is_read_back(turns: list[tuple[str, str]]) -> None:
    clean = [(name, " ".join(text.split())) for name, text in turns]
    clean = [(name, text) for name, text in clean if text and not set(text) & MARKS]
    if not clean:
        return
    found = parse_conversation("\n".join(f"{name}: {text}" for name, text in clean), len(clean))
    assert [(turn.speaker, turn.text) for turn in found] == clean


MARKS = set("\u200e\u200f\u061c\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069\ufeff")
