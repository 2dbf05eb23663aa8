"""The paper's tables 1 to 5, with rows measured here: arms in, tables out.

A cell of several seeds is their mean and standard deviation; a cell taken over other examples than most of
its column gives its n.
"""

import csv
import io
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from gsa.data.task import TASKS
from gsa.datasets.catalogue import CATALOGUE
from gsa.datasets.stats import stats
from gsa.evaluation.results import MAJORITY, Result
from gsa.report.measured_run import MeasuredRun, main_metric
from gsa.report.paper import BENCHMARK, FEW_SHOT, TABLE_1, TABLE_3, TABLE_4, TABLE_5, TABLE_5_RATIO, Published
from gsa.report.runs import backbone_size
from gsa.report.significance import mean_sd

Arms = Mapping[str, Sequence[MeasuredRun]]
PUBLISHED, MEASURED = "published", "measured here"
ERC = ("iemocap", "meld", "emorynlp")
LEVELS = {"SA": BENCHMARK[:3], "ERC": ERC, "SD": BENCHMARK[6:]}
"""The benchmark's datasets by level, in the order of the levels' numbers."""
KINDS = {1: "sentiment analysis", 2: "emotion recognition in conversation", 3: "sarcasm detection"}


@dataclass(frozen=True)
class Table:
    """A table with its notes."""

    name: str
    """Name of its file."""
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


def format_mean(values: Sequence[float]) -> str:
    """Return a mean with its standard deviation over seeds, if there are several; empty without values."""
    if not values:
        return ""
    mean, sd = mean_sd(values)
    return f"{mean:.2f}" + (f" ± {sd:.2f}" if len(values) > 1 else "")


def main_rows(runs: Sequence[MeasuredRun], dataset: str, level: int | None = None) -> list[Result]:
    """Return the main rows of runs at a level; without a level at the last level of each run."""
    rows = [run.main_row(run.last if level is None else level, dataset) for run in runs]
    return [row for row in rows if row is not None]


def format_cells(rows: Sequence[Sequence[Result]], largest: Sequence[int]) -> list[str]:
    """Return one cell per dataset from its rows; `largest` has the largest n of each dataset's column."""
    cells = []
    for cell_rows, most in zip(rows, largest, strict=True):
        n = min((row.n for row in cell_rows), default=0)
        cells.append(
            format_mean([row.value for row in cell_rows]) + (f" (n={n})" if n and most and n != most else "")
        )
    return cells


def largest_n(arms: Arms, datasets: Sequence[str]) -> list[int]:
    """Return the largest n of each dataset's main rows of models; majority rows do not count."""
    rows = [
        row
        for runs in arms.values()
        for run in runs
        for row in run.rows
        if row.level >= 0 and row.metric == run.metric(row.dataset)
    ]
    return [max((row.n for row in rows if row.dataset == name), default=0) for name in datasets]


def level_datasets(arms: Arms) -> dict[str, tuple[str, ...]]:
    """Return the benchmark's datasets by level, with further ones that arms were tuned on beside them."""
    levels = dict(LEVELS)
    for run in (runs[0] for runs in arms.values() if runs[0].recipe and not runs[0].few_shot):
        for level, datasets in zip(levels, LEVELS.values(), strict=True):
            further = [name for name in run.tuned_beside(datasets) if name in run.datasets]
            levels[level] = tuple(dict.fromkeys([*levels[level], *further]))
    return levels


def _metrics(arms: Arms, datasets: Sequence[str]) -> str:
    """Return the titles of datasets, each with its main metric."""
    known = {name: run.metric(name) for runs in arms.values() for run in runs for name in run.sources}
    metrics = [known.get(name) or main_metric(name) for name in datasets]
    return ", ".join(f"{title_of(name)} {metric}" for name, metric in zip(datasets, metrics, strict=True))


