"""A file that was sent to the page: labelled as `gsa predict` does it, through the server's line.

In: the uploaded file and how to read it. Out: one Progress after another; the last has the labelled file,
the rejected rows as a file, and their numbers. What is stopped leaves nothing.
"""

import asyncio
import re
import shutil
import tempfile
import time
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from pathlib import Path
from threading import Event

from gsa.data.task import Task
from gsa.errors import InputError
from gsa.prediction.job import Count, Job, Labelling, label_file
from gsa.prediction.meter import Meter
from gsa.prediction.readers import format_of
from gsa.prediction.rows import Columns
from gsa.serving.limits import Limits
from gsa.serving.scheduler import Worker
from gsa.web.scheduler_client import FilePredict

CHUNK = 64
"""Rows between two looks at how far it is."""
LOOK = 0.5
"""Seconds between two words about how far it is."""
FLAGS = {
    "expected --text to be": "expected 'Text column' to be",
    "expected --speaker to be": "expected 'Speaker column' to be",
    "expected --dialogue-id to be": "expected 'Conversation column' to be",
    "expected --prefix with other names for the labels": "expected it under another name",
}
"""What the command line calls its options, and the page its fields."""


@dataclass(frozen=True)
class Order:
    """What to label, and how."""

    source: Path
    task: Task
    columns: Columns = field(default_factory=Columns)
    kind: str = ""
    """Format of the output; empty is that of the input."""


@dataclass(frozen=True)
class Progress:
    """How far it is."""

    said: str
    output: Path | None = None
    rejects: Path | None = None
    count: Count | None = None
    """Only at the end."""


class Telling(Meter):
    """A meter that keeps its last line for whoever looks."""

    said = ""

    def within(self, more: int) -> None:
        """Take note of rows within a chunk."""
        super().within(more)
        self.said = self.line(self.rows + more, time.monotonic())


async def labelled(
    order: Order, worker: Worker, limits: Limits, client: str, folder: Path
) -> AsyncIterator[Progress]:
    """Label a file in a folder of its own below `folder`, which is removed once this is closed
    or goes on after its last Progress.

    Raises InputError for a file that cannot be read, ClosedError where the server stops.
    """
    gone, meter = Event(), Telling(order.source.name, lambda line: None)
    place = Path(tempfile.mkdtemp(prefix="labelled-", dir=folder))
    work = FilePredict(worker, limits, client, gone)
    doing = asyncio.create_task(asyncio.to_thread(_label, order, work, meter, place))
    try:
        while not doing.done():
            await asyncio.wait({doing}, timeout=LOOK)
            if not doing.done():
                yield Progress(meter.said or "reading the file")
        yield doing.result()
    finally:
        gone.set()
        await asyncio.wait({doing})
        if not doing.cancelled():
            doing.exception()  # seen
        shutil.rmtree(place, ignore_errors=True)


def _label(order: Order, predict: FilePredict, meter: Meter, place: Path) -> Progress:
    try:
        kind = format_of(order.source)
        out_kind = order.kind or kind
        output = place / f"{order.source.stem}.labelled.{out_kind}"
        rejects = place / f"{order.source.stem}.rejected.jsonl"
        job = Job(order.source, kind, order.task, order.columns)
        count = label_file(Labelling(job, predict, meter, out_kind), output, rejects, size=CHUNK)
    except InputError as error:
        raise InputError(in_words_of_the_page(str(error), order.source)) from None
    return Progress(said(count), output, rejects if count.rejected else None, count)


def in_words_of_the_page(sentence: str, source: Path) -> str:
    """Return an error's sentence without the server's paths and the command line's options."""
    sentence = re.sub(rf"{re.escape(str(source.parent))}/?", "", sentence)
    for flag, name in FLAGS.items():
        sentence = sentence.replace(flag, name)
    return sentence


def said(count: Count) -> str:
    """Return what became of the rows, in one sentence."""
    rows = f"{count.labelled:,} row{'' if count.labelled == 1 else 's'} labelled"
    if not count.rejected:
        return f"{rows}, none rejected."
    return f"{rows}, {count.rejected:,} rejected. The first of them: {count.first_reason}."
