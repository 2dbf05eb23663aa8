"""Token counts: a dialogue is counted once, the cache is bounded, histories start where they should."""

import pytest

from gsa.data import token_counts
from gsa.data.token_counts import LINE_OVERHEAD, TokenCountCache, TurnTokenCounts, tokenize
from gsa.data.types import Dialogue, Utterance
from gsa.errors import InputError


def dialogue(*texts):
    return Dialogue("d", tuple(Utterance(text) for text in texts))


def test_counts_are_those_of_the_lines(tokenizer):
    talk = dialogue("One.", "Two  words.", "One.")
    counts = TokenCountCache(tokenizer).of(talk)
    lengths = [len(ids) + LINE_OVERHEAD for ids in tokenize(tokenizer, [turn.line() for turn in talk.turns])]
    assert [counts.total(range(i, i + 1)) for i in range(3)] == lengths
    assert counts.total(range(1, 3)) == sum(lengths[1:])
    assert counts.total(range(0)) == 0


def test_a_dialogue_is_counted_once_until_others_displace_it(tokenizer, monkeypatch):
    monkeypatch.setattr(token_counts, "MAX_TURNS", 4)
    cache = TokenCountCache(tokenizer)
    first, second, third = dialogue("a", "b"), dialogue("c", "d"), dialogue("e", "f")
    counts = cache.of(first)
    cache.of(second)
    assert cache.of(Dialogue("another id", first.turns)) is counts, "now the most recently used"
    cache.of(third)
    assert cache.of(first) is counts
    assert len(cache._dialogues) == 2
    cache.of(dialogue(*"abcdef"))
    assert len(cache._dialogues) == 1, "one dialogue is kept however long it is"


def test_single_sentences_are_not_kept_as_dialogues(tokenizer):
    cache = TokenCountCache(tokenizer)
    for i in range(10):
        cache.of(dialogue(f"line {i}"))
    assert len(cache._dialogues) == 0
    assert len(cache.lines) == 10


@pytest.mark.parametrize(
    ("budget", "starts"),
    [
        (100, [0, 0, 0, 0, 0, 0]),
        (30, [0, 0, 0, 3, 3, 3]),  # more than 30, cut to 7, but never the target
        (40, [0, 0, 0, 0, 4, 4]),  # more than 40, cut to 10
        (10, [0, 1, 2, 3, 4, 5]),
    ],
)
def test_a_history_over_budget_is_cut_to_a_quarter_of_it(budget, starts):
    turns = dialogue(*"abcdef").turns
    counts = TurnTokenCounts(turns, [10] * 6)
    assert [counts.history_start(i, budget) for i in range(6)] == starts


def test_a_cut_history_is_at_most_a_quarter_of_the_budget():
    counts = TurnTokenCounts(dialogue(*map(str, range(16))).turns, [10] * 16)
    assert [counts.history_start(i, 120) for i in range(16)] == [0] * 12 + [10] * 4


def test_control_tokens_in_a_text_are_text_and_a_final_end_token_is_dropped(tokenizer):
    (ids,) = tokenize(tokenizer, ["<eos>"])
    assert tokenizer.eos_token_id not in ids
    assert tokenizer.decode(ids) == "<eos>"


class FreshNumbers:
    """A tokenizer that gives every text the same large id, a number object of its own each time."""

    eos_token_id = 0

    def __call__(self, texts, split_special_tokens):
        return {"input_ids": [[int("40000")] for _ in texts]}


def test_a_surrogate_is_one_sentence(tokenizer):
    with pytest.raises(InputError, match=r"expected UTF-8 text, found the character U\+D800"):
        tokenize(tokenizer, ["fine", "\ud800"])


def test_equal_token_ids_are_one_object():
    (first,), (second,) = tokenize(FreshNumbers(), ["one", "two"])
    assert first == 40_000
    assert first is second
