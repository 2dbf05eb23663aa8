"""Labelling files: rows in, the same rows with labels and probabilities out, in their order.

    output            whole, or not there
    output.parts/     finished parts with checksums while the job runs; the same command goes on from them
    output.rejects.jsonl   rows that could not be labelled, with the reason

Rows are read, labelled and written in chunks of whole dialogues, so memory does not grow with the file.
"""

import json
import shutil
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import nullcontext
from dataclasses import dataclass, field
from itertools import groupby
from pathlib import Path
from typing import Any, BinaryIO, Protocol

from gsa.atomic_io import atomic_path, write_atomic
from gsa.checksums import sha256
from gsa.data.task import Task
from gsa.data.types import Dialogue, Example, Prediction, Utterance
from gsa.errors import InputError
from gsa.prediction.chunking import LETTERS, chunks
from gsa.prediction.inputs import example
from gsa.prediction.meter import Meter
from gsa.prediction.output_paths import JOB, check_places, parts_of, rejects_of
from gsa.prediction.readers import open_table
from gsa.prediction.rows import Columns, Record, Rejected, Row, Table
from gsa.prediction.writers import Shape, concatenate, labelled

CHUNK = 512
"""Rows a part: what a kill costs at most."""
STREAM_CHUNK = 32
"""Rows that are labelled before a stream is written to."""


class Predict(Protocol):
    """What labels: `Predictor.predict`."""

    def __call__(
        self, examples: Sequence[Example], task: Task, progress: Callable[[int], None] | None = None
    ) -> list[Prediction]:
        """Return one Prediction an example, in order; `progress` is called with the number done."""
        ...


@dataclass(frozen=True)
class Job:
    """What to label, and how."""

    source: Path | None
    """None is a stream."""
    kind: str
    """Format of the input."""
    task: Task
    columns: Columns = field(default_factory=Columns)
    prefix: str = ""
    """Of the new columns' names."""
    identity: Mapping[str, Any] = field(default_factory=dict)
    """Of the model; a job goes on only with the same one."""
    quotes: bool = True
    """Whether quotes of CSV and TSV enclose fields, or are text."""


@dataclass
class Count:
    """What became of the rows."""

    labelled: int = 0
    rejected: int = 0
    first_reason: str = ""
    """Of the first row that was rejected."""

    def add(self, other: "Count") -> None:
        """Add the rows of another part."""
        self.labelled += other.labelled
        self.rejected += other.rejected
        self.first_reason = self.first_reason or other.first_reason


def examples_of(records: Sequence[Record], task: Task, speakers: bool) -> list[Example]:
    """Return one Example a record; neighbours of one dialogue share it."""
    examples: list[Example] = []
    groups = groupby(records, key=lambda record: record.dialogue if task.context else "")
    for name, group in groups:
        turns = tuple(Utterance(r.text, r.speaker if speakers else "") for r in group)
        dialogues = [Dialogue(name, turns)] if name else [Dialogue("", (turn,)) for turn in turns]
        examples += [example(task, each, turn) for each in dialogues for turn in range(len(each.turns))]
    return examples


class Labelling:
    """A job at work: opens the input, labels chunk by chunk."""

    def __init__(self, job: Job, predict: Predict, meter: Meter, kind: str, stream: BinaryIO | None = None):
        """Open the input; raises InputError for a file or columns that are not as expected.

        `kind` is the format of the output.
        """
        self.job, self.predict, self.meter = job, predict, meter
        self.table: Table = open_table(
            job.source, job.kind, job.columns, stream, fixed=kind != "jsonl", quotes=job.quotes
        )
        try:
            self.shape = Shape.of(kind, self.table.columns, self.table.schema, job.task, job.prefix)
        except InputError:
            if job.source:
                self.table.close()
            raise

    def chunks(self, size: int) -> Iterator[list[Row]]:
        """Yield the input's rows in chunks."""
        return chunks(self.table.rows, size, self.job.task.context)

    def label(self, chunk: Sequence[Row], first: bool) -> tuple[bytes, bytes, Count]:
        """Return a chunk's labelled rows and its rejects as bytes, and their numbers."""
        chunk = [self._free(row) for row in chunk]
        records = [row for row in chunk if isinstance(row, Record)]
        rejects = [row for row in chunk if isinstance(row, Rejected)]
        # A sentence is read without its speaker, as in tuning, unless the column is asked for.
        task = self.job.task
        examples = examples_of(records, task, task.context or bool(self.job.columns.speaker))
        answers = self.predict(examples, task, self.meter.within)
        rows = [labelled(r.carried, a, self.job.prefix) for r, a in zip(records, answers, strict=True)]
        reason = f"row {rejects[0].row}: {rejects[0].reason}" if rejects else ""
        bad = [{"row": r.row, "reason": r.reason, "found": r.found} for r in rejects]
        said = "".join(json.dumps(row, default=str) + "\n" for row in bad).encode()
        count = Count(len(rows), len(rejects), reason)
        self.meter.done(len(chunk), self.table.progress)
        return self.shape.part(rows, first), said, count

    def _free(self, row: Row) -> Row:
        """Reject a row of JSONL that has a key of the output already; only its first row was checked."""
        taken = row.carried.keys() & self.shape.new if isinstance(row, Record) else set()
        if taken and isinstance(row, Record):
            return Rejected(row.row, f"has the key '{min(taken)}' of the output already", dict(row.carried))
        return row


