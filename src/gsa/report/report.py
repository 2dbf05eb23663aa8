"""The report: results folders in, a folder with Markdown, CSV and PNG out. Nothing is computed but from disk.

    out/report.md       all tables and figures, and what is absent and why
    out/tables/*.csv
    out/figures/*.png

The folder is written aside and takes the place of an earlier report whole.
"""

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import similarity

from gsa.atomic_io import atomic_path, write_atomic
from gsa.datasets.catalogue import data_root, get, missing_message
from gsa.errors import InputError
from gsa.report import (
    cases,
    comparison,
    curves,
    figures,
    tables,
)
from gsa.report import (
    contamination as unrepeated,
)
from gsa.report import (
    paper_cases as papers_cases,
)
from gsa.report.cases import Tally
from gsa.report.forgetting import forgetting
from gsa.report.measured_run import Run
from gsa.report.paper import BENCHMARK, FEW_SHOT
from gsa.report.runs import by_arm, read_runs
from gsa.report.significance import RESAMPLES
from gsa.report.tables import Arms, Table, title_of

PAGE = "report.md"


@dataclass(frozen=True)
class Report:
    """What a report was made of and what is not in it."""

    files: list[Path]
    absent: list[str]
    arms: Arms
    tallies: list[Tally]


def report(
    folders: Sequence[Path],
    out: Path,
    split: str = "test",
    resamples: int = RESAMPLES,
    say: Callable[[str], None] = print,
    overlaps: Path | None = None,
) -> Report:
    """Write the report of results folders to `out`; `overlaps` is a file of `gsa data overlaps`.

    Raises InputError for folders without rows, damaged rows or overlaps, or an `out` that holds something
    else.
    """
    known = unrepeated.read(overlaps) if overlaps else {}
    if out.exists() and not (out / PAGE).is_file() and (not out.is_dir() or any(out.iterdir())):
        raise InputError(f"'{out}' is there and is no report: expected a new or empty folder for --out")
    runs = read_runs(folders, split)
    arms = by_arm(runs)
    counts = ", ".join(f"{arm} ({len(runs)})" for arm, runs in arms.items())
    say(f"arms (seeds): {counts}")
    absent = missing(runs)
    tallies = cases.mine(arms)
    made, gone = make_tables(arms, tallies, resamples, say)
    apart = unrepeated.table(arms, known, resamples)
    if apart.rows:
        made.append(apart)
    else:
        gone.append("Without repeated texts: no file of overlaps, or no arm that read texts of a test set.")
    with atomic_path(out) as draft:
        for table in made:
            write_atomic(draft / "tables" / f"{_file(table.name)}.csv", table.csv())
        drawn, left_out = draw(arms, draft / "figures")
        absent += gone + left_out
        write_atomic(draft / PAGE, page(arms, split, made, drawn, absent))
    return Report(sorted(file for file in out.rglob("*") if file.is_file()), absent, arms, tallies)


def make_tables(
    arms: Arms, tallies: Sequence[Tally], resamples: int, say: Callable[[str], None]
) -> tuple[list[Table], list[str]]:
    """Return all tables that there is something for, and a sentence for each of the others."""
    made = [tables.table_1(), tables.table_2(), tables.table_3(arms), tables.table_4(arms)]
    absent = []
    say(f"comparing, {resamples:,} draws each")
    differences = comparison.differences(arms, resamples)
    if differences.rows:
        made.append(differences)
    else:
        absent.append("Paired differences: they need two arms with a common seed and predictions of each.")
    made.append(comparison.papers_test(arms))
    for arm, runs in arms.items():
        if runs[0].recipe and runs[0].last > 1:
            made.append(forgetting(arm, runs, resamples))
    if not any(name in run.datasets for runs in arms.values() for run in runs for name in FEW_SHOT):
        absent.append("Table 5: no run has rows of TweetEval; only the paper's are shown.")
    made.append(tables.table_5(arms))
    if any(tally.cases for tally in tallies):
        made.append(cases.table_6(tallies))
    else:
        absent.append(
            "Table 6: it needs predictions of two levels, or of a progressive and a multi-task arm."
        )
    two = papers_cases.table(arms)
    if two.rows:
        made.append(two)
    else:
        absent.append("The paper's two cases: no run has rows of cases.jsonl: gsa cases makes them.")
    made.append(comparison.scores(arms, resamples))
    alike = similarity.tables(arms)
    if not alike:
        absent.append("Figure 3: no run has rows of similarity.jsonl: gsa similarity makes them.")
    return made + alike, absent


