"""Figures: arms or labelled matrices in, PNG files out. Needs matplotlib, the extra `plots`.

Every function draws one figure to a path; missing values stay white. Lines over steps and examples are in
`curves`.
"""

from collections.abc import Sequence
from pathlib import Path
from textwrap import wrap
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gsa.atomic_io import atomic_path
from gsa.errors import InputError
from gsa.evaluation.metrics import Answers
from gsa.report.forgetting import forgetting_matrix
from gsa.report.measured_run import MeasuredRun
from gsa.report.significance import calibration, confusion
from gsa.report.tables import title_of

Numbers = NDArray[np.float64]
BINS, MIN_BIN = 10, 10
"""Bins of a reliability diagram, and the fewest answers of one that has a point."""


def canvas(width: float, height: float) -> Any:
    """Return an empty figure of a size in inches; raises InputError where matplotlib is not installed."""
    try:
        from matplotlib.figure import Figure
    except ImportError:
        raise InputError(
            "figures need matplotlib, which is not installed: pip install '.[plots]' in a clone"
        ) from None
    return Figure(figsize=(width, height), layout="constrained")


def save(figure: Any, path: Path) -> None:
    """Write a figure atomically; the same figure gives the same bytes."""
    with atomic_path(path) as draft:
        figure.savefig(draft, format="png", dpi=110, metadata={"Software": None})


def heat_map(
    rows: Sequence[str],
    columns: Sequence[str],
    values: Numbers,
    title: str,
    path: Path,
    limits: tuple[float, float] | None = None,
    digits: int = 1,
) -> None:
    """Draw a labelled matrix (rows, columns) with its numbers; nan stays white.

    `limits` are the values of the lightest and the darkest colour; limits around 0 take two colours, as for
    cosines (-1, 1).
    """
    width = 2.2 + 0.95 * len(columns)
    lines = _wrap(title, width)
    figure = canvas(width, 1.1 + 0.42 * len(rows) + 0.2 * len(lines))
    axes = figure.subplots()
    _matrix(axes, rows, columns, values, limits, digits)
    axes.set_title("\n".join(lines), fontsize=9)
    save(figure, path)


def _wrap(title: str, width: float) -> list[str]:
    """Return a title as lines that fit a figure of a width in inches."""
    return [line for part in title.splitlines() for line in wrap(part, int(9 * width))]


def _matrix(
    axes: Any, rows: Sequence[str], columns: Sequence[str], values: Numbers, limits: Any, digits: int
) -> None:
    present = values[~np.isnan(values)]
    low, high = limits or ((float(present.min()), float(present.max())) if present.size else (0.0, 1.0))
    colours = "RdBu_r" if low < 0 < high else "Blues"
    axes.imshow(np.ma.masked_invalid(values), cmap=colours, vmin=low, vmax=high, aspect="auto")
    axes.set_xticks(range(len(columns)), columns, rotation=35, ha="right", fontsize=8)
    axes.set_yticks(range(len(rows)), rows, fontsize=8)
    middle, half = (low + high) / 2, (high - low) / 2 or 1.0
    for (i, j), value in np.ndenumerate(values):
        if not np.isnan(value):
            is_dark = abs(value - middle) / half > 0.6 if colours == "RdBu_r" else value > middle + 0.2 * half
            axes.text(j, i, f"{value:.{digits}f}", ha="center", va="center", fontsize=7,
                      color="white" if is_dark else "black")  # fmt: skip


def forgetting(arm: str, runs: Sequence[MeasuredRun], path: Path) -> None:
    """Draw the main metric of every dataset after every level, mean over seeds.

    A row is taken over the examples that every level answered, so its cells are comparable.
    """
    rows, columns, values = forgetting_matrix(runs)
    title = f"{arm}: main metric after every level, over the examples that every level answered"
    heat_map(rows, columns, values, title, path, (0.0, 100.0))


def _answers(runs: Sequence[MeasuredRun]) -> dict[str, list[Answers]]:
    """Return the answers of every run's last level, by the datasets that all runs have predictions of."""
    stored = {name: [run.predictions(run.last, name) for run in runs] for name in runs[0].datasets}
    return {name: [p.answers for p in entry if p] for name, entry in stored.items() if all(entry)}


