"""Arms against each other: paired differences, the paper's own test, every score with its interval.

In: arms. Out: tables. Two arms are compared on the examples that both answered, seed by seed.
"""

import zlib
from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace
from itertools import combinations

import numpy as np

from gsa.evaluation.metrics import compared
from gsa.report.measured_run import MULTI_TASK, PROGRESSIVE, SINGLE_TASK, MeasuredRun
from gsa.report.paper import BENCHMARK, margins
from gsa.report.runs import common_answers
from gsa.report.significance import (
    RESAMPLES,
    Bootstrap,
    Classifications,
    Estimate,
    bootstrap,
    calibration,
    estimate,
    holm,
    mcnemar,
    paired_bootstrap,
    t_test,
)
from gsa.report.tables import (
    LEVELS,
    MEASURED,
    PUBLISHED,
    Arms,
    Table,
    format_mean,
    level_datasets,
    main_rows,
    title_of,
)

RunAtLevel = tuple[MeasuredRun, int]
AVERAGE = "average"


def classifications(
    models: Sequence[RunAtLevel], dataset: str, without: Collection[str] = ()
) -> Classifications | None:
    """Return what the main metric compares, on the examples that all models answered but those in `without`.

    None where nothing can be compared.
    """
    answers = common_answers(models, dataset, without)
    if answers is None:
        return None
    metric = models[0][0].metric(dataset)
    pairs = [compared(answer, metric) for answer in answers]
    gold, predicted = pairs[0][0], np.stack([prediction for _, prediction in pairs])
    if not len(gold):
        return None
    dialogues = answers[0].dialogues if len(gold) == len(answers[0].gold) else None
    return Classifications(gold, predicted, int(max(gold.max(), predicted.max())) + 1, metric, dialogues)


def difference(
    first: Sequence[RunAtLevel], second: Sequence[RunAtLevel], dataset: str, resamples: int
) -> Bootstrap | None:
    """Return first minus second on a dataset, pair by pair; None where they cannot be compared."""
    models = classifications([*first, *second], dataset)
    return None if models is None else paired_bootstrap(models, resamples, seed_of(dataset))


def seed_of(dataset: str) -> int:
    """Return the seed of a dataset's bootstrap samples, the same in all tables."""
    return zlib.crc32(dataset.encode())


def last_levels(runs: Sequence[MeasuredRun]) -> list[RunAtLevel]:
    """Return the runs at their last level."""
    return [(run, run.last) for run in runs]


def reference_arm(arms: Arms) -> str:
    """Return the arm that others are compared with: the first progressive one, or else the first."""
    tuned = [arm for arm, runs in arms.items() if runs[0].recipe and not runs[0].few_shot]
    progressive = [arm for arm in tuned if arms[arm][0].strategy == PROGRESSIVE]
    return next(iter([*progressive, *tuned, *arms]))


@dataclass(frozen=True)
class Difference:
    """Two arms compared on one dataset, or on the average of several."""

    pair: str
    dataset: str
    estimate: Estimate
    mcnemar: str = ""


