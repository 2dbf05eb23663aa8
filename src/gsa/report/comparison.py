"""Arms against each other: paired differences, the paper's own test, every score with its interval.

In: arms. Out: tables. Two arms are compared on the examples that both answered, seed by seed.
"""

import zlib
from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace
from itertools import combinations

import numpy as np

from gsa.evaluation.metrics import compared
from gsa.report.measured_run import Run, main_metric
from gsa.report.paper import BENCHMARK, margins
from gsa.report.runs import common
from gsa.report.significance import (
    RESAMPLES,
    Classes,
    Estimate,
    Sampled,
    calibration,
    estimate,
    holm,
    mcnemar,
    paired,
    scored,
    t_test,
)
from gsa.report.tables import LEVELS, MEASURED, PUBLISHED, Arms, Table, number, rows_at, title_of

At = tuple[Run, int]
"""A run at a level."""


@dataclass(frozen=True)
class Compared:
    """What several models answered to the same examples."""

    gold: Classes
    """Shape (examples,)."""
    said: Classes
    """Shape (models, examples)."""
    labels: int
    """Number of classes that the metric compares."""
    dialogues: Classes | None
    """Which dialogue each example is of, None where that is not known or some examples do not count."""


def classes_of(models: Sequence[At], dataset: str, without: Collection[str] = ()) -> Compared | None:
    """Return what the main metric compares of the examples that all models answered, but those `without`.

    None where nothing can be compared.
    """
    answers = common(models, dataset, without)
    if answers is None:
        return None
    metric = main_metric(dataset, models[0][0].sources.get(dataset))
    pairs = [compared(each, metric) for each in answers]
    gold, said = pairs[0][0], np.stack([predicted for _, predicted in pairs])
    dialogues = answers[0].dialogues if len(gold) == len(answers[0].gold) else None
    return Compared(gold, said, int(max(gold.max(), said.max())) + 1, dialogues) if len(gold) else None


def difference(first: Sequence[At], second: Sequence[At], dataset: str, resamples: int) -> Sampled | None:
    """Return first minus second on a dataset, pair by pair; None where they cannot be compared."""
    found = classes_of([*first, *second], dataset)
    if found is None:
        return None
    metric, half = main_metric(dataset, first[0][0].sources.get(dataset)), len(first)
    sides, seed = (found.said[:half], found.said[half:]), zlib.crc32(dataset.encode())
    return paired(found.gold, *sides, found.labels, metric, resamples, seed, found.dialogues)


def last(runs: Sequence[Run]) -> list[At]:
    """Return the runs at their last level."""
    return [(run, run.last) for run in runs]


def reference_of(arms: Arms) -> str:
    """Return the arm that others are compared with: the progressive one, or else the first."""
    tuned = [arm for arm, runs in arms.items() if runs[0].recipe and not runs[0].few_shot]
    return next((arm for arm in tuned if "progressive" in arm), tuned[0] if tuned else next(iter(arms)))


@dataclass(frozen=True)
class Line:
    """One compared pair of arms on one dataset, or on the average of several."""

    pair: str
    dataset: str
    found: Estimate
    mcnemar: str = ""


def differences(arms: Arms, resamples: int = RESAMPLES) -> Table:
    """Return the reference arm minus each other on every dataset that the other was tuned on."""
    lines: list[Line] = []
    apart: list[str] = []
    for first, second in pairs_of(arms):
        found = _against(first, arms[first], second, arms[second], resamples)
        done = {line.dataset for line in found}
        names = [title_of(name) for name in _comparable(arms[first], arms[second])]
        apart += [f"{first} - {second} on {name}" for name in names if name not in done]
        lines += found
    adjusted = holm([line.found.p for line in lines])
    rows = [
        [line.pair, line.dataset, f"{e.value:+.2f}", f"{e.low:+.2f} to {e.high:+.2f}", p_value(e.p),
         p_value(q), line.mcnemar, f"{e.n:,}", str(e.seeds)]
        for line, q in zip(lines, adjusted, strict=True) for e in [line.found]
    ]  # fmt: skip
    header = ("difference", "dataset", "points", "95% interval", "p", "p (Holm)", "McNemar", "n", "seeds")
    notes: tuple[str, ...] = (
        f"Paired bootstrap, {resamples:,} draws of examples, and of seeds where there are several; points of "
        "the dataset's main metric. Holm's p is over all lines of the table. McNemar's exact test is given "
        "for one seed: right with the first only / with the second only, p.",
        "Few seeds drawn with replacement make intervals somewhat too narrow: with S seeds the variance "
        "between them is understated by 1/S. Whole dialogues are drawn where predictions say which they are "
        "of; others one by one.",
    )
    if apart:
        why = "predictions, a common seed or common examples are missing, or labels differ"
        notes += (f"Not compared, since {why}: {'; '.join(apart)}.",)
    return Table("differences", "Paired differences", header, rows, notes)


def pairs_of(arms: Arms) -> list[tuple[str, str]]:
    """Return which arms are compared, first minus second.

    The reference with each other; the multi-task arm with those of one level, as in the paper's table 4;
    few-shot arms with those after them that were measured on the same.
    """
    tuned = [arm for arm, runs in arms.items() if not runs[0].few_shot]
    first = reference_of(arms)
    found = [(first, arm) for arm in tuned if arm != first]
    several = [arm for arm in tuned if "multitask" in arm and arm != first]
    single = [arm for arm in tuned if arm.endswith("-only") and arm != first]
    few = combinations([arm for arm, runs in arms.items() if runs[0].few_shot], 2)
    alike = [(one, two) for one, two in few if arms[one][0].datasets == arms[two][0].datasets]
    return found + [(arm, other) for arm in several for other in single] + alike


