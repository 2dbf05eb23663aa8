"""Attention over a trie: the same numbers as one sequence per prompt."""

import itertools
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from tries import CLOSE, FAMILIES, build, eager_cuts, overheads, relative_error, sequence_sets, span_costs

from gsa.errors import InputError
from gsa.model.forward import trie_inputs
from gsa.model.hf_attention import trie_attention
from gsa.trie import attention
from gsa.trie.attention import cuts, spans_of
from gsa.trie.trie import TokenTrie

__all__ = ["eager_cuts"]  # a fixture for every test of this module


@pytest.fixture(scope="module")
def models():
    """By family: one that attends by trie, and one with the same weights and plain attention."""
    return {family: (build(family), build(family, "sdpa")) for family in FAMILIES}


def logits(model, trie):
    with torch.no_grad():
        return model(**trie_inputs(trie, model)).logits[0]


def alone(model, ids):
    with torch.no_grad():
        return model(input_ids=torch.tensor([ids]), use_cache=False).logits[0]


# Cuts.


def cost(depth, bounds, overhead):
    return sum((b - a) * (depth[a] + b - a) + overhead for a, b in itertools.pairwise(bounds))


@given(sequence_sets(), st.sampled_from([0, 1, 5, 30, 4096]))
def test_cuts_are_boundaries_of_the_cheapest_spans(several, overhead):
    depth = [int(d) for d in TokenTrie.build(several).depth][:9]
    with span_costs(overhead):
        found = cuts(depth)
    n = len(depth)
    assert found[0] == 0
    assert found[-1] == n
    assert all(a < b for a, b in itertools.pairwise(found))
    every = ((0, *inner, n) for k in range(n) for inner in itertools.combinations(range(1, n), k))
    assert cost(depth, found, overhead) == min(cost(depth, bounds, overhead) for bounds in every)


def test_cuts_of_nothing():
    assert cuts([]) == [0]
    assert spans_of(TokenTrie.build([])) == ()


def test_spans_grow_with_what_a_span_costs(monkeypatch):
    depth = TokenTrie.build([[1, 2, *[i] * 4] for i in range(3, 9)]).depth
    counts = []
    for overhead in (1, 20, 4096):
        monkeypatch.setattr(attention, "OVERHEAD", overhead)
        counts.append(len(cuts(depth)) - 1)
    assert counts[0] > counts[1] >= counts[2] == 1


def test_no_span_is_longer_than_the_longest(monkeypatch):
    monkeypatch.setattr(attention, "OVERHEAD", 10**9)
    monkeypatch.setattr(attention, "LONGEST", 7)
    widths = np.diff(cuts(range(50)))
    assert widths.max() == 7
    assert len(widths) == 8


# Plans.


@given(sequence_sets(), overheads)
def test_a_plan_says_of_every_pair_what_the_mask_says(several, overhead):
    trie = TokenTrie.build(several)
    seen = np.zeros((len(trie), len(trie)), bool)
    covered = []
    with span_costs(overhead):
        spans = spans_of(trie)
    keys, every = np.empty(0, np.int64), torch.arange(len(trie))
    for span in spans:
        covered += range(span.start, span.stop)
        assert span.reused <= len(keys)
        keys = np.concatenate([keys[: span.reused], every[span.new].numpy()])
        assert len(keys) == span.keys
        assert np.array_equal(keys[span.shared :], every[span.dropped].numpy())
        assert span.bias.shape == (span.stop - span.start, 1, len(keys) - span.masked)
        assert len(set(keys.tolist())) == len(keys)
        assert torch.all((span.bias == 0) | (span.bias == float("-inf")))
        seen[span.start : span.stop, keys[: span.masked]] = True
        seen[span.start : span.stop, keys[span.masked :]] = span.bias[:, 0].numpy() == 0
    assert covered == list(range(len(trie)))
    assert [span.reused for span in spans[1:]] == [span.shared for span in spans[:-1]]
    assert spans[-1].shared == spans[0].reused == 0
    assert np.array_equal(seen, trie.mask())


def test_a_plan_is_made_for_the_dtype_of_the_scores():
    trie = TokenTrie.build([[1, 2], [1, 3]])
    assert {span.bias.dtype for span in spans_of(trie, torch.bfloat16)} == {torch.bfloat16}
    assert {span.bias.dtype for span in spans_of(trie)} == {torch.float32}


# The forward pass.


@pytest.mark.parametrize("family", FAMILIES)
@settings(deadline=None, max_examples=20)
@given(sequence_sets(), overheads)
def test_logits_at_every_node_equal_those_of_its_own_sequence(models, family, several, overhead):
    by_trie, plain = models[family]
    trie = TokenTrie.build(several)
    with span_costs(overhead):
        actual, dense = logits(by_trie, trie), logits(plain, trie)
    assert relative_error(actual, dense) <= CLOSE
    for ids, leaf in zip(several, trie.leaf, strict=True):
        expected, path = alone(plain, ids), trie.path(int(leaf))
        assert relative_error(actual[path], expected) <= CLOSE
        assert relative_error(dense[path], expected) <= CLOSE


