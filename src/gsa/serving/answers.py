"""Answers that take several calls of the model: long texts in passages, and explanations.

Their parts wait in the scheduler's queue like any other request's.
"""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from gsa.data.types import Prediction
from gsa.errors import InputError
from gsa.prediction.documents import DocumentPlan, too_long
from gsa.prediction.explain import Explanation, plan_conversation
from gsa.prediction.inputs import last_turn
from gsa.serving.limits import Limits
from gsa.serving.requests import ParsedRequest, check_size
from gsa.serving.scheduler import QueryGroup

if TYPE_CHECKING:
    from gsa.prediction.predictor import Predictor

MAX_WORDS = 60
"""Words of a text that is explained."""

Predict = Callable[[Sequence[QueryGroup]], Awaitable[list[list[Prediction]]]]
"""Returns the Predictions of each group, through the queue."""


@dataclass(frozen=True)
class Answers:
    """Predictions of parsed requests, from whatever parts they need."""

    predictor: "Predictor"
    limits: Limits
    _planning: asyncio.Semaphore = field(default_factory=lambda: asyncio.Semaphore(1))
    """One explanation is planned at a time, so that many of them leave threads to others."""

    async def label(self, parsed: ParsedRequest, predict: Predict) -> list[list[Prediction]]:
        """Return the Predictions of each group; of a text that is read in passages a DocumentPrediction.

        Raises InputError for more passages than the queue may hold of one request.
        """
        if parsed.document:
            return [[document] for document in await self._in_passages(parsed.groups, predict)]
        predictions = await predict(parsed.groups)
        if parsed.document is None:
            tasks = [group.task for group in parsed.groups]
            long = too_long([first for first, *_ in predictions], tasks)
            documents = await self._in_passages([parsed.groups[i] for i in long], predict)
            for i, document in zip(long, documents, strict=True):
                predictions[i] = [document]
        return predictions

    async def _in_passages(self, groups: Sequence[QueryGroup], predict: Predict) -> list[Prediction]:
        if not groups:
            return []
        texts, tasks = [group.examples[0] for group in groups], [group.task for group in groups]
        plan = await asyncio.to_thread(DocumentPlan.of, texts, tasks)
        passages = [QueryGroup(task, [part]) for part, task in zip(plan.examples, plan.tasks, strict=True)]
        check_size(passages, self.limits)
        return list(plan.combine(prediction for (prediction,) in await predict(passages)))

    async def explain(self, parsed: ParsedRequest, label: str, predict: Predict) -> Explanation:
        """Return how much each word of a text, or of a conversation's last turn, moves a label.

        `label` is the one to explain, the predicted one if empty. Raises InputError for more than `MAX_WORDS`
        words, for a conversation whose versions are more than the queue may hold, and as
        `Predictor.explain` does.
        """
        (group,) = parsed.groups
        conversation, task = group.examples[0].dialogue, group.task
        words = conversation.turns[-1].text.split()
        if len(words) > MAX_WORDS:
            raise InputError(f"text: expected at most {MAX_WORDS} words to explain, found {len(words):,}")
        check_size([group] * len(words), self.limits)  # at least, before the versions are read
        async with self._planning:
            plan, _ = await asyncio.to_thread(plan_conversation, self.predictor, conversation, task)
        versions = [QueryGroup(task, [last_turn(conversation, task, text)]) for text in plan.versions]
        check_size(versions, self.limits)
        return plan.explanation([prediction for (prediction,) in await predict(versions)], label)
