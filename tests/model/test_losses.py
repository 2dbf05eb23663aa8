"""Losses: the answer over the vocabulary, the label over the label list; both as one sequence at a time."""

from dataclasses import replace
from functools import partial

import pytest
import torch
from tiny import tiny_llama
from transformers import LlamaForCausalLM, PreTrainedTokenizerFast
from tries import make_prompt

from gsa.chain.lora import fresh_link
from gsa.data.encoder import Encoder, Prompt
from gsa.data.layout import Layout
from gsa.data.task import EMOTION, SARCASM
from gsa.data.types import Dialogue, Example, Utterance
from gsa.model.losses import LOSSES, Loss, Totals, answer_loss, label_loss, loss_of
from gsa.model.scoring import PackedBatch
from gsa.recipes.schema import DatasetConfig, Level, Lora
from gsa.training.training_data import balanced
from gsa.trie import attention
from gsa.trie.packing import PackedRow


@pytest.fixture
def prompts(tokenizer: PreTrainedTokenizerFast) -> tuple[Prompt, ...]:
    """Two tasks with label lists of different length, multi-token labels."""
    said = Dialogue("d", (Utterance("Oh great.", "A"), Utterance("Is it?", "B"), Utterance("No", "A")))
    found = []
    for task, labels in ((EMOTION, ("joy", "surprise", "anger")), (SARCASM, ("sarcastic", "non-sarcastic"))):
        examples = [Example(str(i), "x", said, i, label) for i, label in enumerate(labels)]
        found += Encoder(tokenizer, Layout(), task).encode(examples)
    return tuple(found)


def flat_scores(model: LlamaForCausalLM, prompt: Prompt) -> torch.Tensor:
    """Return each label's log-probability from a sequence of its own."""
    scores = []
    for answer in prompt.answers:
        logits = model(input_ids=torch.tensor([prompt.ids + answer]), use_cache=False).logits[0]
        chosen = logits[-len(answer) - 1 : -1].log_softmax(-1).gather(1, torch.tensor(answer)[:, None])
        scores.append(chosen.sum())
    return torch.stack(scores)


def gradients(model: torch.nn.Module) -> torch.Tensor:
    found = torch.cat([p.grad.flatten() for p in model.parameters() if p.grad is not None])
    model.zero_grad()
    return found


def test_both_losses_and_their_gradients_are_those_of_single_sequences(prompts: tuple[Prompt, ...]) -> None:
    model = fresh_link(tiny_llama().requires_grad_(False), Lora(rank=3), 0)
    for name, parameter in model.named_parameters():
        if "lora_B" in name:
            parameter.data.normal_(std=0.1)
    base = model.get_base_model()
    for loss, score in ((label_loss, True), (answer_loss, False), (answer_loss, True)):
        base.set_attn_implementation(attention.NAME)
        found = loss(model, PackedBatch.from_row(PackedRow(prompts, score), model))
        found.backward()
        by_trie = gradients(model)
        base.set_attn_implementation("sdpa")
        scores = [flat_scores(model, prompt) for prompt in prompts]
        if loss is label_loss:
            terms = [-s.log_softmax(0)[p.gold] for s, p in zip(scores, prompts, strict=True)]
            expected = torch.stack(terms).mean()
        else:
            mine = [
                (s if score else s[p.gold : p.gold + 1]).sum() for s, p in zip(scores, prompts, strict=True)
            ]
            lengths = [len(a) for p in prompts for a in (p.answers if score else [p.answers[p.gold]])]
            expected = -torch.stack(mine).sum() / sum(lengths)
        expected.backward()
        flat = gradients(model)
        assert found.item() == pytest.approx(expected.item(), rel=1e-5)
        assert (by_trie - flat).norm() / flat.norm() <= 1e-5


