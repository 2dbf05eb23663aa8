"""Attention over a trie: the same numbers as one sequence per prompt."""

import itertools
import warnings
from contextlib import contextmanager
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from peft import LoraConfig, get_peft_model
from transformers import LlamaConfig, LlamaForCausalLM, Qwen2Config, Qwen2ForCausalLM

from gsa.chain.answers import Reading, answer_loss
from gsa.chain.backbone import trie_inputs
from gsa.errors import InputError
from gsa.tasks.dialogue import Dialogue, Example, Utterance
from gsa.tasks.encoding import Prompt
from gsa.trie import attention
from gsa.trie.attention import attend, cuts, plan, trie_attention
from gsa.trie.rows import Row, branches
from gsa.trie.trie import TokenTrie

CLOSE = 1e-5
FAMILIES = {
    "grouped": (LlamaForCausalLM, LlamaConfig, {"num_attention_heads": 4, "num_key_value_heads": 2}),
    "one_key": (LlamaForCausalLM, LlamaConfig, {"num_attention_heads": 4, "num_key_value_heads": 1}),
    "all_keys": (LlamaForCausalLM, LlamaConfig, {"num_attention_heads": 4, "num_key_value_heads": 4}),
    "qwen2": (Qwen2ForCausalLM, Qwen2Config, {"num_attention_heads": 4, "num_key_value_heads": 2}),
}


def build(family, kind=attention.NAME):
    """A random model of 11 tokens, attending in the given way."""
    model, config, heads = FAMILIES[family]
    torch.manual_seed(0)
    tiny = model(
        config(
            vocab_size=11, hidden_size=32, intermediate_size=48, num_hidden_layers=2, initializer_range=0.2,
            max_position_embeddings=2048, bos_token_id=None, eos_token_id=10, pad_token_id=10, **heads,
        )
    )  # fmt: skip
    tiny.set_attn_implementation(kind)
    return tiny.eval().requires_grad_(False)


@pytest.fixture(scope="module")
def models():
    """By family: one that attends by trie, and one with the same weights and plain attention."""
    return {family: (build(family), build(family, "sdpa")) for family in FAMILIES}


@pytest.fixture(autouse=True)
def eager_cuts(monkeypatch):
    """Starting a run costs next to nothing, so that small tries are cut into many."""
    monkeypatch.setattr(attention, "OVERHEAD", 1)


@contextmanager
def run_costs(overhead):
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(attention, "OVERHEAD", overhead)
        yield


overheads = st.sampled_from([1, 20, 4096])  # many runs, some runs, one run


def off(found, expected):
    """Relative difference of two tensors."""
    return float((found - expected).norm() / expected.norm())


def logits(model, trie):
    with torch.no_grad():
        return model(**trie_inputs(trie, model)).logits[0]


def alone(model, ids):
    with torch.no_grad():
        return model(input_ids=torch.tensor([ids]), use_cache=False).logits[0]


tokens = st.integers(0, 9)
sequences = st.lists(st.lists(tokens, min_size=1, max_size=7), min_size=1, max_size=7)
trunks = st.lists(tokens, max_size=6)


@st.composite
def bushes(draw):
    """Sequences with beginnings in common."""
    several = draw(sequences)
    for _ in range(draw(st.integers(0, 4))):
        ids = draw(st.sampled_from(several))
        several.append(ids[: draw(st.integers(1, len(ids)))] + draw(st.lists(tokens, max_size=5)))
    trunk = draw(trunks)
    return [trunk + ids for ids in several]


# Cuts.


def cost(depth, bounds, overhead):
    return sum((b - a) * (depth[a] + b - a) + overhead for a, b in itertools.pairwise(bounds))


@given(bushes(), st.sampled_from([0, 1, 5, 30, 4096]))
def test_cuts_are_boundaries_of_the_cheapest_runs(several, overhead):
    depth = [int(d) for d in TokenTrie.build(several).depth][:9]
    with run_costs(overhead):
        found = cuts(depth)
    n = len(depth)
    assert found[0] == 0
    assert found[-1] == n
    assert all(a < b for a, b in itertools.pairwise(found))
    every = ((0, *inner, n) for k in range(n) for inner in itertools.combinations(range(1, n), k))
    assert cost(depth, found, overhead) == min(cost(depth, bounds, overhead) for bounds in every)


def test_cuts_of_nothing():
    assert cuts([]) == [0]
    assert plan(TokenTrie.build([])) == ()


def test_runs_grow_with_what_a_run_costs(monkeypatch):
    depth = TokenTrie.build([[1, 2, *[i] * 4] for i in range(3, 9)]).depth
    counts = []
    for overhead in (1, 20, 4096):
        monkeypatch.setattr(attention, "OVERHEAD", overhead)
        counts.append(len(cuts(depth)) - 1)
    assert counts[0] > counts[1] >= counts[2] == 1


def test_no_run_is_longer_than_the_longest(monkeypatch):
    monkeypatch.setattr(attention, "OVERHEAD", 10**9)
    monkeypatch.setattr(attention, "LONGEST", 7)
    widths = np.diff(cuts(range(50)))
    assert widths.max() == 7
    assert len(widths) == 8


