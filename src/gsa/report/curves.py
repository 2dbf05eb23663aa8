"""Lines over a study: the loss of every step, and scores over training examples. Arms in, PNG files out."""

import json
from collections.abc import Sequence
from itertools import groupby
from pathlib import Path
from textwrap import wrap
from typing import Any

import numpy as np

from gsa.datasets.catalogue import CATALOGUE
from gsa.report.figures import grid, label_figure, save, title_panel
from gsa.report.forgetting import scores_by_level
from gsa.report.measured_run import MeasuredRun
from gsa.report.significance import mean_sd
from gsa.report.tables import Arms, title_of

SIDE = 3.6
"""Inches of a panel."""
LOG = "log.jsonl"
"""Written by a run; a constant of its own, since the chain's imports torch."""


def learning_curves(arms: Arms, path: Path) -> bool:
    """Draw the loss of every step in log.jsonl, smoothed, one line per run; False without a log.

    Levels follow each other, separated by dotted lines; each is smoothed by itself.
    """
    losses = {arm: [(run.seed, _losses(run)) for run in runs] for arm, runs in arms.items()}
    logged = {arm: [entry for entry in entries if entry[1]] for arm, entries in losses.items()}
    logged = {arm: entries for arm, entries in logged.items() if entries}
    if not logged:
        return False
    figure, panels = grid(len(logged), SIDE)
    for axes, (arm, entries) in zip(panels, logged.items(), strict=True):
        for number, (seed, levels) in enumerate(entries):
            _draw_losses(axes, levels, f"C{number}", f"seed {seed}", borders=number == 0)
        title_panel(axes, arm, SIDE)
        axes.grid(visible=True, alpha=0.3)
        axes.legend(fontsize=7)
    label_figure(
        figure,
        "step, levels one after the other",
        "loss of the level, running mean over a tenth of its steps",
    )
    save(figure, path)
    return True


def _draw_losses(
    axes: Any, levels: Sequence[Sequence[float]], colour: str, label: str, borders: bool
) -> None:
    """Draw the smoothed losses of one run, with borders between levels if asked for."""
    start = 0
    for losses in levels:
        window = max(1, len(losses) // 10)
        smooth = np.convolve(losses, np.ones(window) / window, mode="valid")
        steps = start + window + np.arange(len(smooth))
        axes.plot(steps, smooth, colour, linewidth=1, label="" if start else label)
        start += len(losses)
        if borders and losses is not levels[-1]:
            axes.axvline(start, color="0.6", linewidth=1, linestyle=":")


def _losses(run: MeasuredRun) -> list[list[float]]:
    """Return the losses of each level of a run's log; unreadable lines are skipped."""
    file, steps = run.root / LOG, []
    for line in file.read_bytes().splitlines() if file.is_file() else []:
        try:
            step = json.loads(line)
            steps.append((int(step.get("level", 1)), float(step["loss"])))
        except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
            continue
    return [[loss for _, loss in level] for _, level in groupby(steps, key=lambda step: step[0])]


def examples_seen(run: MeasuredRun) -> list[float] | None:
    """Return the training examples, epochs counted, seen by each level from 0 on; None if unknown."""
    levels = run.recipe.levels if run.recipe else ()
    counts = run.example_counts
    seen = [
        sum(count for key, count in counts.items() if key.split("/")[0] == level.name) * level.epochs
        for level in levels
    ]
    return [0.0, *map(float, np.cumsum(seen))] if seen and all(seen) else None


def scores_by_examples(arms: Arms, path: Path) -> bool:
    """Draw the main metric over training examples seen, one panel per dataset; False where unknown.

    An arm is a line through the ends of its levels, on the datasets that it is tuned on: mean and standard
    deviation over seeds, all levels on the examples that every level answered.
    """
    seen_by_arm = {arm: seen for arm, runs in arms.items() if (seen := examples_seen(runs[0]))}
    tuned = {name for arm in seen_by_arm for name in arms[arm][0].datasets if arms[arm][0].learned_at(name)}
    names = [name for name in CATALOGUE if name in tuned] + sorted(tuned - set(CATALOGUE))
    if not names:
        return False
    figure, panels = grid(len(names), SIDE)
    for axes, name in zip(panels, names, strict=True):
        for number, (arm, seen) in enumerate(seen_by_arm.items()):
            if arms[arm][0].learned_at(name):
                style = {
                    "label": "\n".join(wrap(arm, 40)),
                    "color": f"C{number}",
                    "marker": "osDv^"[number % 5],
                }
                _draw_scores(axes, arms[arm], name, seen, **style)
        title_panel(axes, title_of(name), SIDE)
        axes.grid(visible=True, alpha=0.3)
        axes.legend(fontsize=6)
    label_figure(figure, "training examples seen, at the end of each level", "main metric, percent")
    save(figure, path)
    return True


def _draw_scores(
    axes: Any, runs: Sequence[MeasuredRun], dataset: str, seen: Sequence[float], **style: str
) -> None:
    scores, _ = scores_by_level(runs, dataset, range(min(runs[0].last + 1, len(seen))))
    measured = [level for level, values in scores.items() if values]
    means, spread = zip(*(mean_sd(scores[level]) for level in measured), strict=True)
    axes.errorbar(
        [seen[level] for level in measured],
        means,
        yerr=np.nan_to_num(spread),
        markersize=4,
        linewidth=1,
        capsize=2,
        **style,
    )
