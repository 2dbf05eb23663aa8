"""Prompts that would be too long: what is left out, and what never is."""

import re

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from prompts import LAYOUTS, TALK, Merging, assert_whole, dialogue, examples, whole

from gsa.data import token_counts
from gsa.data.encoder import Encoder
from gsa.data.layout import Layout
from gsa.data.task import EMOTION, SARCASM, SENTIMENT
from gsa.data.token_counts import TokenCountCache
from gsa.data.types import Dialogue, Example, Utterance, sentence
from gsa.errors import InputError
from gsa.trie.trie import size


def enough(tokenizer, layout, task, target=120):
    """A limit that leaves room for the instruction, the longest answer and some of a target."""
    empty = layout.prompt(task, Dialogue("", (Utterance(""),)), 0, range(1))
    return len(whole(tokenizer, empty)) + max(len(whole(tokenizer, x)) for x in task.labels) + target


words = st.lists(st.text("abcé👋ש", min_size=1, max_size=4), max_size=30).map(" ".join)
talks = st.lists(st.builds(Utterance, words, st.sampled_from(["", "Ada", "Bo"])), min_size=1, max_size=12)


@pytest.mark.parametrize("task", [EMOTION, SENTIMENT], ids=lambda task: task.name)
@pytest.mark.parametrize("layout", LAYOUTS, ids=str)
@settings(deadline=None, max_examples=30)
@given(talks, st.integers(0, 11), st.integers(0, 500))
def test_length_takes_whole_turns_but_never_instruction_target_or_answer(
    tokenizer, task, layout, said, target, more
):
    limit = enough(tokenizer, layout, task) + more
    layout = layout.model_copy(update={"max_tokens": limit})
    encoder = Encoder(tokenizer, layout, task)
    target %= len(said)
    example = Example("1", "set", Dialogue("d", tuple(said)), target, task.labels[-1])
    (prompt,) = encoder.encode([example])

    assert max(len(prompt.ids) + len(answer) for answer in prompt.answers) <= limit
    text = tokenizer.decode(prompt.ids + prompt.answers[prompt.gold])
    labels = "Labels: " + ", ".join(task.labels)
    assert f"{task.instruction}\n{labels}\n" in text
    assert text.endswith(f" {task.labels[-1]}")
    assert target in prompt.turns
    if prompt.cut_words:
        assert prompt.turns == range(target, target + 1)
        before, after = (
            text.split("...")[:2] if task.context and layout.name != "inline" else text.split("...")
        )
        assert before.splitlines()[-1] in example.utterance.line()
        assert (
            after.splitlines()[0].removesuffix(f" => {task.labels[-1]}").strip() in example.utterance.line()
        )
    else:
        # Whole turns only: the text is the layout's own over the turns that are left.
        assert text == f"{layout.prompt(task, example.dialogue, target, prompt.turns)} {task.labels[-1]}"
        full = layout.turns(example.dialogue, target)
        assert set(prompt.turns) <= set(full)
        if task.context and len(
            whole(tokenizer, layout.prompt(task, example.dialogue, target, full))
        ) + 60 < limit - 2 * len(full):
            assert prompt.turns == full  # nothing goes where nothing must


def test_the_farthest_turns_go_first(tokenizer):
    said = dialogue(*[f"turn {i:02} of equal length" for i in range(21)])
    layout = Layout(name="paper", context="dialogue", max_tokens=500)
    for prompt in Encoder(tokenizer, layout, EMOTION).encode(examples(said)):
        i, turns = prompt.example.target, prompt.turns
        assert 4 <= len(turns) < 21
        assert turns.start == 0 or turns.stop - 1 - i <= i - turns.start + 1
        assert turns.stop == 21 or i - turns.start <= turns.stop - 1 - i


