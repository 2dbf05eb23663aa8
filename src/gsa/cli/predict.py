"""What `gsa predict` does: a text, a file or a stream in; a label, a labelled file or a stream out."""

import json
import logging
import sys
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path

from gsa.data.task import Task
from gsa.datasets.record_files import FORMATS, ReadOptions, format_of, open_records
from gsa.datasets.records import Columns
from gsa.errors import InputError
from gsa.prediction.inputs import dialogue, example
from gsa.prediction.job import JobConfig, LabelJob, label_file, label_stream
from gsa.prediction.loading import load
from gsa.prediction.output_paths import check_output_paths, rejects_path
from gsa.prediction.parts import RowCounts
from gsa.prediction.predictor import Predictor
from gsa.progress import Progress, duration

logger = logging.getLogger(__name__)

UNSUPPORTED = ("txt", "json", "xls", "xlsx", "gz", "zip")
"""Suffixes of files that cannot be read; no word of a text ends so either."""


@dataclass(frozen=True)
class PredictOptions:
    """The options of `gsa predict`."""

    model: str | None = None
    level: int | None = None
    precision: str = "auto"
    columns: Columns = field(default_factory=Columns)
    output: Path | None = None
    format: str = ""
    """Of the input, where its suffix does not give it."""
    labels: Sequence[str] = ()
    instruction: str = ""
    context: bool = False
    """Whether a task reads the turns before the target, even if it was not tuned to."""
    quotes: bool = True
    prefix: str = ""
    rejects: Path | None = None
    overwrite: bool = False
    as_json: bool = False

    def load(self, task: str) -> tuple[Predictor, Task]:
        """Return the model, and the task with its labels."""
        predictor = load(self.model, self.level, precision=self.precision)
        if predictor.precision != "float32":
            logger.info("precision %s", predictor.precision)
        return predictor, predictor.task(task, self.labels, self.instruction, self.context)


def predict(task: str, source: str, options: PredictOptions) -> str:
    """Label a text, a file, or standard input (`-`); returns what to print.

    Raises InputError for anything unexpected, before the model is loaded where that is possible.
    """
    path = file_of(source)
    if path is None and source != "-":
        return _predict_text(task, source, options)
    read = ReadOptions(format_of(path, options.format), options.columns, options.quotes)
    output_format = format_of(options.output, option="--output") if options.output else read.format
    if not options.output and output_format == "parquet":
        output_format = "jsonl"
    check_output_paths(path, options.output, options.rejects, options.overwrite)
    if path:
        open_records(path, read).close()
    predictor, chosen = options.load(task)
    config = JobConfig(path, read, chosen, output_format, options.prefix, predictor.identity)
    progress = Progress(path.name if path else "standard input")
    job = LabelJob(config, predictor.predict, progress, None if path else sys.stdin.buffer)
    started = time.monotonic()
    if options.output:
        counts = label_file(job, options.output, options.rejects, options.overwrite)
        rejects = rejects_path(options.output, options.rejects)
        return f"{options.output}: {_summary(counts, time.monotonic() - started, rejects)}"
    counts = label_stream(job, sys.stdout.buffer, options.rejects, options.overwrite)
    logger.info("%s", _summary(counts, time.monotonic() - started, options.rejects))
    return ""


def file_of(source: str) -> Path | None:
    """Return the file that an argument names; None for a text.

    Raises InputError for a folder named by its path, and for what looks like the name of a missing file: a
    word with a file's suffix, or one that begins with the name of a folder.
    """
    path = Path(source)
    try:
        if path.is_file():
            return path
        is_folder = path.is_dir() and "/" in source
        in_folder = "/" in source and path.parent not in (Path("/"), Path(".")) and path.parent.is_dir()
    except (OSError, ValueError):  # too long for a name, or with a NUL
        return None
    if is_folder:
        raise InputError(f"'{source}': expected a file or a text, found a folder")
    has_suffix = path.suffix.lower().removeprefix(".") in (*FORMATS, *UNSUPPORTED)
    if (has_suffix or in_folder) and not any(map(str.isspace, source)):
        raise InputError(f"'{source}': expected a file, found none")
    return None


def _predict_text(task: str, text: str, options: PredictOptions) -> str:
    if options.output:
        raise InputError("--output: expected a file as the input, or no --output for a text")
    conversation = dialogue(text, "text")
    predictor, chosen = options.load(task)
    (prediction,) = predictor.predict([example(chosen, conversation)], chosen)
    if options.as_json:
        content = {name: value for name, value in asdict(prediction).items() if name != "greedy"}
        return json.dumps(content, ensure_ascii=False)
    ranked = sorted(prediction.probabilities.items(), key=lambda pair: -pair[1])
    line = "  ".join(f"{label} {p:.2f}" for label, p in ranked)
    words = prediction.truncated.words
    return line + (f"  ({words} words were not read)" if words else "")


def _summary(counts: RowCounts, seconds: float, rejects: Path | None) -> str:
    labelled = f"{counts.labelled:,} rows labelled in {duration(seconds)}"
    if not counts.rejected:
        return f"{labelled}, none rejected"
    where = f"see {rejects}" if rejects else "--rejects FILE keeps them"
    return f"{labelled}, {counts.rejected:,} rejected ({counts.first_reason}; {where})"
