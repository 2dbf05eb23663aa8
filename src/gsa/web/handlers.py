"""What happens when a button of the page is pressed: inputs in, Predictions out.

Knows no Gradio. Every Prediction comes through the scheduler's queue.
"""

import asyncio
import logging
import uuid
from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property, partial
from pathlib import Path
from typing import TYPE_CHECKING

from pydantic import ValidationError

from gsa.data.task import ASPECT
from gsa.data.types import Prediction, Utterance
from gsa.datasets.chat import parse_conversation
from gsa.datasets.records import Columns
from gsa.errors import InputError
from gsa.prediction.explain import Explanation
from gsa.serving.answers import Answers
from gsa.serving.limits import Limits
from gsa.serving.requests import Body, ParsedRequest, parse_request
from gsa.serving.scheduler import QueueFullError, Scheduler, SchedulerClosedError
from gsa.serving.schemas import (
    MAX_TURNS,
    AspectRequest,
    ClassifyRequest,
    ConversationRequest,
    SentenceRequest,
    keys_of,
)
from gsa.serving.telemetry import log
from gsa.web.files import FileProgress, FileRequest, label_upload
from gsa.web.levels import Levels
from gsa.web.scheduler_client import predict

if TYPE_CHECKING:
    from gsa.prediction.predictor import Predictor

SAME_FORMAT = "same as the file"
"""Choice of the output's format."""


@dataclass(frozen=True)
class Handlers:
    """The page's answers. Every method raises an exception that `error_message` turns into a sentence."""

    predictor: "Predictor"
    levels: Levels
    scheduler: Scheduler
    limits: Limits
    uploads: Path
    """Where Gradio puts what browsers send, and what they may fetch."""
    workspace: Path
    """Where files are labelled, of which Gradio takes a copy."""

    @cached_property
    def answers(self) -> Answers:
        """How texts that need several calls of the model are answered."""
        return Answers(self.predictor, self.limits)

    async def label_text(self, text: str, task: str, client: str) -> Prediction:
        """Return a text's Prediction."""
        parsed = self._parse(ClassifyRequest, task=task, text=text or "")
        ((prediction,),) = await self.answers.label(parsed, partial(predict, self.scheduler, client=client))
        return prediction

    async def label_aspects(self, text: str, names: str, client: str) -> dict[str, Prediction]:
        """Return a Prediction of each aspect of a text; `names` has commas between the aspects."""
        aspects = list(dict.fromkeys(name.strip() for name in (names or "").split(",") if name.strip()))
        if not aspects:
            raise InputError("expected aspects, such as food, service, found none")
        parsed = self._parse(AspectRequest, ASPECT.name, text=text or "", aspects=aspects)
        (predictions,) = await predict(self.scheduler, parsed.groups, client)
        return dict(zip(aspects, predictions, strict=True))

    async def explain_text(self, text: str, task: str, client: str) -> Explanation:
        """Return how much each word of a text moves its label; raises errors as `Answers.explain` does."""
        parsed = self._parse(ClassifyRequest, task=task, text=text or "")
        ask = partial(predict, self.scheduler, client=client)
        return await self.answers.explain(parsed, "", ask, client)

    async def label_conversation(
        self, pasted: str, tasks: Sequence[str], client: str
    ) -> tuple[list[Utterance], Mapping[str, list[Prediction]]]:
        """Return the turns of a pasted conversation, and for each task a Prediction for each turn."""
        turns = parse_conversation(pasted or "", MAX_TURNS)
        if not tasks:
            raise InputError("expected at least one task to be selected, found none")
        groups = [group for task in tasks for group in self._parse_turns(turns, task, every_turn=True).groups]
        predictions = await predict(self.scheduler, groups, client)
        return turns, dict(zip(tasks, predictions, strict=True))

    async def compare_levels(self, pasted: str, task: str, client: str) -> tuple[str, list[Prediction]]:
        """Return a text, or the last turn of a conversation, and the Prediction of each level for it."""
        if self.predictor.task(task).context:
            turns = parse_conversation(pasted or "", MAX_TURNS)
            parsed, target = self._parse_turns(turns, task), turns[-1].text
        else:
            parsed, target = self._parse(SentenceRequest, task, text=pasted or ""), pasted
        await asyncio.to_thread(self.levels.load)
        (group,) = parsed.groups
        groups = [replace(group, level=level) for level in range(len(self.levels.names))]
        return target, [prediction for (prediction,) in await predict(self.scheduler, groups, client)]

    async def label_file(
        self, upload: str | None, task: str, columns: Sequence[str | None], output: str | None, client: str
    ) -> AsyncIterator[FileProgress]:
        """Yield the progress while a file is labelled; the last has the files.

        `columns` are the names for text, speaker and conversation, empty or None for the usual ones.
        """
        if not upload:
            raise InputError("expected a file, found none: choose one above")
        source = Path(upload)
        if not source.resolve().is_relative_to(self.uploads.resolve()):
            raise InputError("expected a file that was uploaded to this page, found another")
        names = Columns(*((name or "").strip() or None for name in columns))
        output_format = "" if output in (None, SAME_FORMAT) else str(output)
        request = FileRequest(source, self.predictor.task(task), names, output_format)
        async for progress in label_upload(request, self.scheduler, self.limits, client, self.workspace):
            yield progress

    def _parse_turns(self, turns: Sequence[Utterance], task: str, every_turn: bool = False) -> ParsedRequest:
        objects = [{"text": turn.text, "speaker": turn.speaker} for turn in turns]
        return self._parse(ConversationRequest, task, every_turn, turns=objects)

    def _parse(
        self, model: type[Body], task_name: str = "", every_turn: bool = False, **body: object
    ) -> ParsedRequest:
        return parse_request(self.predictor, self.limits, model.model_validate(body), task_name, every_turn)


def error_message(error: Exception) -> str:
    """Return an error in one sentence; an unforeseen one is logged, and its message is not shown."""
    if isinstance(error, ValidationError):
        first = error.errors()[0]
        where = " ".join(str(part + 1 if isinstance(part, int) else part) for part in keys_of(first["loc"]))
        return f"{where}: {first['msg'].removeprefix('Value error, ')}."
    if isinstance(error, InputError | QueueFullError):
        return f"{error}."
    if isinstance(error, SchedulerClosedError):
        return "The server is stopping."
    error_id = uuid.uuid4().hex
    log("failed", logging.ERROR, error, id=error_id)
    return f"The server failed; its log has more under {error_id}."
