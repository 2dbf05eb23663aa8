"""The backward pass over a trie: the same loss and gradients as one sequence per prompt."""

import warnings

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from peft import LoraConfig, get_peft_model
from tries import CLOSE, build, eager_cuts, make_prompt, overheads, relative_error, sequence_sets, span_costs

from gsa.model.losses import answer_loss
from gsa.model.scoring import PackedBatch
from gsa.trie import attention
from gsa.trie.attention import attend, spans_of
from gsa.trie.packing import PackedRow, branches
from gsa.trie.trie import TokenTrie

__all__ = ["eager_cuts"]  # a fixture for every test of this module


@pytest.mark.parametrize("overhead", [1, 4096])
@pytest.mark.parametrize("several", [[[1, 2, 3], [1, 2, 4, 5], [1, 6], [7]], [[1, 2, 3, 4]], [[1], [2]]])
def test_gradients_are_those_of_finite_differences(several, overhead, monkeypatch):
    monkeypatch.setattr(attention, "OVERHEAD", overhead)
    trie = TokenTrie.build(several)
    spans = spans_of(trie, torch.float64)
    torch.manual_seed(0)
    q = torch.randn(2, len(trie), 2, 3, dtype=torch.float64, requires_grad=True)
    k, v = (torch.randn(2, len(trie), 3, dtype=torch.float64, requires_grad=True) for _ in range(2))
    assert torch.autograd.gradcheck(lambda *x: attend(*x, spans), (q, k, v))


@st.composite
def prompt_sets(draw):
    answers = [(9, 8), (9, 7, 6), (5,)]
    prompts = [
        make_prompt([0, *ids], answers, draw(st.integers(0, 2)), i)
        for i, ids in enumerate(draw(sequence_sets()))
    ]
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
@given(prompt_sets(), overheads)
def test_loss_and_gradients_equal_those_of_one_sequence_a_prompt(linked, prompts, overhead):
    row = PackedRow(prompts, score=False)
    linked.get_base_model().set_attn_implementation(attention.NAME)
    with span_costs(overhead):
        batch = PackedBatch.from_row(row, linked)
    assert "trie_spans" in batch.inputs
    actual = answer_loss(linked, batch)
    actual_gradients = gradients(linked, actual)

    linked.get_base_model().set_attn_implementation("sdpa")
    losses = []
    for p in prompts:
        answer = p.answers[p.gold]
        (ids,) = branches(p, score=False)
        predicted = linked(input_ids=torch.tensor([ids]), use_cache=False).logits[0, -len(answer) :]
        losses.append(torch.nn.functional.cross_entropy(predicted, torch.tensor(answer), reduction="sum"))
    expected = sum(losses) / sum(len(p.answers[p.gold]) for p in prompts)
    expected_gradients = gradients(linked, expected)

    assert actual.item() == pytest.approx(expected.item(), rel=CLOSE, abs=1e-6)
    assert actual_gradients.keys() == expected_gradients.keys()
    assert len(actual_gradients) == 2 * 4 * 2  # A and B of four matrices in two layers, nothing else
    flat, expected_flat = (
        torch.cat([g.flatten() for g in all_of.values()]) for all_of in (actual_gradients, expected_gradients)
    )
    assert relative_error(flat, expected_flat) <= CLOSE
    if linked.dtype == torch.float64:  # where a matrix whose gradient all but cancels is not lost in noise
        for name, gradient in actual_gradients.items():
            assert relative_error(gradient, expected_gradients[name]) <= CLOSE, name


def test_logits_are_kept_only_where_an_answer_token_is_predicted(linked):
    linked.get_base_model().set_attn_implementation(attention.NAME)
    row = PackedRow(
        (make_prompt([1, 2, 3], [(9, 8), (5,)], 0, 1), make_prompt([1, 2, 4], [(9, 8), (5,)], 1, 2)),
        score=False,
    )
    batch = PackedBatch.from_row(row, linked)
    assert batch.tokens.tolist() == [9, 8, 5]
    assert linked(**batch.inputs).logits.shape == (1, 3, 11)
