"""Scoring: what one pass over a trie says of each label, against one label at a time."""

import copy
import itertools
import random
from dataclasses import replace

import numpy as np
import pytest
import torch
from transformers import LlamaConfig, LlamaForCausalLM
from tries import make_prompt

from gsa.data.encoder import Encoder
from gsa.data.layout import Layout
from gsa.data.task import EMOTION, SENTIMENT
from gsa.data.types import Dialogue, Example, Truncated, Utterance, sentence
from gsa.model.scoring import score, score_row
from gsa.trie import attention
from gsa.trie.packing import PackedRow

EOS = 5


@pytest.fixture
def small():
    """A random model of six tokens, so that what it says by itself is often a label."""

    def build(seed, kind):
        torch.manual_seed(seed)
        model = LlamaForCausalLM(
            LlamaConfig(
                vocab_size=6, hidden_size=16, intermediate_size=24, num_hidden_layers=2,
                num_attention_heads=4, num_key_value_heads=2, initializer_range=0.4, bos_token_id=None,
                eos_token_id=EOS, pad_token_id=EOS,
            )
        )  # fmt: skip
        model.set_attn_implementation(kind)
        return model.eval().requires_grad_(False)

    return build


def prompt(ids, answers, number=0):
    return make_prompt(ids, answers, None, number, dialogue=str(number // 3))


def values(prediction):
    """The probabilities in the order of the labels, shape (labels,)."""
    return np.array(list(prediction.probabilities.values()))


def next_log_p(model, ids):
    with torch.no_grad():
        return model(input_ids=torch.tensor([ids]), use_cache=False).logits[0, -1].double().log_softmax(-1)


def by_hand(model, one):
    """Probabilities of the labels of one prompt: one sequence a label, one token at a time."""
    log_p = []
    for answer in one.answers:
        total = 0.0
        for read in range(len(answer)):
            total += float(next_log_p(model, one.ids + answer[:read])[answer[read]])
        log_p.append(total)
    weights = np.exp(np.asarray(log_p) - max(log_p))
    return weights / weights.sum()


def decode(model, one):
    """Greedy decoding, a token at a time, until a label is spelled or none can be any more."""
    said = ()
    while True:
        if said in one.answers:
            return one.answers.index(said)
        if not any(answer[: len(said)] == said for answer in one.answers):
            return None
        said += (int(next_log_p(model, one.ids + said).argmax()),)


def conversation(tokenizer, task=EMOTION, turns=5, **layout):
    said = Dialogue("d", tuple(Utterance(f"turn {i}, hm" * (i + 1), "AB"[i % 2]) for i in range(turns)))
    examples = [Example(str(i), "set", said, i) for i in range(turns)]
    return Encoder(tokenizer, Layout(**layout), task).encode([*examples, sentence("Lone.", "s", "set")])


@pytest.fixture
def plain(model):
    """The same weights with plain attention."""
    other = type(model)(model.config.__class__(**{**model.config.to_dict(), "attn_implementation": None}))
    other.load_state_dict(model.state_dict())
    other.set_attn_implementation("sdpa")
    return other.eval().requires_grad_(False)


@pytest.mark.parametrize("name", ["inline", "paper"])
def test_probabilities_are_those_of_one_label_at_a_time(model, plain, tokenizer, name):
    prompts = conversation(tokenizer, turns=3, name=name)
    assert len({len(answer) for answer in prompts[0].answers}) > 2
    scores = score(model, prompts)
    assert len(scores) == len(prompts)
    for one, found in zip(prompts, scores, strict=True):
        assert tuple(found.probabilities) == EMOTION.labels
        assert abs(sum(found.probabilities.values()) - 1) < 1e-12
        np.testing.assert_allclose(values(found), by_hand(plain, one), rtol=1e-4, atol=1e-9)
        assert found.label == EMOTION.labels[int(by_hand(plain, one).argmax())]


def test_labels_that_begin_one_another_are_told_apart_by_the_end_token(model, plain, tokenizer):
    task = EMOTION.with_labels("joy", "joyful", "joyfully")
    prompts = conversation(tokenizer, task, turns=2)
    assert all(answer[-1] == tokenizer.eos_token_id for answer in prompts[0].answers)
    for one, found in zip(prompts, score(model, prompts), strict=True):
        np.testing.assert_allclose(values(found), by_hand(plain, one), rtol=1e-4, atol=1e-9)


def test_plain_attention_scores_the_same(model, plain, tokenizer):
    prompts = conversation(tokenizer)
    for one, other in zip(score(model, prompts), score(plain, prompts), strict=True):
        np.testing.assert_allclose(values(one), values(other), rtol=1e-4)
        assert one.greedy == other.greedy


def test_the_bound_on_rows_makes_no_difference(model, tokenizer):
    prompts = conversation(tokenizer)
    reference = score(model, prompts, max_row_tokens=10**6)
    for budget in (1, 300, 700, 1500):
        for one, other in zip(reference, score(model, prompts, max_row_tokens=budget), strict=True):
            np.testing.assert_allclose(values(one), values(other), rtol=1e-4)
            assert (one.label, one.greedy) == (other.label, other.greedy)


def test_neighbours_in_a_row_make_no_difference(model, tokenizer):
    prompts = conversation(tokenizer)
    together = score_row(model, PackedRow(tuple(prompts), score=True))
    for one, found in zip(prompts, together, strict=True):
        (alone,) = score_row(model, PackedRow((one,), score=True))
        np.testing.assert_allclose(values(found), values(alone), rtol=1e-4)


def test_the_order_of_labels_makes_no_difference(model, tokenizer):
    prompts = conversation(tokenizer)
    order = [3, 0, 6, 2, 5, 1, 4]
    shuffled = []
    for p in prompts:
        task = replace(p.task, labels=tuple(p.task.labels[i] for i in order))
        shuffled.append(replace(p, task=task, answers=tuple(p.answers[i] for i in order)))
    for expected, actual in zip(score(model, prompts), score(model, shuffled), strict=True):
        assert actual.probabilities == pytest.approx(dict(expected.probabilities), rel=1e-5)
        assert (actual.label, actual.greedy) == (expected.label, expected.greedy)


def test_probabilities_sum_to_one_however_unlikely_the_labels(small):
    model = small(0, attention.NAME)
    with torch.no_grad():
        model.lm_head.weight.mul_(3000)
    log_p = next_log_p(model, [1, 2, 3])
    never = int(log_p.argmin())
    assert np.exp(float(log_p[never])) == 0  # beyond what a float can hold
    answers = [(never, 0, 1), (never, never), (never, 2, 3, 4)]
    (found,) = score(model, [prompt([1, 2, 3], answers)])
    assert np.isfinite(values(found)).all()
    assert abs(values(found).sum() - 1) < 1e-12


def test_greedy_is_what_decoding_a_token_at_a_time_says(small):
    rng = random.Random(0)
    spelled, left, tokens_said = 0, 0, set()
    for seed in range(6):
        by_trie, plain = small(seed, attention.NAME), small(seed, "sdpa")
        prompts = []
        for number in range(25):
            # Labels of one to three tokens, none the beginning of another.
            pool = [a for n in (1, 2, 3) for a in itertools.product(range(5), repeat=n)]
            rng.shuffle(pool)
            ids = tuple(rng.randrange(5) for _ in range(rng.randint(1, 9)))
            if number % 2:  # what the model itself goes on to say
                said = ()
                for _ in range(rng.randint(1, 3)):
                    said += (int(next_log_p(plain, ids + said).argmax()),)
                pool.insert(0, said)
            answers = []
            for answer in pool:
                if len(answers) < 5 and not any(
                    a[: len(answer)] == answer or answer[: len(a)] == a for a in answers
                ):
                    answers.append(answer)
            rng.shuffle(answers)
            prompts.append(prompt(ids, answers, number))
        for one, found in zip(prompts, score(by_trie, prompts, max_row_tokens=120), strict=True):
            expected = decode(plain, one)
            assert found.greedy == (None if expected is None else str(expected))
            spelled += expected is not None
            left += expected is None
            if expected is not None:
                tokens_said.add(len(one.answers[expected]))
    assert spelled > 20  # and the comparison was of something
    assert left > 20
    assert tokens_said >= {1, 2, 3}


def test_greedy_decoding_must_end_where_the_label_ends(small):
    """With the end token, spelling a label is not enough: decoding has to stop there."""
    rng = random.Random(1)
    found_ends, found_none = 0, 0
    for seed in range(8):
        by_trie, plain = small(seed, attention.NAME), small(seed, "sdpa")
        prompts = []
        for number in range(20):
            ids = [rng.randrange(5) for _ in range(rng.randint(1, 9))]
            first = int(next_log_p(plain, ids).argmax())
            answers = [(first, EOS), (first, first, EOS), ((first + 1) % 5, EOS)]
            prompts.append(prompt(ids, answers, number))
        for one, found in zip(prompts, score(by_trie, prompts), strict=True):
            expected = decode(plain, one)
            assert found.greedy == (None if expected is None else str(expected))
            found_ends += found.greedy is not None
            found_none += found.greedy is None
    assert found_ends
    assert found_none


def test_greedy_need_not_be_the_most_probable_label():
    """Label 1's first token is second best, and all that follows is certain; decoding goes another way."""

    class Scripted(torch.nn.Module):
        device, dtype = torch.device("cpu"), torch.float32
        config = LlamaConfig()

        def forward(self, input_ids, logits_to_keep, **_):
            after = {0: [0.4, 0.35, 0.25], 1: [0.1, 0.45, 0.45], 2: [0.01, 0.01, 0.98]}
            rows = torch.tensor([[after[int(t)] for t in input_ids[0]]]).log()
            return type("Output", (), {"logits": rows[:, logits_to_keep]})

    # After 0 the argmax is 0. Labels: (0, 1) by argmax 0 then not 1; (1, 1); (2, 2).
    (found,) = score(Scripted(), [prompt([0], [(0, 1), (1, 1), (2, 2)])])
    np.testing.assert_allclose(values(found) * (0.14 + 0.1575 + 0.245), [0.14, 0.1575, 0.245], rtol=1e-5)
    assert found.label == "2"
    assert found.greedy is None
    (found,) = score(Scripted(), [prompt([0], [(0, 0), (2, 2)])])
    assert (found.label, found.greedy) == ("1", "0")


def test_progress_counts_prompts_up_to_all(model, tokenizer):
    prompts = conversation(tokenizer)
    done = []
    score(model, prompts, max_row_tokens=400, progress=done.append)
    assert done == sorted(set(done))
    assert len(done) > 1
    assert done[-1] == len(prompts)


def test_scores_in_bfloat16_are_close_to_float32(model, tokenizer):
    prompts = [*conversation(tokenizer), *conversation(tokenizer, SENTIMENT, turns=2)]
    exact = score(model, prompts)
    rounded = score(copy.deepcopy(model).to(torch.bfloat16), prompts)
    assert rounded != exact
    for one, other in zip(rounded, exact, strict=True):
        np.testing.assert_allclose(values(one), values(other), atol=0.02)
        assert sum(values(one)) == pytest.approx(1)


def test_nothing_to_score(model):
    assert score(model, []) == []


def test_scoring_leaves_no_graph_and_no_gradient(model, tokenizer):
    model.requires_grad_(True)
    score(model, conversation(tokenizer, SENTIMENT, turns=1))
    assert all(weight.grad is None for weight in model.parameters())


def test_a_prediction_reports_what_the_prompt_left_out(model, tokenizer):
    (one,) = conversation(tokenizer, SENTIMENT, turns=1)[:1]
    (found,) = score(model, [replace(one, omitted_turns=3, cut_words=2)])
    assert found.truncated == Truncated(3, 2)
    assert not score(model, [one])[0].truncated
