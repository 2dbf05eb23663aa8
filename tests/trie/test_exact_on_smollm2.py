"""The promise on SmolLM2: real MELD dialogues (the sampler's without them), logits, loss and gradients."""

import gc
import os
from collections.abc import Iterator
from typing import Any

import pytest
import torch

from gsa.chain.base import load_base
from gsa.chain.lora import fresh_link
from gsa.data.encoder import Encoder
from gsa.data.selection import group_by_dialogue
from gsa.data.task import EMOTION
from gsa.model.backbone import LoadedModel
from gsa.model.forward import row_logits
from gsa.model.losses import answer_loss
from gsa.model.scoring import PackedBatch
from gsa.recipes.datasets import load_split
from gsa.recipes.loader import parse_layout
from gsa.recipes.schema import Backbone, DatasetConfig, Lora
from gsa.trie import attention
from gsa.trie.packing import group, pack

pytestmark = [
    pytest.mark.slow,
]
DIALOGUES, TARGETS = 2, 2
"""Dialogues, and targets of each: enough to share, few enough that gradients fit in 2 GB."""
NAME = "meld" if os.environ.get("GSA_DATA") else "sampler-emotion"


@pytest.fixture(scope="module")
def base() -> LoadedModel:
    """SmolLM2; tests leave its weights alone."""
    gc.collect()  # the large model of another module may still be in memory
    return load_base(Backbone())


@pytest.fixture
def linked(base: LoadedModel) -> Iterator[Any]:
    """SmolLM2 with a fresh link."""
    model = fresh_link(base.model, Lora(), 0)
    yield model
    model.unload()
    base.model.set_attn_implementation(attention.NAME)


@pytest.mark.parametrize(("name", "context"), [("paper", "dialogue"), ("inline", "history")])
def test_trie_equals_one_sequence_per_prompt(base: LoadedModel, linked: Any, name: str, context: str) -> None:
    model = linked
    torch.manual_seed(0)
    for parameter_name, parameter in model.named_parameters():
        if "lora_B" in parameter_name:
            parameter.data.normal_(std=0.01)
    encoder = Encoder(base.tokenizer, parse_layout(name=name, context=context), EMOTION)
    dialogues = group_by_dialogue(load_split(DatasetConfig(name=NAME), "train"))
    examples = [example for dialogue in dialogues[:DIALOGUES] for example in dialogue[:TARGETS]]
    (row,) = pack(group(encoder.encode(examples)), score=False, fill_tokens=4096)
    assert len(row.prompts) == DIALOGUES * TARGETS

    def gradients() -> torch.Tensor:
        found = torch.cat([p.grad.flatten().clone() for p in model.parameters() if p.grad is not None])
        model.zero_grad()
        return found

    batch = PackedBatch.from_row(row, model)
    shared = answer_loss(model, batch)
    shared.backward()
    by_trie = gradients()
    with torch.no_grad():
        logits = row_logits(model, batch.inputs)[batch.logit_index]
    model.base_model.model.set_attn_implementation("sdpa")
    flat = torch.zeros(())
    at = 0
    for prompt in row.prompts:
        answer = prompt.answers[prompt.gold or 0]
        ids = torch.tensor([prompt.ids + answer[:-1]])
        # All logits, as a plain trainer has them: the product of a single row with the head's 49,152
        # columns is summed less exactly, and alone puts gradients 5e-5 off those in float64.
        found = model(input_ids=ids, use_cache=False).logits[0, -len(answer) :]
        assert (logits[at : at + len(answer)] - found).norm() / found.norm() <= 1e-5
        at += len(answer)
        loss = torch.nn.functional.cross_entropy(found, torch.tensor(answer), reduction="sum") / len(
            batch.tokens
        )
        loss.backward()
        flat += loss.detach()
    assert abs(shared.item() - flat.item()) / flat.item() <= 1e-5
    by_sequence = gradients()
    assert (by_trie - by_sequence).norm() / by_sequence.norm() <= 1e-5
