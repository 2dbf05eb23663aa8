"""From a request's body to the queries that the model answers, and from its Predictions to JSON."""

import ipaddress
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from gsa.data.types import Prediction
from gsa.errors import InputError
from gsa.prediction.documents import check_documents
from gsa.prediction.inputs import dialogue, example
from gsa.serving.limits import Limits
from gsa.serving.responses import as_json
from gsa.serving.scheduler import QueryGroup
from gsa.serving.schemas import (
    AspectRequest,
    ClassifyRequest,
    ConversationRequest,
    ExplainRequest,
    SentenceRequest,
    TextRequest,
    Turn,
)

if TYPE_CHECKING:
    from gsa.prediction.predictor import Predictor

SUBSCRIBER_BITS = 64
"""Of an IPv6 address, those of the network that one subscriber has."""
Body = SentenceRequest | ConversationRequest | ExplainRequest


@dataclass(frozen=True)
class ParsedRequest:
    """The queries of a request, and the form of its answer."""

    groups: Sequence[QueryGroup]
    """One for each text or conversation."""
    many: bool
    """Whether a list was given, so that a list is expected."""
    listed: bool
    """Whether an input has a list of labels, one for each turn or aspect, rather than one label."""
    document: bool | None = False
    """Whether texts are read in passages; None for those that are too long to be read at once."""
    warning: str = ""
    """Of labels that no level was tuned on."""

    def json(self, predictions: Sequence[Sequence[Prediction]]) -> dict[str, Any]:
        """Return the answer's body from the Predictions of each group."""
        return self.with_warning(self._content(predictions))

    def with_warning(self, content: dict[str, Any]) -> dict[str, Any]:
        """Return an answer's body with the warning, if there is one."""
        return {**content, "warning": self.warning} if self.warning else content

    def _content(self, predictions: Sequence[Sequence[Prediction]]) -> dict[str, Any]:
        rows = [[as_json(prediction) for prediction in group] for group in predictions]
        if self.listed:
            return {"predictions": rows if self.many else rows[0]}
        return {"predictions": [row[0] for row in rows]} if self.many else rows[0][0]


def parse_request(
    predictor: "Predictor", limits: Limits, body: Body, task_name: str = "", every_turn: bool = False
) -> ParsedRequest:
    """Return the queries of a body; `task_name` is that of the path, empty where the body names the task.

    Raises InputError for what the predictor would refuse and for more than the queue may hold.
    """
    aspects = body.aspects if isinstance(body, AspectRequest) else []
    if isinstance(body, ClassifyRequest | ExplainRequest):
        task = predictor.task(body.task, body.labels, body.instruction, body.context)
        if task.takes_aspect:
            raise InputError(f"task '{task.name}' reads aspects: expected a request to /v1/aspect")
    elif aspects:
        task = predictor.aspect_task(body.labels)
    else:
        task = predictor.task(task_name, body.labels)
    key = body.input_key()
    if key in ("turns", "conversations") and not task.context:
        raise InputError(
            f"task '{task.name}' reads sentences: expected text or texts in a request to /v1/classify, "
            f"found {key}"
        )
    many = key in ("texts", "conversations")
    items = getattr(body, key) if many else [getattr(body, key)]
    groups = []
    for number, item in enumerate(items, start=1):
        conversation = dialogue(_turns(item), f"{key} {number}" if many else key)
        last = len(conversation.turns) - 1
        targets = range(0 if every_turn else last, last + 1)
        examples = [example(task, conversation, target) for target in targets]
        if aspects:
            examples = [replace(examples[0], aspect=aspect) for aspect in aspects]
        groups.append(QueryGroup(task, examples))
    check_size(groups, limits)
    document = body.document if isinstance(body, TextRequest) else False
    if document:
        check_documents(group.task for group in groups)
    warning = predictor.untuned_labels(body.labels)
    return ParsedRequest(groups, many, every_turn or bool(aspects), document, warning)


def client_of(host: str) -> str:
    """Return who shares a queue with whom: an IPv4 address, or the network that one IPv6 subscriber has."""
    try:
        address = ipaddress.ip_address(host)
    except ValueError:
        return host
    if isinstance(address, ipaddress.IPv4Address):
        return host
    if address.ipv4_mapped:
        return str(address.ipv4_mapped)
    return str(ipaddress.ip_network((address, SUBSCRIBER_BITS), strict=False))


def check_size(groups: Sequence[QueryGroup], limits: Limits) -> None:
    """Raise InputError for groups that are more than the queue may hold of one request."""
    _check_count("labels to predict", sum(map(len, groups)), limits.waiting)
    _check_count("bytes to read", sum(group.size for group in groups), limits.waiting_bytes)


def _turns(item: Any) -> Any:
    if not isinstance(item, list):
        return item
    return [turn.utterance() if isinstance(turn, Turn) else turn for turn in item]


def _check_count(what: str, count: int, limit: int) -> None:
    if count > limit:
        raise InputError(
            f"found {count:,} {what} in one request: expected at most {limit:,}; send it in parts"
        )