def test_the_two_ways_to_read_a_trie_are_the_ones_compared(models):
    trie = TokenTrie.build([[1, 2, 3, *[i] * 5] for i in range(4, 9)])
    by_trie, plain = models["grouped"]
    assert len(trie_inputs(trie, by_trie)["trie_spans"]) > 2
    assert "attention_mask" not in trie_inputs(trie, by_trie)
    mask = trie_inputs(trie, plain)["attention_mask"]
    assert mask.dtype == plain.dtype
    assert np.array_equal(mask[0, 0].numpy() == 0, trie.mask())
    assert "trie_spans" not in trie_inputs(trie, plain)


def test_what_is_not_an_ancestor_makes_no_difference(models):
    by_trie, _ = models["grouped"]
    one = TokenTrie.build([[1, 2, 3, 4], [1, 2, 5, 6]])
    other = TokenTrie.build([[1, 2, 3, 4], [1, 2, 9, 9]])
    assert torch.equal(logits(by_trie, one)[:4], logits(by_trie, other)[:4])
    # What differs makes a difference.
    assert relative_error(logits(by_trie, one)[4:], logits(by_trie, other)[4:]) > 0.01


@pytest.mark.parametrize("overhead", [1, 4096])
def test_a_sequence_longer_than_any_span_is_exact(models, monkeypatch, overhead):
    monkeypatch.setattr(attention, "OVERHEAD", overhead)
    by_trie, plain = models["grouped"]
    ids = [(7 * i * i + i // 3) % 10 for i in range(900)]
    several = [ids, [*ids[:500], 3, 1], [*ids[:890], 2, 2, 2]]
    trie = TokenTrie.build(several)
    assert len(spans_of(trie)) > 2
    found = logits(by_trie, trie)
    for one, leaf in zip(several, trie.leaf, strict=True):
        assert relative_error(found[trie.path(int(leaf))], alone(plain, one)) <= CLOSE


def test_half_precision_follows_the_dense_mask():
    by_trie, plain = (build("grouped", kind).to(torch.bfloat16) for kind in (attention.NAME, "sdpa"))
    trie = TokenTrie.build([[1, 2, 3, i, i + 1] for i in range(8)])
    assert relative_error(logits(by_trie, trie).float(), logits(plain, trie).float()) < 0.03


# Without a plan.


def test_without_a_plan_a_model_is_what_it_was(models):
    for by_trie, plain in models.values():
        ids = torch.tensor([[1, 2, 3, 4, 5], [5, 4, 3, 2, 1]])
        with torch.no_grad():
            assert torch.equal(by_trie(input_ids=ids).logits, plain(input_ids=ids).logits)


@pytest.mark.parametrize("side", ["left", "right"])
def test_without_a_plan_padding_is_left_out(models, side):
    by_trie, plain = models["grouped"]
    ids = torch.tensor([[1, 2, 3, 4, 5], [10, 10, 7, 8, 9]])
    mask = torch.tensor([[1, 1, 1, 1, 1], [0, 0, 1, 1, 1]])
    if side == "right":
        ids, mask = ids.flip(1), mask.flip(1)
    with torch.no_grad():
        found = by_trie(input_ids=ids, attention_mask=mask).logits
        assert torch.equal(found, plain(input_ids=ids, attention_mask=mask).logits)
    real = mask[1].bool()
    assert relative_error(found[1, real], alone(plain, ids[1, real].tolist())) <= CLOSE


def test_without_a_plan_a_model_generates_as_before(models):
    by_trie, plain = models["grouped"]
    ids = torch.tensor([[1, 2, 3]])
    settings = {"max_new_tokens": 6, "do_sample": False, "attention_mask": torch.ones_like(ids)}
    assert torch.equal(by_trie.generate(ids, **settings), plain.generate(ids, **settings))


# What a trie cannot express.


def call(**kwargs):
    trie = TokenTrie.build([[1, 2, 3], [1, 4]])
    q, k = torch.randn(1, 4, len(trie), 8), torch.randn(1, 2, len(trie), 8)
    module = SimpleNamespace(is_causal=True, num_key_value_groups=2)
    return trie_attention(module, q, k, k, None, trie_spans=spans_of(trie), **kwargs)


@pytest.mark.parametrize(
    ("kwargs", "named"),
    [
        ({"softcap": 50.0}, "softcap"),
        ({"s_aux": torch.zeros(4)}, "s_aux"),
        ({"dropout": 0.1}, "dropout"),
    ],
)
def test_other_kinds_of_attention_are_refused(kwargs, named):
    with pytest.raises(InputError, match=f"uses {named}, .*expected plain softmax attention"):
        call(**kwargs)


def test_arguments_that_change_nothing_are_taken():
    out, weights = call(sliding_window=4, softcap=None, dropout=0.0, scaling=8**-0.5)
    assert out.shape == (1, 4, 4, 8)
    assert weights is None
    torch.manual_seed(1)
    one, _ = call()
    torch.manual_seed(1)
    same, _ = call(scaling=8**-0.5)
    torch.manual_seed(1)
    other, _ = call(scaling=1.0)
    assert torch.equal(one, same)
    assert not torch.allclose(one, other)