def table_1() -> Table:
    """Return the data, counted from the files that are present, with what the paper prints."""
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
    """Return which information each level's instruction asks for, read from the instructions themselves."""
    words = ("semantic", "context", "linguistic")
    rows = [
        [task.name, str(task.level), *("yes" if word in task.instruction else "no" for word in words)]
        for task in TASKS.values()
    ]
    header = ("instruction", "level", "semantic", "contextual", "linguistic pattern")
    return Table("table-2", "Table 2: instructions", header, rows)


def _published(row: Published, datasets: Sequence[str], *between: str) -> list[str]:
    """Return the cells of a published row, `between` before its scores."""
    name = row.system + (" (multimodal)" if row.multimodal else "")
    scores = [f"{row.scores[dataset]:.2f}" if dataset in row.scores else "" for dataset in datasets]
    return [name, row.size or "not stated", PUBLISHED, *between, *scores]


def table_3(arms: Arms) -> Table:
    """Return every row of the paper's table 3, then majority, untuned, and the last level of each arm."""
    further = [name for names in level_datasets(arms).values() for name in names if name not in BENCHMARK]
    datasets = (*BENCHMARK, *further)
    largest = largest_n(arms, datasets)
    rows = [_published(row, datasets, "", "") for row in TABLE_3]
    for level, having in _floor_runs(arms):
        main = [main_rows(having, name, level)[:1] for name in datasets]
        size = backbone_size(having[0]) if level == 0 else ""
        rows.append([having[0].level_title(level), size, MEASURED, "", "", *format_cells(main, largest)])
    for arm, runs in arms.items():
        main = [main_rows(runs, name) for name in datasets]
        if any(main[: len(BENCHMARK)]) and not runs[0].few_shot:
            rows.append([*_arm_cells(arm, runs), *format_cells(main, largest)])
    header = ("system", "size", "from", "seeds", "examples", *map(title_of, datasets))
    notes: tuple[str, ...] = (
        f"Percent: {_metrics(arms, datasets)}. Sizes of published rows are those that the paper states. It "
        "gives one number a cell, and does not say of which split or of how many seeds. Examples are those "
        "trained on, each counted once.",
        "Tested on: "
        + ", ".join(f"{title_of(n)} {m:,}" for n, m in zip(datasets, largest, strict=True) if m)
        + ".",
    )
    notes = notes if any(largest) else notes[:1]
    if any(run.folds for runs in arms.values() for run in runs):
        notes += ("Arms measured on several folds are scored on the predictions of all folds together.",)
    return Table("table-3", "Table 3: the benchmark", header, rows, notes)


def _arm_cells(arm: str, runs: Sequence[MeasuredRun]) -> list[str]:
    """Return an arm's cells before its scores."""
    examples = f"{runs[0].training_examples:,}" if runs[0].example_counts else ""
    return [arm, backbone_size(runs[0]), MEASURED, str(len(runs)), examples]


def _floor_runs(arms: Arms) -> list[tuple[int, list[MeasuredRun]]]:
    """Return the levels majority and untuned with the runs that have rows of them, one entry per backbone.

    An entry is left out where an arm has its name: the arm's own row replaces it.
    """
    runs = [run for members in arms.values() for run in members if run.recipe and not run.few_shot]
    majority = [run for run in runs if _benchmark_rows(run, MAJORITY)]
    untuned: dict[str, list[MeasuredRun]] = {}
    for run in runs:
        if run.recipe and _benchmark_rows(run, 0):
            untuned.setdefault(run.recipe.backbone.name, []).append(run)
    floors = ([(MAJORITY, majority)] if majority else []) + [(0, members) for members in untuned.values()]
    return [(level, members) for level, members in floors if members[0].level_title(level) not in arms]


def _benchmark_rows(run: MeasuredRun, level: int) -> list[Result]:
    """Return a run's rows of a level on the benchmark."""
    return [row for row in run.rows if row.level == level and row.dataset in BENCHMARK]