# Plans.


@given(bushes(), overheads)
def test_a_plan_says_of_every_pair_what_the_mask_says(several, overhead):
    trie = TokenTrie.build(several)
    seen = np.zeros((len(trie), len(trie)), bool)
    covered = []
    with run_costs(overhead):
        runs = plan(trie)
    keys, every = np.empty(0, np.int64), torch.arange(len(trie))
    for run in runs:
        covered += range(run.start, run.stop)
        assert run.kept <= len(keys)
        keys = np.concatenate([keys[: run.kept], every[run.fresh].numpy()])
        assert len(keys) == run.keys
        assert np.array_equal(keys[run.staying :], every[run.leaving].numpy())
        assert run.bias.shape == (run.stop - run.start, 1, len(keys) - run.masked)
        assert len(set(keys.tolist())) == len(keys)
        assert torch.all((run.bias == 0) | (run.bias == float("-inf")))
        seen[run.start : run.stop, keys[: run.masked]] = True
        seen[run.start : run.stop, keys[run.masked :]] = run.bias[:, 0].numpy() == 0
    assert covered == list(range(len(trie)))
    assert [run.kept for run in runs[1:]] == [run.staying for run in runs[:-1]]
    assert runs[-1].staying == runs[0].kept == 0
    assert np.array_equal(seen, trie.mask())


def test_a_plan_is_made_for_the_dtype_of_the_scores():
    trie = TokenTrie.build([[1, 2], [1, 3]])
    assert {run.bias.dtype for run in plan(trie, torch.bfloat16)} == {torch.bfloat16}
    assert {run.bias.dtype for run in plan(trie)} == {torch.float32}


# The forward pass.


@pytest.mark.parametrize("family", FAMILIES)
@settings(deadline=None, max_examples=20)
@given(bushes(), overheads)
def test_logits_at_every_node_equal_those_of_its_own_sequence(models, family, several, overhead):
    by_trie, plain = models[family]
    trie = TokenTrie.build(several)
    with run_costs(overhead):
        found, dense = logits(by_trie, trie), logits(plain, trie)
    assert off(found, dense) <= CLOSE
    for ids, leaf in zip(several, trie.leaf, strict=True):
        expected, path = alone(plain, ids), trie.path(int(leaf))
        assert off(found[path], expected) <= CLOSE
        assert off(dense[path], expected) <= CLOSE


def test_the_two_ways_to_read_a_trie_are_the_ones_compared(models):
    trie = TokenTrie.build([[1, 2, 3, *[i] * 5] for i in range(4, 9)])
    by_trie, plain = models["grouped"]
    assert len(trie_inputs(trie, by_trie)["trie_plan"]) > 2
    assert "attention_mask" not in trie_inputs(trie, by_trie)
    mask = trie_inputs(trie, plain)["attention_mask"]
    assert mask.dtype == torch.bool
    assert np.array_equal(mask[0, 0].numpy(), trie.mask())
    assert "trie_plan" not in trie_inputs(trie, plain)


def test_what_is_not_an_ancestor_makes_no_difference(models):
    by_trie, _ = models["grouped"]
    one = TokenTrie.build([[1, 2, 3, 4], [1, 2, 5, 6]])
    other = TokenTrie.build([[1, 2, 3, 4], [1, 2, 9, 9]])
    assert torch.equal(logits(by_trie, one)[:4], logits(by_trie, other)[:4])
    assert off(logits(by_trie, one)[4:], logits(by_trie, other)[4:]) > 0.01  # while what is one's own does


