"""Prompts and answers: what the model reads is the whole text, tokenised as one."""

from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from prompts import LAYOUTS, Merging, assert_whole, dialogue, examples, whole

from gsa.data.encoder import Encoder, common_prefix_length
from gsa.data.layout import Layout
from gsa.data.task import EMOTION, SENTIMENT
from gsa.data.types import Dialogue, Utterance, sentence
from gsa.errors import InputError

utterances = st.builds(
    Utterance,
    st.text(max_size=25) | st.sampled_from(["<eos>", "", "!", "👋🏽 =>", "שלום"]),
    st.sampled_from(["", "A"]),
)


@pytest.mark.parametrize("layout", LAYOUTS, ids=str)
@settings(deadline=None, max_examples=20)
@given(st.lists(utterances, min_size=1, max_size=4), st.sampled_from([None, *EMOTION.labels]))
def test_prompt_and_answer_are_the_text_tokenised_as_one(any_tokenizer, layout, said, label):
    for task in (EMOTION, SENTIMENT):
        encoder = Encoder(any_tokenizer, layout, task)
        gold = label if label in task.labels else None
        several = examples(Dialogue("d", tuple(said)), [gold] * len(said))
        prompts = encoder.encode(several)
        assert [p.example for p in prompts] == several
        for prompt in prompts:
            assert_whole(any_tokenizer, layout, task, prompt)
            assert prompt.gold == (None if gold is None else task.labels.index(gold))
            expected = layout.turns(prompt.example.dialogue, prompt.example.target)
            assert prompt.turns == (
                expected if task.context else range(prompt.example.target, prompt.example.target + 1)
            )
            assert not prompt.cut_words


@pytest.mark.parametrize(
    "labels",
    [
        ("sad", "sarcastic", "sane"),
        ("joy", "joyful", "joyfully"),
        ("happy", "sad", "neutral"),
        ("very good", "very bad", "good"),
        ("喜び", "喜", "怒り"),
        ("😀", "😁"),
    ],
)
def test_answers_follow_the_longest_prefix_that_labels_have_in_common(any_tokenizer, labels):
    task, layout = EMOTION.with_labels(*labels), Layout()
    if len({whole(any_tokenizer, label) for label in labels}) < len(labels):
        with pytest.raises(InputError, match="have the same tokens"):  # all unknown to this tokenizer
            Encoder(any_tokenizer, layout, task)
        return
    encoder = Encoder(any_tokenizer, layout, task)
    for prompt in encoder.encode(examples(dialogue("Oh.", "Well."))):
        assert_whole(any_tokenizer, layout, task, prompt, encoder.ends)
        # Nothing that all labels share is left in the answers, unless one would then be empty.
        bare = [answer[: len(answer) - encoder.ends] for answer in prompt.answers]
        assert len({answer[0] for answer in bare}) > 1 or min(map(len, bare)) == 1


def test_labels_with_the_same_first_letters_share_them(tokenizer):
    encoder = Encoder(tokenizer, Layout(), EMOTION.with_labels("sad", "sarcastic"))
    (prompt,) = encoder.encode([sentence("Oh.", "1", "set", "sarcastic")])
    assert tokenizer.decode(prompt.ids).endswith("Oh. => sa")
    assert [tokenizer.decode(answer) for answer in prompt.answers] == ["d", "rcastic"]
    assert prompt.gold == 1


@pytest.mark.parametrize(
    ("labels", "end", "ends"),
    [
        (("sad", "sarcastic"), False, False),
        (("sad", "sarcastic"), True, True),
        (("joy", "joyful"), False, True),
        (("joyful", "sad", "joy"), False, True),
    ],
)
def test_the_end_token_closes_answers_where_asked_or_needed(tokenizer, labels, end, ends):
    task, layout = EMOTION.with_labels(*labels), Layout(end=end)
    encoder = Encoder(tokenizer, layout, task)
    assert encoder.ends is ends
    (prompt,) = encoder.encode(examples(dialogue("Oh.")))
    assert [answer[-1] == tokenizer.eos_token_id for answer in prompt.answers] == [ends] * len(labels)
    assert_whole(tokenizer, layout, task, prompt, ends)
    assert not any(
        a != b and common_prefix_length(a, b) == len(a) for a in prompt.answers for b in prompt.answers
    )


def test_text_is_never_read_as_a_control_token(any_tokenizer):
    said = dialogue("<eos>", "<s> <eos> </s><unk>", "a<eos>")
    prompts = Encoder(any_tokenizer, Layout(), EMOTION).encode(examples(said))
    first = whole(any_tokenizer, "x")[0]
    for prompt in prompts:
        assert any_tokenizer.eos_token_id not in prompt.ids
        if first == any_tokenizer.bos_token_id:  # once, where the tokenizer itself puts it
            assert prompt.ids.index(first) == 0
            assert prompt.ids.count(first) == 1


def test_labels_spelled_as_a_control_token_are_text(tokenizer):
    encoder = Encoder(tokenizer, Layout(), EMOTION.with_labels("<eos>", "fine"))
    (prompt,) = encoder.encode(examples(dialogue("Oh.")))
    assert tokenizer.eos_token_id not in prompt.answers[0]
    assert tokenizer.decode(prompt.answers[0]) == "<eos>"


