"""The report: results folders in, a folder with Markdown, CSV and PNG out. Everything is made from disk.

    out/report.md       all tables and figures, and what is absent and why
    out/tables/*.csv
    out/figures/*.png

The folder is written to a temporary name and replaces an earlier report as a whole.
"""

import logging
import re
from collections.abc import Collection, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from gsa.atomic_io import atomic_path, write_atomic
from gsa.datasets.catalogue import CATALOGUE, data_root, get, missing_message
from gsa.datasets.overlaps import Overlaps
from gsa.errors import InputError
from gsa.report import cases, comparison, curves, figures, tables
from gsa.report.cases import Disagreement
from gsa.report.contamination import contamination, read_overlaps
from gsa.report.forgetting import forgetting_table
from gsa.report.measured_run import MeasuredRun
from gsa.report.paper import BENCHMARK, FEW_SHOT
from gsa.report.runs import by_arm, read_runs
from gsa.report.significance import RESAMPLES
from gsa.report.tables import Arms, Table, title_of

logger = logging.getLogger(__name__)
PAGE = "report.md"


@dataclass(frozen=True)
class Report:
    """What a report was made of and what it lacks."""

    files: list[Path]
    absent: list[str]
    arms: Arms
    disagreements: list[Disagreement]


@dataclass
class Content:
    """Tables and figures of a report, and a sentence for each that could not be made."""

    tables: list[Table] = field(default_factory=list)
    figures: list[tuple[str, str]] = field(default_factory=list)
    """Title and file name of each."""
    absent: list[str] = field(default_factory=list)

    def add_table(self, table: Table, otherwise: str = "") -> None:
        """Add a table that has rows, or else the sentence that says why it is absent."""
        if table.rows:
            self.tables.append(table)
        elif otherwise:
            self.absent.append(otherwise)

    def add_figure(self, title: str, name: str, drawn: bool, otherwise: str) -> None:
        """Add a figure that was drawn, or else the reason why it was not."""
        if drawn:
            self.figures.append((title, name))
        else:
            self.absent.append(f"{title}: {otherwise}.")


def make_report(
    folders: Sequence[Path],
    out: Path,
    split: str = "test",
    resamples: int = RESAMPLES,
    overlaps: Path | None = None,
) -> Report:
    """Write the report of results folders to `out`; `overlaps` is a file of `gsa data overlaps`.

    Raises InputError for folders without rows, damaged rows or overlaps, an arm of several recipes, or an
    `out` that holds something else.
    """
    repeated = read_overlaps(overlaps) if overlaps else {}
    check_folder(out)
    runs = read_runs(folders, split)
    arms = by_arm(runs)
    logger.info("arms (seeds): %s", ", ".join(f"{arm} ({len(members)})" for arm, members in arms.items()))
    content = Content(absent=missing(runs))
    disagreements = cases.find_disagreements(arms)
    logger.info("comparing arms, %s resamples each", f"{resamples:,}")
    _add_tables(content, arms, disagreements, resamples)
    _add_contamination(content, arms, repeated, resamples)
    with atomic_path(out) as draft:
        _add_figures(content, arms, draft / "figures")
        write_pages(draft, _page(arms, split, content), content.tables)
    files = sorted(file for file in out.rglob("*") if file.is_file())
    return Report(files, content.absent, arms, disagreements)


def check_folder(out: Path) -> None:
    """Raise InputError unless a folder is new, empty or holds a report."""
    if out.exists() and not (out / PAGE).is_file() and (not out.is_dir() or any(out.iterdir())):
        raise InputError(f"'{out}' exists and is not a report: expected a new or empty folder for --out")


def write_pages(folder: Path, page: str, made: Sequence[Table]) -> None:
    """Write the page and a CSV file per table."""
    for table in made:
        write_atomic(folder / "tables" / f"{file_name(table.name)}.csv", table.csv())
    write_atomic(folder / PAGE, page)


def _add_tables(content: Content, arms: Arms, disagreements: Sequence[Disagreement], resamples: int) -> None:
    """Add all tables that there are rows for, those of users' own data first."""
    measured = {name for runs in arms.values() for run in runs for name in run.datasets}
    is_benchmark = bool(measured & {*BENCHMARK, *FEW_SHOT})
    if not measured <= CATALOGUE.keys():
        content.tables.append(comparison.scores(arms, resamples))
    if is_benchmark:
        for table in (tables.table_1(), tables.table_2(), tables.table_3(arms), tables.table_4(arms)):
            content.tables.append(table)
    content.add_table(
        comparison.differences(arms, resamples),
        "Paired differences: they need two arms with a common seed and predictions of each.",
    )
    if is_benchmark:
        content.tables.append(comparison.papers_test(arms))
    for arm, runs in arms.items():
        if runs[0].recipe and runs[0].last > 1:
            content.tables.append(forgetting_table(arm, runs, resamples))
    if is_benchmark:
        _add_paper_tables(content, arms, disagreements, measured)
    if measured <= CATALOGUE.keys():
        content.tables.append(comparison.scores(arms, resamples))


