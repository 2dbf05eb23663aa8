"""From the records of a file to Examples and their Tasks: dialogues, aspects, questions of single rows."""

from collections.abc import Sequence
from dataclasses import replace
from itertools import groupby

from gsa.data.task import ASPECT, Task
from gsa.data.types import Dialogue, Example, Utterance, is_blank
from gsa.datasets.records import Columns, Record, Rejected, Row
from gsa.errors import InputError


class RowTasks:
    """The tasks of rows, some of which have an instruction or a label list of their own."""

    def __init__(self, task: Task, columns: Columns) -> None:
        """Where a column of aspects is named, any task asks about an aspect."""
        self.task = replace(task, about=task.about or ASPECT.about) if columns.aspect else task
        self.differ = bool(columns.instruction or columns.labels)
        """Whether rows may have different tasks."""
        self._tasks: dict[tuple[str, tuple[str, ...]], Task] = {}

    def check(self, row: Row) -> Row:
        """Return a row, or a Rejected if it lacks what its task needs."""
        if isinstance(row, Rejected):
            return row
        try:
            task = self.of(row)
            if not task.labels:
                raise InputError("expected a label list, found none")
            if task.takes_aspect and is_blank(row.aspect):
                raise InputError("expected an aspect to ask about, found none")
        except InputError as error:
            return Rejected(row.row, str(error), dict(row.values))
        return row

    def of(self, record: Record) -> Task:
        """Return a record's task; raises InputError for a label list that is none."""
        key = record.instruction, record.labels
        if key not in self._tasks:
            task = replace(self.task, instruction=record.instruction or self.task.instruction)
            self._tasks[key] = task.with_labels(*record.labels) if record.labels else task
        return self._tasks[key]


def examples_of(records: Sequence[Record], task: Task, speakers: bool) -> list[Example]:
    """Return one Example a record; neighbours of one dialogue share it, with its turns in their order."""
    examples: list[Example] = []
    for (_, name), group in groupby(records, lambda record: record.dialogue_key if task.context else (0, "")):
        rows = list(group)
        turns = [Utterance(record.text, record.speaker if speakers else "") for record in rows]
        if not name:
            dialogues = [Dialogue("", (turn,)) for turn in turns]
            pairs = [(dialogue, 0) for dialogue in dialogues]
        else:
            order = sorted(range(len(rows)), key=lambda i: rows[i].order)
            dialogue = Dialogue(name, tuple(turns[i] for i in order))
            target = {i: place for place, i in enumerate(order)}
            pairs = [(dialogue, target[i]) for i in range(len(rows))]
        examples += [
            Example("", task.name, dialogue, target, aspect=record.aspect)
            for (dialogue, target), record in zip(pairs, rows, strict=True)
        ]
    return examples
