"""The trial mask: a dialogue is read both ways once for all its targets, and sees no other dialogue."""

import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from tiny import byte_tokenizer, tiny_llama

import prefix_mask
from gsa.data.encoder import Encoder, Prompt
from gsa.data.layout import Layout
from gsa.data.task import EMOTION
from gsa.data.types import Dialogue, Example, Utterance
from gsa.trie.packing import PackedRow


@pytest.fixture
def prompts() -> list[Prompt]:
    """Two dialogues with two targets each, the whole dialogue shown."""
    encoder = Encoder(byte_tokenizer(), Layout(name="paper", context="dialogue"), EMOTION)
    found = []
    for name, said in (("d", ("Oh great.", "Is it?")), ("e", ("No.", "Yes, it is."))):
        turns = tuple(Utterance(text, "AB"[i]) for i, text in enumerate(said))
        found += [Example(f"{name}{i}", "x", Dialogue(name, turns), i, "joy") for i in range(2)]
    return encoder.encode(found)


def logits(trie: prefix_mask.BothWays) -> torch.Tensor:
    model = tiny_llama()
    model.set_attn_implementation("sdpa")
    with torch.no_grad():
        return model(
            input_ids=torch.from_numpy(trie.tokens)[None],
            position_ids=torch.from_numpy(trie.depth)[None],
            attention_mask=torch.from_numpy(trie.mask())[None, None],
        ).logits[0]


def test_targets_of_a_dialogue_read_what_they_would_alone(prompts: list[Prompt]) -> None:
    seam = list(byte_tokenizer()(prefix_mask.SEAM)["input_ids"])
    together = prefix_mask.opened(PackedRow(tuple(prompts[:2]), True), seam)
    ((start, stop),) = together.spans
    assert start == 0
    assert byte_tokenizer().decode(together.tokens[:stop]) == "Dialogue:\nA: Oh great.\nB: Is it?"
    shared = logits(together)
    for number, prompt in enumerate(prompts[:2]):
        alone = prefix_mask.opened(PackedRow((prompt,), True), seam)
        count = len(prompt.answers)
        for i in range(count):
            one = logits(alone)[alone.path(int(alone.leaf[i]))]
            path = together.path(int(together.leaf[number * count + i]))
            assert (shared[path] - one).norm() / one.norm() <= 1e-5
    causal = logits(_closed(together))
    assert (shared - causal).norm() / causal.norm() > 1e-2


def _closed(trie: prefix_mask.BothWays) -> prefix_mask.BothWays:
    found = prefix_mask.BothWays(trie.tokens, trie.depth, trie.parent, trie.end, trie.leaf)
    object.__setattr__(found, "spans", [])
    return found


def test_dialogues_of_a_row_do_not_see_each_other(prompts: list[Prompt]) -> None:
    seam = list(byte_tokenizer()(prefix_mask.SEAM)["input_ids"])
    trie = prefix_mask.opened(PackedRow(tuple(prompts), True), seam)
    first, second = trie.spans
    mask = trie.mask()
    for (start, stop), (other, end) in ((first, second), (second, first)):
        assert mask[start:stop, start:stop].all()
        assert not mask[start:stop, other:end].any()
    opened = np.zeros_like(mask)
    for start, stop in trie.spans:
        opened[start:stop, start:stop] = True
    assert (mask == (_closed(trie).mask() | opened)).all()


def test_the_trial_tunes_and_measures(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tiny_folder: Path
) -> None:
    words = [
        "--out",
        tmp_path / "run",
        "--train",
        20,
        "--limit",
        10,
        "--dataset",
        "sampler-emotion",
        "--split",
        "test",
    ]
    words += ["--backbone", tiny_folder]
    monkeypatch.setattr(sys, "argv", ["prefix_mask.py", *map(str, words)])
    monkeypatch.setattr(PackedRow, "trie", vars(PackedRow)["trie"])  # put back after
    prefix_mask.main()
    assert "level 1 sampler-emotion weighted_f1 " in capsys.readouterr().out
