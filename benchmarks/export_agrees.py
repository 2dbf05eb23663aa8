"""Exports loaded back without gsa: how often the label is the predictor's.

    python benchmarks/export_agrees.py runs/quick --format merged [--count 500] [--skip 0] [--work DIR]

The run is exported to DIR (a temporary folder if not given), the README's Python block is run as it is
(an adapter's with the base exported to where it expects it), and its `probabilities` answers the
benchmark's test sets in turn: sentences, conversations, sarcasm. Prints one JSON line.
"""

import argparse
import contextlib
import io
import json
import re
import tempfile
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

from transformers.utils import logging

import gsa
from gsa.chain.run_folder import RunFolder
from gsa.data.encoder import Encoder
from gsa.data.task import Task
from gsa.data.types import Example
from gsa.export.export import export
from gsa.prediction.predictor import Predictor
from gsa.recipes.datasets import load_split, task_of

Asked = tuple[Task, Example]


def script(run: Path, kind: str, work: Path) -> Callable[..., list[float]]:
    folder = work / kind
    if not folder.exists():
        export(run, kind, folder)
    (block,) = re.findall(r"```python\n(.*?)```", (folder / "README.md").read_text(encoding="utf-8"), re.S)
    if 'BASE = "base"' in block and not (folder / "base").exists():
        export(run, "merged", folder / "base", 0)
    assert "import gsa" not in block
    names: dict[str, Callable[..., list[float]]] = {}
    with contextlib.chdir(folder), contextlib.redirect_stdout(io.StringIO()):
        exec(compile(block, "README.md", "exec"), names)
    return names["probabilities"]


def asked(run: Path, model: Predictor, count: int, skip: int) -> list[Asked]:
    """Return examples of every dataset of the run whose labels the predictor uses, in turn."""
    recipe, _ = RunFolder.find(run).read()
    tasks = model.tasks
    pools = []
    for source in recipe.datasets:
        task = next((t for t in tasks.values() if t.labels == task_of(source).labels), None)
        if task:
            pools.append([(task, replace(example, label=None)) for example in load_split(source, "test")])
    mixed = [pool[i] for i in range(max(map(len, pools))) for pool in pools if i < len(pool)]
    return mixed[skip : skip + count]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("run", type=Path)
    parser.add_argument("--format", default="merged")
    parser.add_argument("--count", type=int, default=500)
    parser.add_argument("--skip", type=int, default=0)
    parser.add_argument("--work", type=Path)
    options = parser.parse_args()
    logging.set_verbosity_error()
    logging.disable_progress_bar()
    with tempfile.TemporaryDirectory() as scratch:
        probabilities = script(
            RunFolder.find(options.run).root.resolve(), options.format, options.work or Path(scratch)
        )
        model = gsa.load(options.run)
        mine = asked(options.run, model, options.count, options.skip)
        known = model.predict([example for _, example in mine], [task for task, _ in mine])
        began, agree, worst, counts = time.monotonic(), 0, 0.0, dict.fromkeys(model.tasks, 0)
        for (task, example), found in zip(mine, known, strict=True):
            (prompt,) = Encoder(model.tokenizer, model.layout, task).encode([example])
            text = model.layout.prompt(task, example.dialogue, example.target, prompt.turns)
            chances = probabilities(text, [task.word(label) for label in task.labels])
            agree += task.labels[chances.index(max(chances))] == found.label
            worst = max(
                worst, *(abs(a - b) for a, b in zip(chances, found.probabilities.values(), strict=True))
            )
            counts[task.name] += 1
    print(
        json.dumps(
            {"format": options.format, "examples": len(mine), **counts, "same_label": agree,
             "largest_difference": worst, "seconds": round(time.monotonic() - began, 1)}
        )
    )  # fmt: skip


if __name__ == "__main__":
    main()