def grid(count: int, side: float, title: str = "") -> tuple[Any, list[Any]]:
    """Return a figure with `count` axes of `side` inches, at most three in a row, and these axes."""
    columns = min(3, count)
    rows = -(-count // columns)
    figure = canvas(side * columns, side * 0.9 * rows)
    panels = list(figure.subplots(rows, columns, squeeze=False).flat)
    for axes in panels[count:]:
        axes.set_axis_off()
    if title:
        figure.suptitle("\n".join(_wrap(title, side * columns)), fontsize=10)
    return figure, panels[:count]


def label_figure(figure: Any, x: str, y: str) -> None:
    """Label the axes that a figure's panels share, on as many lines as it takes."""
    width, height = figure.get_size_inches()
    figure.supxlabel("\n".join(_wrap(x, width)), fontsize=9)
    figure.supylabel("\n".join(_wrap(y, height)), fontsize=9)


def title_panel(axes: Any, title: str, side: float) -> None:
    """Give a panel of `side` inches its title, on as many lines as it takes."""
    axes.set_title("\n".join(_wrap(title, side)), fontsize=9)


def confusions(arm: str, runs: Sequence[MeasuredRun], path: Path) -> bool:
    """Draw the last level's answers as shares of each gold label, all seeds; False without predictions."""
    by_dataset = _answers(runs)
    if not by_dataset:
        return False
    most = max(len(answers[0].labels) for answers in by_dataset.values())
    several = f", {len(runs)} seeds together" if len(runs) > 1 else ""
    title = f"{arm}: answers, percent of each gold label{several}"
    figure, panels = grid(len(by_dataset), max(4.4, 2.0 + 0.34 * most), title)
    for axes, (name, answers) in zip(panels, by_dataset.items(), strict=True):
        labels = answers[0].labels
        counts = np.sum([confusion(a.gold, a.predicted, len(labels)) for a in answers], axis=0)
        total = counts.sum(1, keepdims=True)
        shares = np.divide(100 * counts, total, out=np.full(counts.shape, np.nan), where=total > 0)
        _matrix(axes, labels, labels, shares, (0.0, 100.0), 0)
        axes.set_title(f"{title_of(name)}, n={len(answers[0].gold):,}", fontsize=9)
    label_figure(figure, "answered", "gold")
    save(figure, path)
    return True


def reliability(arm: str, runs: Sequence[MeasuredRun], path: Path) -> bool:
    """Draw accuracy over confidence with the expected calibration error; False without probabilities.

    Bins of fewer than `MIN_BIN` answers have no point, since their accuracy is chance.
    """
    by_dataset = {
        name: answers for name, answers in _answers(runs).items() if not all(a.hard for a in answers)
    }
    if not by_dataset:
        return False
    figure, panels = grid(len(by_dataset), 3.4, f"{arm}: reliability of the last level")
    for axes, (name, answers) in zip(panels, by_dataset.items(), strict=True):
        probabilities = np.concatenate([a.probabilities for a in answers])
        measured = calibration(probabilities, np.concatenate([a.gold for a in answers]), BINS)
        centres = (np.arange(BINS) + 0.5) / BINS
        shares = measured.n / max(1, measured.n.sum())
        axes.bar(centres, shares, width=1 / BINS, color="0.85", label="share of examples")
        axes.plot([0, 1], [0, 1], color="0.5", linewidth=1, linestyle=":")
        accuracy = np.where(measured.n < MIN_BIN, np.nan, measured.accuracy)
        axes.plot(measured.confidence, accuracy, marker="o", markersize=4, label="accuracy")
        axes.set(xlim=(0, 1), ylim=(0, 1))
        axes.set_title(f"{title_of(name)}: ECE {100 * measured.error:.1f}%", fontsize=9)
    panels[0].legend(fontsize=7, loc="upper left")
    label_figure(figure, "confidence", "accuracy, share of examples")
    save(figure, path)
    return True
