"""Answers that take several calls of the model: long texts in passages, and explanations.

Their parts wait in the scheduler's queue like any other request's.
"""

import asyncio
from collections import Counter
from collections.abc import Awaitable, Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from threading import Lock
from typing import TYPE_CHECKING

from gsa.data.types import Prediction
from gsa.errors import InputError
from gsa.prediction.documents import DocumentPlan, too_long
from gsa.prediction.explain import Explanation, ExplanationPlan, plan_conversation
from gsa.prediction.inputs import last_turn
from gsa.serving.limits import Limits
from gsa.serving.requests import ParsedRequest, check_size
from gsa.serving.scheduler import QueryGroup, QueueFullError

if TYPE_CHECKING:
    from gsa.prediction.predictor import Predictor

MAX_WORDS = 60
"""Words of a text that is explained."""
MAX_PLANS = 8
"""Explanations that are planned or wait for it."""
MAX_CLIENT_PLANS = 2
"""Those of one client."""

Predict = Callable[[Sequence[QueryGroup]], Awaitable[list[list[Prediction]]]]
"""Returns the Predictions of each group, through the queue."""


class Planner:
    """Plans explanations one at a time, in a thread of its own; bounds how many wait for it."""

    def __init__(self) -> None:
        """Make a planner that plans nothing yet."""
        self._pool = ThreadPoolExecutor(1, "gsa-planner")
        self._lock = Lock()
        self._clients: Counter[str] = Counter()

    async def plan(self, make: Callable[[], ExplanationPlan], client: str) -> ExplanationPlan:
        """Return what `make` returns; raises QueueFullError where too many wait, of all or of the client.

        A plan whose caller is cancelled is not begun; one that has begun is finished, and counts until then.
        """
        with self._lock:
            if self._clients.total() >= MAX_PLANS or self._clients[client] >= MAX_CLIENT_PLANS:
                raise QueueFullError(1)
            self._clients[client] += 1
        future = self._pool.submit(make)
        future.add_done_callback(lambda _: self._leave(client))
        return await asyncio.wrap_future(future)

    def _leave(self, client: str) -> None:
        with self._lock:
            self._clients -= Counter([client])  # keeps no client whose count is 0


@dataclass(frozen=True)
class Answers:
    """Predictions of parsed requests, from whatever parts they need."""

    predictor: "Predictor"
    limits: Limits
    planner: Planner = field(default_factory=Planner)

    async def label(self, parsed: ParsedRequest, predict: Predict) -> list[list[Prediction]]:
        """Return the Predictions of each group; of a text that is read in passages a DocumentPrediction.

        Raises InputError for more passages than the queue may hold of one request, if all texts are to be
        read in passages; if only those that are too long are, they keep their truncated answers.
        """
        if parsed.document:
            plan, passages = await self._passages(parsed.groups)
            check_size(passages, self.limits)
            return [[document] for document in await _combined(plan, passages, predict)]
        predictions = await predict(parsed.groups)
        if parsed.document is None:
            tasks = [group.task for group in parsed.groups]
            long = too_long([first for first, *_ in predictions], tasks)
            if not long:
                return predictions
            plan, passages = await self._passages([parsed.groups[i] for i in long])
            try:
                check_size(passages, self.limits)
            except InputError:
                return predictions
            for i, document in zip(long, await _combined(plan, passages, predict), strict=True):
                predictions[i] = [document]
        return predictions

    async def _passages(self, groups: Sequence[QueryGroup]) -> tuple[DocumentPlan, list[QueryGroup]]:
        texts, tasks = [group.examples[0] for group in groups], [group.task for group in groups]
        plan = await asyncio.to_thread(DocumentPlan.of, texts, tasks)
        return plan, [QueryGroup(task, [part]) for part, task in zip(plan.examples, plan.tasks, strict=True)]

    async def explain(self, parsed: ParsedRequest, label: str, predict: Predict, client: str) -> Explanation:
        """Return how much each word of a text, or of a conversation's last turn, moves a label.

        `label` is the one to explain, the predicted one if empty. Raises InputError for more than `MAX_WORDS`
        words, for a conversation whose versions are more than the queue may hold, and as
        `Predictor.explain` does; QueueFullError where too many explanations of `client` or of all wait.
        """
        (group,) = parsed.groups
        conversation, task = group.examples[0].dialogue, group.task
        words = conversation.turns[-1].text.split()
        if len(words) > MAX_WORDS:
            raise InputError(f"text: expected at most {MAX_WORDS} words to explain, found {len(words):,}")
        check_size([group] * len(words), self.limits)  # at least, before the versions are read
        plan = await self.planner.plan(
            lambda: plan_conversation(self.predictor, conversation, task)[0], client
        )
        versions = [QueryGroup(task, [last_turn(conversation, task, text)]) for text in plan.versions]
        check_size(versions, self.limits)
        return plan.explanation([prediction for (prediction,) in await predict(versions)], label)


async def _combined(plan: DocumentPlan, passages: Sequence[QueryGroup], predict: Predict) -> list[Prediction]:
    return list(plan.combine(prediction for (prediction,) in await predict(passages)))
