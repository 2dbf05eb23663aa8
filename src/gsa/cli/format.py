"""How results look on a terminal: plain data in, text out."""

import io
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rich.console import Console
from rich.table import Table

if TYPE_CHECKING:
    from gsa.datasets.dataset import Dataset
    from gsa.prediction.preview import Shown
    from gsa.recipes.schema import Recipe
    from gsa.training.plan import Plan


def text(rows: Sequence[Sequence[str]], title: str = "") -> str:
    """Return a table as text, header first; numbers to the right."""
    header, *body = rows
    table = Table(title=title or None, title_justify="left", box=None, pad_edge=False)
    for i, name in enumerate(header):
        numeric = all(row[i][:1].isdigit() or row[i][:1] in ("", "-") for row in body)
        table.add_column(name, justify="right" if numeric and i else "left", no_wrap=i == 0)
    for row in body:
        table.add_row(*row)
    out = io.StringIO()
    width = sum(max(len(row[i]) for row in rows) + 2 for i in range(len(header)))
    Console(file=out, width=max(width, len(title))).print(table)
    return "\n".join(line.rstrip() for line in out.getvalue().splitlines())


def catalogue(datasets: Mapping[str, "Dataset"], root: Path) -> list[list[str]]:
    """Return the table of `gsa data list`."""
    table = [["name", "level", "labels", "protocols", "licence", "here"]]
    for name, dataset in datasets.items():
        here = "no" if dataset.missing_files(dataset.locate(root)) else "yes"
        labels = str(len(dataset.task.labels))
        table.append(
            [name, str(dataset.task.level), labels, ", ".join(dataset.protocols), dataset.licence, here]
        )
    return table


def stats(counted: Sequence[Mapping[str, Any]]) -> list[list[str]]:
    """Return the table of `gsa data stats`, the paper's table 1."""
    table = [["dataset", "level", "train", "dev", "test", "dialogues", "average words", "labels"]]
    for row in counted:
        if "missing" in row:
            table.append([row["name"], "", "", "", "", "", "", row["missing"]])
            continue
        splits = [f"{row['splits'][split]:,}" for split in ("train", "dev", "test")]
        labels = ", ".join(f"{label} {n:,}" for label, n in row["labels"].items())
        labels = labels if len(labels) < 100 else f"{len(row['labels'])} labels"
        table.append(
            [
                row["name"],
                str(row["level"]),
                *splits,
                f"{row['dialogues']:,}",
                str(row["average_words"]),
                labels,
            ]
        )
    return table


def prompt(shown: "Shown") -> str:
    """Return what `gsa show` prints."""
    example = shown.prompt.example
    lengths = sorted({len(ids) for ids in shown.prompt.answers})
    notes = [f"{len(shown.prompt.ids)} tokens before the answer, {lengths[0]} to {lengths[-1]} in it"]
    if shown.left_out:
        notes.append(f"{shown.left_out} turns left out for length")
    if shown.prompt.cut_words:
        notes.append(f"the target itself was shortened by {shown.prompt.cut_words} words")
    return (
        f"{example.dataset} {example.id}, gold label: {example.label}\n"
        f"--- prompt\n{shown.text}\n--- answers\n" + " |".join(shown.answers) + f"\n--- {'; '.join(notes)}"
    )


def plan(recipe: "Recipe", made: "Plan") -> str:
    """Return what `gsa tune --plan` prints."""
    table = [["level", "examples", "tokens flat", "tokens shared", "ratio", "steps", "time"]]
    for level in made.levels:
        counts = ", ".join(f"{name} {n:,}" for name, n in level.examples.items())
        ratio = level.flat_tokens / level.trie_tokens
        table.append(
            [level.name, counts, f"{level.flat_tokens:,}", f"{level.trie_tokens:,}", f"{ratio:.1f}",
             f"{level.steps:,}", duration(level.seconds)]
        )  # fmt: skip
    total = sum(level.seconds for level in made.levels)
    lines = [
        text(table, f"Plan of {recipe.name}"),
        f"backbone {recipe.backbone.name}: {made.parameters / 1e6:,.0f}M parameters; "
        f"a link has {made.levels[0].trainable / 1e6:.2f}M",
        f"about {duration(total)} on this CPU ({made.gflops:.0f} GFLOP/s), "
        f"memory about {made.memory / 2**30:.1f} GiB",
        *made.notes,
    ]
    return "\n".join(lines)


def duration(seconds: float) -> str:
    """Return a time as people say it."""
    if seconds < 90:
        return f"{seconds:.0f} s"
    if seconds < 90 * 60:
        return f"{seconds / 60:.0f} min"
    return f"{seconds / 3600:,.0f} h" if seconds < 48 * 3600 else f"{seconds / 86400:,.0f} days"


def predictions(rows: Sequence[Mapping[str, Any]]) -> str:
    """Return predictions with their probabilities, the likeliest three labels each."""
    lines = ["", "Predictions of the last level"]
    for row in rows:
        ranked = sorted(row["probabilities"].items(), key=lambda pair: -pair[1])[:3]
        chances = "  ".join(f"{label} {p:.2f}" for label, p in ranked)
        mark = "right" if row["predicted"] == row["gold"] else f"gold: {row['gold']}"
        lines.append(f"  {row['dataset']}: {row['text']}\n      {chances}  ({mark})")
    return "\n".join(lines)
