"""Time per target as dialogues grow: gsa by layout, and one sequence per prompt where that ends soon.

    python benchmarks/curve.py            # rows into results/bench/rows.jsonl, plot into curve.png
    python benchmarks/curve.py --turns 5 10 --rounds 1

Dialogues of each length are cut from the sampler's, put one behind the other. Prompts are never shortened, so
the longest ones show what sharing does when nothing is left out; a row holds twice the longest prompt. Rounds
alternate between the contestants.
"""

import argparse
import json
import tempfile
from collections.abc import Sequence
from pathlib import Path
from statistics import median
from typing import Any

from bench import INPUT, ROWS, append, call, commit, done, machine, read_rows
from export import CONTEXT, write_examples
from gsa.chain.base import load_config
from gsa.data.encoder import Encoder, Prompt
from gsa.data.selection import group_by_dialogue
from gsa.data.task import EMOTION
from gsa.data.types import Dialogue, Example
from gsa.model import smollm2
from gsa.recipes.datasets import load_split
from gsa.recipes.loader import parse_layout
from gsa.recipes.schema import Backbone, DatasetConfig
from measures import Contestant

TURNS = (5, 10, 20, 50, 100)
FLAT_UP_TO = 20
"""Turns up to which the padded Trainer takes part."""
TARGETS = 60
"""Least targets a measurement."""
LONGEST = 8192
"""Tokens that a prompt may have: as many as the backbone's positions."""


def synthetic(turns: int, count: int, examples: Sequence[Example]) -> list[Example]:
    """Return the examples of `count` dialogues of `turns` turns, cut from the given ones in a circle."""
    parts = group_by_dialogue(examples)
    stream = [(example.utterance, example.label) for part in parts for example in part]
    cut_examples = []
    for number in range(count):
        cut = [stream[(number * turns + i) % len(stream)] for i in range(turns)]
        dialogue = Dialogue(f"{turns}-{number}", tuple(utterance for utterance, _ in cut))
        cut_examples += [
            Example(f"{dialogue.id}-{i}", "synthetic", dialogue, i, label) for i, (_, label) in enumerate(cut)
        ]
    return cut_examples


def prompts_of(turns: int, layout: str, tokenizer: Any) -> list[Prompt]:
    """Encode enough dialogues of a length for a measurement."""
    shown = parse_layout(name=layout, context=CONTEXT[layout], max_tokens=LONGEST)
    examples = synthetic(
        turns, -(-TARGETS // turns), load_split(DatasetConfig(name="sampler-emotion"), "train")
    )
    return Encoder(tokenizer, shown, EMOTION).encode(examples)


def row_tokens(prompts: Sequence[Prompt]) -> int:
    """Return the tokens of gsa's rows: room for the longest prompt and as much again."""
    return max(1024, 2 * max(len(prompt.ids) for prompt in prompts))


def contestants(layout: str, row_tokens: int, turns: int) -> list[Contestant]:
    """Return who takes part at a length."""
    rows = ("train", "--row-tokens", str(row_tokens))
    taking_part = [Contestant(f"gsa-{layout}", "ours.py", layout, rows, row_tokens=row_tokens)]
    if layout == "paper" and turns <= FLAT_UP_TO:
        taking_part.append(
            Contestant("trainer", "peers/trainer.py", layout, ("--batch", "1", "--check", "0"))
        )
    return taking_part


def measure(options: argparse.Namespace) -> None:
    """Measure what is missing."""
    _, tokenizer = load_config(Backbone())
    version = commit()
    for number in range(options.rounds):
        for turns in options.turns:
            for layout in ("paper", "inline"):
                prompts = prompts_of(turns, layout, tokenizer)
                budget = row_tokens(prompts)
                for contestant in contestants(layout, budget, turns):
                    key = {"measure": "curve", "contestant": contestant.name, "turns": turns}
                    key |= {"round": number, "commit": version}
                    if done(read_rows(options.rows), **key) and not options.again:
                        continue
                    with tempfile.TemporaryDirectory(dir=INPUT) as scratch:
                        write_examples(Path(scratch), prompts, tokenizer, budget, smollm2.folder())
                        before = machine()
                        line = call(contestant, Path(scratch), patience=options.patience)
                    append(options.rows, {**key, "machine": before, **line})
                    print(json.dumps({**key, **line}), flush=True)


def plot(rows: Sequence[dict[str, Any]], out: Path) -> None:
    """Draw the median seconds per target of the newest commit over the turns, on logarithmic axes."""
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot

    figure, axes = pyplot.subplots(figsize=(6, 4))
    for name, points in medians(rows).items():
        axes.plot(list(points), list(points.values()), marker="o", label=name)
    axes.set(xscale="log", yscale="log", xlabel="turns of a dialogue", ylabel="seconds per target, tuning")
    axes.set_xticks(TURNS, [str(turns) for turns in TURNS])
    axes.grid(visible=True, which="both", alpha=0.3)
    axes.legend()
    figure.tight_layout()
    figure.savefig(out, dpi=120, metadata={"Software": None})


def medians(rows: Sequence[dict[str, Any]]) -> dict[str, dict[int, float]]:
    """Return the median seconds per target of the newest commit, by contestant and turns."""
    seconds: dict[str, dict[int, list[float]]] = {}
    curve_rows = [row for row in rows if row["measure"] == "curve" and "failed" not in row]
    for row in curve_rows:
        if row["commit"] == curve_rows[-1]["commit"]:
            points = seconds.setdefault(row["contestant"], {})
            points.setdefault(row["turns"], []).append(row["seconds"] / row["targets"])
    return {name: {t: median(points[t]) for t in sorted(points)} for name, points in seconds.items()}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--turns", type=int, nargs="+", default=list(TURNS))
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--again", action="store_true", help="measure also what is on disk")
    parser.add_argument("--patience", type=float, default=3600, help="seconds that a process may take")
    parser.add_argument("--rows", type=Path, default=ROWS)
    options = parser.parse_args()
    INPUT.mkdir(parents=True, exist_ok=True)
    measure(options)
    plot(read_rows(options.rows), options.rows.with_name("curve.png"))


if __name__ == "__main__":
    main()
