"""Memory and overhead of labelling a large file, without a model: a scorer that answers at once.

    python benchmarks/predict_memory.py [--rows 1000000] [--kind csv] [--output parquet] [--dialogues]

Writes an invented file and labels it in a temporary folder; prints one JSON line: rows, seconds, and the
peak of resident memory before and after, in MB. Torch is not loaded, so this is what comes on top of it.
"""

import argparse
import json
import resource
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import polars as pl

from gsa.data.task import EMOTION, SENTIMENT, Task
from gsa.data.types import Example, Prediction
from gsa.datasets.records import ReadOptions
from gsa.prediction.job import JobConfig, LabelJob, label_file
from gsa.progress import Progress


def peak() -> float:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def answer(
    examples: Sequence[Example], task: Task, progress: Callable[[int], None] | None = None
) -> list[Prediction]:
    probabilities = {label: 1 / len(task.labels) for label in task.labels}
    return [Prediction("neutral", probabilities) for _ in examples]


def invent(path: Path, rows: int) -> None:
    """Write rows of about 150 characters, ten a dialogue, without holding them all."""
    sentence = (
        "The parcel came three days late and the box was torn, but the lamp is fine and gives warm light. "
    )
    part = 50_000
    parts = []
    for start in range(0, rows, part):
        numbers = range(start, min(start + part, rows))
        frame = pl.DataFrame({
            "id": [str(i) for i in numbers],
            "dialogue_id": [str(i // 10) for i in numbers],
            "text": [f"{sentence}{i} {'x' * (i % 80)}" for i in numbers],
        })  # fmt: skip
        if path.suffix == ".parquet":
            parts.append(path.with_suffix(f".{start}"))
            frame.write_parquet(parts[-1])
            continue
        with path.open("ab") as out:
            if path.suffix == ".csv":
                frame.write_csv(out, include_header=start == 0)
            else:
                frame.write_ndjson(out)
    if parts:
        pl.scan_parquet(parts).sink_parquet(path, row_group_size=rows)  # one row group, the hardest case


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, default=1_000_000)
    parser.add_argument("--kind", default="csv")
    parser.add_argument("--output", default="parquet")
    parser.add_argument("--dialogues", action="store_true")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as scratch:
        source, out = Path(scratch) / f"in.{options.kind}", Path(scratch) / f"out.{options.output}"
        invent(source, options.rows)
        before, began = peak(), time.monotonic()
        task = EMOTION if options.dialogues else SENTIMENT
        config = JobConfig(source, ReadOptions(options.kind), task, options.output)
        count = label_file(LabelJob(config, answer, Progress(source.name)), out)
        seconds = time.monotonic() - began
        sizes = {"input_mb": source.stat().st_size / 2**20, "output_mb": out.stat().st_size / 2**20}
        rows = pl.scan_parquet(out).select(pl.len()).collect().item() if options.output == "parquet" else None
    measured = {
        "rows": count.labelled,
        "in_output": rows,
        "seconds": seconds,
        "before_mb": before,
        "peak_mb": peak(),
    }
    print(json.dumps({"from": options.kind, "to": options.output, **measured, **sizes}))


if __name__ == "__main__":
    main()
