"""Metrics: gold labels and probabilities in, one number per metric out. Knows no model.

The paper (section 5.2) follows each dataset's own convention: accuracy for SST-2 (its weighted accuracy
weights classes by their support, which is accuracy), two-class accuracy for MOSI and MOSEI, weighted F1
elsewhere; TweetEval has macro F1, macro recall (sentiment) and the F1 of the ironic class (irony).
"""

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from sklearn.metrics import accuracy_score, f1_score, precision_recall_curve, recall_score

from gsa.data.task import Task

RARE = 20
"""Dev examples of a label below which it gets no threshold of its own."""


@dataclass(frozen=True)
class Answers:
    """Gold labels and predicted probabilities of one dataset."""

    labels: tuple[str, ...]
    gold: NDArray[np.int64]
    """Indices into `labels`; shape (examples,). Of a multi-label task 0 or 1; shape (examples, labels)."""
    probabilities: NDArray[np.float64]
    """Shape (examples, labels)."""
    neutral: NDArray[np.bool_] | None = None
    """For MOSI and MOSEI with two labels: which gold scores are 0; shape (examples,)."""
    dialogues: NDArray[np.int64] | None = None
    """A number per dialogue, where dialogues are known; shape (examples,)."""
    chosen: NDArray[np.int64] | None = None
    """For a multi-label task: 1 for each label that is predicted, otherwise 0; shape (examples, labels)."""

    @property
    def predicted(self) -> NDArray[np.int64]:
        """Index of the most probable label, or 0 or 1 per label of a multi-label task; shape as `gold`."""
        if self.chosen is not None:
            return self.chosen
        return np.asarray(self.probabilities.argmax(1), dtype=np.int64)

    @property
    def hard(self) -> bool:
        """Whether the probabilities are all 0 or 1, as those of a rule, which states no confidence."""
        return bool(np.isin(self.probabilities, (0.0, 1.0)).all())


def answers_of(
    task: Task,
    gold: Sequence[str],
    probabilities: NDArray[np.float64],
    predicted: Sequence[str] | None = None,
) -> Answers:
    """Return Answers from a dataset's gold labels and probabilities of shape (examples, labels).

    `predicted` is, of a multi-label task, the labels of each example; without it they hold from 0.5.
    """
    if task.multilabel:
        chosen = (probabilities >= 0.5).astype(np.int64) if predicted is None else _held(task, predicted)
        return Answers(task.labels, _held(task, gold), probabilities, chosen=chosen)
    indices = np.asarray([task.labels.index(task.canonical_label(label)) for label in gold], dtype=np.int64)
    neutral = np.asarray([label == "neutral" for label in gold]) if "neutral" in task.merged else None
    return Answers(task.labels, indices, probabilities, neutral)


def _held(task: Task, joined: Sequence[str]) -> NDArray[np.int64]:
    """Return 1 for each label that stands in an example's joined labels, otherwise 0."""
    split = [task.split_labels(labels) for labels in joined]
    return np.asarray([[label in labels for label in task.labels] for labels in split], dtype=np.int64)


def best_thresholds(answers: Answers) -> NDArray[np.float64]:
    """Return the threshold of each label of a multi-label task with the highest F1, to be chosen on dev.

    A label of fewer than RARE examples, whose own F1 is chance, gets the threshold with the highest F1 over
    all labels together.
    """
    common = _best_threshold(answers.gold.ravel(), answers.probabilities.ravel())
    thresholds = [
        _best_threshold(gold, probabilities) if gold.sum() >= RARE else common
        for gold, probabilities in zip(answers.gold.T, answers.probabilities.T, strict=True)
    ]
    return np.asarray(thresholds, dtype=np.float64)


def _best_threshold(gold: NDArray[np.int64], probabilities: NDArray[np.float64]) -> float:
    """Return the threshold with the highest F1; 0.5 where no example has the label."""
    if not gold.any():
        return 0.5
    precision, recall, candidates = precision_recall_curve(gold, probabilities)
    f1 = 2 * precision * recall / np.maximum(precision + recall, 1e-12)
    return float(candidates[f1[:-1].argmax()])


def majority_class(task: Task, gold: Iterable[str]) -> int:
    """Return the index of the most frequent label, the first of several."""
    counts = Counter(task.canonical_label(label) for joined in gold for label in task.split_labels(joined))
    return max(range(len(task.labels)), key=lambda i: counts[task.labels[i]])


def measure(answers: Answers, metrics: Sequence[str]) -> dict[str, tuple[float, int]]:
    """Return each metric's value in percent with the number of examples it is taken over."""
    return {metric: _measure(answers, metric) for metric in metrics}


def _measure(answers: Answers, metric: str) -> tuple[float, int]:
    gold, predicted = compared(answers, metric)
    if not len(gold):
        return 0.0, 0
    match metric:
        case "accuracy" | "acc2_has0" | "acc2_non0":
            value = accuracy_score(gold, predicted)
        case "weighted_f1" | "weighted_f1_has0":
            value = f1_score(gold, predicted, average="weighted", zero_division=0.0)
        case "macro_f1":
            value = f1_score(gold, predicted, average="macro", zero_division=0.0)
        case "binary_f1":  # of the second of two labels
            value = f1_score(gold, predicted, average="binary", zero_division=0.0)
        case "macro_recall":
            value = recall_score(gold, predicted, average="macro", zero_division=0.0)
        case _:
            raise ValueError(f"unknown metric '{metric}'")
    return 100.0 * float(value), len(gold)


def compared(answers: Answers, metric: str) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Return the gold and predicted classes that a metric compares, each of shape (examples it counts,)."""
    if metric.endswith(("_has0", "_non0")):
        return _two_classes(answers, zeros=metric.endswith("_has0"))
    return answers.gold, answers.predicted


def _two_classes(answers: Answers, zeros: bool) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Return gold and predicted 0 (negative) or 1 in MOSI's and MOSEI's two conventions.

    With zeros: negative against non-negative, neutral counts as the latter. Without: positive against
    negative on examples that are not neutral, by which of the two is more probable.
    """
    negative, positive = answers.labels.index("negative"), answers.labels.index("positive")
    p, gold = answers.probabilities, (answers.gold != negative).astype(np.int64)
    if zeros:
        return gold, (p[:, negative] < p.sum(1) - p[:, negative]).astype(np.int64)
    neutral = answers.neutral
    if neutral is None:
        neutral = answers.gold == answers.labels.index("neutral")
    return gold[~neutral], (p[~neutral, positive] > p[~neutral, negative]).astype(np.int64)
