"""Labelling of files and streams: rows in, the same rows with labels and probabilities out, in their order.

Rows are read, labelled and written in chunks of whole dialogues, so memory does not grow with the file. A
file's finished chunks are kept as parts until all are done, so that the same command resumes a killed job.
"""

import logging
import os
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import nullcontext
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, BinaryIO, Protocol

from gsa.checksums import sha256
from gsa.data.task import Task
from gsa.data.types import Example, Prediction, confident
from gsa.datasets.record_files import open_records
from gsa.datasets.records import ReadOptions, Record, Rejected, Row
from gsa.errors import InputError
from gsa.prediction.chunking import MAX_CHARACTERS, chunks
from gsa.prediction.documents import check_documents, predict_texts
from gsa.prediction.inputs import untuned_labels
from gsa.prediction.output_paths import check_output_paths, link_target
from gsa.prediction.parts import Part, PartStore, RowCounts
from gsa.prediction.row_examples import RowTasks, examples_of
from gsa.prediction.writers import Writer, json_line
from gsa.progress import Progress

logger = logging.getLogger(__name__)

CHUNK = 512
"""Rows of a part: the most work that a kill loses."""
STREAM_CHUNK = 32
"""Rows that are labelled before they are written to a stream."""


class Predict(Protocol):
    """The signature of `Predictor.predict`."""

    def __call__(
        self,
        examples: Sequence[Example],
        tasks: Task | Sequence[Task],
        progress: Callable[[int], None] | None = None,
        /,
    ) -> list[Prediction]:
        """Return one Prediction an example, in order; `progress` is called with the number done.

        `tasks` is one task for all examples, or one an example.
        """
        ...


@dataclass(frozen=True)
class JobConfig:
    """What to label, and how."""

    source: Path | None
    """None is a stream."""
    read: ReadOptions
    task: Task
    output_format: str
    prefix: str = ""
    """Of the names of new columns."""
    identity: Mapping[str, Any] = field(default_factory=dict)
    """Of the model; a job is resumed only with the same one."""
    only: tuple[str, ...] = ()
    """Labels whose rows are written; empty is all."""
    min_probability: float = 0.0
    """Of the label, below which a row is not written."""
    min_confidence: float = 0.0
    """A row whose most probable label is below it gets none."""
    document: bool = False
    """Whether every text is read in passages; otherwise only those too long to be read at once."""
    max_bytes: int = 0
    """Of an output file with its rejects, beyond which the job fails; 0 is any size."""
    tuned_labels: tuple[str, ...] | None = None
    """Of the model; rows whose own label lists have other labels are counted, unless it is None."""


class Labeller:
    """Labels rows, however they were read."""

    def __init__(self, config: JobConfig, writer: Writer, predict: Predict, progress: Progress) -> None:
        """`progress` counts the rows."""
        self.config, self.writer, self.predict, self.progress = config, writer, predict, progress

    def label(self, chunk: Sequence[Row], first: bool) -> Part:
        """Return the labelled and the rejected rows of a chunk; the `first` has the header."""
        rows, rejected, counts = self.label_rows(chunk)
        rejects = [{"row": r.row, "reason": r.reason, "found": r.found} for r in rejected]
        return Part(self.writer.encode(rows, header=first), b"".join(map(json_line, rejects)), counts)

    def label_rows(self, chunk: Sequence[Row]) -> tuple[list[dict[str, Any]], list[Rejected], RowCounts]:
        """Return the rows of the output, the rejected rows, and the counts of both."""
        tasks = RowTasks(self.config.task, self.config.read.columns)
        chunk = [tasks.check(self._check_keys(row)) for row in chunk]
        records = [row for row in chunk if isinstance(row, Record)]
        rejected = [row for row in chunk if isinstance(row, Rejected)]
        task, before = tasks.task, self.progress.completed
        # A sentence is read without its speaker, as in tuning, unless the column is named.
        speakers = task.context or bool(self.config.read.columns.speaker)
        predictions = predict_texts(
            self.predict,
            examples_of(records, task, speakers),
            [tasks.of(record) for record in records] if tasks.differ else task,
            self.config.document or None,
            lambda done: self.progress.update(before + done),
        )
        predictions = confident(predictions, self.config.min_confidence)
        pairs = zip(records, predictions, strict=True)
        rows = [self.writer.row(record.values, p) for record, p in pairs if self._is_written(p)]
        reason = f"row {rejected[0].row}: {rejected[0].reason}" if rejected else ""
        self.progress.update(before + len(chunk))
        labels = Counter(label for p in predictions for label in task.split_labels(p.label or "") if label)
        uncertain = sum(prediction.label is None for prediction in predictions)
        dropped = len(records) - len(rows)
        untuned = self._untuned_labels(records)
        counts = RowCounts(
            len(records), len(rejected), reason, dropped, dict(labels), uncertain,
            len(untuned), next(iter(untuned), ""),
        )  # fmt: skip
        return rows, rejected, counts

    def _untuned_labels(self, records: Sequence[Record]) -> list[str]:
        """Return a sentence for each record whose own labels have one that no level was tuned on."""
        tuned = self.config.tuned_labels
        if tuned is None:
            return []
        sentences = (untuned_labels(record.labels, tuned) for record in records if record.labels)
        return [sentence for sentence in sentences if sentence]

    def _is_written(self, prediction: Prediction) -> bool:
        if prediction.label is None:
            return not self.config.only and not self.config.min_probability
        labels = self.config.task.split_labels(prediction.label)
        kept = [label for label in labels if not self.config.only or label in self.config.only]
        probabilities = [prediction.probabilities.get(label, 0.0) for label in kept]
        return max(probabilities, default=-1.0) >= self.config.min_probability

    def _check_keys(self, row: Row) -> Row:
        """Reject a row of JSONL that has a key of the output; the writer checked only the first row."""
        taken = row.values.keys() & self.writer.new_columns if isinstance(row, Record) else set()
        if taken and isinstance(row, Record):
            reason = f"has the key '{min(taken)}', which is a column of the output"
            return Rejected(row.row, reason, dict(row.values))
        return row

    def fingerprint(self, size: int, rejects: Path | None) -> dict[str, Any]:
        """Return what the parts of this job depend on."""
        config = self.config
        return {
            "input": sha256(config.source) if config.source else "standard input",
            "task": {**config.task.__dict__, "words": dict(config.task.words), "merged": {}},
            "columns": [*config.read.columns, config.read.quotes],
            "format": [config.read.format, config.read.encoding, config.read.delimiter],
            "output": [self.writer.format, self.writer.columns, size, MAX_CHARACTERS],
            "selection": [list(config.only), config.min_probability],
            "rejects": str(rejects or ""),
            "model": dict(config.identity),
            "options": [config.min_confidence, config.document],
        }


