"""The JSON of requests: pydantic models that validate it and describe it in the OpenAPI.

The example texts are invented.
"""

from collections.abc import Iterable
from typing import Annotated, Any, Self

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Discriminator,
    FailFast,
    Field,
    StrictBool,
    StringConstraints,
    Tag,
    WithJsonSchema,
    model_validator,
)

from gsa.data.task import SENTIMENT
from gsa.data.types import Utterance, is_blank, unreadable
from gsa.datasets.cells import as_name
from gsa.errors import suggest
from gsa.prediction.inputs import missing_text

MAX_ITEMS = 128
"""Texts or conversations in a request."""
MAX_TURNS = 256
MAX_TEXT = 8_000
"""Characters of a text or speaker; a prompt of 1,024 tokens holds about half of that."""
MAX_LABELS, MAX_LABEL = 64, 100
"""Labels in a list, and characters of a label or a task's name."""
MAX_INSTRUCTION = 1_000
MAX_KEYS = 16
"""Keys of an object; more than any has, so that thousands of unknown ones do not give an error each."""
TAGS = ("<text>", "<turn>")
"""Of the two forms of a turn, in the locations of errors; not keys that a client writes."""
INPUTS = ("text", "texts", "turns", "conversations")
"""Keys of a request that hold what is labelled."""


def _drop_default(schema: dict[str, Any]) -> None:
    del schema["default"]


def _absent(description: str) -> Any:
    """Return a key that may be left out, but is never null."""
    return Field(default=None, json_schema_extra=_drop_default, description=description)


ABSENT: Any = Field(default=None, json_schema_extra=_drop_default)
"""A key that may be left out, but is never null."""
TEXT = "The zip broke on the second day."
CONVERSATION: list[Any] = [
    {"speaker": "Mara", "text": "My suitcase came back without its wheels."},
    {"speaker": "Desk", "text": "Oh no! All of them?"},
    {"speaker": "Mara", "text": "Every single one. Great service, as always."},
]


def _readable(text: str) -> str:
    if problem := unreadable(text):
        raise ValueError(f"expected a text, found {problem}")
    return text


def _not_empty(text: str) -> str:
    if is_blank(text):
        raise ValueError("expected a text, found an empty one")
    return text


def _speaker(value: object) -> object:
    """Return a speaker who is a number as a text, and an empty text for null."""
    name = as_name(value)
    return value if name is None else name


def keys_of(location: Iterable[int | str]) -> list[int | str]:
    """Return the location of a validation error as the keys and indices of the request."""
    return [part for part in location if part not in TAGS]


class _Object(BaseModel):
    """An object of a request; unknown keys are refused."""

    model_config = ConfigDict(extra="forbid")

    @model_validator(mode="before")
    @classmethod
    def _check_keys(cls, value: Any) -> Any:
        if isinstance(value, dict):
            if len(value) > MAX_KEYS:
                raise ValueError(f"expected at most {MAX_KEYS} keys, found {len(value):,}")
            unknown = [key for key in value if key not in cls.model_fields]
            if unknown and cls.model_config["extra"] == "forbid":
                raise ValueError(f"unknown key {unknown[0]!r:.60}{suggest(unknown[0], cls.model_fields)}")
        return value


Text = Annotated[str, StringConstraints(max_length=MAX_TEXT), AfterValidator(_readable)]
Speaker = Annotated[
    Text,
    BeforeValidator(_speaker),
    WithJsonSchema(
        {"anyOf": [{"type": "string", "maxLength": MAX_TEXT}, {"type": "number"}, {"type": "null"}]}
    ),
]
Label = Annotated[str, StringConstraints(max_length=MAX_LABEL), AfterValidator(_readable)]
Aspect = Annotated[Label, AfterValidator(_not_empty)]
Instruction = Annotated[str, StringConstraints(max_length=MAX_INSTRUCTION), AfterValidator(_readable)]


class Turn(_Object):
    """One turn of a conversation: `text` and `speaker`, or `content` and `role`; other keys are ignored."""

    model_config = ConfigDict(extra="ignore")

    text: Text = ABSENT
    content: Text = ABSENT
    speaker: Speaker = ""
    role: Speaker = ""

    @model_validator(mode="before")
    @classmethod
    def _check_text(cls, value: Any) -> Any:
        if isinstance(value, dict) and "text" not in value and "content" not in value:
            raise ValueError(missing_text(value))
        return value

    def utterance(self) -> Utterance:
        """Return the turn."""
        text = self.content if self.text is None else self.text
        return Utterance(text, self.speaker or self.role)


