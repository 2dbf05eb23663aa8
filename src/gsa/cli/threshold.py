"""The command `gsa threshold`: parses and calls, nothing else."""

import json
import math
from dataclasses import asdict, replace
from pathlib import Path
from typing import Annotated

import typer

from gsa.cli.options import Json, Level, Model, Quiet

threshold = typer.Typer()


@threshold.command(name="threshold")
def choose(
    task: Annotated[
        str, typer.Argument(metavar="TASK", help="sentiment, emotion, sarcasm, or one of the run's own.")
    ],
    source: Annotated[
        Path, typer.Argument(metavar="FILE", help="Labelled dev data: .csv, .tsv, .jsonl or .parquet.")
    ],
    precision: Annotated[float, typer.Option(help="Share of the labels given that must be right.")] = 0.95,
    model: Model = None,
    level: Level = None,
    as_json: Json = False,
    quiet: Quiet = False,
) -> None:
    """Choose the --min-confidence of `gsa predict` on labelled data, for a wanted precision."""
    from gsa.datasets.custom import read_file
    from gsa.evaluation.thresholds import choose_threshold
    from gsa.prediction.loading import load

    predictor = load(model, level)
    chosen = predictor.task(task)
    examples = [one for one in read_file(source, source.name, chosen.labels) if one.label is not None]
    predictions = predictor.predict([replace(one, label=None) for one in examples], chosen)
    found = choose_threshold(predictions, [str(one.label) for one in examples], precision)
    if as_json:
        print(json.dumps(asdict(found)))
        return
    confidence = math.floor(found.min_confidence * 1e6) / 1e6  # rounded up it would exclude a text
    print(
        f"--min-confidence {confidence:.6f}: {100 * found.coverage:.1f}% of {found.count:,} texts get a "
        f"label, {100 * found.precision:.1f}% of these are right"
    )