def differences(arms: Arms, resamples: int = RESAMPLES) -> Table:
    """Return the table of pairs of arms on every dataset that the second was tuned on."""
    lines: list[Difference] = []
    not_compared: list[str] = []
    for first, second in arm_pairs(arms):
        pair_lines = _compare(f"{first} - {second}", arms[first], arms[second], resamples)
        done = {line.dataset for line in pair_lines}
        titles = [title_of(name) for name in _shared_datasets(arms[first], arms[second])]
        not_compared += [f"{first} - {second} on {title}" for title in titles if title not in done]
        lines += pair_lines
    adjusted = holm([line.estimate.p for line in lines])
    rows = [
        [line.pair, line.dataset, f"{e.value:+.2f}", f"{e.low:+.2f} to {e.high:+.2f}", format_p(e.p),
         format_p(p), line.mcnemar, f"{e.n:,}", str(e.seeds)]
        for line, p in zip(lines, adjusted, strict=True) for e in [line.estimate]
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
    if not_compared:
        why = "predictions, a common seed or common examples are missing, or labels differ"
        notes += (f"Not compared, since {why}: {'; '.join(not_compared)}.",)
    return Table("differences", "Paired differences", header, rows, notes)


def arm_pairs(arms: Arms) -> list[tuple[str, str]]:
    """Return which arms are compared, first minus second.

    The reference with each of the others; multi-task arms with single-task ones, as in the paper's table 4;
    few-shot arms with those after them that were measured on the same datasets.
    """
    reference = reference_arm(arms)
    others = [arm for arm, runs in arms.items() if not runs[0].few_shot and arm != reference]
    multi_task = [arm for arm in others if arms[arm][0].strategy == MULTI_TASK]
    single_task = [arm for arm in others if arms[arm][0].strategy == SINGLE_TASK]
    few_shot = combinations([arm for arm, runs in arms.items() if runs[0].few_shot], 2)
    same_datasets = [pair for pair in few_shot if arms[pair[0]][0].datasets == arms[pair[1]][0].datasets]
    pairs = [(reference, arm) for arm in others]
    return pairs + [(multi, single) for multi in multi_task for single in single_task] + same_datasets


def _shared_datasets(first: Sequence[MeasuredRun], second: Sequence[MeasuredRun]) -> list[str]:
    """Return the datasets that both arms have rows of and the second was tuned on, if that is known."""
    shared = [name for name in first[0].datasets if main_rows(first, name) and main_rows(second, name)]
    return [name for name in shared if not second[0].recipe or second[0].learned_at(name)]


def _compare(
    pair: str, first: Sequence[MeasuredRun], second: Sequence[MeasuredRun], resamples: int
) -> list[Difference]:
    """Return the differences of two arms on their shared datasets, then on averages of these."""
    if len(second) == 1 and not second[0].recipe:  # a baseline without seeds is compared with every seed
        second = [replace(second[0], seed=run.seed) for run in first]
    seeds = sorted({run.seed for run in first} & {run.seed for run in second})
    sides = [last_levels([run for run in side if run.seed in seeds]) for side in (first, second)]
    parts: dict[str, Bootstrap] = {}
    lines = []
    for name in _shared_datasets(first, second) if seeds else ():
        part = difference(sides[0], sides[1], name, resamples)
        if part is not None:
            parts[name] = part
            test = _mcnemar(sides[0][0], sides[1][0], name) if len(seeds) == 1 else ""
            lines.append(Difference(pair, title_of(name), estimate([part]), test))
    levels = level_datasets({pair: first} | {f"{pair} ": second})
    averages = {
        f"{AVERAGE} {level}": [name for name in names if name in parts] for level, names in levels.items()
    }
    averages |= {} if list(parts) in averages.values() else {AVERAGE: list(parts)}
    lines += [
        Difference(pair, title, estimate([parts[name] for name in names]))
        for title, names in averages.items()
        if len(names) > 1
    ]
    return lines


def _mcnemar(first: RunAtLevel, second: RunAtLevel, dataset: str) -> str:
    models = classifications([first, second], dataset)
    if models is None:
        return ""
    only_first, only_second, p = mcnemar(models.gold, models.predicted[0], models.predicted[1])
    return f"{only_first} / {only_second}, {format_p(p)}"


def format_p(p: float) -> str:
    """Return a p value with three digits, empty where it is nan."""
    return "" if np.isnan(p) else "< 0.001" if p < 0.001 else f"{p:.3f}"


def papers_test(arms: Arms) -> Table:
    """Return the paper's one-sample t test over datasets, on its own margins and on arms measured here."""
    published = margins()
    groups = {**LEVELS, "all eight": BENCHMARK}
    tests = [
        (f"GSA-7B - best unified, {group}", PUBLISHED, [published[name] for name in names])
        for group, names in groups.items()
    ]
    reference = reference_arm(arms)
    for arm, runs in arms.items():
        shared = [name for name in _shared_datasets(arms[reference], runs) if name in BENCHMARK]
        if arm != reference and not runs[0].few_shot and len(shared) > 1:
            means = [
                [np.mean([row.value for row in main_rows(side, name)]) for name in shared]
                for side in (arms[reference], runs)
            ]
            values = [float(a - b) for a, b in zip(*means, strict=True)]
            tests.append((f"{reference} - {arm}, {len(shared)} datasets", MEASURED, values))
    rows = []
    for name, origin, values in tests:
        test = t_test(values)
        t = "" if np.isnan(test.t) else f"{test.t:.2f}"
        numbers = str(test.n), f"{test.mean:+.2f}", t, format_p(test.p), format_p(test.p_greater)
        rows.append([name, origin, *numbers])
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
            main = main_rows(runs, name)
            if not main:
                continue
            models = classifications(last_levels(runs), name)
            interval = ["", "", ""]
            if models is not None:
                e = estimate([bootstrap(models, resamples, seed_of(name))])
                interval = [f"{e.low:.2f}", f"{e.high:.2f}", _calibration(runs, name)]
            values = format_mean([row.value for row in main])
            rows.append([arm, name, main[0].metric, str(main[0].n), str(len(main)), values, *interval])
    header = ("arm", "dataset", "metric", "n", "seeds", "value", "low", "high", "ECE")
    note = (
        "95% intervals of bootstrap samples of examples, and of seeds where there are several. ECE is the "
        "expected calibration error in percent, ten bins, all seeds together; rules that give no "
        "probabilities have none."
    )
    return Table("scores", "Every arm's last level", header, rows, (note,))


def _calibration(runs: Sequence[MeasuredRun], dataset: str) -> str:
    answers = common_answers(last_levels(runs), dataset) or []
    if all(answer.hard for answer in answers):
        return ""
    probabilities = np.concatenate([answer.probabilities for answer in answers])
    gold = np.concatenate([answer.gold for answer in answers])
    return f"{100 * calibration(probabilities, gold).error:.1f}"
