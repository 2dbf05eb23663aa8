"""The paper's tables 1 to 5, beside rows measured here: arms in, tables out.

A cell of several seeds is their mean and standard deviation; one taken over fewer examples than others of its
column says its n.
"""

import csv
import io
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from gsa.data.task import TASKS
from gsa.datasets.catalogue import CATALOGUE
from gsa.datasets.stats import stats
from gsa.evaluation.results import Result
from gsa.report.measured_run import Run, main_metric
from gsa.report.paper import BENCHMARK, FEW_SHOT, TABLE_1, TABLE_3, TABLE_4, TABLE_5, TABLE_5_RATIO, Published
from gsa.report.runs import size_of
from gsa.report.significance import mean_sd

Arms = Mapping[str, Sequence[Run]]
PUBLISHED, MEASURED = "published", "measured here"
ERC = ("iemocap", "meld", "emorynlp")
LEVELS = {"SA": BENCHMARK[:3], "ERC": ERC, "SD": BENCHMARK[6:]}
"""The benchmark's datasets by level."""
KINDS = {1: "sentiment analysis", 2: "emotion recognition in conversation", 3: "sarcasm detection"}


@dataclass(frozen=True)
class Table:
    """A table with what is to be known about it."""

    name: str
    """Of its file."""
    title: str
    header: tuple[str, ...]
    rows: list[list[str]]
    notes: tuple[str, ...] = ()

    def markdown(self) -> str:
        """Return the table with title and notes as Markdown."""
        lines = [_line(self.header), "|" + "---|" * len(self.header), *map(_line, self.rows)]
        parts = [f"## {self.title}", "\n".join(lines), *self.notes]
        return "\n\n".join(parts) + "\n"

    def csv(self) -> str:
        """Return header and rows as CSV."""
        out = io.StringIO()
        csv.writer(out, lineterminator="\n").writerows([self.header, *self.rows])
        return out.getvalue()


def _line(cells: Sequence[str]) -> str:
    return "| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |"


def title_of(dataset: str) -> str:
    """Return a dataset's short title, its name where the catalogue does not know it."""
    return CATALOGUE[dataset].title.partition(" (")[0] if dataset in CATALOGUE else dataset


def number(values: Sequence[float]) -> str:
    """Return a mean with its standard deviation over seeds, if there are several; empty of nothing."""
    if not values:
        return ""
    mean, sd = mean_sd(values)
    return f"{mean:.2f}" + (f" ± {sd:.2f}" if len(values) > 1 else "")


def rows_at(runs: Sequence[Run], dataset: str, level: int | None = None) -> list[Result]:
    """Return the main rows of runs at a level, each one's last if none is given."""
    found = [run.row(run.last if level is None else level, dataset) for run in runs]
    return [row for row in found if row is not None]


def cells_of(rows: Sequence[Sequence[Result]], largest: Sequence[int]) -> list[str]:
    """Return a cell a dataset; `largest` has the most examples that its column was measured on."""
    cells = []
    for mine, most in zip(rows, largest, strict=True):
        n = min((row.n for row in mine), default=0)
        cells.append(number([row.value for row in mine]) + (f" (n={n})" if 0 < n < most else ""))
    return cells


def most_examples(arms: Arms, datasets: Sequence[str]) -> list[int]:
    """Return the largest n of each dataset's main rows; that of a majority is not of a model's sample."""
    rows = [row for runs in arms.values() for run in runs for row in run.rows if row.level >= 0]
    return [
        max((row.n for row in rows if row.dataset == name and row.metric == main_metric(name)), default=0)
        for name in datasets
    ]