def test_the_labels_loss_takes_up_a_share_of_the_answer_loss(
    prompts: tuple[Prompt, ...], model: LlamaForCausalLM
) -> None:
    scored = PackedBatch.from_row(PackedRow(prompts, True), model)
    labels, answer = (
        label_loss(model, scored),
        answer_loss(model, PackedBatch.from_row(PackedRow(prompts, False), model)),
    )
    both = label_loss(model, scored, answer_weight=0.25)
    assert both.item() == pytest.approx((labels + 0.25 * answer).item(), rel=1e-5)
    assert both.item() > labels.item() + 0.5
    level = Level(name="x", datasets=(DatasetConfig(name="sst2"),), learning_rate=1e-3, loss="labels")
    assert loss_of(level) is label_loss
    mixed = loss_of(level.model_copy(update={"answer_weight": 0.25}))
    assert mixed(model, scored).item() == both.item()


def test_examples_count_by_their_weight_in_the_labels_loss(
    prompts: tuple[Prompt, ...], model: LlamaForCausalLM
) -> None:
    each = [
        label_loss(model, PackedBatch.from_row(PackedRow((prompt,), True), model)).item()
        for prompt in prompts
    ]
    weights = [0.5, 2.0, 1.25, 1.0, 0.25]
    heavy = tuple(replace(p, weight=w) for p, w in zip(prompts, weights, strict=True))
    found = label_loss(model, PackedBatch.from_row(PackedRow(heavy, True), model)).item()
    expected = sum(w * one for w, one in zip(weights, each, strict=True)) / len(prompts)
    assert found == pytest.approx(expected, rel=1e-5)


def test_balanced_examples_weigh_as_their_labels_are_rare(prompts: tuple[Prompt, ...]) -> None:
    """Of labels 0, 0, 0, 1: all labels together weigh the same with 1; counts' roots with a half."""
    four = [replace(prompts[0], gold=gold) for gold in (0, 0, 0, 1)]
    whole = [prompt.weight for prompt in balanced(four, 1.0)]
    assert whole == pytest.approx([2 / 3, 2 / 3, 2 / 3, 2.0])
    half = [prompt.weight for prompt in balanced(four, 0.5)]
    assert half[3] / half[0] == pytest.approx(3**0.5)
    assert sum(half) == pytest.approx(4)


@pytest.mark.parametrize("loss", [answer_loss, label_loss, partial(label_loss, answer_weight=0.25)])
def test_shares_of_rows_add_up_to_the_mean_over_the_step(
    prompts: tuple[Prompt, ...], model: LlamaForCausalLM, loss: Loss
) -> None:
    """However targets are spread over rows, the sum of the rows' shares is the loss of one row of all."""
    scored = loss is not answer_loss
    together = loss(model, PackedBatch.from_row(PackedRow(prompts, scored), model))
    rows = [PackedRow(part, scored) for part in (prompts[:1], prompts[1:4], prompts[4:])]
    totals = Totals.of(rows)
    assert totals == Totals(5, sum(len(p.answers[p.gold]) for p in prompts))
    shares = [loss(model, PackedBatch.from_row(row, model), totals).item() for row in rows]
    assert sum(shares) == pytest.approx(together.item(), rel=1e-5)


def test_the_label_loss_leaves_tokens_outside_the_list_alone(
    prompts: tuple[Prompt, ...], model: LlamaForCausalLM, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With labels of one token each, only their logits get a gradient."""
    one = make_prompt(prompts[0].ids, ((5,), (9,), (77,)), 1)
    kept: list[torch.Tensor] = []

    def spying(**inputs: object) -> object:
        out = LlamaForCausalLM.forward(model, **inputs)
        out.logits.requires_grad_(True).retain_grad()
        kept.append(out.logits)
        return out

    spying.device, spying.dtype, spying.config = model.device, model.dtype, model.config  # type: ignore[attr-defined]
    touched = {}
    for loss, score in ((label_loss, True), (answer_loss, False)):
        loss(spying, PackedBatch.from_row(PackedRow((one,), score), spying)).backward()
        touched[loss.__name__] = set((kept[-1].grad[0, 0].abs() > 1e-6).nonzero().flatten().tolist())
    assert touched["label_loss"] == {5, 9, 77}
    assert len(touched["answer_loss"]) > 100
    assert {"answer": answer_loss, "labels": label_loss} == LOSSES
