"""Selection of examples, determined by a seed.

Caps by whole dialogues, few-shot samples of each class, and the yes-or-no examples of multi-label tasks.
"""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from gsa.data.task import Task
from gsa.data.types import Example


def group_by_dialogue(examples: Sequence[Example]) -> list[list[Example]]:
    """Return the examples of each dialogue together, in order of first appearance."""
    groups: dict[str, list[Example]] = {}
    for example in examples:
        groups.setdefault(example.dialogue.id, []).append(example)
    return list(groups.values())


def sample_dialogues(examples: Sequence[Example], limit: int, seed: int) -> list[Example]:
    """Return whole dialogues, sampled without replacement, up to `limit` targets; a limit of 0 is all.

    The order of the file is kept; the last dialogue sampled is cut to its first targets.
    """
    if not limit or limit >= len(examples):
        return list(examples)
    groups = group_by_dialogue(examples)
    chosen: dict[int, list[Example]] = {}
    left = limit
    for index in np.random.default_rng(seed).permutation(len(groups)).tolist():
        if left <= 0:
            break
        chosen[index] = groups[index][:left]
        left -= len(chosen[index])
    return [example for index in sorted(chosen) for example in chosen[index]]


def sample_per_class(examples: Sequence[Example], task: Task, k: int, seed: int) -> list[Example]:
    """Return `k` examples of each label of a task (all, where there are fewer), in the order of the file."""
    chosen: dict[str, list[int]] = {}
    for index in np.random.default_rng(seed).permutation(len(examples)).tolist():
        indices = chosen.setdefault(task.canonical_label(str(examples[index].label)), [])
        if len(indices) < k:
            indices.append(index)
    return [examples[index] for index in sorted(i for indices in chosen.values() for i in indices)]


def yes_or_no_examples(
    examples: Sequence[Example], task: Task, negatives: int | None = None, seed: int = 0
) -> list[Example]:
    """Return an example per label of a multi-label task, the label as its aspect, labelled yes or no.

    The examples of one text are adjacent and share its Dialogue. With `negatives`, all labels that hold and
    that many of the others, sampled without replacement, are kept, for training; None keeps all, for scoring.
    """
    rng = np.random.default_rng(seed)
    binary = []
    for example in examples:
        gold = None if example.label is None else set(task.split_labels(example.label))
        labels = task.labels
        if negatives is not None and gold is not None:
            others = [label for label in labels if label not in gold]
            kept = gold | {others[i] for i in rng.permutation(len(others))[:negatives].tolist()}
            labels = tuple(label for label in labels if label in kept)
        for label in labels:
            answer = None if gold is None else "yes" if label in gold else "no"
            binary.append(replace(example, id=f"{example.id}/{label}", label=answer, aspect=label))
    return binary
