"""From a request's body to what the worker is asked, and from its answers to JSON.

Checks sizes against the limits; every refusal is an InputError, hence 422.
"""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

from gsa.data.task import Task
from gsa.data.types import Dialogue, Prediction, Utterance, unreadable
from gsa.errors import InputError
from gsa.prediction.inputs import dialogue
from gsa.serving.limits import Limits
from gsa.serving.scheduler import Portion, size_of
from gsa.serving.schemas import Anything, Conversations, Sentences, Turn

if TYPE_CHECKING:
    from gsa.prediction.predictor import Predictor

Body = Sentences | Conversations | Anything


@dataclass(frozen=True)
class Asked:
    """A request, understood."""

    portions: Sequence[Portion]
    """The queries of each text or conversation."""
    many: bool
    """Whether a list was given, so that a list is expected."""
    every: bool
    """Whether every turn is labelled, not only the last."""

    def json(self, found: Sequence[Sequence[Prediction]]) -> dict[str, Any]:
        """Return the answer's body."""
        rows = [[asdict(each) for each in portion] for portion in found]
        if self.every:
            return {"predictions": rows if self.many else rows[0]}
        return {"predictions": [row[0] for row in rows]} if self.many else rows[0][0]


def ask(predictor: "Predictor", limits: Limits, body: Body, task: str = "", every: bool = False) -> Asked:
    """Return what a body asks; `task` is that of the path, `every` whether each turn is labelled.

    Raises InputError for what the predictor would refuse and for what is beyond the limits.
    """
    chosen = _task(predictor, limits, body, task)
    name = body.given()
    many = name in ("texts", "conversations")
    items = getattr(body, name) if many else [getattr(body, name)]
    if name in ("turns", "conversations") and not chosen.context:
        raise InputError(f"task '{chosen.name}' reads sentences: expected text or texts, found {name}")
    if len(items) > limits.items:
        raise InputError(f"{name}: expected at most {limits.items:,} of them, found {len(items):,}")
    if many:
        talks = [_talk(item, f"{name} {number}", limits) for number, item in enumerate(items, start=1)]
    else:
        talks = [_talk(items[0], name, limits)]
    portions = [
        [Query(chosen, talk, turn) for turn in range(0 if every else len(talk.turns) - 1, len(talk.turns))]
        for talk in talks
    ]
    _bounded("labels to find", sum(map(len, portions)), limits.waiting)
    _bounded("bytes, the label list counted once a label,", sum(map(size_of, portions)), limits.waiting_bytes)
    return Asked(portions, many, every)


def _task(predictor: "Predictor", limits: Limits, body: Body, task: str) -> Task:
    instruction = ""
    if isinstance(body, Anything):
        task, instruction = body.task, body.instruction
    if len(body.labels) > limits.labels:
        raise InputError(f"labels: expected at most {limits.labels}, found {len(body.labels):,}")
    words = [("task", task, limits.label), ("instruction", instruction, limits.instruction)]
    for name, word, most in words + [("labels", label, limits.label) for label in body.labels]:
        odd = unreadable(word)
        if odd:
            raise InputError(f"{name}: expected a text, found {odd}")
        _short(word, name, most)
    return predictor.task(task, body.labels, instruction, getattr(body, "context", False))


def _talk(item: Any, where: str, limits: Limits) -> Dialogue:
    if isinstance(item, list):
        if len(item) > limits.turns:
            raise InputError(f"{where}: expected at most {limits.turns:,} turns, found {len(item):,}")
        item = [Utterance(turn.text, turn.speaker) if isinstance(turn, Turn) else turn for turn in item]
    talk = dialogue(item, where)
    for number, turn in enumerate(talk.turns, start=1):
        place = f"{where} turn {number}" if isinstance(item, list) else where
        _short(turn.text, place, limits.text)
        _short(turn.speaker, f"{place} speaker", limits.text)
    return talk


def _short(text: str, where: str, most: int) -> None:
    if len(text) > most:
        raise InputError(f"{where}: expected at most {most:,} letters, found {len(text):,}")


def _bounded(what: str, count: int, most: int) -> None:
    if count > most:
        raise InputError(
            f"found {count:,} {what} in one request: expected at most {most:,}; send it in parts"
        )
