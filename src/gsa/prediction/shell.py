"""What `gsa predict` does: a text, a file or a stream in; a label, a labelled file or a stream out."""

import json
import sys
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path

from gsa.cli.format import duration
from gsa.data.types import Prediction
from gsa.errors import InputError
from gsa.prediction.inputs import dialogue, example
from gsa.prediction.job import Count, Job, Labelling, label_file, label_stream
from gsa.prediction.loading import load
from gsa.prediction.meter import Meter
from gsa.prediction.output_paths import check_places, rejects_of
from gsa.prediction.readers import FORMATS, format_of, open_table
from gsa.prediction.rows import Columns

OTHERS = ("txt", "json", "xls", "xlsx", "gz", "zip")
"""Endings of files that people have and that cannot be read: no word of a text ends so either."""


@dataclass(frozen=True)
class Options:
    """The options of `gsa predict`, as they were given."""

    model: str | None = None
    level: int | None = None
    columns: Columns = field(default_factory=Columns)
    output: Path | None = None
    kind: str = ""
    """Format of the input, where its name does not say it."""
    labels: Sequence[str] = ()
    instruction: str = ""
    context: bool = False
    """Whether a task reads the turns before the target, even if it is not one that does."""
    quotes: bool = True
    prefix: str = ""
    rejects: Path | None = None
    again: bool = False
    as_json: bool = False


def label(task: str, source: str, options: Options) -> str:
    """Label a text, a file, or standard input (`-`); returns what to print.

    Raises InputError for whatever is not as expected, before the model is loaded where that can be.
    """
    path = file_of(source)
    if path is None and source != "-":
        return _text(task, source, options)
    kind = format_of(path, options.kind)
    out_kind = format_of(options.output, flag="--output") if options.output else kind
    if not options.output:
        out_kind = "jsonl" if kind == "parquet" else kind
    check_places(path, options.output, options.rejects, options.again)
    if path:
        open_table(path, kind, options.columns, quotes=options.quotes).close()
    predictor = load(options.model, options.level)
    chosen = predictor.task(task, options.labels, options.instruction, options.context)
    job = Job(path, kind, chosen, options.columns, options.prefix, predictor.identity, options.quotes)
    meter = Meter(path.name if path else "standard input")
    work = Labelling(job, predictor.predict, meter, out_kind, None if path else sys.stdin.buffer)
    began = time.monotonic()
    if options.output:
        count = label_file(work, options.output, options.rejects, options.again)
        rejects = rejects_of(options.output, options.rejects)
        meter.end()
        return f"{options.output}: {_said(count, time.monotonic() - began, rejects)}"
    count = label_stream(work, sys.stdout.buffer, options.rejects, options.again)
    meter.end()
    print(_said(count, time.monotonic() - began, options.rejects), file=sys.stderr)
    return ""


def file_of(source: str) -> Path | None:
    """Return the file that an argument names; None for a text.

    Raises InputError for a folder named by its path, and for what looks like the name of a file that is not
    there: a word that ends as files do, or that begins with a folder's name.
    """
    path = Path(source)
    try:
        if path.is_file():
            return path
        folder = path.is_dir() and "/" in source
        below = "/" in source and path.parent not in (Path("/"), Path(".")) and path.parent.is_dir()
    except (OSError, ValueError):  # too long for a name, or with a NUL
        return None
    if folder:
        raise InputError(f"'{source}': expected a file or a text, found a folder")
    ends = path.suffix.lower().removeprefix(".") in (*FORMATS, *OTHERS)
    if (ends or below) and not any(map(str.isspace, source)):
        raise InputError(f"'{source}': expected a file, found none")
    return None


def _text(task: str, text: str, options: Options) -> str:
    if options.output:
        raise InputError("--output: belongs to a file: expected the name of one, or no --output for a text")
    talk = dialogue(text, "text")
    predictor = load(options.model, options.level)
    chosen = predictor.task(task, options.labels, options.instruction, options.context)
    (found,) = predictor.predict([example(chosen, talk)], chosen)
    answer = {name: value for name, value in asdict(found).items() if name != "greedy"}
    return json.dumps(answer, ensure_ascii=False) if options.as_json else _line(found)


def _line(found: Prediction) -> str:
    ranked = sorted(found.probabilities.items(), key=lambda pair: -pair[1])
    said = "  ".join(f"{label} {p:.2f}" for label, p in ranked)
    return said + (f"  ({found.truncated.words} words were not read)" if found.truncated else "")


def _said(count: Count, seconds: float, rejects: Path | None) -> str:
    said = f"{count.labelled:,} rows labelled in {duration(seconds)}"
    if not count.rejected:
        return f"{said}, none rejected"
    where = f"see {rejects}" if rejects else "--rejects FILE keeps them"
    return f"{said}, {count.rejected:,} rejected ({count.first_reason}; {where})"