def label_stream(work: Labelling, out: BinaryIO, rejects: Path | None = None, again: bool = False) -> Count:
    """Label the input and write each chunk to a stream as soon as it is ready; Parquet is refused.

    Raises InputError if `rejects` is the input, or is there already (unless `again`).
    """
    if work.shape.kind == "parquet":
        raise InputError("standard output cannot be Parquet: expected csv, tsv or jsonl, or --output FILE")
    check_places(work.job.source, None, rejects, again)
    total, first = Count(), True
    with rejects.open("wb") if rejects else nullcontext() as bad:
        for chunk in work.chunks(STREAM_CHUNK):
            part, said, count = work.label(chunk, first)
            out.write(part)
            out.flush()
            if bad:
                bad.write(said)
            total.add(count)
            first = False
    if first:
        out.write(work.shape.part([], first))
    return total


def label_file(
    work: Labelling, output: Path, rejects: Path | None = None, again: bool = False, size: int = CHUNK
) -> Count:
    """Label the input into a file; a job that was stopped goes on where it was.

    A file of `rejects` that is named is written even if it stays empty. Raises InputError if it or the
    output is the input, or is there already (unless `again`), or if the parts are of another job.
    """
    check_places(work.job.source, output, rejects, again)
    parts = parts_of(output)
    _begin(parts, work, size, rejects)
    total = Count()
    files: list[Path] = []
    for number, chunk in enumerate(work.chunks(size)):
        part = parts / f"{number:06}.{work.shape.kind}"
        count = _sealed(part)
        if count is None:
            content, said, count = work.label(chunk, number == 0)
            write_atomic(part, content)
            write_atomic(part.with_suffix(".rejects"), said)
            write_atomic(part.with_suffix(".json"), json.dumps({**count.__dict__, "sha256": sha256(part)}))
        else:
            work.meter.skip(len(chunk), work.table.progress)
        files.append(part)
        total.add(count)
    if not files:
        files = [parts / f"empty.{work.shape.kind}"]
        write_atomic(files[0], work.shape.part([], True))
    _end(files, work.shape, output, rejects, total)
    shutil.rmtree(parts)
    return total


def _begin(parts: Path, work: Labelling, size: int, rejects: Path | None) -> None:
    """Note what the parts are of; raises InputError if they are of something else."""
    job = work.job
    task = {**job.task.__dict__, "words": dict(job.task.words), "merged": {}}
    note = {
        "input": sha256(job.source) if job.source else "standard input",
        "task": task,
        "columns": [job.columns.text, job.columns.speaker, job.columns.dialogue, job.quotes],
        "output": [work.shape.kind, work.shape.columns, size, LETTERS],
        "rejects": str(rejects or ""),
        "model": dict(job.identity),
    }
    note = json.loads(json.dumps(note))
    file = parts / JOB
    if not file.is_file():
        write_atomic(file, json.dumps(note))
        return
    try:
        before = json.loads(file.read_text(encoding="utf-8"))
        other = [key for key in note if before.get(key) != note[key]]
    except (ValueError, AttributeError):
        other = ["content"]
    if other or not job.source:
        what = f"its {other[0]} differs" if other else "a stream cannot be read again"
        raise InputError(
            f"'{parts}' holds the parts of another job ({what}): expected the same command to go on with it, "
            "another --output, or that folder removed"
        )


def _sealed(part: Path) -> Count | None:
    """Return what a finished part holds; None if it is not whole."""
    try:
        seal = json.loads(part.with_suffix(".json").read_text(encoding="utf-8"))
        if seal.pop("sha256") == sha256(part) and part.with_suffix(".rejects").is_file():
            return Count(**seal)
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        pass
    return None


def _end(files: Sequence[Path], shape: Shape, output: Path, rejects: Path | None, total: Count) -> None:
    """Join the parts; the output comes last, because it says that all is done."""
    bad = rejects_of(output, rejects)
    if total.rejected or rejects:
        with atomic_path(bad) as draft:
            concatenate([file.with_suffix(".rejects") for file in files], draft)
    else:
        bad.unlink(missing_ok=True)  # of an earlier job
    shape.join(files, output)
