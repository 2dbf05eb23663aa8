"""Case studies (the paper's table 6) mined from predictions: arms in, examples where two models disagree out.

Kept are ids, never texts: those belong to the datasets, and are looked up where they are read.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from gsa.datasets.catalogue import load
from gsa.errors import InputError
from gsa.evaluation.predicted import Predicted
from gsa.recipes.datasets import load_splits
from gsa.report.comparison import reference_of
from gsa.report.measured_run import Run
from gsa.report.paper import CASE_IN_TRAINING
from gsa.report.tables import Arms, Table


@dataclass(frozen=True)
class Case:
    """An example that one of two models has right."""

    pair: str
    dataset: str
    id: str
    gold: str
    right: str
    """The model that is right, with its probability of the gold label."""
    wrong: str
    """The model that is wrong, with its answer and the probability of it."""


@dataclass(frozen=True)
class Tally:
    """How two models disagree on a dataset."""

    pair: str
    dataset: str
    only_first: int
    only_second: int
    n: int
    cases: tuple[Case, ...]


def disagreements(
    first: tuple[str, Run, int], second: tuple[str, Run, int], dataset: str, most: int
) -> Tally | None:
    """Compare two models, each a title, a run and a level, on the examples that both answered.

    Returns up to `most` cases each way, those first in which the less sure of the two is surest; None where
    one has no predictions or their labels differ.
    """
    found = [run.predicted(level, dataset) for _, run, level in (first, second)]
    if found[0] is None or found[1] is None or found[0].answers.labels != found[1].answers.labels:
        return None
    names, pair = (first[0], second[0]), f"{first[0]} / {second[0]}"
    both = [found[0], found[1]]
    shared = set(both[1].ids)
    ids = [id for id in both[0].ids if id in shared]
    cases: list[Case] = []
    only = []
    for right, wrong in ((0, 1), (1, 0)):
        mine = _cases(both[right], both[wrong], ids, (names[right], names[wrong]), pair, dataset)
        only.append(len(mine))
        cases += mine[:most]
    return Tally(pair, dataset, only[0], only[1], len(ids), tuple(cases))


def _cases(
    right: Predicted, wrong: Predicted, ids: Sequence[str], names: tuple[str, str], pair: str, dataset: str
) -> list[Case]:
    """Return the examples that `right` alone has right, the surest first."""
    a, b = right.of(ids), wrong.of(ids)
    chosen = np.flatnonzero((a.predicted == a.gold) & (b.predicted != b.gold))
    sure = np.minimum(a.probabilities.max(1), b.probabilities.max(1))
    return [
        Case(
            pair, dataset, ids[i], a.labels[a.gold[i]],
            f"{names[0]}: {a.labels[a.predicted[i]]} {a.probabilities[i].max():.2f}",
            f"{names[1]}: {b.labels[b.predicted[i]]} {b.probabilities[i].max():.2f}",
        )
        for i in chosen[np.argsort(-sure[chosen], kind="stable")]
    ]  # fmt: skip


def mine(arms: Arms, most: int = 3) -> list[Tally]:
    """Return the paper's two comparisons on one seed: last link and first, progressive and multi-task.

    The first is made on the datasets of the first link, the second on all that both arms were measured on.
    """
    name = reference_of(arms)
    run = arms[name][0]
    found = []
    if run.last > 1:
        final, first = (name, run, run.last), (f"{name} {run.title(1)}", run, 1)
        found += [disagreements(final, first, each, most) for each in run.datasets if run.learned(each) == 1]
    for arm, runs in arms.items():
        same = [other for other in runs if other.seed == run.seed]
        if arm != name and "multi" in arm and same:
            pair = (name, run, run.last), (arm, same[0], same[0].last)
            found += [disagreements(*pair, each, most) for each in run.datasets]
    return [tally for tally in found if tally is not None]


def table_6(tallies: Sequence[Tally]) -> Table:
    """Return the cases by id, with how often either model alone is right."""
    rows = [[c.pair, c.dataset, c.id, c.gold, c.right, c.wrong] for tally in tallies for c in tally.cases]
    counts = [
        f"{t.pair}, {t.dataset}: of {t.n:,} examples only the first is right on {t.only_first}, "
        f"only the second on {t.only_second}."
        for t in tallies
    ]
    notes = (
        "Cases go both ways: a single case shows that models differ, not which is better; the counts do. One "
        "seed. Texts are not kept: gsa report --cases looks them up in the data.",
        *counts,
        f"The sentence of the paper's first case is {CASE_IN_TRAINING[0]}'s example {CASE_IN_TRAINING[1]}, "
        "which the dataset's standard division trains on; that of its second was found in none.",
    )
    header = ("models", "dataset", "id", "gold", "right", "wrong")
    return Table("table-6", "Table 6: cases", header, rows, notes)


def with_texts(tallies: Sequence[Tally], arms: Arms, split: str) -> list[str]:
    """Return the cases as lines with the targets' texts, or with what keeps them from being looked up."""
    sources = {name: s for runs in arms.values() for run in runs for name, s in run.sources.items()}
    lines = []
    for tally in tallies:
        try:
            source = sources.get(tally.dataset)
            splits: Any = load_splits(source) if source else load(tally.dataset)
            texts = {example.id: example.utterance.line() for example in splits[split]}
        except InputError as error:
            texts = {}
            lines.append(f"{tally.dataset}: no texts: {error}")
        for case in tally.cases:
            lines.append(f"{case.dataset} {case.id} ({case.gold}): {texts.get(case.id, '')}")
            lines.append(f"    right {case.right}; wrong {case.wrong}")
    return lines
