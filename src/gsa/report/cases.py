"""Case studies (the paper's table 6): examples where two models disagree, and answers to the paper's cases.

Only ids are kept, never texts: those belong to the datasets, and are looked up where they are printed.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from gsa.datasets.catalogue import load
from gsa.errors import InputError
from gsa.evaluation import case_answers
from gsa.evaluation.case_answers import CASE_IN_TRAINING
from gsa.evaluation.predictions import Predictions
from gsa.recipes.datasets import load_splits
from gsa.report.comparison import RunAtLevel, reference_arm
from gsa.report.measured_run import MULTI_TASK
from gsa.report.tables import Arms, Table


@dataclass(frozen=True)
class Case:
    """An example that one of two models answers correctly."""

    pair: str
    dataset: str
    id: str
    gold: str
    right: str
    """The model that is right, with its answer and the probability of it."""
    wrong: str
    """The model that is wrong, with its answer and the probability of it."""


@dataclass(frozen=True)
class Disagreement:
    """Two models' disagreements on a dataset."""

    pair: str
    dataset: str
    only_first: int
    """Examples that only the first model has right."""
    only_second: int
    n: int
    cases: tuple[Case, ...]


def disagreement(
    models: tuple[RunAtLevel, RunAtLevel], titles: tuple[str, str], dataset: str, limit: int
) -> Disagreement | None:
    """Return how two models disagree on the examples that both answered, with up to `limit` cases each way.

    Cases in which the less confident of the two is most confident come first. None where one has no
    predictions or their labels differ.
    """
    first, second = (run.predictions(level, dataset) for run, level in models)
    if first is None or second is None or first.answers.labels != second.answers.labels:
        return None
    shared = set(second.ids)
    ids = [id for id in first.ids if id in shared]
    cases = [
        _cases(right, wrong, ids, (pair, dataset), names)
        for pair in [" / ".join(titles)]
        for right, wrong, names in ((first, second, titles), (second, first, titles[::-1]))
    ]
    kept = tuple(case for side in cases for case in side[:limit])
    return Disagreement(" / ".join(titles), dataset, len(cases[0]), len(cases[1]), len(ids), kept)


def _cases(
    right: Predictions, wrong: Predictions, ids: Sequence[str], key: tuple[str, str], titles: Sequence[str]
) -> list[Case]:
    """Return the examples that `right` alone has right, most confident first; `key` is pair and dataset."""
    a, b = right.select(ids), wrong.select(ids)
    chosen = np.flatnonzero((a.predicted == a.gold) & (b.predicted != b.gold))
    confidence = np.minimum(a.probabilities.max(1), b.probabilities.max(1))
    return [
        Case(
            *key, ids[i], a.labels[a.gold[i]],
            f"{titles[0]}: {a.labels[a.predicted[i]]} {a.probabilities[i].max():.2f}",
            f"{titles[1]}: {b.labels[b.predicted[i]]} {b.probabilities[i].max():.2f}",
        )
        for i in chosen[np.argsort(-confidence[chosen], kind="stable")]
    ]  # fmt: skip


def find_disagreements(arms: Arms, limit: int = 3) -> list[Disagreement]:
    """Return the paper's two comparisons on one seed: last link and first, progressive and multi-task.

    The first is made on the datasets of the first link, the second on all that both arms were measured on.
    """
    name = reference_arm(arms)
    run = arms[name][0]
    last = run, run.last
    entries = []
    if run.last > 1:
        titles = name, f"{name} {run.level_title(1)}"
        own = [dataset for dataset in run.datasets if run.learned_at(dataset) == 1]
        entries += [disagreement((last, (run, 1)), titles, dataset, limit) for dataset in own]
    for arm, runs in arms.items():
        same_seed = [member for member in runs if member.seed == run.seed]
        if arm != name and runs[0].strategy == MULTI_TASK and not runs[0].few_shot and same_seed:
            models = last, (same_seed[0], same_seed[0].last)
            entries += [disagreement(models, (name, arm), dataset, limit) for dataset in run.datasets]
    return [entry for entry in entries if entry is not None]


def table_6(disagreements: Sequence[Disagreement]) -> Table:
    """Return the cases by id, with how often either model alone is right."""
    rows = [[c.pair, c.dataset, c.id, c.gold, c.right, c.wrong] for d in disagreements for c in d.cases]
    counts = [
        f"{d.pair}, {d.dataset}: of {d.n:,} examples only the first is right on {d.only_first}, "
        f"only the second on {d.only_second}."
        for d in disagreements
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


def with_texts(disagreements: Sequence[Disagreement], arms: Arms, split: str) -> list[str]:
    """Return the cases as lines with the targets' texts, or with the reason why these are not available."""
    sources = {name: s for runs in arms.values() for run in runs for name, s in run.sources.items()}
    lines = []
    for entry in disagreements:
        try:
            source = sources.get(entry.dataset)
            splits: Any = load_splits(source) if source else load(entry.dataset)
            texts = {example.id: example.utterance.line() for example in splits[split]}
        except InputError as error:
            texts = {}
            lines.append(f"{entry.dataset}: no texts: {error}")
        for case in entry.cases:
            lines.append(f"{case.dataset} {case.id} ({case.gold}): {texts.get(case.id, '')}")
            lines.append(f"    right {case.right}; wrong {case.wrong}")
    return lines


def paper_cases_table(arms: Arms) -> Table:
    """Return what every level of every arm answers to the paper's two cases, seeds together."""
    rows = []
    for arm, runs in arms.items():
        groups: dict[tuple[int, str, str], list[case_answers.CaseAnswer]] = {}
        for answer in (answer for run in runs for answer in case_answers.read(run.root)):
            groups.setdefault((answer.level, answer.dataset, answer.id), []).append(answer)
        for (level, dataset, id), answers in sorted(groups.items(), key=lambda item: item[0][0]):
            right = sum(answer.predicted == answer.gold for answer in answers)
            mean = np.mean([answer.probabilities.get(answer.gold, 0.0) for answer in answers])
            rows.append([arm, runs[0].level_title(level), f"{dataset} {id}", answers[0].gold,
                         f"{right} of {len(answers)}", f"{mean:.2f}"])  # fmt: skip
    header = ("arm", "level", "case", "gold", "seeds that are right", "mean probability of gold")
    notes = (
        "The paper gives two cases, one model each. Its first is an example of MOSI that the standard "
        "division trains on, so the datasets' own level has read it. Its second is in no dataset; in its "
        "place stands a conversation of our own: no irony, with a bad word and a good one about two sides of "
        "a thing. One example says nothing of which strategy is better.",
    )
    return Table("papers-cases", "The paper's two cases, asked here", header, rows, notes)
