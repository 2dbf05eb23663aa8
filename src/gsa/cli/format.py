"""Results as text for a terminal."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rich.console import Console
from rich.table import Table

from gsa.progress import count_of, duration

if TYPE_CHECKING:
    from gsa.chain.calibration import Calibration
    from gsa.datasets.dataset import Dataset
    from gsa.prediction.preview import PromptPreview
    from gsa.recipes.schema import Recipe
    from gsa.training.plan import Plan
    from gsa.tuning.model import HeldOut


def table(rows: Sequence[Sequence[str]], title: str = "") -> str:
    """Return a table as text without line breaks in cells; the first row is the header."""
    header, *body = rows
    grid = Table(box=None, pad_edge=False)
    for i, name in enumerate(header):
        is_numeric = all(row[i][:1].isdigit() or row[i][:1] in ("", "-") for row in body)
        grid.add_column(name, justify="right" if is_numeric and i else "left")
    for row in body:
        grid.add_row(*row)
    console = Console(width=10**4, color_system=None, markup=False, highlight=False)
    with console.capture() as capture:
        console.print(grid)
    lines = [line.rstrip() for line in capture.get().splitlines()]
    return "\n".join([title, *lines] if title else lines)


def catalogue(datasets: Mapping[str, "Dataset"], root: Path) -> list[list[str]]:
    """Return the table of `gsa data list`."""
    rows = [["name", "level", "labels", "protocols", "licence", "present"]]
    for name, dataset in datasets.items():
        present = "no" if dataset.missing_files(dataset.locate(root)) else "yes"
        level, labels = str(dataset.task.level), str(len(dataset.task.labels))
        rows.append([name, level, labels, ", ".join(dataset.protocols), dataset.licence, present])
    return rows


def calibration(fitted: "Calibration") -> str:
    """Return what `gsa calibrate` fitted: a temperature or the thresholds of each task and label list."""
    rows = [["task and labels", "temperature", "thresholds"]]
    rows += [[name, f"{value:.2f}", ""] for name, value in fitted.temperatures.items()]
    for name, thresholds in fitted.thresholds.items():
        rows.append([name, "", f"{min(thresholds.values()):.2f} to {max(thresholds.values()):.2f}"])
    return table(rows)


def stats(datasets: Sequence[Mapping[str, Any]]) -> list[list[str]]:
    """Return the table of `gsa data stats`, the paper's table 1."""
    rows = [["dataset", "level", "train", "dev", "test", "dialogues", "average words", "labels"]]
    for dataset in datasets:
        if "missing" in dataset:
            rows.append([dataset["name"], "", "", "", "", "", "", dataset["missing"]])
            continue
        sizes = [f"{dataset['splits'][split]:,}" for split in ("train", "dev", "test")]
        sizes += [f"{dataset['dialogues']:,}", str(dataset["average_words"])]
        labels = ", ".join(f"{label} {n:,}" for label, n in dataset["labels"].items())
        labels = labels if len(labels) < 100 else f"{len(dataset['labels'])} labels"
        rows.append([dataset["name"], str(dataset["level"]), *sizes, labels])
    return rows


def prompt(preview: "PromptPreview") -> str:
    """Return what `gsa show` prints."""
    prompt, example = preview.prompt, preview.prompt.example
    lengths = sorted({len(ids) for ids in prompt.answers})
    notes = [f"{count_of(len(prompt.ids), 'token')} before the answer, {lengths[0]} to {lengths[-1]} in it"]
    if prompt.omitted_turns:
        notes.append(f"{count_of(prompt.omitted_turns, 'turn')} left out for length")
    if prompt.cut_words:
        notes.append(f"the target itself was shortened by {count_of(prompt.cut_words, 'word')}")
    return (
        f"{example.dataset} {example.id}, gold label: {example.label}\n"
        f"--- prompt\n{preview.text}\n--- answers\n{' |'.join(preview.answers)}\n--- {'; '.join(notes)}"
    )


def plan(recipe: "Recipe", plan: "Plan") -> str:
    """Return what `gsa tune --plan` prints."""
    rows = [["level", "examples", "tokens flat", "tokens shared", "ratio", "steps", "time"]]
    for level in plan.levels:
        counts = ", ".join(f"{name} {n:,}" for name, n in level.examples.items())
        ratio = level.flat_tokens / level.trie_tokens
        rows.append(
            [level.name, counts, f"{level.flat_tokens:,}", f"{level.trie_tokens:,}", f"{ratio:.1f}",
             f"{level.steps:,}", duration(level.seconds)]
        )  # fmt: skip
    total = sum(level.seconds for level in plan.levels)
    lines = [
        table(rows, f"Plan of {recipe.name}"),
        f"backbone {recipe.backbone.name}: {plan.parameters / 1e6:,.0f}M parameters; "
        f"a link has {plan.levels[0].trainable / 1e6:.2f}M",
        f"about {duration(total)} on {plan.device} ({plan.gflops:,.0f} GFLOP/s), "
        f"memory about {plan.memory / 2**30:.1f} GiB",
        *plan.notes,
    ]
    return "\n".join(lines)


def fold_scores(scores: Sequence["HeldOut"]) -> str:
    """Return the score of each fold beside the baseline's, and their means."""
    rows = [["fold", "n", "weighted F1", "TF-IDF, logistic regression"]]
    for number, score in enumerate(scores, start=1):
        baseline = "" if score.baseline is None else f"{score.baseline:.1f}"
        rows.append([str(number), str(score.n), f"{score.weighted_f1:.1f}", baseline])
    known = [score.baseline for score in scores if score.baseline is not None]
    mean = f"{sum(known) / len(known):.1f}" if len(known) == len(scores) else ""
    total = sum(score.n for score in scores)
    f1 = sum(score.weighted_f1 for score in scores) / len(scores)
    return table([*rows, ["mean", str(total), f"{f1:.1f}", mean]])


def predictions(rows: Sequence[Mapping[str, Any]]) -> str:
    """Return predictions with the probabilities of their three most probable labels."""
    lines = ["", "Predictions of the last level"]
    for row in rows:
        ranked = sorted(row["probabilities"].items(), key=lambda pair: -pair[1])[:3]
        probabilities = "  ".join(f"{label} {p:.2f}" for label, p in ranked)
        mark = "right" if row["predicted"] == row["gold"] else f"gold: {row['gold']}"
        lines.append(f"  {row['dataset']}: {row['text']}\n      {probabilities}  ({mark})")
    return "\n".join(lines)