class LabelJob(Labeller):
    """An open input, and how its rows are labelled."""

    def __init__(
        self, config: JobConfig, predict: Predict, progress: Progress, stream: BinaryIO | None = None
    ) -> None:
        """Open the input.

        Raises InputError for a file or columns that are not as expected, and as `check_documents` does.
        """
        if config.document:
            check_documents([config.task])
        read = replace(
            config.read, same_keys=config.output_format != "jsonl", untimed_chats=config.task.context
        )
        self.reader = open_records(config.source, read, stream)
        if self.reader.note:
            logger.info("%s", self.reader.note)
        try:
            writer = Writer.for_task(
                config.output_format, self.reader, config.task, config.prefix, config.document
            )
        except InputError:
            if config.source:
                self.reader.close()
            raise
        super().__init__(config, writer, predict, progress)

    def close(self) -> None:
        """Close the input, which may not be read to its end."""
        self.reader.close()

    def chunks(self, size: int) -> Iterator[list[Row]]:
        """Yield the rows of the input in chunks of whole dialogues."""
        rows = 0
        for chunk in chunks(self.reader.rows, size, self.config.task.context):
            rows += len(chunk)
            if self.reader.fraction:  # an estimate from the part of the input that was read
                self.progress.total = round(rows / self.reader.fraction)
            yield chunk


def label_stream(
    job: LabelJob, out: BinaryIO, rejects: Path | None = None, overwrite: bool = False
) -> RowCounts:
    """Label the input and write each chunk to a stream as soon as it is done; returns the counts.

    Raises InputError for Parquet, and if `rejects` is the input, or exists (unless `overwrite`).
    """
    if job.writer.format == "parquet":
        raise InputError("standard output cannot be Parquet: expected csv, tsv or jsonl, or --output FILE")
    rejects = link_target(rejects) if rejects else None
    check_output_paths(job.config.source, None, rejects, overwrite)
    counts, first = RowCounts(), True
    with rejects.open("wb") if rejects else nullcontext() as rejects_file, job.progress:
        for chunk in job.chunks(STREAM_CHUNK):
            part = job.label(chunk, first)
            out.write(part.output)
            out.flush()
            if rejects_file:
                rejects_file.write(part.rejects)
            counts += part.counts
            first = False
    if first:
        out.write(job.writer.encode([], header=True))
    return replace(counts, blank_lines=job.reader.blank_lines())


def label_file(
    job: LabelJob, output: Path, rejects: Path | None = None, overwrite: bool = False, size: int = CHUNK
) -> RowCounts:
    """Label the input into a file, from the finished parts of an earlier call on; returns the counts.

    A file of `rejects` that is named is written even if it stays empty. Raises InputError if it or the
    output is the input, or exists (unless `overwrite`), if the parts belong to another job (unless
    `overwrite`), if another process writes the output, or if the input changes while it is read. A symbolic
    link is followed.
    """
    output, source = link_target(output), job.config.source
    rejects = link_target(rejects) if rejects else None
    check_output_paths(source, output, rejects, overwrite)
    parts = PartStore(output, rejects, job.writer, job.config.max_bytes)
    with parts.lock():
        check_output_paths(source, output, rejects, overwrite)  # another process may have finished it
        state = file_state(source)
        parts.claim(job.fingerprint(size, rejects), source is not None, overwrite)
        with job.progress:
            for number, chunk in enumerate(job.chunks(size)):
                if parts.reuse(number):
                    job.progress.resume(len(chunk))
                else:
                    parts.add(number, job.label(chunk, first=number == 0))
        if file_state(source) != state:
            parts.remove()
            raise InputError(f"'{source}' changed while it was read: run the same command again")
        return replace(parts.join(), blank_lines=job.reader.blank_lines())


def file_state(path: Path | None) -> tuple[int, ...]:
    """Return what changes when a file is written or replaced."""
    status = os.stat(path) if path else None
    return (status.st_ino, status.st_size, status.st_mtime_ns) if status else ()
