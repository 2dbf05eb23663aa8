"""What happens when a button of the page is pressed: inputs in, HTML out, or one sentence of what is wrong.

Knows no Gradio. Every answer comes through the server's line.
"""

import asyncio
import logging
import uuid
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from gsa.data.types import Prediction, Utterance
from gsa.errors import InputError
from gsa.prediction.rows import Columns
from gsa.serving.limits import Limits
from gsa.serving.requests import ask
from gsa.serving.scheduler import ClosedError, FullError, Portion, Worker
from gsa.serving.schemas import Anything, Conversations, Sentences, Turn
from gsa.serving.telemetry import log
from gsa.web import html as drawing
from gsa.web.files import Order, Progress, labelled
from gsa.web.levels import LevelQuery, Levels
from gsa.web.parsing import conversation
from gsa.web.scheduler_client import answered
from gsa.web.timeline import timeline

if TYPE_CHECKING:
    from gsa.prediction.predictor import Predictor

SAME = "same as the file"
"""Choice of the output's format."""


@dataclass(frozen=True)
class Handlers:
    """The page's answers."""

    predictor: "Predictor"
    levels: Levels
    worker: Worker
    limits: Limits
    sent: Path
    """Where Gradio puts what browsers send, and what they may fetch."""
    work: Path
    """Where files are labelled, of which Gradio takes a copy."""

    async def text(self, text: str, task: str, client: str) -> str:
        """Return a text's label and the probabilities of all."""

        async def work() -> str:
            body = Anything(task=task, text=text or "")
            ((found,),) = await self._found(ask(self.predictor, self.limits, body).portions, client)
            return drawing.verdict(found, task)

        return await self._said(work)

    async def talk(self, pasted: str, tasks: list[str], client: str) -> str:
        """Return a conversation in colours, every turn with the labels of `tasks`, below a timeline."""

        async def work() -> str:
            turns = conversation(pasted or "", self.limits.turns)
            if not tasks:
                raise InputError("expected at least one question to be chosen, found none")
            body = _body(turns)
            asked = [ask(self.predictor, self.limits, body, task, every=True) for task in tasks]
            parts = await self._found([portion for each in asked for portion in each.portions], client)
            found = dict(zip(tasks, parts, strict=True))
            return (timeline(turns, found) if len(turns) > 1 else "") + drawing.talk(turns, found)

        return await self._said(work)

    async def compare(self, pasted: str, task: str, client: str) -> str:
        """Return what each level of the chain says of a text, or of the last turn of a conversation."""

        async def work() -> str:
            chosen = self.predictor.task(task)
            if chosen.context:
                turns = conversation(pasted or "", self.limits.turns)
                asked, shown = (
                    ask(self.predictor, self.limits, _body(turns), task),
                    turns[-1].text,
                )
            else:
                asked, shown = ask(self.predictor, self.limits, Sentences(text=pasted or ""), task), pasted
            await asyncio.to_thread(self.levels.load)
            (query,) = asked.portions[0]
            portions = [
                [LevelQuery(query.task, query.dialogue, query.target, level)]
                for level in range(len(self.levels.names))
            ]
            parts = await self._found(portions, client)
            found = {name: part[0] for name, part in zip(self.levels.names, parts, strict=True)}
            return drawing.levels(found, f"{task} of: {_short(shown)}")

        return await self._said(work)

    async def file(
        self, upload: str | None, task: str, columns: Sequence[str | None], kind: str | None, client: str
    ) -> AsyncIterator[tuple[str, Progress | None]]:
        """Yield what to show while a file is labelled, and at its end the Progress with the files.

        `columns` are the names for text, speaker and conversation, empty or None for the usual ones.
        """
        try:
            if not upload:
                raise InputError("expected a file, found none: choose one above")
            source = Path(upload)
            if not source.resolve().is_relative_to(self.sent.resolve()):
                raise InputError("expected a file that was sent to this page, found another")
            names = Columns(*((name or "").strip() or None for name in columns))
            out_kind = "" if kind in (None, SAME) else str(kind)
            order = Order(source, self.predictor.task(task), names, out_kind)
            async for progress in labelled(order, self.worker, self.limits, client, self.work):
                yield drawing.note(progress.said), progress if progress.count else None
        except Exception as error:
            yield drawing.alert(sentence(error)), None

    async def _found(self, portions: Sequence[Portion], client: str) -> list[list[Prediction]]:
        return await answered(self.worker, portions, client)

    async def _said(self, work: Callable[[], Awaitable[str]]) -> str:
        try:
            return await work()
        except Exception as error:
            return drawing.alert(sentence(error))


def sentence(error: Exception) -> str:
    """Return an error in one sentence; what is not foreseen goes to the log, without its words."""
    if isinstance(error, InputError | FullError):
        return f"{error}."
    if isinstance(error, ClosedError):
        return "The server is stopping."
    number = uuid.uuid4().hex
    log("failed", logging.ERROR, error, id=number)
    return f"The server failed; its log has more under {number}."


def _body(turns: Sequence[Utterance]) -> Conversations:
    said: list[str | Turn] = [Turn(text=turn.text, speaker=turn.speaker) for turn in turns]
    return Conversations(turns=said)


def _short(text: str, most: int = 160) -> str:
    return text if len(text) <= most else f"{text[:most]}…"