def test_words_are_answered_for_labels(tokenizer):
    task = SENTIMENT.with_labels("1", "0", words={"1": "good", "0": "bad"})
    (prompt,) = Encoder(tokenizer, Layout(), task).encode([sentence("Oh.", "1", "set", "0")])
    assert [tokenizer.decode(answer) for answer in prompt.answers] == ["good", "bad"]
    assert prompt.gold == 1


TWO = replace(SENTIMENT.with_labels("negative", "positive"), merged={"neutral": "positive"})


def test_a_merged_gold_label_is_the_one_that_is_asked(any_tokenizer):
    several = [sentence("Oh.", label, "set", label) for label in ("neutral", "negative", "positive")]
    prompts = Encoder(any_tokenizer, Layout(), TWO).encode(several)
    assert [prompt.gold for prompt in prompts] == [1, 0, 1]
    assert [prompt.example.label for prompt in prompts] == ["neutral", "negative", "positive"]
    for prompt in prompts:
        assert_whole(any_tokenizer, Layout(), TWO, prompt)
    with pytest.raises(InputError, match="'mixed' is not in"):
        Encoder(any_tokenizer, Layout(), TWO).encode([sentence("Oh.", "1", "set", "mixed")])


def test_other_labels_leave_no_merge_behind(tokenizer):
    encoder = Encoder(tokenizer, Layout(), TWO.with_labels("good", "bad"))
    (prompt,) = encoder.encode([sentence("Oh.", "1", "set", "bad")])
    assert prompt.gold == 1


def test_an_unknown_gold_label_is_refused_in_words(tokenizer):
    encoder = Encoder(tokenizer, Layout(), SENTIMENT)
    several = [sentence("Oh.", "1", "set", "positive"), sentence("Oh.", "2", "set", "Positive")]
    with pytest.raises(InputError) as info:
        encoder.encode(several)
    for part in ("'set'", "'2'", "'Positive'", "'sentiment'", "'negative', 'neutral', 'positive'"):
        assert part in str(info.value)


def test_labels_that_read_the_same_to_the_tokenizer_are_refused():
    class Deaf(Merging):
        def ids(self, text):
            return super().ids(text.lower())

    with pytest.raises(InputError, match="two of the labels \\['joy', 'Joy'\\] have the same tokens"):
        Encoder(Deaf(), Layout(), EMOTION.with_labels("joy", "Joy"))


def test_no_examples_make_no_prompts(tokenizer):
    assert Encoder(tokenizer, Layout(), SENTIMENT).encode([]) == []


def test_order_is_kept_over_any_number_of_examples(tokenizer):
    several = [sentence(f"{i}", f"{i}", "set") for i in range(1100)]
    prompts = Encoder(tokenizer, Layout(), SENTIMENT).encode(several)
    assert [p.example.id for p in prompts] == [e.id for e in several]
    assert all(tokenizer.decode(p.ids).endswith(f"\n{p.example.id} => ne"[:-2]) for p in prompts)


# Tokenizers that merge at the seam between prompt and answer.


def test_a_merge_of_the_cue_with_some_answers_is_followed():
    tokenizer, layout = Merging(" => j", " => s"), Layout()
    encoder = Encoder(tokenizer, layout, EMOTION)
    for label in EMOTION.labels:
        for prompt in encoder.encode(examples(dialogue("Oh.", "Well!"), [label, label])):
            assert_whole(tokenizer, layout, EMOTION, prompt)
    assert set(tokenizer.calls) & {len(EMOTION.labels)} == {7}  # the probe
    assert tokenizer.calls.count(7) == 1  # and no prompt had to be tokenised with every label


def test_a_merge_that_depends_on_the_text_makes_every_label_be_tokenised_with_it():
    tokenizer, layout = Merging("! => j"), Layout()
    encoder = Encoder(tokenizer, layout, EMOTION)
    calm, loud = encoder.encode(examples(dialogue("Oh.", "Well!"), ["joy", "joy"]))
    assert tokenizer.calls.count(7) == 3  # the probe, and each prompt with every label
    assert_whole(tokenizer, layout, EMOTION, calm)
    assert_whole(tokenizer, layout, EMOTION, loud)
    assert loud.answers[1][0] == tokenizer.eos_token_id + 1
    assert len(loud.ids) < len(whole(tokenizer, layout.prompt(EMOTION, loud.example.dialogue, 1, range(2))))


def test_the_slow_path_closes_answers_too():
    tokenizer, layout = Merging("! => j"), Layout(end=True)
    (prompt,) = Encoder(tokenizer, layout, EMOTION).encode(examples(dialogue("Oh!"), ["joy"]))
    assert_whole(tokenizer, layout, EMOTION, prompt, end=True)


@pytest.mark.parametrize("label", [None, "sadness"])
def test_a_merge_with_another_label_than_the_gold_one_is_followed(label):
    tokenizer, layout = Merging("! => j"), Layout()
    (prompt,) = Encoder(tokenizer, layout, EMOTION).encode(examples(dialogue("Oh!"), [label]))
    assert_whole(tokenizer, layout, EMOTION, prompt)


@pytest.mark.parametrize(
    ("a", "b", "length"),
    [((), (), 0), ((1,), (), 0), ((1, 2), (1, 2, 3), 2), ((1, 2, 3), (1, 4, 3), 1), ([1, 2], (1, 2), 2)],
)
def test_shared_is_the_length_of_the_common_prefix(a, b, length):
    assert common_prefix_length(a, b) == common_prefix_length(b, a) == length
