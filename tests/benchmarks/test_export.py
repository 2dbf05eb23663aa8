"""Everybody reads the tokens that gsa's Encoder makes, and computes the same loss from them."""

import json
from pathlib import Path
from typing import Any

import pytest
import torch
from tiny import tiny_llama
from transformers import LlamaForCausalLM, PreTrainedTokenizerFast

import ours
from export import Selection, drawn, prompts_from, prompts_of, write_examples
from gsa.data.encoder import Encoder, Prompt
from gsa.data.layout import Layout
from gsa.data.selection import group_by_dialogue
from gsa.data.task import EMOTION
from gsa.recipes.datasets import load_split
from gsa.recipes.schema import DatasetConfig
from gsa.trie.packing import group, pack

NAME = "sampler-emotion"
SPLIT = load_split(DatasetConfig(name=NAME), "train")


def selection(layout: str = "paper", dialogues: int = 3, **more: Any) -> Selection:
    return Selection((NAME,), "train", layout, dialogues, **more)


def exported(folder: Path, prompts: list[Prompt], tokenizer: Any) -> tuple[dict[str, Any], list[Any]]:
    from common import read

    write_examples(folder, prompts, tokenizer, 1024, folder)
    return read(folder)


@pytest.mark.parametrize(("layout", "context"), [("paper", "dialogue"), ("inline", "history")])
def test_lines_hold_the_ids_of_the_encoder(
    layout: Any, context: Any, tokenizer: PreTrainedTokenizerFast, tmp_path: Path
) -> None:
    asked = selection(layout)
    _, lines = exported(tmp_path, prompts_of(NAME, asked, tokenizer), tokenizer)
    expected = Encoder(tokenizer, Layout(name=layout, context=context), EMOTION).encode(drawn(SPLIT, asked))
    assert len(lines) == len(expected) > 5
    for line, prompt, again in zip(lines, expected, prompts_from(lines), strict=True):
        assert (again.ids, again.answers, again.gold) == (prompt.ids, prompt.answers, prompt.gold)
        assert tuple(line["answer"]) == prompt.answers[prompt.gold or 0]
        assert line["answer_text"].strip() == prompt.example.label
        assert again.example.dialogue.id == prompt.example.dialogue.id


@pytest.mark.parametrize("layout", ["paper", "inline"])
def test_lines_are_packed_as_the_encoders_prompts(
    layout: str, tokenizer: PreTrainedTokenizerFast, tmp_path: Path
) -> None:
    prompts = prompts_of(NAME, selection(layout, dialogues=6), tokenizer)
    _, lines = exported(tmp_path, prompts, tokenizer)
    for score in (False, True):
        rows = [pack(group(some), score, fill_tokens=1500) for some in (prompts, prompts_from(lines))]
        tokens = [[len(row.trie) for row in packed] for packed in rows]
        assert tokens[0] == tokens[1]
        assert len(tokens[0]) > 1


def test_shares_are_whole_dialogues_that_are_dealt_once() -> None:
    whole = drawn(SPLIT, selection(dialogues=7))
    parts = [drawn(SPLIT, selection(dialogues=7, share=i, shares=3)) for i in range(3)]
    assert sorted(e.id for part in parts for e in part) == sorted(e.id for e in whole)
    assert [len(group_by_dialogue(part)) for part in parts] == [3, 2, 2]


def test_other_labels_are_candidates_of_the_same_prompts(tokenizer: PreTrainedTokenizerFast) -> None:
    labels = (*EMOTION.labels, "pride", "relief")
    (first, *_) = prompts_of(NAME, selection(labels=labels), tokenizer)
    assert len(first.answers) == len(labels)


def test_losses_by_trie_by_batch_and_by_a_trainers_collator_are_one(
    model: LlamaForCausalLM, tokenizer: PreTrainedTokenizerFast, tmp_path: Path
) -> None:
    import common
    import trainer

    prompts = prompts_of(NAME, selection(), tokenizer)[:6]
    meta, lines = exported(tmp_path, prompts, tokenizer)
    assert meta["flat_tokens"] == sum(len(e["prompt"]) + len(e["answer"]) - 1 for e in lines)
    shared = ours.gold_loss(model, prompts, 1024)
    plain = tiny_llama()
    assert common.gold_loss(plain, lines) == pytest.approx(shared, rel=1e-5)
    batch = [{"input_ids": e["prompt"] + e["answer"], "answer": len(e["answer"])} for e in lines]
    with torch.no_grad():
        assert float(plain(**trainer.collate(batch)).loss) == pytest.approx(shared, rel=1e-5)


def test_ours_prints_its_line(
    tiny_folder: Path, tokenizer: PreTrainedTokenizerFast, tmp_path: Path, capsys: Any, monkeypatch: Any
) -> None:
    prompts = prompts_of(NAME, selection(), tokenizer)
    write_examples(tmp_path, prompts, tokenizer, 1024, tiny_folder)
    monkeypatch.setattr(ours, "THREADS", 1)
    for what in ("train", "score"):
        monkeypatch.setattr("sys.argv", ["ours.py", what, str(tmp_path), "--check", "4"])
        ours.main()
        row = json.loads(capsys.readouterr().out.splitlines()[-1])
        assert row["targets"] == len(prompts)
        assert row["seconds"] > 0
        assert row["peak_rss_mb"] > 0
        assert row["loss"] == pytest.approx(ours.gold_loss(_loaded(tiny_folder), prompts[:4], 1024), rel=1e-5)


def _loaded(folder: Path) -> Any:
    from gsa.chain.base import load_base
    from gsa.recipes.schema import Backbone

    return load_base(Backbone(name=str(folder))).model
