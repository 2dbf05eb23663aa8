"""Figures: arms or named matrices in, PNG files out. Needs matplotlib, the extra `plots`.

Every function draws one figure to a path and returns nothing; what there is nothing of is left white.
"""

import json
from collections.abc import Sequence
from pathlib import Path
from textwrap import wrap
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gsa.errors import InputError
from gsa.evaluation import similarity
from gsa.evaluation.arms import common
from gsa.evaluation.forgetting import matrix
from gsa.evaluation.measured import Run, main_metric
from gsa.evaluation.metrics import measure
from gsa.evaluation.statistics import calibration, confusion
from gsa.evaluation.tables import Arms, rows_at, title_of
from gsa.files import aside

LOG = "log.jsonl"
Numbers = NDArray[np.float64]


def canvas(width: float, height: float) -> Any:
    """Return an empty figure of that size in inches; raises InputError where matplotlib is not installed."""
    try:
        from matplotlib.figure import Figure
    except ImportError:
        raise InputError(
            "figures need matplotlib, which is not installed: pip install 'gsa-llm[plots]'"
        ) from None
    return Figure(figsize=(width, height), layout="constrained")


def _save(figure: Any, path: Path) -> None:
    with aside(path) as draft:
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
    lines = [line for part in title.splitlines() for line in wrap(part, int(9 * width))]
    figure = canvas(width, 1.1 + 0.42 * len(rows) + 0.2 * len(lines))
    axes = figure.subplots()
    _matrix(axes, rows, columns, values, limits, digits)
    axes.set_title("\n".join(lines), fontsize=9)
    _save(figure, path)


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
    """Draw the main metric of every dataset after every level, mean over seeds."""
    rows, columns, values = matrix(runs)
    heat_map(rows, columns, values, f"{arm}: main metric after every level", path, (0.0, 100.0))


def similarities(arm: str, runs: Sequence[Run], folder: Path) -> list[tuple[str, str]]:
    """Draw the gradients' cosines at each level, and the links' overlaps, as titles and names of files.

    Nothing is drawn, and nothing returned, where there are no rows of `gsa similarity`.
    """
    rows, drawn = similarity.rows_of(runs), []
    for at in similarity.gradients(rows):
        names, values = similarity.matrix(rows, at)
        titles = [title_of(name) for name in names]
        title = f"Cosine of the subtasks' gradients: {arm}, {runs[0].title(at.level)}, {at.how}"
        caption = "below: as measured; diagonal: two halves of one dataset; above: corrected for noise"
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


