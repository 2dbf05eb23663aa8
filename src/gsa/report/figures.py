"""Figures: arms or named matrices in, PNG files out. Needs matplotlib, the extra `plots`.

Every function draws one figure to a path; what there is nothing of is left white. Lines over steps and
examples are in `curves`.
"""

from collections.abc import Sequence
from pathlib import Path
from textwrap import wrap
from typing import Any

import numpy as np
import similarity
from numpy.typing import NDArray

from gsa.atomic_io import atomic_path
from gsa.errors import InputError
from gsa.report.forgetting import matrix
from gsa.report.measured_run import Run
from gsa.report.significance import calibration, confusion
from gsa.report.tables import title_of

Numbers = NDArray[np.float64]
FEW = 10
"""Answers below which a bin of a reliability diagram says nothing."""


def canvas(width: float, height: float) -> Any:
    """Return an empty figure of that size in inches; raises InputError where matplotlib is not installed."""
    try:
        from matplotlib.figure import Figure
    except ImportError:
        raise InputError(
            "figures need matplotlib, which is not installed: pip install '.[plots]' in a clone"
        ) from None
    return Figure(figsize=(width, height), layout="constrained")


def save(figure: Any, path: Path) -> None:
    """Write a figure, whole or not at all; the same figure gives the same bytes."""
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
    """Draw a named matrix (rows, columns) with its numbers; nan stays white.

    `limits` are the values of the palest and the darkest colour; limits around 0 take two colours, as for
    cosines (-1, 1).
    """
    width = 2.2 + 0.95 * len(columns)
    lines = _lines(title, width)
    figure = canvas(width, 1.1 + 0.42 * len(rows) + 0.2 * len(lines))
    axes = figure.subplots()
    _matrix(axes, rows, columns, values, limits, digits)
    axes.set_title("\n".join(lines), fontsize=9)
    save(figure, path)


def _lines(title: str, width: float) -> list[str]:
    """Return a title in lines that fit a figure of that width in inches."""
    return [line for part in title.splitlines() for line in wrap(part, int(9 * width))]


def _matrix(
    axes: Any, rows: Sequence[str], columns: Sequence[str], values: Numbers, limits: Any, digits: int
) -> None:
    whole = values[~np.isnan(values)]
    low, high = limits or ((float(whole.min()), float(whole.max())) if whole.size else (0.0, 1.0))
    colours = "RdBu_r" if low < 0 < high else "Blues"
    axes.imshow(np.ma.masked_invalid(values), cmap=colours, vmin=low, vmax=high, aspect="auto")
    axes.set_xticks(range(len(columns)), columns, rotation=35, ha="right", fontsize=8)
    axes.set_yticks(range(len(rows)), rows, fontsize=8)
    middle, half = (low + high) / 2, (high - low) / 2 or 1.0
    for (i, j), value in np.ndenumerate(values):
        if not np.isnan(value):
            away = abs(value - middle) / half > 0.6 if colours == "RdBu_r" else value > middle + 0.2 * half
            axes.text(j, i, f"{value:.{digits}f}", ha="center", va="center", fontsize=7,
                      color="white" if away else "black")  # fmt: skip


def forgetting(arm: str, runs: Sequence[Run], path: Path) -> None:
    """Draw the main metric of every dataset after every level, mean over seeds.

    A row is taken over the examples that every level answered, so its cells can be held against each other.
    """
    rows, columns, values = matrix(runs)
    title = f"{arm}: main metric after every level, over the examples that every level answered"
    heat_map(rows, columns, values, title, path, (0.0, 100.0))


def similarities(arm: str, runs: Sequence[Run], folder: Path) -> list[tuple[str, str]]:
    """Draw the gradients' cosines at each level, and the links' overlaps, as titles and names of files.

    Nothing is drawn, and nothing returned, where there are no rows of `gsa similarity`.
    """
    rows, drawn = similarity.rows_of(runs), []
    for at in similarity.gradients(rows):
        names, values = similarity.matrix(rows, at)
        titles = [title_of(name) for name in names]
        similarity.blank_noise(values)
        title = f"Cosine of the subtasks' gradients: {arm}, {runs[0].title(at.level)}, {at.how}"
        caption = (
            "below: as measured; diagonal: two halves of one dataset; above: corrected for noise, white "
            f"where a dataset's halves agree at less than {similarity.TELLING:g}"
        )
        drawn.append((title, f"similarity-{arm}-{at.file}.png"))
        heat_map(titles, titles, values, f"{title}\n{caption}", folder / drawn[-1][1], (-1.0, 1.0), 2)
    pairs, parts, values = similarity.link_matrix(rows)
    if pairs:
        title = f"Subspaces that the links' updates share, times chance: {arm}"
        drawn.append((title, f"links-{arm}.png"))
        top = max(2.0, float(np.nanmax(values, initial=0.0)))
        heat_map(pairs, parts, values, title, folder / drawn[-1][1], (0.0, top))
    return drawn


