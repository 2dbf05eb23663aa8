"""What tests of prompts share: layouts, tokenizers that merge, dialogues, and what a prompt must be."""

import re
from functools import cache

from tokenizers import Tokenizer, models, pre_tokenizers, processors, trainers
from transformers import PreTrainedTokenizerFast

from gsa.data.layout import Layout
from gsa.data.task import EMOTION, SENTIMENT
from gsa.data.types import Dialogue, Example, Utterance

LAYOUTS = [
    Layout(name=name, context=context, max_tokens=4096)
    for name, context in (("paper", "dialogue"), ("paper", "history"), ("inline", "history"))
]
TALK = (
    "I just got a new phone. How is it? It has a bad memory but a great battery life. Oh, what a joy! "
    "neutral joy surprise anger sadness disgust fear sarcastic non-sarcastic negative positive => Answer: "
)


@cache
def trained(kind):
    """A tokenizer with merges; `metaspace` is of Llama-2's kind, with its control tokens around each text."""
    core = Tokenizer(models.BPE(unk_token="<unk>"))
    core.pre_tokenizer = (
        pre_tokenizers.ByteLevel(add_prefix_space=False)
        if kind == "bytes"
        else pre_tokenizers.Metaspace(prepend_scheme="first")
    )
    special = ["<unk>", "<s>", "<eos>"]
    alphabet = pre_tokenizers.ByteLevel.alphabet() if kind == "bytes" else []
    core.train_from_iterator(
        [TALK, *TALK.split("."), EMOTION.instruction, SENTIMENT.instruction] * 3,
        trainers.BpeTrainer(
            vocab_size=600, special_tokens=special, initial_alphabet=alphabet, show_progress=False
        ),
    )
    if kind == "metaspace":
        core.post_processor = processors.TemplateProcessing(
            single="<s> $A <eos>", special_tokens=[("<s>", 1), ("<eos>", 2)]
        )
    return PreTrainedTokenizerFast(
        tokenizer_object=core, eos_token="<eos>", bos_token="<s>", unk_token="<unk>"
    )


class Merging:
    """Letters are tokens, but each of `pieces` is one token of its own wherever it occurs."""

    eos_token_id = 0x110000

    def __init__(self, *pieces):
        self.pieces = [re.compile(piece) for piece in pieces]
        self.calls = []

    def __call__(self, texts, split_special_tokens):
        assert split_special_tokens
        self.calls.append(len(texts))
        return {"input_ids": [self.ids(text) for text in texts]}

    def ids(self, text):
        found, at = [], 0
        while at < len(text):
            number, match = next(
                ((n, m) for n, piece in enumerate(self.pieces, 1) if (m := piece.match(text, at))), (0, None)
            )
            found.append(self.eos_token_id + number if match else ord(text[at]))
            at = match.end() if match else at + 1
        return found


def whole(tokenizer, text):
    """Ids of one text, as the tokenizer makes them, but for a closing end-of-text token."""
    ids = tokenizer([text], split_special_tokens=True)["input_ids"][0]
    return tuple(ids[:-1] if ids[-1] == tokenizer.eos_token_id else ids)


def dialogue(*texts):
    return Dialogue("d", tuple(Utterance(text, "AB"[i % 2]) for i, text in enumerate(texts)))


def examples(said, labels=()):
    labels = labels or [None] * len(said.turns)
    return [Example(f"{i}", "set", said, i, label) for i, label in enumerate(labels)]


def assert_whole(tokenizer, layout, task, prompt, end=False):
    """Prompt and answer, put together, are the text tokenised as one, for every label."""
    text = layout.prompt(task, prompt.example.dialogue, prompt.example.target, prompt.turns)
    assert len(prompt.answers) == len(task.labels)
    for label, answer in zip(task.labels, prompt.answers, strict=True):
        assert answer
        closing = (tokenizer.eos_token_id,) if end else ()
        assert prompt.ids + answer == whole(tokenizer, f"{text} {task.word(label)}") + closing