def table_1() -> Table:
    """Return the data, counted from the files that are here, beside what the paper prints."""
    header = ("task", "level", "dataset", "average words", "total", "paper: average length", "paper: total")
    rows, notes = [], []
    for row in stats(BENCHMARK):
        name = row["name"]
        level = CATALOGUE[name].task.level
        length, total = TABLE_1[name]
        counted = ["", ""] if "missing" in row else [f"{row['average_words']}", f"{row['total']:,}"]
        if "missing" in row:
            notes.append(f"{title_of(name)}: its files are not here.")
        rows.append([KINDS[level], str(level), title_of(name), *counted, str(length), total])
    notes.append("Words of target utterances, split at white space; text is the only modality read.")
    return Table("table-1", "Table 1: data", header, rows, tuple(notes))


def table_2() -> Table:
    """Return which information each level's instruction asks for, read off the instructions themselves."""
    words = ("semantic", "context", "linguistic")
    rows = [
        [task.name, str(task.level), *("yes" if word in task.instruction else "no" for word in words)]
        for task in TASKS.values()
    ]
    header = ("instruction", "level", "semantic", "contextual", "linguistic pattern")
    return Table("table-2", "Table 2: instructions", header, rows)


def _published(row: Published, datasets: Sequence[str], *between: str) -> list[str]:
    name = row.system + (" (multimodal)" if row.multimodal else "")
    scores = [f"{row.scores[each]:.2f}" if each in row.scores else "" for each in datasets]
    return [name, row.size or "not stated", PUBLISHED, *between, *scores]


def table_3(arms: Arms) -> Table:
    """Return every row of the paper's table 3, then majority, untuned, and the last level of arms."""
    largest = most_examples(arms, BENCHMARK)
    rows = [_published(row, BENCHMARK, "", "") for row in TABLE_3]
    for level, having in _floors(arms):
        found = [rows_at(having, name, level)[:1] for name in BENCHMARK]
        size = size_of(having[0]) if level == 0 else ""
        rows.append([having[0].title(level), size, MEASURED, "", "", *cells_of(found, largest)])
    for arm, runs in arms.items():
        found = [rows_at(runs, name) for name in BENCHMARK]
        if any(found) and not runs[0].few_shot:
            rows.append([*_said_of(arm, runs), *cells_of(found, largest)])
    header = ("system", "size", "from", "seeds", "examples", *map(title_of, BENCHMARK))
    metrics = ", ".join(f"{title_of(name)} {main_metric(name)}" for name in BENCHMARK)
    notes: tuple[str, ...] = (
        f"Percent: {metrics}. Sizes of published rows are those that the paper states. It gives one number "
        "a cell, and does not say of which split or of how many seeds. Examples are those trained on, "
        "each counted once.",
        "Tested on: "
        + ", ".join(f"{title_of(n)} {m:,}" for n, m in zip(BENCHMARK, largest, strict=True) if m)
        + ".",
    )
    notes = notes if any(largest) else notes[:1]
    if any(run.folds for runs in arms.values() for run in runs):
        notes += ("Arms measured on several folds are scored on the predictions of all folds together.",)
    return Table("table-3", "Table 3: the benchmark", header, rows, notes)


def _said_of(arm: str, runs: Sequence[Run]) -> list[str]:
    """Return an arm's cells before its scores."""
    examples = f"{runs[0].examples:,}" if runs[0].counts else ""
    return [arm, size_of(runs[0]), MEASURED, str(len(runs)), examples]


def _floors(arms: Arms) -> list[tuple[int, list[Run]]]:
    """Return majority and untuned with the runs that have rows of them, one of each backbone.

    Where an arm of that name is measured for itself, its row says it.
    """
    runs = [run for mine in arms.values() for run in mine if run.recipe and not run.few_shot]
    majority = [run for run in runs if rows_of_level(run, -1)]
    untuned: dict[str, list[Run]] = {}
    for run in runs:
        if run.recipe and rows_of_level(run, 0):
            untuned.setdefault(run.recipe.backbone.name, []).append(run)
    floors = ([(-1, majority)] if majority else []) + [(0, mine) for mine in untuned.values()]
    return [(level, mine) for level, mine in floors if mine[0].title(level) not in arms]


def rows_of_level(run: Run, level: int) -> list[Result]:
    """Return a run's rows of a level on the benchmark."""
    return [row for row in run.rows if row.level == level and row.dataset in BENCHMARK]


