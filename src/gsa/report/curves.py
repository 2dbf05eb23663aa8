"""Lines over a study: the loss of every step, and scores over training examples. Arms in, PNG files out."""

import json
from collections.abc import Sequence
from itertools import groupby
from pathlib import Path
from typing import Any

import numpy as np

from gsa.datasets.catalogue import CATALOGUE
from gsa.report.figures import grid, save
from gsa.report.forgetting import on_common
from gsa.report.measured_run import Run
from gsa.report.significance import mean_sd
from gsa.report.tables import Arms, title_of

LOG = "log.jsonl"
"""Written by a run; a constant of its own, since the chain's imports torch."""


def learning_curves(arms: Arms, path: Path) -> bool:
    """Draw the loss of every step that log.jsonl notes, smoothed, a line a run; False if there is no log.

    Levels stand one after the other, parted by dotted lines; each is smoothed by itself.
    """
    found = {arm: [(run.seed, _losses(run)) for run in runs] for arm, runs in arms.items()}
    logs = {arm: having for arm, mine in found.items() if (having := [each for each in mine if each[1]])}
    if not logs:
        return False
    figure, places = grid(len(logs), 3.6)
    for axes, (arm, mine) in zip(places, logs.items(), strict=True):
        for number, (seed, levels) in enumerate(mine):
            start = 0
            for losses in levels:
                window = max(1, len(losses) // 10)
                smooth = np.convolve(losses, np.ones(window) / window, mode="valid")
                label = "" if start else f"seed {seed}"
                axes.plot(
                    start + window + np.arange(len(smooth)), smooth, f"C{number}", linewidth=1, label=label
                )
                start += len(losses)
                if number == 0 and losses is not levels[-1]:
                    axes.axvline(start, color="0.6", linewidth=1, linestyle=":")
        axes.set_title(arm, fontsize=9)
        axes.grid(visible=True, alpha=0.3)
        axes.legend(fontsize=7)
    figure.supxlabel("step, levels one after the other", fontsize=9)
    figure.supylabel("loss of the level, running mean over a tenth of its steps", fontsize=9)
    save(figure, path)
    return True


def _losses(run: Run) -> list[list[float]]:
    """Return the losses of each level of a run's log; lines that are none are passed over."""
    file, found = run.root / LOG, []
    for line in file.read_bytes().splitlines() if file.is_file() else []:
        try:
            row = json.loads(line)
            found.append((int(row.get("level", 1)), float(row["loss"])))
        except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
            continue
    return [[loss for _, loss in mine] for _, mine in groupby(found, key=lambda each: each[0])]


def examples_seen(run: Run) -> list[float] | None:
    """Return how many training examples, epochs counted, were seen by each level from 0; None if unknown."""
    levels = run.recipe.levels if run.recipe else ()
    seen = [
        sum(count for key, count in run.counts.items() if key.split("/")[0] == level.name) * level.epochs
        for level in levels
    ]
    return [0.0, *map(float, np.cumsum(seen))] if seen and all(seen) else None


def scores_by_examples(arms: Arms, path: Path) -> bool:
    """Draw the main metric over training examples seen, a panel a dataset; False where they are not known.

    An arm is a line through the ends of its levels, on the datasets that it is tuned on: mean and standard
    deviation over seeds, all levels on the examples that every level answered.
    """
    known = {arm: seen for arm, runs in arms.items() if (seen := examples_seen(runs[0]))}
    learned = {name for arm in known for name in arms[arm][0].datasets if arms[arm][0].learned(name)}
    names = [name for name in CATALOGUE if name in learned] + sorted(learned - set(CATALOGUE))
    if not names:
        return False
    figure, places = grid(len(names), 3.6)
    for axes, name in zip(places, names, strict=True):
        for number, arm in enumerate(known):
            if arms[arm][0].learned(name):
                _line(
                    axes,
                    arms[arm],
                    name,
                    known[arm],
                    label=arm,
                    color=f"C{number}",
                    marker="osDv^"[number % 5],
                )
        axes.set_title(title_of(name), fontsize=9)
        axes.grid(visible=True, alpha=0.3)
        axes.legend(fontsize=6)
    figure.supxlabel("training examples seen, at the end of each level", fontsize=9)
    figure.supylabel("main metric, percent", fontsize=9)
    save(figure, path)
    return True


def _line(axes: Any, runs: Sequence[Run], name: str, seen: Sequence[float], **style: str) -> None:
    found, _ = on_common(runs, name, range(min(runs[0].last + 1, len(seen))))
    there = [level for level, values in found.items() if values]
    means, spread = zip(*(mean_sd(found[level]) for level in there), strict=True)
    axes.errorbar(
        [seen[level] for level in there],
        means,
        yerr=np.nan_to_num(spread),
        markersize=4,
        linewidth=1,
        capsize=2,
        **style,
    )
