"""What tests of tries share: prompts, random models, token sequences that share prefixes."""

from contextlib import contextmanager
from functools import cache

import pytest
import torch
from hypothesis import strategies as st
from transformers import LlamaConfig, LlamaForCausalLM, Qwen2Config, Qwen2ForCausalLM

from gsa.data.encoder import Prompt
from gsa.data.task import Task
from gsa.data.types import Dialogue, Example, Utterance
from gsa.trie import attention

CLOSE = 1e-5
FAMILIES = {
    "grouped": (LlamaForCausalLM, LlamaConfig, {"num_attention_heads": 4, "num_key_value_heads": 2}),
    "one_key": (LlamaForCausalLM, LlamaConfig, {"num_attention_heads": 4, "num_key_value_heads": 1}),
    "all_keys": (LlamaForCausalLM, LlamaConfig, {"num_attention_heads": 4, "num_key_value_heads": 4}),
    "qwen2": (Qwen2ForCausalLM, Qwen2Config, {"num_attention_heads": 4, "num_key_value_heads": 2}),
}


def make_prompt(ids, answers, gold=None, number=0, dialogue="d", dataset="set"):
    """A prompt of the given ids, whose task has the labels "0", "1", ..., one an answer."""
    example = Example(str(number), dataset, _dialogue(dialogue), 0)
    answers = tuple(map(tuple, answers))
    return Prompt(example, _task(dataset, len(answers)), tuple(ids), answers, range(1), gold)


@cache
def _dialogue(name):
    return Dialogue(name, (Utterance("x"),))


@cache
def _task(name, labels):
    return Task(name, 1, "", labels=tuple(str(i) for i in range(labels)))


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


@pytest.fixture(autouse=True)
def eager_cuts(monkeypatch):
    """Starting a span costs next to nothing, so that small tries are cut into many."""
    monkeypatch.setattr(attention, "OVERHEAD", 1)


@contextmanager
def span_costs(overhead):
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(attention, "OVERHEAD", overhead)
        yield


overheads = st.sampled_from([1, 20, 4096])  # many spans, some spans, one span


def relative_error(actual, expected):
    """Relative difference of two tensors."""
    return float((actual - expected).norm() / expected.norm())


tokens = st.integers(0, 9)
sequences = st.lists(st.lists(tokens, min_size=1, max_size=7), min_size=1, max_size=7)
trunks = st.lists(tokens, max_size=6)


@st.composite
def sequence_sets(draw):
    """Sequences that share prefixes."""
    several = draw(sequences)
    for _ in range(draw(st.integers(0, 4))):
        ids = draw(st.sampled_from(several))
        several.append(ids[: draw(st.integers(1, len(ids)))] + draw(st.lists(tokens, max_size=5)))
    trunk = draw(trunks)
    return [trunk + ids for ids in several]