@pytest.mark.parametrize("overhead", [1, 4096])
def test_a_sequence_longer_than_any_run_is_exact(models, monkeypatch, overhead):
    monkeypatch.setattr(attention, "OVERHEAD", overhead)
    by_trie, plain = models["grouped"]
    ids = [(7 * i * i + i // 3) % 10 for i in range(900)]
    several = [ids, [*ids[:500], 3, 1], [*ids[:890], 2, 2, 2]]
    trie = TokenTrie.build(several)
    assert len(plan(trie)) > 2
    found = logits(by_trie, trie)
    for one, leaf in zip(several, trie.leaf, strict=True):
        assert off(found[trie.path(int(leaf))], alone(plain, one)) <= CLOSE


def test_half_precision_follows_the_dense_mask():
    by_trie, plain = (build("grouped", kind).to(torch.bfloat16) for kind in (attention.NAME, "sdpa"))
    trie = TokenTrie.build([[1, 2, 3, i, i + 1] for i in range(8)])
    assert off(logits(by_trie, trie).float(), logits(plain, trie).float()) < 0.03


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
    assert off(found[1, real], alone(plain, ids[1, real].tolist())) <= CLOSE


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
    return trie_attention(module, q, k, k, None, trie_plan=plan(trie), **kwargs)


@pytest.mark.parametrize(
    ("kwargs", "named"),
    [
        ({"sliding_window": 4}, "sliding_window"),
        ({"softcap": 50.0}, "softcap"),
        ({"s_aux": torch.zeros(4)}, "s_aux"),
        ({"dropout": 0.1}, "dropout"),
    ],
)
def test_other_kinds_of_attention_are_refused(kwargs, named):
    with pytest.raises(InputError, match=f"'{named}'.*expected plain softmax attention"):
        call(**kwargs)


def test_arguments_that_change_nothing_are_taken():
    out, weights = call(sliding_window=None, softcap=None, dropout=0.0, scaling=8**-0.5)
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


# The backward pass.


@pytest.mark.parametrize("overhead", [1, 4096])
@pytest.mark.parametrize("several", [[[1, 2, 3], [1, 2, 4, 5], [1, 6], [7]], [[1, 2, 3, 4]], [[1], [2]]])
def test_gradients_are_those_of_finite_differences(several, overhead, monkeypatch):
    monkeypatch.setattr(attention, "OVERHEAD", overhead)
    trie = TokenTrie.build(several)
    runs = plan(trie, torch.float64)
    torch.manual_seed(0)
    q = torch.randn(2, len(trie), 2, 3, dtype=torch.float64, requires_grad=True)
    k, v = (torch.randn(2, len(trie), 3, dtype=torch.float64, requires_grad=True) for _ in range(2))
    assert torch.autograd.gradcheck(lambda *x: attend(*x, runs), (q, k, v))


def prompt(ids, answers, gold, number):
    example = Example(str(number), "set", Dialogue("d", (Utterance("x"),)), 0)
    return Prompt(example, tuple(ids), tuple(map(tuple, answers)), range(1), gold)


@st.composite
def lessons(draw):
    answers = [(9, 8), (9, 7, 6), (5,)]
    prompts = [prompt([0, *ids], answers, draw(st.integers(0, 2)), i) for i, ids in enumerate(draw(bushes()))]
    return tuple(prompts)


@pytest.fixture(scope="module", params=[torch.float32, torch.float64], ids=str)
def linked(request):
    """A model with a link whose B is not zero; how it attends is set by the test."""
    link = LoraConfig(r=4, lora_alpha=8, target_modules=["q_proj", "k_proj", "v_proj", "o_proj"],
                      init_lora_weights="gaussian", task_type="CAUSAL_LM")  # fmt: skip
    with warnings.catch_warnings():
        # PEFT asks transformers by a name that the newest transformers calls deprecated.
        warnings.filterwarnings("ignore", ".*is_gradient_checkpointing", FutureWarning)
        model = get_peft_model(build("grouped"), link)
    torch.manual_seed(1)
    for name, weight in model.named_parameters():
        if "lora_B" in name:
            torch.nn.init.normal_(weight, std=0.1)  # float32's own noise stays well below CLOSE
    return model.to(request.param).eval()


def gradients(model, loss):
    model.zero_grad()
    loss.backward()
    return {name: w.grad.clone() for name, w in model.named_parameters() if w.requires_grad}


@settings(deadline=None, max_examples=25)
@given(lessons(), overheads)
def test_loss_and_gradients_equal_those_of_one_sequence_a_prompt(linked, prompts, overhead):
    row = Row(prompts, score=False)
    linked.get_base_model().set_attn_implementation(attention.NAME)
    with run_costs(overhead):
        reading = Reading.of(row, linked)
    assert "trie_plan" in reading.inputs
    found = answer_loss(linked, reading)
    found_gradients = gradients(linked, found)

    linked.get_base_model().set_attn_implementation("sdpa")
    losses = []
    for p in prompts:
        answer = p.answers[p.gold]
        (ids,) = branches(p, score=False)
        predicted = linked(input_ids=torch.tensor([ids]), use_cache=False).logits[0, -len(answer) :]
        losses.append(torch.nn.functional.cross_entropy(predicted, torch.tensor(answer), reduction="sum"))
    expected = sum(losses) / sum(len(p.answers[p.gold]) for p in prompts)
    expected_gradients = gradients(linked, expected)

    assert found.item() == pytest.approx(expected.item(), rel=CLOSE, abs=1e-6)
    assert found_gradients.keys() == expected_gradients.keys()
    assert len(found_gradients) == 2 * 4 * 2  # A and B of four matrices in two layers, nothing else
    flat, expected_flat = (
        torch.cat([g.flatten() for g in all_of.values()]) for all_of in (found_gradients, expected_gradients)
    )
    assert off(flat, expected_flat) <= CLOSE
    if linked.dtype == torch.float64:  # where a matrix whose gradient all but cancels is not lost in noise
        for name, gradient in found_gradients.items():
            assert off(gradient, expected_gradients[name]) <= CLOSE, name


def test_logits_are_kept_only_where_an_answer_token_is_predicted(linked):
    linked.get_base_model().set_attn_implementation(attention.NAME)
    row = Row((prompt([1, 2, 3], [(9, 8), (5,)], 0, 1), prompt([1, 2, 4], [(9, 8), (5,)], 1, 2)), score=False)
    reading = Reading.of(row, linked)
    assert reading.tokens.tolist() == [9, 8, 5]
    assert linked(**reading.inputs).logits.shape == (1, 3, 11)
