"""Stored predictions in memory: ids with their answers, chosen by id or put together over folds."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from gsa.evaluation.metrics import Answers


@dataclass(frozen=True)
class Predicted:
    """Stored predictions of one run, level and dataset."""

    ids: tuple[str, ...]
    answers: Answers

    def of(self, ids: Sequence[str]) -> Answers:
        """Return the answers to these examples, in this order."""
        place = {id: i for i, id in enumerate(self.ids)}
        chosen = np.asarray([place[id] for id in ids], dtype=np.int64)
        mine = self.answers
        neutral = None if mine.neutral is None else mine.neutral[chosen]
        dialogues = None if mine.dialogues is None else mine.dialogues[chosen]
        return Answers(mine.labels, mine.gold[chosen], mine.probabilities[chosen], neutral, dialogues)


def pooled(found: Sequence[Predicted | None]) -> Predicted | None:
    """Return the predictions of all folds as one, None where some are missing or their labels differ."""
    whole = [each for each in found if each is not None]
    if not whole or len(whole) < len(found) or len({each.answers.labels for each in whole}) > 1:
        return None
    mine = [each.answers for each in whole]
    neutral = [each.neutral for each in mine if each.neutral is not None]
    starts = np.cumsum([0, *(len(each.gold) for each in mine)])  # dialogues of two folds are not alike
    numbers = [
        each.dialogues + at for each, at in zip(mine, starts[:-1], strict=True) if each.dialogues is not None
    ]
    answers = Answers(
        mine[0].labels,
        np.concatenate([each.gold for each in mine]),
        np.concatenate([each.probabilities for each in mine]),
        np.concatenate(neutral) if neutral else None,
        np.concatenate(numbers) if len(numbers) == len(mine) else None,
    )
    return Predicted(tuple(id for each in whole for id in each.ids), answers)