def _add_paper_tables(
    content: Content, arms: Arms, disagreements: Sequence[Disagreement], measured: Collection[str]
) -> None:
    """Add the paper's tables 5 and 6, and its cases."""
    if not any(name in measured for name in FEW_SHOT):
        content.absent.append("Table 5: no run has rows of TweetEval; only the paper's are shown.")
    content.tables.append(tables.table_5(arms))
    content.add_table(
        cases.table_6(disagreements),
        "Table 6: it needs predictions of two levels, or of a progressive and a multi-task arm.",
    )
    content.add_table(
        cases.paper_cases_table(arms),
        "The paper's two cases: no run has rows of cases.jsonl: gsa cases makes them.",
    )


def _add_contamination(content: Content, arms: Arms, overlaps: Overlaps, resamples: int) -> None:
    content.add_table(
        contamination(arms, overlaps, resamples),
        "Without repeated texts: no file of overlaps, or no arm that read texts of a test set.",
    )


def missing(runs: Sequence[MeasuredRun]) -> list[str]:
    """Return a sentence for each dataset, prediction or row that is missing or inconsistent."""
    sentences = []
    measured = {name for run in runs for name in run.datasets}
    for name in BENCHMARK if measured & {*BENCHMARK, *FEW_SHOT} else ():
        if name not in measured:
            present = not missing_message(get(name), data_root())
            how = get(name).manual_download or f"gsa data fetch {name}"
            why = (
                "its files are here, no run has measured it" if present else f"its files are not here: {how}"
            )
            sentences.append(f"{title_of(name)}: no rows: {why}.")
    used = {id(run) for members in by_arm(runs).values() for run in members}
    for run in runs:
        same_arm = {name for member in runs if member.arm == run.arm for name in member.datasets}
        sentences += [
            f"{run.arm}, seed {run.seed}: {sentence}."
            for sentence in _missing_of_run(run, same_arm, id(run) in used)
        ]
    return sentences


def _missing_of_run(run: MeasuredRun, datasets: set[str], used: bool) -> list[str]:
    """Return what a run lacks; `datasets` are those of its arm, `used` whether the report reads it."""
    sentences = []
    bare = [name for name in run.datasets if run.last >= 0 and run.predictions(run.last, name) is None]
    if damaged := run.damaged_files():
        sentences.append(f"not as they were stored, or no checksum noted: {', '.join(damaged)}")
    if bare:
        sentences.append(f"no predictions of its last level, so no intervals: {', '.join(bare)}")
    if run.recipe and run.last < len(run.recipe.levels):
        left_out = "" if used else ", other seeds further: left out"
        sentences.append(f"measured up to level {run.last} of {len(run.recipe.levels)}{left_out}")
    if lacking := sorted(datasets - set(run.datasets)):
        sentences.append(f"no rows of {', '.join(lacking)}, which other seeds have")
    return sentences + run.contradictions()


def _add_figures(content: Content, arms: Arms, folder: Path) -> None:
    """Draw and add all figures that there is data for."""
    try:
        figures.canvas(1, 1)
    except InputError as error:
        content.absent.append(f"{error}.")
        return
    drawn = curves.learning_curves(arms, folder / "learning-curves.png")
    content.add_figure("Learning curves", "learning-curves.png", drawn, "no log.jsonl beside the rows")
    drawn = curves.scores_by_examples(arms, folder / "examples.png")
    content.add_figure("Scores over examples seen", "examples.png", drawn, "no run.json that says how many")
    for arm, runs in arms.items():
        if runs[0].last < 0:
            continue
        suffix = f"-{file_name(arm)}.png"
        drawn = figures.confusions(arm, runs, folder / f"confusion{suffix}")
        content.add_figure(f"Confusion: {arm}", f"confusion{suffix}", drawn, "no predictions")
        drawn = figures.reliability(arm, runs, folder / f"reliability{suffix}")
        content.add_figure(f"Reliability: {arm}", f"reliability{suffix}", drawn, "no probabilities")
        if runs[0].recipe and runs[0].last > 1:
            figures.forgetting(arm, runs, folder / f"forgetting{suffix}")
            content.figures.append((f"Forgetting: {arm}", f"forgetting{suffix}"))


def _page(arms: Arms, split: str, content: Content) -> str:
    """Return the report as Markdown."""
    parts = [
        "# Report\n",
        f"Made by `gsa report` from rows and predictions of the {split} split. Rows marked `published` are "
        "the paper's, those marked `measured here` are made from predictions on disk.\n",
        _runs_table(arms).markdown(),
        "## Absent\n\n" + "\n".join(f"- {sentence}" for sentence in content.absent or ["nothing"]) + "\n",
        *sections(content.tables, content.figures),
    ]
    return "\n".join(parts)


def sections(made: Sequence[Table], drawn: Sequence[tuple[str, str]]) -> list[str]:
    """Return tables, then figures (title, file name), as sections of a Markdown page."""
    return [
        *(table.markdown() for table in made),
        *(f"## {title}\n\n![{title}](figures/{name})\n" for title, name in drawn),
    ]


def _runs_table(arms: Arms) -> Table:
    rows = [[arm, Path(runs[0].recipe.backbone.name).name if runs[0].recipe else "",
             ", ".join(str(run.seed) for run in runs),
             " > ".join(level.name for level in runs[0].recipe.levels) if runs[0].recipe else "",
             ", ".join(runs[0].datasets)] for arm, runs in arms.items()]  # fmt: skip
    return Table("runs", "Runs", ("arm", "backbone", "seeds", "levels", "measured on"), rows)


def file_name(name: str) -> str:
    """Return a name with characters that are safe in file names."""
    return re.sub(r"[^\w.-]", "_", name)