def missing(runs: Sequence[Run]) -> list[str]:
    """Return a sentence for each dataset, prediction or row that is not there or not as it should be."""
    found = []
    used = {id(run) for mine in by_arm(runs).values() for run in mine}
    for name in BENCHMARK:
        if not any(name in run.datasets for run in runs):
            here = not missing_message(get(name), data_root())
            how = get(name).manual_download or f"gsa data fetch {name}"
            why = "its files are here, no run has measured it" if here else f"its files are not here: {how}"
            found.append(f"{title_of(name)}: no rows: {why}.")
    for run in runs:
        where = f"{run.arm}, seed {run.seed}"
        bare = [name for name in run.datasets if run.last >= 0 and run.predicted(run.last, name) is None]
        damaged = run.damaged()
        if damaged:
            found.append(f"{where}: not as they were stored, or no checksum noted: {', '.join(damaged)}.")
        if bare:
            found.append(f"{where}: no predictions of its last level, so no intervals: {', '.join(bare)}.")
        if run.recipe and run.last < len(run.recipe.levels):
            left = "" if id(run) in used else ", other seeds further: left out"
            found.append(f"{where}: measured up to level {run.last} of {len(run.recipe.levels)}{left}.")
        others = {name for other in runs if other.arm == run.arm for name in other.datasets}
        lacking = sorted(others - set(run.datasets))
        if lacking:
            found.append(f"{where}: no rows of {', '.join(lacking)}, which other seeds have.")
        found += [f"{where}: {sentence}." for sentence in run.contradictions()]
    return found


def draw(arms: Arms, folder: Path) -> tuple[list[tuple[str, str]], list[str]]:
    """Draw all figures that there is something for; returns (title, file) and what was left out."""
    drawn: list[tuple[str, str]] = []
    absent: list[str] = []

    def add(title: str, name: str, done: bool, why: str) -> None:
        drawn.extend([(title, name)] if done else [])
        absent.extend([] if done else [f"{title}: {why}."])

    try:
        figures.canvas(1, 1)
    except InputError as error:
        return [], [f"{error}."]
    done = curves.learning_curves(arms, folder / "learning-curves.png")
    add("Learning curves", "learning-curves.png", done, "no log.jsonl beside the rows")
    done = curves.scores_by_examples(arms, folder / "examples.png")
    add("Scores over examples seen", "examples.png", done, "no run.json that says how many")
    for arm, runs in arms.items():
        known = f"-{_file(arm)}.png"
        if runs[0].last < 0:
            continue
        add(f"Confusion: {arm}", f"confusion{known}",
            figures.confusions(arm, runs, folder / f"confusion{known}"), "no predictions")  # fmt: skip
        add(f"Reliability: {arm}", f"reliability{known}",
            figures.reliability(arm, runs, folder / f"reliability{known}"), "no probabilities")  # fmt: skip
        if runs[0].recipe and runs[0].last > 1:
            figures.forgetting(arm, runs, folder / f"forgetting{known}")
            add(f"Forgetting: {arm}", f"forgetting{known}", True, "")
        drawn += figures.similarities(arm, runs, folder)
    return drawn, absent


def page(
    arms: Arms, split: str, made: Sequence[Table], drawn: Sequence[tuple[str, str]], absent: Sequence[str]
) -> str:
    """Return the report as Markdown."""
    parts = [
        "# Report\n",
        f"Made by `gsa report` from rows and predictions of the {split} split. Rows marked `published` are "
        "the paper's, those marked `measured here` are made from predictions on disk.\n",
        _runs(arms).markdown(),
        "## Absent\n\n" + "\n".join(f"- {sentence}" for sentence in absent or ["nothing"]) + "\n",
        *(table.markdown() for table in made),
        *(f"## {title}\n\n![{title}](figures/{name})\n" for title, name in drawn),
    ]
    return "\n".join(parts)


def _runs(arms: Arms) -> Table:
    rows = [[arm, _backbone(runs[0]), ", ".join(str(run.seed) for run in runs),
             " > ".join(level.name for level in runs[0].recipe.levels) if runs[0].recipe else "",
             ", ".join(runs[0].datasets)] for arm, runs in arms.items()]  # fmt: skip
    return Table("runs", "Runs", ("arm", "backbone", "seeds", "levels", "measured on"), rows)


def _backbone(run: Run) -> str:
    return Path(run.recipe.backbone.name).name if run.recipe else ""


def _file(name: str) -> str:
    return re.sub(r"[^\w.-]", "_", name)
