"""What the model reads for one example, token by token."""

from dataclasses import dataclass

from gsa.chain.base import load_config
from gsa.data.encoder import Encoder, Prompt
from gsa.data.layout import Layout
from gsa.data.selection import yes_or_no_examples
from gsa.datasets.catalogue import get, load
from gsa.errors import InputError
from gsa.recipes.schema import Backbone


@dataclass(frozen=True)
class PromptPreview:
    """One example as the model reads it."""

    text: str
    """The prompt's token ids decoded."""
    prompt: Prompt
    answers: tuple[str, ...]
    """Each label's answer, decoded."""


def preview_prompt(
    dataset: str, index: int, split: str, layout: Layout, protocol: str, backbone: str
) -> PromptPreview:
    """Return an example's prompt, of a multi-label task that of its first label.

    Raises InputError for an unknown dataset, split, protocol or index.
    """
    splits = load(dataset, protocol)
    if split not in splits:
        raise InputError(f"--split '{split}': expected one of {list(splits)}")
    if index >= len(splits[split]):
        raise InputError(f"--index {index}: {dataset} has {len(splits[split])} examples in its {split} split")
    _, tokenizer = load_config(Backbone(name=backbone))
    task = get(dataset).task_for(protocol)
    example = splits[split][index]
    read = yes_or_no_examples([example], task)[0] if task.multilabel else example
    prompt = Encoder(tokenizer, layout, task).encode([read])[0]
    answers = tuple(tokenizer.decode(list(ids)) for ids in prompt.answers)
    return PromptPreview(tokenizer.decode(list(prompt.ids)), prompt, answers)