def table_4(arms: Arms) -> Table:
    """Return emotion recognition with each arm that was tuned on it, after the paper's rows."""
    tuned = {
        arm: runs
        for arm, runs in arms.items()
        if not runs[0].few_shot and any(runs[0].learned_at(name) and main_rows(runs, name) for name in ERC)
    }
    datasets = level_datasets(tuned)["ERC"]
    shared = [name for name in datasets if tuned and all(main_rows(runs, name) for runs in tuned.values())]
    largest = largest_n(tuned, datasets)
    rows = [
        [*_published(row, datasets, "", ""),
         f"{np.mean(list(row.scores.values())):.2f}"]
        for row in TABLE_4
    ]  # fmt: skip
    for arm, runs in tuned.items():
        main = [main_rows(runs, name) for name in datasets]
        shared_values = [[row.value for name in shared for row in main_rows([run], name)] for run in runs]
        means = [float(np.mean(values)) for values in shared_values if shared and len(values) == len(shared)]
        rows.append([*_arm_cells(arm, runs), *format_cells(main, largest), format_mean(means)])
    header = ("tuned as", "size", "from", "seeds", "examples", *map(title_of, datasets), "average")
    over = f"The average of measured rows is over {', '.join(map(title_of, shared))}." if shared else ""
    note = "Weighted F1 in percent; mean ± standard deviation over seeds."
    return Table(
        "table-4", "Table 4: emotion recognition by strategy", header, rows, (f"{note} {over}".strip(),)
    )


def table_5(arms: Arms) -> Table:
    """Return few-shot generalisation: the paper's rows, then majority, untuned and few-shot arms."""
    largest = largest_n(arms, FEW_SHOT)
    rows = [_published(row, FEW_SHOT, "") for row in TABLE_5]
    rows.append(["ratio few-shot / train", "", PUBLISHED, "", *map(str, TABLE_5_RATIO.values())])
    merged: dict[str, list[MeasuredRun]] = {}
    for arm, runs in arms.items():
        if any(main_rows(runs, name) for name in FEW_SHOT):
            merged.setdefault(_family(arm), []).extend(runs)
    all_runs = [run for runs in merged.values() for run in runs]
    majority = [main_rows(all_runs, name, MAJORITY)[:1] for name in FEW_SHOT]
    if any(majority):
        rows.append(["majority", "", MEASURED, "", *format_cells(majority, largest)])
    for family, runs in merged.items():  # with a backbone of its own, which may be a finished chain
        main = [main_rows(runs, name, 0) for name in FEW_SHOT]
        if any(main) and any(run.last > 0 for run in runs):
            title = f"{family}, before its examples" if len(merged) > 1 else "untuned"
            rows.append([title, backbone_size(runs[0]), MEASURED, "", *format_cells(main, largest)])
    for family, runs in merged.items():
        main = [main_rows(runs, name) for name in FEW_SHOT]
        shots = sorted({s.per_class for run in runs for s in run.sources.values() if s.per_class})
        name = family + (f", k = {', '.join(map(str, shots))}" if shots else "")
        seeds = str(len({run.seed for run in runs}))
        rows.append([name, backbone_size(runs[0]), MEASURED, seeds, *format_cells(main, largest)])
    header = ("system", "size", "from", "seeds", *map(title_of, FEW_SHOT))
    metrics = ", ".join(f"{title_of(name)} {main_metric(name)}" for name in FEW_SHOT)
    sizes = ", ".join(f"{title_of(n)} {m:,}" for n, m in zip(FEW_SHOT, largest, strict=True) if m)
    notes = (f"Percent: {metrics}." + (f" Examples tested: {sizes}." if sizes else ""),)
    return Table("table-5", "Table 5: few-shot generalisation", header, rows, notes)


def _family(arm: str) -> str:
    """Return an arm's name without the TweetEval task at its end."""
    for name in FEW_SHOT:
        arm = arm.removesuffix("-" + name.removeprefix("tweeteval-"))
    return arm
