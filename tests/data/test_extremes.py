"""Dialogues of 1 and of 5,000 turns, utterances of 0 and of 100,000 words, any script, in linear time."""

import pytest

from gsa.data.encoder import Encoder
from gsa.data.layout import Layout
from gsa.data.task import EMOTION
from gsa.data.types import Dialogue, Example, Utterance
from gsa.trie.packing import group, pack

TEXTS = [
    "",
    " ",
    "word " * 100_000,
    "😀👩‍👩‍👧‍👦🏳️‍🌈" * 40,
    "שלום עולם",
    "مرحبا ‏بالعالم‏",
    "a\u202eb\u2028c\n\td",
    "\ufeff\u200b",
    "z̴̢̛" * 50,
]
LAYOUTS = [Layout(max_tokens=700), Layout(name="paper", context="dialogue", max_tokens=700),
           Layout(name="instruction_first", context="window", max_tokens=700)]  # fmt: skip


class Counting:
    """A tokenizer that notes how many letters it was given."""

    def __init__(self, tokenizer):
        self.tokenizer, self.letters = tokenizer, 0
        self.eos_token_id = tokenizer.eos_token_id

    def __call__(self, texts, **given):
        self.letters += sum(map(len, texts))
        return self.tokenizer(texts, **given)


def talk(turns):
    dialogue = Dialogue("d", tuple(Utterance(f"turn {i % 97} of many", "AB"[i % 2]) for i in range(turns)))
    return [Example(f"d_{i}", "x", dialogue, i, "joy") for i in range(turns)]


@pytest.mark.parametrize("layout", LAYOUTS, ids=lambda layout: layout.name)
def test_any_text_is_encoded_within_the_budget(tokenizer, layout):
    dialogue = Dialogue("d", tuple(Utterance(text, "Ünï 😀") for text in TEXTS))
    examples = [Example(str(i), "x", dialogue, i, "joy") for i in range(len(TEXTS))]
    for prompt in Encoder(tokenizer, layout, EMOTION).encode(examples):
        assert len(prompt.ids) + max(map(len, prompt.answers)) <= layout.max_tokens
        assert prompt.example.target in prompt.turns
        read = tokenizer.decode(list(prompt.ids))
        assert EMOTION.instruction in read
        assert prompt.cut_words or prompt.example.target != 2
        if not prompt.cut_words:
            assert prompt.example.utterance.line() in read


@pytest.mark.parametrize("layout", LAYOUTS, ids=lambda layout: layout.name)
def test_the_work_for_a_long_dialogue_grows_with_its_length_not_its_square(tokenizer, layout):
    letters = []
    for turns in (150, 300):
        counting = Counting(tokenizer)
        prompts = Encoder(counting, layout, EMOTION).encode(talk(turns))
        assert len(prompts) == turns
        letters.append(counting.letters)
    assert letters[1] < 2.5 * letters[0]


def test_five_thousand_turns_are_counted_once_each(tokenizer, monkeypatch):
    """Every target of one conversation asks for the lines of its turns, not of all turns before it."""
    lines = 0
    honest = Utterance.line

    def counting(self):
        nonlocal lines
        lines += 1
        return honest(self)

    monkeypatch.setattr(Utterance, "line", counting)
    layout = Layout(max_tokens=400)
    examples = talk(5_000)
    prompts = Encoder(tokenizer, layout, EMOTION).encode([*examples[:20], *examples[-480:]])
    assert [prompt.turns.stop for prompt in prompts[-3:]] == [4998, 4999, 5000]
    assert lines < 5_000 + 500 * 40


@pytest.mark.parametrize("score", [False, True])
def test_the_rows_of_a_long_dialogue_hold_each_target_once(tokenizer, score):
    prompts = Encoder(tokenizer, Layout(max_tokens=300), EMOTION).encode(talk(300))
    rows = pack(group(prompts), 1000, score)
    assert [p.example.id for row in rows for p in row.prompts] == [f"d_{i}" for i in range(300)]
    assert all(len(row.trie) <= 1000 for row in rows)


def test_one_turn_is_a_dialogue(tokenizer):
    (prompt,) = Encoder(tokenizer, Layout(), EMOTION).encode(talk(1))
    assert prompt.turns == range(1)