def table_4(arms: Arms) -> Table:
    """Return emotion recognition under each arm that was tuned on it, beside the paper's rows."""
    there = {
        arm: runs
        for arm, runs in arms.items()
        if not runs[0].few_shot and any(runs[0].learned(name) and rows_at(runs, name) for name in ERC)
    }
    shared = [name for name in ERC if there and all(rows_at(runs, name) for runs in there.values())]
    largest = most_examples(there, ERC)
    rows = [
        [row.system, row.size, PUBLISHED, "", "", *(f"{row.scores[name]:.2f}" for name in ERC),
         f"{np.mean(list(row.scores.values())):.2f}"]
        for row in TABLE_4
    ]  # fmt: skip
    for arm, runs in there.items():
        found = [rows_at(runs, name) for name in ERC]
        whole = [[row.value for name in shared for row in rows_at([run], name)] for run in runs]
        means = [float(np.mean(values)) for values in whole if shared and len(values) == len(shared)]
        rows.append([*_said_of(arm, runs), *cells_of(found, largest), number(means)])
    header = ("tuned as", "size", "from", "seeds", "examples", *map(title_of, ERC), "average")
    over = f"The average of measured rows is over {', '.join(map(title_of, shared))}." if shared else ""
    note = "Weighted F1 in percent; mean ± standard deviation over seeds."
    return Table(
        "table-4", "Table 4: emotion recognition by strategy", header, rows, (f"{note} {over}".strip(),)
    )


def table_5(arms: Arms) -> Table:
    """Return few-shot generalisation: the paper's rows, then majority, untuned and few-shot arms."""
    largest = most_examples(arms, FEW_SHOT)
    rows = [_published(row, FEW_SHOT, "") for row in TABLE_5]
    rows.append(["ratio few-shot / train", "", PUBLISHED, "", *map(str, TABLE_5_RATIO.values())])
    merged: dict[str, list[Run]] = {}
    for arm, runs in arms.items():
        if any(rows_at(runs, name) for name in FEW_SHOT):
            merged.setdefault(_family(arm), []).extend(runs)
    every = [run for runs in merged.values() for run in runs]
    majority = [rows_at(every, name, -1)[:1] for name in FEW_SHOT]
    if any(majority):
        rows.append(["majority", "", MEASURED, "", *cells_of(majority, largest)])
    for family, runs in merged.items():  # each on a backbone of its own, which may be a finished chain
        found = [rows_at(runs, name, 0) for name in FEW_SHOT]
        if any(found) and any(run.last > 0 for run in runs):
            title = f"{family}, before its examples" if len(merged) > 1 else "untuned"
            rows.append([title, size_of(runs[0]), MEASURED, "", *cells_of(found, largest)])
    for family, runs in merged.items():
        found = [rows_at(runs, name) for name in FEW_SHOT]
        shots = sorted({s.per_class for run in runs for s in run.sources.values() if s.per_class})
        name = family + (f", k = {', '.join(map(str, shots))}" if shots else "")
        seeds = str(len({run.seed for run in runs}))
        rows.append([name, size_of(runs[0]), MEASURED, seeds, *cells_of(found, largest)])
    header = ("system", "size", "from", "seeds", *map(title_of, FEW_SHOT))
    metrics = ", ".join(f"{title_of(name)} {main_metric(name)}" for name in FEW_SHOT)
    sizes = ", ".join(f"{title_of(n)} {m:,}" for n, m in zip(FEW_SHOT, largest, strict=True) if m)
    notes = (f"Percent: {metrics}." + (f" Examples tested: {sizes}." if sizes else ""),)
    return Table("table-5", "Table 5: few-shot generalisation", header, rows, notes)


def _family(arm: str) -> str:
    """Return an arm's name without the part of TweetEval at its end."""
    for name in FEW_SHOT:
        arm = arm.removesuffix("-" + name.removeprefix("tweeteval-"))
    return arm
