"""Encoding of aspects and multi-label tasks: the line that names them, what prompts share, errors."""

from dataclasses import replace

import pytest
from prompts import LAYOUTS, whole

from gsa.data.encoder import Encoder
from gsa.data.layout import Layout
from gsa.data.selection import yes_or_no_examples
from gsa.data.task import ASPECT, EMOTIONS
from gsa.data.types import sentence
from gsa.errors import InputError
from gsa.trie.packing import group, pack

TEXT = sentence("The food was great, the service slow.", "s", "own")


def aspects(*names):
    return [replace(TEXT, id=f"s_{name}", aspect=name, label="neutral") for name in names]


@pytest.mark.parametrize("layout", LAYOUTS)
def test_prompts_name_their_aspect_and_are_one_text(any_tokenizer, layout):
    encoder = Encoder(any_tokenizer, layout, ASPECT)
    for prompt in encoder.encode(aspects("food", "service")):
        text = layout.prompt(ASPECT, TEXT.dialogue, 0, range(1), prompt.example.aspect)
        for label, answer in zip(ASPECT.labels, prompt.answers, strict=True):
            closing = (any_tokenizer.eos_token_id,) if encoder.ends else ()
            assert prompt.ids + answer == whole(any_tokenizer, f"{text} {label}") + closing


def test_the_sentence_is_read_once_for_all_its_aspects(tokenizer):
    prompts = Encoder(tokenizer, Layout(), ASPECT).encode(aspects("food", "service", "the lamp"))
    assert len(group(prompts)) == 1
    (row,) = pack(group(prompts), score=True, fill_tokens=2048)
    sentence_end = len(
        whole(tokenizer, Layout().prompt(ASPECT, TEXT.dialogue, 0, range(1), "").split("Aspect")[0])
    )
    own = sum(len(prompt.ids) - sentence_end for prompt in prompts)
    answers = sum(len(answer) for prompt in prompts for answer in prompt.answers)
    assert len(row.trie) <= sentence_end + own + answers


def test_a_long_aspect_leaves_less_of_the_text_and_one_too_long_is_refused(tokenizer):
    layout = Layout(max_tokens=400)
    encoder = Encoder(tokenizer, layout, ASPECT)
    long_text = replace(sentence("word " * 200, "s", "own", "neutral"), aspect="food")
    short, longer = encoder.encode([long_text, replace(long_text, aspect="food " * 10)])
    assert 0 < short.cut_words < longer.cut_words
    assert all(len(p.ids) + max(map(len, p.answers)) <= 400 for p in (short, longer))
    with pytest.raises(
        InputError, match="expected an aspect that leaves room for the text, found one of 2000"
    ):
        encoder.encode([replace(long_text, aspect="food " * 400)])


def test_a_task_about_an_aspect_needs_one(tokenizer):
    with pytest.raises(InputError, match="example 's': expected an aspect, which task 'aspect' is about"):
        Encoder(tokenizer, Layout(), ASPECT).encode([TEXT])


TASK = EMOTIONS.with_labels("joy", "fear", "love", "anger")


def test_a_multi_label_task_is_encoded_as_yes_or_no(tokenizer):
    encoder = Encoder(tokenizer, Layout(), TASK)
    prompts = encoder.encode(yes_or_no_examples([replace(TEXT, label="fear")], TASK))
    assert encoder.task.labels == ("yes", "no")
    assert [prompt.gold for prompt in prompts] == [1, 0, 1, 1]
    assert len(group(prompts)) == 1
    with pytest.raises(InputError, match="label 'fear' is not in the label list"):
        encoder.encode([replace(TEXT, label="fear", aspect="fear")])