TextOrTurn = Annotated[
    Annotated[Text, Tag(TAGS[0])] | Annotated[Turn, Tag(TAGS[1])],
    Discriminator(lambda turn: TAGS[0] if isinstance(turn, str) else TAGS[1]),
]
# A list stops at its first error, because only one is reported.
Texts = Annotated[list[Text], Field(max_length=MAX_ITEMS), FailFast()]
Conversation = Annotated[list[TextOrTurn], Field(min_length=1, max_length=MAX_TURNS), FailFast()]
Conversations = Annotated[list[Conversation], Field(max_length=MAX_ITEMS), FailFast()]
Labels = Annotated[list[Label], Field(max_length=MAX_LABELS), FailFast()]


class _Request(_Object):
    """A request: exactly one of the keys of INPUTS that its class has, and other labels than the task's."""

    labels: Labels = Field(default=[], description="Two or more, instead of those of the task.")

    def input_key(self) -> str:
        """Return the one key that holds what is labelled."""
        (name,) = self._input_keys()
        return name

    def _input_keys(self) -> list[str]:
        return [name for name in INPUTS if getattr(self, name, None) is not None]

    @model_validator(mode="after")
    def _check_one_input(self) -> Self:
        if len(self._input_keys()) != 1:
            known = " and ".join(name for name in INPUTS if name in type(self).model_fields)
            given = " and ".join(self._input_keys()) or "none"
            raise ValueError(f"expected exactly one of {known}, found {given}")
        return self


class SentenceRequest(_Request):
    """A text, or many that are each read alone: `text` or `texts`."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [{"text": TEXT}, {"texts": ["Arrived early, works like a charm.", TEXT]}]
        }
    )

    text: Text = ABSENT
    texts: Texts = ABSENT


class TextRequest(SentenceRequest):
    """A text, or many, that may be long."""

    document: StrictBool = _absent(
        "Read every text in passages; by default those that are too long to be read at once."
    )


class AspectRequest(SentenceRequest):
    """Aspects of a text, or of each of many; a text is read once for all of its aspects."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {"text": "The food was great, the service slow.", "aspects": ["food", "service"]},
                {"texts": ["Great food.", "Slow service."], "aspects": ["food", "service"]},
            ]
        }
    )

    aspects: Annotated[list[Aspect], Field(min_length=1, max_length=MAX_LABELS), FailFast()]


class ConversationRequest(_Request):
    """A conversation, or many: `turns` or `conversations`. A turn is a text or an object with a speaker."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {"turns": CONVERSATION},
                {"conversations": [CONVERSATION, ["My bike is gone!", "I am so sorry."]]},
            ]
        }
    )

    turns: Conversation = ABSENT
    conversations: Conversations = ABSENT


class ClassifyRequest(TextRequest, ConversationRequest):
    """A task of the model by its name, or one of your own with its instruction and labels.

    Exactly one of `text`, `texts`, `turns` and `conversations` is expected.
    """

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {
                    "task": "urgency",
                    "instruction": "Consider the semantic information of sentence to tell how urgent it is.",
                    "labels": ["urgent", "can wait"],
                    "texts": ["Call me now!", "No hurry with the invoice."],
                },
                {"task": "sarcasm", "turns": CONVERSATION},
            ],
        }
    )

    task: Label
    instruction: Instruction = ""
    context: StrictBool = Field(default=False, description="Read the turns before the last one as well.")


class ExplainRequest(_Request):
    """A text, or a conversation whose last turn is explained, and the task: `text` or `turns`."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [{"text": TEXT}, {"task": "sarcasm", "turns": CONVERSATION, "label": "sarcastic"}]
        }
    )

    text: Text = ABSENT
    turns: Conversation = ABSENT
    task: Label = SENTIMENT.name
    label: Label = Field(default="", description="The label that is explained, the predicted one if empty.")
    instruction: Instruction = ""
    context: StrictBool = Field(default=False, description="Read the turns before the last one as well.")
