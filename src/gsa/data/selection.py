"""Selection of examples: caps by whole dialogues, and few-shot samples a class.

Every draw follows from a seed alone.
"""

from collections.abc import Sequence

import numpy as np

from gsa.data.task import Task
from gsa.data.types import Example


def dialogues(examples: Sequence[Example]) -> list[list[Example]]:
    """Return the examples of each dialogue together, in order of first appearance."""
    found: dict[str, list[Example]] = {}
    for example in examples:
        found.setdefault(example.dialogue.id, []).append(example)
    return list(found.values())


def draw(examples: Sequence[Example], limit: int, seed: int) -> list[Example]:
    """Return whole dialogues, drawn without replacement, until `limit` targets are reached; 0 is all.

    The order of the file is kept; the last dialogue drawn is cut to its first targets.
    """
    if not limit or limit >= len(examples):
        return list(examples)
    parts = dialogues(examples)
    order = np.random.default_rng(seed).permutation(len(parts))
    chosen: dict[int, list[Example]] = {}
    left = limit
    for i in order:
        if left <= 0:
            break
        chosen[int(i)] = parts[i][:left]
        left -= len(chosen[int(i)])
    return [example for i in sorted(chosen) for example in chosen[i]]


def draw_per_class(examples: Sequence[Example], task: Task, k: int, seed: int) -> list[Example]:
    """Return `k` examples of each asked label (all, where there are fewer), in the order of the file."""
    order = np.random.default_rng(seed).permutation(len(examples))
    taken: dict[str, list[int]] = {}
    for i in order:
        mine = taken.setdefault(task.canonical_label(str(examples[i].label)), [])
        if len(mine) < k:
            mine.append(int(i))
    return [examples[i] for i in sorted(i for mine in taken.values() for i in mine)]