@settings(deadline=None, max_examples=40)
@given(st.lists(st.integers(1, 60), min_size=20, max_size=60))
def test_an_overflowing_history_keeps_its_start_for_many_targets(tokenizer, lengths):
    said = Dialogue("d", tuple(Utterance("x" * n) for n in lengths))
    layout = Layout(name="inline", context="history", max_tokens=900)
    prompts = Encoder(tokenizer, layout, EMOTION).encode(examples(said))
    starts = [prompt.turns.start for prompt in prompts]
    assert starts == sorted(starts)
    room = 900 - len(whole(tokenizer, layout.prompt(EMOTION, dialogue("It was fine."), 0, range(1)))) - 30
    # Each move of the start gives up about three quarters of the room, so moves are as rare as that allows.
    cost = sum(n + 2 for n in lengths)
    assert len(set(starts)) <= 1 + cost / (room * 3 / 4 - 62)
    for i, start in enumerate(starts):
        if start:  # and no more than that: what is shown still fills most of the quarter
            assert sum(n + 2 for n in lengths[start : i + 1]) > room / 4 - 62
    moves = len(set(starts))
    assert size([p.ids for p in prompts]) <= 900 * moves + len(prompts) * 10


def test_an_overflowing_history_keeps_its_start_where_the_target_is_repeated(tokenizer):
    said = Dialogue("d", tuple(Utterance("x" * (5 + 37 * i % 55)) for i in range(60)))
    layout = Layout(name="paper", context="history", max_tokens=900)
    starts = [p.turns.start for p in Encoder(tokenizer, layout, EMOTION).encode(examples(said))]
    assert starts == sorted(starts)
    assert len(set(starts)) <= 8


def test_a_target_too_long_alone_keeps_head_and_tail(tokenizer):
    long = " ".join(f"w{i}" for i in range(1000))
    said = Dialogue("d", (Utterance("before"), Utterance(long, "Ada"), Utterance("after")))
    for layout in LAYOUTS:
        layout = layout.model_copy(update={"max_tokens": 600})
        for task in (SARCASM, SENTIMENT):
            (prompt,) = Encoder(tokenizer, layout, task).encode([Example("1", "set", said, 1)])
            text = tokenizer.decode(prompt.ids)
            shown = len(set(re.findall(r"\bw\d+\b", text)))
            assert prompt.cut_words == pytest.approx(1000 - shown, abs=2), "but for the words at the seam"
            assert prompt.turns == range(1, 2)
            assert "Ada: w0 w1 w2 " in text
            assert " w997 w998 w999" in text
            assert "before" not in text
            assert "after" not in text
            assert task.instruction in text
            assert 540 < max(len(prompt.ids) + len(answer) for answer in prompt.answers) <= 600


def test_a_stream_of_lines_takes_constant_memory(tokenizer, monkeypatch):
    monkeypatch.setattr(token_counts, "MAX_BYTES", 2 * (token_counts.ENTRY_BYTES + 50))
    cache = TokenCountCache(tokenizer)
    encoder = Encoder(tokenizer, Layout(), SENTIMENT, cache)
    prompts = encoder.encode([sentence(f"line {i}", str(i), "set") for i in range(10)])
    assert 1 <= len(cache.lines) <= 3
    assert prompts == Encoder(tokenizer, Layout(), SENTIMENT).encode([p.example for p in prompts])


def test_encoders_of_one_tokenizer_share_token_counts(tokenizer):
    cache = TokenCountCache(tokenizer)
    said = examples(dialogue("One line.", "Another line."))
    for task in (EMOTION, SARCASM):
        assert Encoder(tokenizer, Layout(), task, cache).encode(said) == Encoder(
            tokenizer, Layout(), task
        ).encode(said)
    assert len(cache.lines) == 2
    assert cache.size > 2 * token_counts.ENTRY_BYTES


def test_a_target_without_spaces_is_cut_between_letters(tokenizer):
    (prompt,) = Encoder(tokenizer, Layout(max_tokens=400), SENTIMENT).encode(
        [sentence("好" * 500 + "坏" * 500, "1", "set")]
    )
    assert prompt.cut_words
    assert "好好...坏坏" in tokenizer.decode(prompt.ids)
    assert 360 < len(prompt.ids) <= 390