def _predicted(runs: Sequence[Run]) -> list[str]:
    return [name for name in runs[0].datasets if all(run.predicted(run.last, name) for run in runs)]


def grid(count: int, side: float, title: str = "") -> tuple[Any, list[Any]]:
    """Return a figure with that many axes of `side` inches, at most three abreast, under a title."""
    across = min(3, count)
    down = -(-count // across)
    figure = canvas(side * across, side * 0.9 * down)
    every = list(figure.subplots(down, across, squeeze=False).flat)
    for axes in every[count:]:
        axes.set_axis_off()
    if title:
        figure.suptitle("\n".join(_lines(title, side * across)), fontsize=10)
    return figure, every[:count]


def confusions(arm: str, runs: Sequence[Run], path: Path) -> bool:
    """Draw the last level's answers as shares of each gold label, seeds together; False without any."""
    names = _predicted(runs)
    if not names:
        return False
    kept = [runs[0].predicted(runs[0].last, name) for name in names]
    most = max(len(each.answers.labels) for each in kept if each)
    several = f", {len(runs)} seeds together" if len(runs) > 1 else ""
    figure, places = grid(
        len(names), max(4.4, 2.0 + 0.34 * most), f"{arm}: answers, percent of each gold label{several}"
    )
    for axes, name in zip(places, names, strict=True):
        found = [each.answers for run in runs if (each := run.predicted(run.last, name))]
        labels = found[0].labels
        counts = np.sum([confusion(a.gold, a.predicted, len(labels)) for a in found], axis=0)
        total = counts.sum(1, keepdims=True)
        shares = np.divide(100 * counts, total, out=np.full(counts.shape, np.nan), where=total > 0)
        _matrix(axes, labels, labels, shares, (0.0, 100.0), 0)
        axes.set_title(f"{title_of(name)}, n={len(found[0].gold):,}", fontsize=9)
    figure.supxlabel("answered", fontsize=9)
    figure.supylabel("gold", fontsize=9)
    save(figure, path)
    return True


def reliability(arm: str, runs: Sequence[Run], path: Path, bins: int = 10) -> bool:
    """Draw accuracy over confidence with the expected calibration error; False without probabilities.

    Bins of fewer than `FEW` answers have no point, since their accuracy is chance.
    """
    names = [
        name
        for name in _predicted(runs)
        if not all((each := run.predicted(run.last, name)) and each.answers.hard for run in runs)
    ]
    if not names:
        return False
    figure, places = grid(len(names), 3.4, f"{arm}: reliability of the last level")
    for axes, name in zip(places, names, strict=True):
        found = [each.answers for run in runs if (each := run.predicted(run.last, name))]
        chances = np.concatenate([a.probabilities for a in found])
        measured = calibration(chances, np.concatenate([a.gold for a in found]), bins)
        centres = (np.arange(bins) + 0.5) / bins
        shares = measured.n / max(1, measured.n.sum())
        axes.bar(centres, shares, width=1 / bins, color="0.85", label="share of examples")
        axes.plot([0, 1], [0, 1], color="0.5", linewidth=1, linestyle=":")
        accuracy = np.where(measured.n < FEW, np.nan, measured.accuracy)
        axes.plot(measured.confidence, accuracy, marker="o", markersize=4, label="accuracy")
        axes.set(xlim=(0, 1), ylim=(0, 1))
        axes.set_title(f"{title_of(name)}: ECE {100 * measured.error:.1f}%", fontsize=9)
    places[0].legend(fontsize=7, loc="upper left")
    figure.supxlabel("confidence", fontsize=9)
    figure.supylabel("accuracy, share of examples", fontsize=9)
    save(figure, path)
    return True