def _grid(count: int, side: float) -> tuple[Any, list[Any]]:
    """Return a figure with that many axes, at most three abreast."""
    across = min(3, count)
    down = -(-count // across)
    figure = canvas(side * across, side * 0.9 * down)
    every = list(figure.subplots(down, across, squeeze=False).flat)
    for axes in every[count:]:
        axes.set_axis_off()
    return figure, every[:count]


def confusions(arm: str, runs: Sequence[Run], path: Path) -> bool:
    """Draw the last level's answers as shares of each gold label, seeds together; False without any."""
    names = _predicted(runs)
    if not names:
        return False
    figure, grid = _grid(len(names), 4.4)
    for axes, name in zip(grid, names, strict=True):
        found = [each.answers for run in runs if (each := run.predicted(run.last, name))]
        labels = found[0].labels
        counts = np.sum([confusion(a.gold, a.predicted, len(labels)) for a in found], axis=0)
        total = counts.sum(1, keepdims=True)
        shares = np.divide(100 * counts, total, out=np.full(counts.shape, np.nan), where=total > 0)
        _matrix(axes, labels, labels, shares, (0.0, 100.0), 0)
        axes.set_title(f"{title_of(name)}, n={len(found[0].gold):,}", fontsize=9)
        axes.set_xlabel("answered", fontsize=8)
        axes.set_ylabel("gold", fontsize=8)
    figure.suptitle(f"{arm}: answers, percent of each gold label")
    _save(figure, path)
    return True


def reliability(arm: str, runs: Sequence[Run], path: Path, bins: int = 10) -> bool:
    """Draw accuracy over confidence with the expected calibration error; False without probabilities."""
    names = [
        name
        for name in _predicted(runs)
        if not all((each := run.predicted(run.last, name)) and each.answers.hard for run in runs)
    ]
    if not names:
        return False
    figure, grid = _grid(len(names), 3.4)
    for axes, name in zip(grid, names, strict=True):
        found = [each.answers for run in runs if (each := run.predicted(run.last, name))]
        chances = np.concatenate([a.probabilities for a in found])
        measured = calibration(chances, np.concatenate([a.gold for a in found]), bins)
        centres = (np.arange(bins) + 0.5) / bins
        shares = measured.n / max(1, measured.n.sum())
        axes.bar(centres, shares, width=1 / bins, color="0.85", label="share of examples")
        axes.plot([0, 1], [0, 1], color="0.5", linewidth=1, linestyle=":")
        axes.plot(measured.confidence, measured.accuracy, marker="o", markersize=4, label="accuracy")
        axes.set(xlim=(0, 1), ylim=(0, 1))
        axes.set_xlabel("confidence", fontsize=8)
        axes.set_title(f"{title_of(name)}: ECE {100 * measured.error:.1f}%", fontsize=9)
    grid[0].legend(fontsize=7, loc="upper left")
    figure.suptitle(f"{arm}: reliability of the last level")
    _save(figure, path)
    return True


def learning_curves(arms: Arms, path: Path) -> bool:
    """Draw the loss of every step that log.jsonl notes, smoothed, a line a run; False if there is no log."""
    found = {arm: [(run.seed, _losses(run)) for run in runs] for arm, runs in arms.items()}
    logs = {arm: having for arm, mine in found.items() if (having := [each for each in mine if each[1]])}
    if not logs:
        return False
    figure, grid = _grid(len(logs), 3.6)
    for axes, (arm, mine) in zip(grid, logs.items(), strict=True):
        for seed, losses in mine:
            window = max(1, len(losses) // 50)
            smooth = np.convolve(losses, np.ones(window) / window, mode="valid")
            axes.plot(np.arange(len(smooth)) + window, smooth, linewidth=1, label=f"seed {seed}")
        axes.set_title(arm, fontsize=9)
        axes.grid(visible=True, alpha=0.3)
        axes.legend(fontsize=7)
    figure.supxlabel("step, levels one after the other", fontsize=9)
    figure.supylabel("loss, running mean of a fiftieth", fontsize=9)
    _save(figure, path)
    return True


def _losses(run: Run) -> list[float]:
    """Return the losses of a run's log; lines that are none are passed over, the log is only for reading."""
    file, found = run.root / LOG, []
    for line in file.read_bytes().splitlines() if file.is_file() else []:
        try:
            found.append(float(json.loads(line)["loss"]))
        except (ValueError, KeyError, TypeError, RecursionError):
            continue
    return found


def examples_seen(run: Run) -> list[float] | None:
    """Return how many training examples, epochs counted, were seen by each level from 0; None if unknown."""
    levels = run.recipe.levels if run.recipe else ()
    seen = [
        sum(count for key, count in run.counts.items() if key.split("/")[0] == level.name) * level.epochs
        for level in levels
    ]
    return [0.0, *map(float, np.cumsum(seen))] if seen and all(seen) else None


def _alike(runs: Sequence[Run], dataset: str, levels: Sequence[int]) -> dict[int, list[float]]:
    """Return the main metric by level, a value a run, over the examples that all of its levels answered.

    Levels in between are measured on samples; rows stand in where predictions are missing.
    """
    found: dict[int, list[float]] = {level: [] for level in levels}
    for run in runs:
        answers = common([(run, level) for level in levels], dataset)
        metric = main_metric(dataset, run.sources.get(dataset))
        for number, level in enumerate(levels):
            rows = [measure(answers[number], [metric])[metric][0]] if answers else []
            found[level] += rows or [row.value for row in rows_at([run], dataset, level)]
    return found


def scores_by_examples(arm: str, runs: Sequence[Run], path: Path) -> bool:
    """Draw each dataset's main metric over training examples seen; False where they are not known.

    All levels are scored on the examples that every level answered.
    """
    seen = examples_seen(runs[0])
    levels = [level for level in range(runs[0].last + 1) if seen and level < len(seen)]
    if not seen or len(levels) < 2:
        return False
    figure = canvas(8, 4.5)
    axes = figure.subplots()
    for number, name in enumerate(runs[0].datasets):
        found = _alike(runs, name, levels)
        known = [level for level in levels if found[level]]
        values = [float(np.mean(found[level])) for level in known]
        axes.plot([seen[level] for level in known], values, marker="os^Dv"[number % 5], label=title_of(name))
    axes.set(xlabel="training examples seen", ylabel="main metric, percent", ylim=(0, 100),
             title=f"{arm}: scores after every level")  # fmt: skip
    axes.grid(visible=True, alpha=0.3)
    figure.legend(fontsize=7, loc="outside right upper")
    _save(figure, path)
    return True