@pytest.mark.parametrize("text", ["a" * 2000 + " b", "b " + "好" * 900, "a" * 2000 + " " + "b" * 2000])
@pytest.mark.parametrize("name", ["paper", "inline"])
def test_a_target_of_few_huge_words_stays_within_the_limit(tokenizer, text, name):
    layout = Layout(name=name, max_tokens=600)
    for task in (EMOTION, SENTIMENT):
        (prompt,) = Encoder(tokenizer, layout, task).encode([sentence(text, "1", "set")])
        assert prompt.cut_words
        assert max(len(prompt.ids) + len(answer) for answer in prompt.answers) <= 600
        assert "..." in tokenizer.decode(prompt.ids)


def assert_within_or_refused(tokenizer, limit, example):
    try:
        (prompt,) = Encoder(tokenizer, Layout(max_tokens=limit), EMOTION).encode([example])
    except InputError:
        return
    assert len(prompt.ids) + max(map(len, prompt.answers)) <= limit


def test_a_huge_speaker_name_stays_within_the_limit(tokenizer):
    assert_within_or_refused(tokenizer, 600, sentence("Hello there.", "1", "set", speaker="x" * 2000))


@pytest.mark.parametrize("limit", [64, 200, 215, 225])
def test_a_limit_too_low_for_the_instruction_is_not_passed_over(tokenizer, limit):
    assert_within_or_refused(tokenizer, limit, sentence("Hello there, you.", "1", "set"))


def test_a_huge_turn_elsewhere_is_left_out_whole(tokenizer):
    said = dialogue("one", "x" * 3000, "three", "four")
    for layout in LAYOUTS:
        layout = layout.model_copy(update={"max_tokens": 600})
        prompts = Encoder(tokenizer, layout, EMOTION).encode(examples(said))
        assert [p.cut_words > 0 for p in prompts] == [False, True, False, False]
        assert prompts[2].turns.start == prompts[3].turns.start == 2
        assert prompts[0].turns == range(1)
        assert all(len(p.ids) + max(map(len, p.answers)) <= 600 for p in prompts)


def test_the_limit_holds_for_merging_tokenizers(any_tokenizer):
    said = dialogue(*[TALK, "Oh.", TALK[:50], "", "👋🏽", TALK[::-1]] * 4)
    for layout in LAYOUTS:
        for task in (EMOTION, SENTIMENT):
            layout = layout.model_copy(update={"max_tokens": 900})
            for prompt in Encoder(any_tokenizer, layout, task).encode(examples(said)):
                assert len(prompt.ids) + max(map(len, prompt.answers)) <= 900
                if not prompt.cut_words:
                    assert_whole(any_tokenizer, layout, task, prompt)


class Counting(Merging):
    """Letters are tokens, and are counted."""

    read = 0

    def ids(self, text):
        self.read += len(text)
        return super().ids(text)


def many_labels(letters):
    return SENTIMENT.with_labels(*(f"{i:02}".ljust(letters, "x") for i in range(64)))


def test_a_label_list_that_leaves_no_room_is_refused_before_much_is_tokenised():
    tokenizer = Counting()
    with pytest.raises(InputError, match=r"which take \d+: expected at least (\d+)") as refused:
        Encoder(tokenizer, Layout(), many_labels(100))
    assert tokenizer.read < 10_000, "one text, not one a label"
    least = int(str(refused.value).split()[-1])
    assert Encoder(tokenizer, Layout(max_tokens=least), many_labels(100))
    with pytest.raises(InputError, match=f"at least {least}"):
        Encoder(tokenizer, Layout(max_tokens=least - 1), many_labels(100))


def test_a_long_label_list_is_not_repeated_for_every_ending():
    tokenizer, task = Counting(), many_labels(10)
    Encoder(tokenizer, Layout(), task)
    whole_list = len(Layout().prompt(task, dialogue("It was fine."), 0, range(1)))
    assert tokenizer.read < 64 * whole_list * 3
