"""The README of an export: what it is, how to load it, the exact prompts, how labels are scored.

In: what was exported. Out: Markdown with the hub's front matter, from `model_card.md`; its Python block runs
as it is, without this package.
"""

import json
import shlex
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import jinja2
from huggingface_hub import ModelCardData

from gsa.data.encoder import Encoder
from gsa.data.task import Task
from gsa.data.types import Dialogue, Utterance
from gsa.recipes.datasets import task_of
from gsa.recipes.schema import Recipe

TEMPLATE = Path(__file__).with_suffix(".md")
SENTENCE = Dialogue("", (Utterance("The soup was cold and nobody cared."),))
CONVERSATION = Dialogue(
    "",
    (
        Utterance("The train is cancelled again.", "Ana"),
        Utterance("Wonderful, I just love waiting in the rain.", "Ben"),
    ),
)
TITLES = {
    "merged": "merged model", "adapter": "PEFT adapter", "gguf": "GGUF", "chain": "chain of links",
    "classifier": "text classifier",
}  # fmt: skip
LIBRARIES = {"adapter": "peft", "chain": "gsa-llm"}
"""Of a kind that is not for transformers."""
KIND_TAGS = {"adapter": ["lora"], "gguf": ["gguf"], "chain": ["lora"]}
TASK_TAGS = {
    "sentiment": "sentiment-analysis",
    "emotion": "emotion-recognition-in-conversation",
    "sarcasm": "sarcasm-detection",
}
VLLM_RANKS = (8, 16, 32, 64, 128, 256, 512)
"""Values of vLLM's --max-lora-rank."""


@dataclass(frozen=True)
class Exported:
    """What a card is about."""

    recipe: Recipe
    kind: str
    links: Sequence[str]
    """Their names."""
    base: str
    """Identity of the base weights."""
    hub: str
    """Name on the hub of the model below everything; empty where it is a folder."""
    unpacked: bool
    """Whether the base has no address of its own: the default backbone, or a run."""
    weights: Mapping[str, str]
    """Files of weights and their checksums."""
    task: Task | None = None
    """That of a classifier."""
    tasks: Mapping[str, Task] = field(default_factory=dict)
    """What it can be asked, by name, what its own levels were tuned on first."""
    tuned: Collection[str] = ()
    """Names of the tasks that a level was tuned on."""
    about: str = ""
    """File with the shipped model's own card, where that is what was exported."""


def card(export: Exported, tokenizer: Any) -> str:
    """Return the README of an export, whose script depends on how the tokenizer splits the labels."""
    recipe = export.recipe
    tasks = dict(export.tasks)
    if export.task:
        tasks = {export.task.name: replace(export.task, context=False)}
    task = next(iter(tasks.values()))
    words = [task.word(label) for label in task.labels]
    prompts = {name: prompt(recipe, each) for name, each in tasks.items()}
    rank = sum(recipe.lora_of(level).rank for level in recipe.levels[: len(export.links)])
    request = {"model": recipe.name, "prompt": prompts[task.name], "max_tokens": 16, "temperature": 0}
    environment = jinja2.Environment(keep_trailing_newline=True, undefined=jinja2.StrictUndefined)
    environment.filters |= {"python": repr, "shell": shlex.quote, "json": _json}
    return environment.from_string(TEMPLATE.read_text(encoding="utf-8")).render(
        vars(export),
        card_data=_card_data(export).to_yaml(),
        titles=TITLES,
        source=recipe.name if export.about else "RUN",  # what `gsa export` calls the run
        base_folder="base" if export.unpacked else recipe.backbone.name,
        file=next(iter(export.weights), ""),
        task=task,
        lone=export.task is not None and export.task.context,
        text=SENTENCE.turns[0].text,
        words=words,
        ending=f", ending={tokenizer.eos_token!r}" if Encoder(tokenizer, recipe.layout, task).ends else "",
        prompts=prompts,
        labels={name: [each.word(label) for label in each.labels] for name, each in tasks.items()},
        grammar="root ::= " + " | ".join(_json(f" {word}") for word in words),
        max_rank=next((r for r in VLLM_RANKS if r >= rank), rank),
        request=request,
    )


def _card_data(export: Exported) -> ModelCardData:
    """Return the metadata that the hub reads."""
    levels = export.recipe.levels[: len(export.links)]
    names = dict.fromkeys(task_of(dataset).name for level in levels for dataset in level.datasets)
    if export.task:
        names = {export.task.name: None}
    return ModelCardData(
        license="apache-2.0" if export.about else "unknown",
        language="en" if export.about else None,
        base_model=export.hub or None,
        library_name=LIBRARIES.get(export.kind, "transformers"),
        pipeline_tag="text-classification" if export.kind == "classifier" else None,
        tags=[*(TASK_TAGS.get(name, name) for name in names), *KIND_TAGS.get(export.kind, [])],
    )


def prompt(recipe: Recipe, task: Task) -> str:
    """Return the exact prompt of an invented example, before the answer and the space in front of it."""
    dialogue = CONVERSATION if task.context else SENTENCE
    target = len(dialogue.turns) - 1
    turns = recipe.layout.turns(dialogue, target) if task.context else range(1)
    return recipe.layout.prompt(task, dialogue, target, turns)


def _json(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False)
