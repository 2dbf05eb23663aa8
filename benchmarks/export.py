"""The common input of all contestants: the very tokens that gsa's Encoder makes, as files.

In: datasets, split, layout, number of dialogues and which share of them. Out: a folder with `meta.json`
(backbone, link, settings) and `examples.jsonl`, one target a line.
"""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np

from gsa.atomic_io import write_atomic
from gsa.chain.base import load_config
from gsa.data.encoder import Encoder, Prompt
from gsa.data.selection import group_by_dialogue
from gsa.data.task import Task
from gsa.data.types import Dialogue, Example
from gsa.model import smollm2
from gsa.recipes.datasets import load_split, task_of
from gsa.recipes.loader import parse_layout
from gsa.recipes.schema import Backbone, DatasetConfig, Lora
from gsa.trie.packing import group, pack

CONTEXT = {"paper": "dialogue", "inline": "history"}
"""What each layout shows by default."""
RATE = 5e-4
GGUF = Path(__file__).parents[1] / "build" / "bench" / "smollm2-135m-float32.gguf"
"""Where `weights.py` puts what llama.cpp reads; other precisions lie beside it."""


@dataclass(frozen=True)
class Selection:
    """What is exported."""

    datasets: tuple[str, ...]
    split: str
    layout: str
    dialogues: int
    """Dialogues a dataset over all shares, drawn with seed 0."""
    share: int = 0
    shares: int = 1
    """The dialogues are dealt into this many shares; `share` is the one exported."""
    row_tokens: int = 1024
    """Tokens of gsa's rows, which say how many examples make an optimizer step."""
    labels: tuple[str, ...] = ()
    """Another label list for the task."""


def drawn(examples: Sequence[Example], selection: Selection) -> list[Example]:
    """Return the examples of the share's dialogues, in the order of the file."""
    parts = group_by_dialogue(examples)
    order = np.random.default_rng(0).permutation(len(parts))[: selection.dialogues]
    return [example for i in sorted(order[selection.share :: selection.shares]) for example in parts[i]]


def prompts_of(name: str, selection: Selection, tokenizer: Any) -> list[Prompt]:
    """Encode one dataset's share as gsa does."""
    source = DatasetConfig(name=name)
    task: Task = task_of(source)
    task = task.with_labels(*selection.labels) if selection.labels else task
    layout = parse_layout(name=selection.layout, context=CONTEXT[selection.layout])
    return Encoder(tokenizer, layout, task).encode(drawn(load_split(source, selection.split), selection))


def line_of(prompt: Prompt, tokenizer: Any) -> dict[str, Any]:
    """Return one example's line: ids and texts of prompt, gold answer and all candidate answers."""
    answer = list(prompt.answers[prompt.gold or 0])
    return {
        "id": prompt.example.id,
        "dataset": prompt.example.dataset,
        "dialogue": prompt.example.dialogue.id,
        "prompt": list(prompt.ids),
        "answer": answer,
        "candidates": [list(ids) for ids in prompt.answers],
        "gold": prompt.gold or 0,
        "prompt_text": tokenizer.decode(prompt.ids),
        "answer_text": tokenizer.decode(answer),
    }


def prompts_from(lines: Sequence[dict[str, Any]]) -> list[Prompt]:
    """Return the Prompts that lines were made of, without their texts; labels are called by their index.

    As in the Encoder's, prompts of one dialogue have one Dialogue object, and those of one dataset one Task:
    by these a row's prompts are grouped.
    """
    task = cache(lambda name, labels: Task(name, 1, "", labels=tuple(map(str, range(labels)))))
    dialogue = cache(lambda _, id: Dialogue(id, ()))
    prompts = []
    for line in lines:
        name, candidates = line["dataset"], tuple(tuple(ids) for ids in line["candidates"])
        example = Example(line["id"], name, dialogue(name, line["dialogue"]), 0, str(line["gold"]))
        asked = task(name, len(candidates))
        prompts.append(Prompt(example, asked, tuple(line["prompt"]), candidates, range(0), line["gold"]))
    return prompts


def write_examples(
    folder: Path, prompts: list[Prompt], tokenizer: Any, row_tokens: int, backbone: Path
) -> None:
    """Write prompts and what the contestants must know besides."""
    rows = pack(group(prompts), score=False, fill_tokens=row_tokens)
    meta = {
        "backbone": str(backbone),
        "gguf": str(GGUF),
        "lora": Lora().model_dump(mode="json"),
        "learning_rate": RATE,
        "row_tokens": row_tokens,
        "per_step": max(1, round(len(prompts) / len(rows))),
        "flat_tokens": sum(len(p.ids) + len(p.answers[p.gold or 0]) - 1 for p in prompts),
        "longest_answer": max(len(ids) for p in prompts for ids in p.answers),
    }
    write_atomic(folder / "meta.json", json.dumps(meta, indent=1))
    write_atomic(
        folder / "examples.jsonl", "".join(json.dumps(line_of(p, tokenizer)) + "\n" for p in prompts)
    )


def export(folder: Path, selection: Selection, tokenizer: Any = None) -> None:
    """Write the folder; raises InputError where a dataset is not there."""
    tokenizer = tokenizer or load_config(Backbone())[1]
    prompts = [p for name in selection.datasets for p in prompts_of(name, selection, tokenizer)]
    write_examples(folder, prompts, tokenizer, selection.row_tokens, smollm2.folder())
