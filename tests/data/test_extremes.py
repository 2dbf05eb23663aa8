"""Dialogues of 1 and of 5,000 turns, utterances of 0 and of 100,000 words, any script, in linear time."""

from dataclasses import replace

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
           Layout(name="paper", context="history", max_tokens=700)]  # fmt: skip


class Counting:
    """A tokenizer that counts its calls and the characters that it is given."""

    def __init__(self, tokenizer):
        self.tokenizer, self.calls, self.characters = tokenizer, 0, 0
        self.eos_token_id = tokenizer.eos_token_id

    def __call__(self, texts, **options):
        self.calls += 1
        self.characters += sum(map(len, texts))
        return self.tokenizer(texts, **options)


def talk(turns):
    dialogue = Dialogue("d", tuple(Utterance(f"turn {i % 97} of many", "AB"[i % 2]) for i in range(turns)))
    return [Example(f"d_{i}", "x", dialogue, i, "joy") for i in range(turns)]


@pytest.mark.parametrize("layout", LAYOUTS, ids=lambda layout: f"{layout.name}-{layout.context}")
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


def counted_work(tokenizer, layout, calls, monkeypatch):
    """Return tokenizer calls, characters tokenised, and lines built by calls of one encoder."""
    counting, lines, original = Counting(tokenizer), 0, Utterance.line

    def line(self):
        nonlocal lines
        lines += 1
        return original(self)

    encoder = Encoder(counting, layout, EMOTION)
    counting.calls = counting.characters = 0
    with monkeypatch.context() as patch:
        patch.setattr(Utterance, "line", line)
        for examples in calls:
            assert len(encoder.encode(examples)) == len(examples)
    return counting.calls, counting.characters, lines


@pytest.mark.parametrize("order", ["in order", "interleaved", "one call each"])
@pytest.mark.parametrize("layout", LAYOUTS, ids=lambda layout: f"{layout.name}-{layout.context}")
def test_the_work_for_a_long_dialogue_is_linear_in_its_turns(tokenizer, layout, order, monkeypatch):
    """Twice the turns are at most twice the work, in whatever order the targets of shared Dialogues come."""
    work = []
    for turns in (150, 300):
        one, two = talk(turns), talk(turns)
        examples = [e for pair in zip(one, two, strict=True) for e in pair] if order == "interleaved" else one
        calls = [[example] for example in examples] if order == "one call each" else [examples]
        work.append(counted_work(tokenizer, layout, calls, monkeypatch))
    for before, after in zip(*work, strict=True):
        assert after <= 2.1 * before


@pytest.mark.parametrize("score", [False, True])
def test_the_rows_of_a_long_dialogue_hold_each_target_once(tokenizer, score):
    prompts = Encoder(tokenizer, Layout(max_tokens=300), EMOTION).encode(talk(300))
    rows = pack(group(prompts), 1000, score)
    assert [p.example.id for row in rows for p in row.prompts] == [f"d_{i}" for i in range(300)]
    assert all(len(row.trie) <= 1000 for row in rows)


def test_one_turn_is_a_dialogue(tokenizer):
    (prompt,) = Encoder(tokenizer, Layout(), EMOTION).encode(talk(1))
    assert prompt.turns == range(1)


def test_turns_of_equal_dialogues_are_tokenised_once(tokenizer, monkeypatch):
    """A Dialogue object of its own for every target costs no tokenisation of all turns again."""
    layout = LAYOUTS[0]
    shared = talk(200)
    separate = [replace(e, dialogue=Dialogue(e.dialogue.id, (*e.dialogue.turns,))) for e in shared]
    counts = [counted_work(tokenizer, layout, [examples], monkeypatch)[:2] for examples in (shared, separate)]
    assert counts[0] == counts[1]
