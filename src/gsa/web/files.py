"""A file that was sent to the page: labelled as `gsa predict` does it, through the scheduler's queue.

In: the uploaded file and how to read it. Out: one FileProgress after another; the last has the labelled file,
the rejected rows as a file, and their numbers. Cancelling leaves no file behind.
"""

import asyncio
import re
import shutil
import tempfile
from collections.abc import AsyncIterator
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path
from threading import Event

from gsa.data.task import Task
from gsa.datasets.record_files import FORMATS, format_of
from gsa.datasets.record_lines import is_gzip
from gsa.datasets.record_tables import NO_QUOTES
from gsa.datasets.records import ENCODING_HINT, Columns, ReadOptions
from gsa.errors import InputError
from gsa.prediction.job import JobConfig, LabelJob, label_file
from gsa.prediction.parts import RowCounts
from gsa.progress import Progress, count_of
from gsa.serving.limits import Limits
from gsa.serving.scheduler import Scheduler
from gsa.web.scheduler_client import FilePredictor

CHUNK = 64
"""Rows between two updates of the progress."""
STORAGE_PART = 8
"""One output with its rejects takes at most this part of the storage: files are kept twice for a moment."""
INTERVAL = 0.5
"""Seconds between two messages about the progress."""
FIELDS = {
    "expected the text column": "expected 'Text column'",
    "expected the speaker column": "expected 'Speaker column'",
    "expected the dialogue id column": "expected 'Conversation column'",
    ENCODING_HINT: "",
    NO_QUOTES: "",
    "expected --prefix with other names for the labels": "expected it under another name",
}
"""Phrases of error messages, and those with the names of the page's fields."""


@dataclass(frozen=True)
class FileRequest:
    """What to label, and how."""

    source: Path
    task: Task
    columns: Columns = field(default_factory=Columns)
    output_format: str = ""
    """Empty is that of the input."""


@dataclass(frozen=True)
class FileProgress:
    """The state of a file's labelling."""

    message: str
    output: Path | None = None
    rejects: Path | None = None
    count: RowCounts | None = None
    """Only at the end."""


async def label_upload(
    request: FileRequest, scheduler: Scheduler, limits: Limits, client: str, folder: Path
) -> AsyncIterator[FileProgress]:
    """Label a file in a new folder below `folder`, which is removed when the iterator ends or is closed.

    Raises InputError for a file that cannot be read, SchedulerClosedError where the server stops.
    """
    cancelled, progress = Event(), Progress(request.source.name, disable=True)
    workspace = Path(tempfile.mkdtemp(prefix="labelled-", dir=folder))
    predictor = FilePredictor(scheduler, limits, client, cancelled)
    labelling = asyncio.create_task(
        asyncio.to_thread(_label, request, predictor, progress, workspace, limits.storage // STORAGE_PART)
    )
    try:
        while not labelling.done():
            await asyncio.wait({labelling}, timeout=INTERVAL)
            if not labelling.done():
                yield FileProgress(progress.line() if progress.completed else "reading the file")
        yield labelling.result()
    finally:
        cancelled.set()
        await asyncio.wait({labelling})
        if not labelling.cancelled():
            labelling.exception()  # so that asyncio does not report it as never retrieved
        shutil.rmtree(workspace, ignore_errors=True)


def _label(
    request: FileRequest, predictor: FilePredictor, progress: Progress, workspace: Path, max_bytes: int
) -> FileProgress:
    try:
        input_format = format_of(request.source)
        if input_format == "xlsx":  # read as a whole, and one cell far off fills memory
            raise InputError(
                f"{request.source}: expected a file that is not of Excel: save the sheet as CSV, or use gsa "
                "predict"
            )
        if is_gzip(request.source):  # a small one may hold gigabytes of blank lines
            raise InputError(f"{request.source}: expected a file that is not compressed, found gzip data")
        output_format = request.output_format or (input_format if input_format in FORMATS else "csv")
        output = workspace / f"{request.source.stem}.labelled.{output_format}"
        rejects = workspace / f"{request.source.stem}.rejected.jsonl"
        read = ReadOptions(input_format, request.columns)
        config = JobConfig(request.source, read, request.task, output_format, max_bytes=max_bytes)
        with closing(LabelJob(config, predictor.predict, progress)) as job:
            count = label_file(job, output, rejects, size=CHUNK)
    except InputError as error:
        raise InputError(in_page_terms(str(error), request.source)) from None
    return FileProgress(summary(count), output, rejects if count.rejected else None, count)


def in_page_terms(message: str, source: Path) -> str:
    """Return an error's message without the server's paths and the command line's options."""
    return _without_options(re.sub(rf"{re.escape(str(source.parent))}/?", "", message))


def _without_options(message: str) -> str:
    for option, name in FIELDS.items():
        message = message.replace(option, name)
    return message


def summary(count: RowCounts) -> str:
    """Return what became of the rows, and how many have which label."""
    rows = f"{count_of(count.labelled, 'row')} labelled"
    if count.blank_lines:
        rows += f", {count.skipped()}"
    if not count.rejected:
        message = f"{rows}, none rejected."
    else:
        reason = _without_options(count.first_reason)
        message = f"{rows}, {count.rejected:,} rejected. The first of them: {reason}."
    return f"{message} Labels: {count.by_label()}." if count.labels else message
