"""The command `gsa threshold`: labelled data in, the confidence for `gsa predict` out."""

import json
import math
from dataclasses import asdict, replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from gsa.cli.options import (
    Device,
    DialogueColumn,
    Json,
    Label,
    LabelColumn,
    Labels,
    Level,
    Model,
    Precision,
    Quiet,
    SpeakerColumn,
    TaskArgument,
    TextColumn,
    label_list,
)

if TYPE_CHECKING:
    from gsa.data.task import Task
    from gsa.data.types import Example


def threshold(
    task: TaskArgument,
    source: Annotated[
        Path, typer.Argument(metavar="FILE", help="Labelled dev data: .csv, .tsv, .jsonl or .parquet.")
    ],
    target_precision: Annotated[
        float, typer.Option(help="Share of the labels given that must be right.")
    ] = 0.95,
    model: Model = None,
    level: Level = None,
    precision: Precision = "auto",
    device: Device = "",
    text: TextColumn = None,
    speaker: SpeakerColumn = None,
    dialogue_id: DialogueColumn = None,
    label_column: LabelColumn = "",
    labels: Labels = "",
    label: Label = None,
    as_json: Json = False,
    quiet: Quiet = False,
) -> None:
    """Choose the --min-confidence of `gsa predict` on labelled data, for a wanted precision."""
    from gsa.datasets.custom import LABEL, read_file
    from gsa.datasets.records import Columns
    from gsa.evaluation.thresholds import choose_threshold
    from gsa.prediction.documents import predict_texts
    from gsa.prediction.loading import load
    from gsa.progress import count_of

    predictor = load(model, level, device, precision)
    chosen = predictor.task(task, label_list(labels, label))
    columns = Columns(text, speaker, dialogue_id)
    rows = read_file(source, source.name, chosen.labels, columns, label_column or LABEL)
    examples = [one for one in rows if one.label is not None]
    unlabelled = [_unlabelled(one, chosen) for one in examples]
    predictions = predict_texts(predictor.predict, unlabelled, chosen)
    best = choose_threshold(predictions, [str(one.label) for one in examples], target_precision)
    if as_json:
        print(json.dumps(asdict(best)))
        return
    confidence = math.floor(best.min_confidence * 1e6) / 1e6  # rounded up it would exclude a text
    print(
        f"--min-confidence {confidence:.6f}: {100 * best.coverage:.1f}% of {count_of(best.count, 'text')} "
        f"get a label, {100 * best.precision:.1f}% of these are right"
    )


def _unlabelled(example: "Example", task: "Task") -> "Example":
    """Return an example as `gsa predict` reads it: a sentence alone and without its speaker."""
    from gsa.data.types import Dialogue, Utterance

    if task.context:
        return replace(example, label=None)
    sentence = Dialogue("", (Utterance(example.utterance.text),))
    return replace(example, dialogue=sentence, target=0, label=None)
