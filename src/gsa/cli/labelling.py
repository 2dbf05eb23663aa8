"""What `gsa predict` does: a text, a file or a stream in; a label, a labelled file or a stream out."""

import logging
import sys
import time
from contextlib import closing
from dataclasses import replace
from pathlib import Path

from gsa.cli.predict_options import PredictOptions
from gsa.cli.text_labelling import label_text
from gsa.data.task import Task
from gsa.datasets.record_files import INPUT_SUFFIXES, format_of, open_records, output_format_of
from gsa.datasets.records import RecordReader
from gsa.errors import InputError
from gsa.prediction.job import JobConfig, LabelJob, label_file, label_stream
from gsa.prediction.output_paths import check_output_paths, link_target, rejects_path
from gsa.prediction.parts import RowCounts
from gsa.progress import Progress, count_of, duration

logger = logging.getLogger(__name__)

UNSUPPORTED = ("xls", "zip", "doc", "docx", "pdf")
"""Suffixes of files that cannot be read; no word of a text ends so either."""


def label(task: str, source: str, options: PredictOptions) -> tuple[str, bool]:
    """Label a text, a file, or standard input (`-`); returns what to print, and whether that is a success.

    It is none if every row was rejected. Raises InputError for anything unexpected, before the model is
    loaded where that is possible.
    """
    path = file_of(source)
    if path is None and source != "-":
        return label_text(task, source, options), True
    if options.explain or options.aspects:
        name = "--explain" if options.explain else "--aspect"
        hint = "" if options.explain else "; --aspect-column names a column of aspects"
        raise InputError(f"{name}: expected a text as the input, found a file{hint}")
    read = replace(options.read, format=format_of(path, options.read.format))
    output_format = output_format_of(options.output) if options.output else _stream_format(read.format)
    output = link_target(options.output) if options.output else None
    check_output_paths(path, output, options.rejects, options.overwrite)
    if path:
        reader = open_records(path, read)
        reader.close()
        read = replace(reader.options, format=read.format)  # whether texts are a chat depends on the task
    predictor, chosen = options.load(task)
    config = JobConfig(
        path, read, chosen, output_format, options.prefix, predictor.identity, options.only,
        options.min_probability, options.min_confidence, options.document,
        tuned_labels=predictor.tuned_labels,
    )  # fmt: skip
    progress = Progress(path.name if path else "standard input")
    started = time.monotonic()
    with closing(LabelJob(config, predictor.predict, progress, None if path else sys.stdin.buffer)) as job:
        _check_dialogues(job.reader, chosen, source)
        if output:
            counts = label_file(job, output, options.rejects, options.overwrite)
        else:
            counts = label_stream(job, sys.stdout.buffer, options.rejects, options.overwrite)
    rejects = rejects_path(output, options.rejects) if output else options.rejects
    line = summary(counts, time.monotonic() - started, rejects)
    if not output:
        logger.info("%s", line)
    succeeded = bool(counts.labelled) or not counts.rejected
    return (f"{output}: {line}" if output else ""), succeeded


def _stream_format(input_format: str) -> str:
    """Return the format of standard output: that of the input, if it can be streamed and written."""
    return {"parquet": "jsonl", "csv": "csv", "tsv": "tsv", "xlsx": "csv"}.get(input_format, "jsonl")


def _check_dialogues(reader: RecordReader, task: Task, source: str) -> None:
    """Warn where a task that reads conversations gets a table of turns whose conversations are not named."""
    if task.context and not reader.has_dialogues and reader.names.speaker in reader.columns:
        logger.warning(
            "%s: has speakers, but no column 'dialogue_id': each row is read alone; --dialogue-id COLUMN "
            "names the conversations", source,
        )  # fmt: skip


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
    has_suffix = path.suffix.lower().removeprefix(".") in (*INPUT_SUFFIXES, *UNSUPPORTED)
    if (has_suffix or in_folder) and not any(map(str.isspace, source)):
        raise InputError(f"'{source}': expected a file, found none")
    return None


def summary(counts: RowCounts, seconds: float, rejects: Path | None) -> str:
    """Return how many rows were labelled with which labels, skipped as blank lines, and rejected and why."""
    labels = f" ({counts.by_label()})" if counts.labels else ""
    parts = [f"{count_of(counts.labelled, 'row')} labelled in {duration(seconds)}{labels}"]
    if counts.untuned:
        parts.append(f"{counts.untuned:,} of them with other labels ({counts.first_untuned})")
    if counts.uncertain:
        parts.append(f"{counts.uncertain:,} of them without a label (below --min-confidence)")
    if counts.dropped:
        parts.append(f"{counts.labelled - counts.dropped:,} of them written")
    if counts.blank_lines:
        parts.append(counts.skipped())
    if not counts.rejected:
        return ", ".join([*parts, "none rejected"])
    hint = f"see {rejects}" if rejects else "--rejects FILE keeps them"
    return ", ".join([*parts, f"{counts.rejected:,} rejected ({counts.first_reason}; {hint})"])