def _comparable(mine: Sequence[Run], runs: Sequence[Run]) -> list[str]:
    """Return the datasets that both arms have rows of and that the second was tuned on, if that is known."""
    shared = [name for name in mine[0].datasets if rows_at(mine, name) and rows_at(runs, name)]
    return [name for name in shared if not runs[0].recipe or runs[0].learned(name)]


def _against(first: str, mine: Sequence[Run], second: str, runs: Sequence[Run], resamples: int) -> list[Line]:
    if len(runs) == 1 and not runs[0].recipe:  # a baseline without seeds stands against each of ours
        runs = [replace(runs[0], seed=run.seed) for run in mine]
    seeds = sorted({run.seed for run in mine} & {run.seed for run in runs})
    pairs = [last([run for run in side if run.seed in seeds]) for side in (mine, runs)]
    parts: dict[str, Sampled] = {}
    lines = []
    for name in _comparable(mine, runs) if seeds else ():
        found = difference(pairs[0], pairs[1], name, resamples)
        if found is not None:
            parts[name] = found
            test = _mcnemar(pairs[0][0], pairs[1][0], name) if len(seeds) == 1 else ""
            lines.append(Line(f"{first} - {second}", title_of(name), estimate([found]), test))
    averages = {
        f"average {what}": [name for name in names if name in parts] for what, names in LEVELS.items()
    }
    averages |= {} if list(parts) in averages.values() else {"average": list(parts)}
    for what, names in averages.items():
        if len(names) > 1:
            several = [parts[name] for name in names]
            lines.append(Line(f"{first} - {second}", what, estimate(several)))
    return lines


def _mcnemar(first: At, second: At, dataset: str) -> str:
    found = classes_of([first, second], dataset)
    if found is None:
        return ""
    only_first, only_second, p = mcnemar(found.gold, found.said[0], found.said[1])
    return f"{only_first} / {only_second}, {p_value(p)}"


def p_value(p: float) -> str:
    """Return a p value as people write it, empty where there is none."""
    return "" if np.isnan(p) else "< 0.001" if p < 0.001 else f"{p:.3f}"


def papers_test(arms: Arms) -> Table:
    """Return the paper's one-sample t test over datasets, on its own margins and on arms measured here."""
    published = margins()
    groups = {**LEVELS, "all eight": BENCHMARK}
    given = {f"GSA-7B - best unified, {what}": [published[name] for name in names]
             for what, names in groups.items()}  # fmt: skip
    first = reference_of(arms)
    measured = {}
    for arm, runs in arms.items():
        both = [name for name in _comparable(arms[first], runs) if name in BENCHMARK]
        if arm != first and not runs[0].few_shot and len(both) > 1:
            means = [
                [np.mean([r.value for r in rows_at(side, n)]) for n in both] for side in (arms[first], runs)
            ]
            measured[f"{first} - {arm}, {len(both)} datasets"] = [
                float(a - b) for a, b in zip(*means, strict=True)
            ]
    rows = []
    for origin, tests in ((PUBLISHED, given), (MEASURED, measured)):
        for name, values in tests.items():
            found = t_test(values)
            rows.append([name, origin, str(found.n), f"{found.mean:+.2f}",
                         "" if np.isnan(found.t) else f"{found.t:.2f}", p_value(found.p),
                         p_value(found.p_greater)])  # fmt: skip
    header = ("difference", "from", "datasets", "mean", "t", "p two-sided", "p one-sided")
    note = (
        "One-sample t over datasets: it asks whether a margin would be seen on other datasets, knows nothing "
        "of examples or seeds, and takes very different datasets for draws from one distribution."
    )
    return Table("t-test", "The paper's test", header, rows, (note,))


def scores(arms: Arms, resamples: int = RESAMPLES) -> Table:
    """Return the last level of every arm on every dataset with bootstrap intervals."""
    rows = []
    for arm, runs in arms.items():
        for name in runs[0].datasets:
            found = rows_at(runs, name)
            if not found:
                continue
            parts = classes_of(last(runs), name)
            interval = ["", "", ""]
            if parts is not None:
                metric, seed = found[0].metric, zlib.crc32(name.encode())
                sampled = scored(
                    parts.gold, parts.said, parts.labels, metric, resamples, seed, parts.dialogues
                )
                e = estimate([sampled])
                interval = [f"{e.low:.2f}", f"{e.high:.2f}", _calibration(runs, name)]
            values = number([row.value for row in found])
            rows.append([arm, name, found[0].metric, str(found[0].n), str(len(found)), values, *interval])
    header = ("arm", "dataset", "metric", "n", "seeds", "value", "low", "high", "ECE")
    note = (
        "95% intervals of bootstrap samples of examples, and of seeds where there are several. ECE is the "
        "expected calibration error in percent, ten bins, all seeds together; rules that give no "
        "probabilities have none."
    )
    return Table("scores", "Every arm's last level", header, rows, (note,))


def _calibration(runs: Sequence[Run], dataset: str) -> str:
    found = common(last(runs), dataset) or []
    if all(answers.hard for answers in found):
        return ""
    chances, gold = (np.concatenate([getattr(a, of) for a in found]) for of in ("probabilities", "gold"))
    return f"{100 * calibration(chances, gold).error:.1f}"
