"""Prompts and answers: what the model reads is the whole text, tokenised as one."""

import re
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tokenizers import Tokenizer, models, pre_tokenizers, processors, trainers
from transformers import PreTrainedTokenizerFast

from gsa.errors import InputError
from gsa.tasks import encoding
from gsa.tasks.dialogue import Dialogue, Example, Utterance, sentence
from gsa.tasks.encoding import Encoder, shared
from gsa.tasks.layout import Layout
from gsa.tasks.task import EMOTION, SARCASM, SENTIMENT
from gsa.trie.trie import size

LAYOUTS = [
    Layout(name=name, context=context, window=2, max_tokens=4096)
    for name in ("paper", "instruction_first", "inline")
    for context in ("dialogue", "history", "window")
    if (name, context) != ("inline", "dialogue")
]
TALK = (
    "I just got a new phone. How is it? It has a bad memory but a great battery life. Oh, what a joy! "
    "neutral joy surprise anger sadness disgust fear sarcastic non-sarcastic negative positive => Answer: "
)


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


@pytest.fixture(scope="module", params=["letters", "bytes", "metaspace"])
def any_tokenizer(request, tokenizer):
    return tokenizer if request.param == "letters" else trained(request.param)


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
            assert not prompt.cut


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
    assert not any(a != b and shared(a, b) == len(a) for a in prompt.answers for b in prompt.answers)


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


# Length.


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
    if prompt.cut:
        assert prompt.turns == range(target, target + 1)
        before, after = (
            text.split("...")[:2] if task.context and layout.name != "inline" else text.split("...")
        )
        assert before.splitlines()[-1].removeprefix("Sentence: ") in example.utterance.line()
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
    layout = Layout(name="paper", context="window", window=12, max_tokens=500)
    for prompt in Encoder(tokenizer, layout, EMOTION).encode(examples(said)):
        assert prompt.turns.stop == prompt.example.target + 1
        assert len(prompt.turns) >= min(prompt.example.target + 1, 4)


@settings(deadline=None, max_examples=40)
@given(st.lists(st.integers(1, 60), min_size=20, max_size=60))
def test_an_overflowing_history_keeps_its_start_for_many_targets(tokenizer, lengths):
    said = Dialogue("d", tuple(Utterance("x" * n) for n in lengths))
    layout = Layout(name="inline", context="history", max_tokens=900)
    prompts = Encoder(tokenizer, layout, EMOTION).encode(examples(said))
    starts = [prompt.turns.start for prompt in prompts]
    assert starts == sorted(starts)
    room = 900 - len(whole(tokenizer, layout.prompt(EMOTION, dialogue("It was fine."), 0, range(1)))) - 30
    # Each move of the start gives up about half the room, so moves are as rare as that allows.
    cost = sum(n + 2 for n in lengths)
    assert len(set(starts)) <= 1 + cost / (room / 2 - 62)
    for i, start in enumerate(starts):
        if start:  # and no more than that: what is shown still fills most of the half
            assert sum(n + 2 for n in lengths[start : i + 1]) > room / 2 - 62
    moves = len(set(starts))
    assert size([p.ids for p in prompts]) <= 900 * moves + len(prompts) * 10


@pytest.mark.parametrize("name", ["paper", "instruction_first"])
def test_an_overflowing_history_keeps_its_start_where_the_target_is_repeated(tokenizer, name):
    said = Dialogue("d", tuple(Utterance("x" * (5 + 37 * i % 55)) for i in range(60)))
    layout = Layout(name=name, context="history", max_tokens=900)
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
            assert prompt.cut == pytest.approx(1000 - shown, abs=2), "but for the words at the seam"
            assert prompt.turns == range(1, 2)
            assert "Ada: w0 w1 w2 " in text
            assert " w997 w998 w999" in text
            assert "before" not in text
            assert "after" not in text
            assert task.instruction in text
            assert 540 < max(len(prompt.ids) + len(answer) for answer in prompt.answers) <= 600


def test_a_stream_of_lines_takes_constant_memory(tokenizer, monkeypatch):
    monkeypatch.setattr(encoding, "REMEMBERED", 20)
    encoder = Encoder(tokenizer, Layout(), SENTIMENT)
    prompts = encoder.encode([sentence(f"line {i}", str(i), "set") for i in range(10)])
    assert len(encoder._lengths._known) <= 4
    assert prompts == Encoder(tokenizer, Layout(), SENTIMENT).encode([p.example for p in prompts])


def test_a_target_without_spaces_is_cut_between_letters(tokenizer):
    (prompt,) = Encoder(tokenizer, Layout(max_tokens=400), SENTIMENT).encode(
        [sentence("好" * 500 + "坏" * 500, "1", "set")]
    )
    assert prompt.cut
    assert "好好...坏坏" in tokenizer.decode(prompt.ids)
    assert 360 < len(prompt.ids) <= 390


@pytest.mark.parametrize("text", ["a" * 2000 + " b", "b " + "好" * 900, "a" * 2000 + " " + "b" * 2000])
@pytest.mark.parametrize("name", ["paper", "inline"])
def test_a_target_of_few_huge_words_stays_within_the_limit(tokenizer, text, name):
    layout = Layout(name=name, max_tokens=600)
    for task in (EMOTION, SENTIMENT):
        (prompt,) = Encoder(tokenizer, layout, task).encode([sentence(text, "1", "set")])
        assert prompt.cut
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
        assert [p.cut > 0 for p in prompts] == [False, True, False, False]
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
                if not prompt.cut:
                    assert_whole(any_tokenizer, layout, task, prompt)


@pytest.mark.parametrize(
    ("a", "b", "length"),
    [((), (), 0), ((1,), (), 0), ((1, 2), (1, 2, 3), 2), ((1, 2, 3), (1, 4, 3), 1), ([1, 2], (1, 2), 2)],
)
def test_shared_is_the_length_of_the_common_prefix(a, b, length):
    assert shared(a, b) == shared(b, a) == length
