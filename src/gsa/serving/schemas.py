"""What requests and answers look like as JSON: the pydantic models that check them and make the OpenAPI.

The example texts are invented. Sizes are checked in `asking`, because they are settings of the server.
"""

from typing import Annotated, Any, Self

from pydantic import BaseModel, ConfigDict, FailFast, Field, StrictBool, model_validator

MOST_KEYS = 16
"""Of an object; more than any has, so that a wrong one of thousands of keys is not an error for each."""
KEYS = ("text", "texts", "turns", "conversations")
"""What a request may label."""
SAID = "The zip broke on the second day."
TALK: list[Any] = [
    {"speaker": "Mara", "text": "My suitcase came back without its wheels."},
    {"speaker": "Desk", "text": "Oh no! All of them?"},
    {"speaker": "Mara", "text": "Every single one. Great service, as always."},
]


def _without_default(schema: dict[str, Any]) -> None:
    del schema["default"]


ABSENT: Any = Field(default=None, json_schema_extra=_without_default)
"""A key that may be left out, but is never null."""
LABELS: Any = Field(
    default=[], description="Other labels than those that the model was tuned on: two or more."
)


def _one_of(*names: str) -> dict[str, Any]:
    """Return the JSON schema of "exactly one of these keys"."""
    return {"oneOf": [{"required": [name]} for name in names]}


class _Object(BaseModel):
    """An object of a request; unknown keys are refused."""

    model_config = ConfigDict(extra="forbid")

    @model_validator(mode="before")
    @classmethod
    def _few_keys(cls, given: Any) -> Any:
        if isinstance(given, dict) and len(given) > MOST_KEYS:
            raise ValueError(f"expected at most {MOST_KEYS} keys, found {len(given):,}")
        return given


class _Body(_Object):
    """A request."""

    def given(self) -> str:
        """Return the one key among text, texts, turns, conversations that says what to label."""
        (name,) = self._keys()
        return name

    def _keys(self) -> list[str]:
        return [name for name in KEYS if getattr(self, name, None) is not None]

    @model_validator(mode="after")
    def _exactly_one(self) -> Self:
        if len(self._keys()) != 1:
            known = " and ".join(name for name in KEYS if name in type(self).model_fields)
            found = " and ".join(self._keys()) or "none"
            raise ValueError(f"expected exactly one of {known}, found {found}")
        return self


class Turn(_Object):
    """One turn of a conversation."""

    text: str
    speaker: str = ""


# Lists stop at their first error, as only one is told.
Texts = Annotated[list[str], FailFast()]
Talk = Annotated[list[Annotated[str | Turn, Field(union_mode="left_to_right")]], FailFast()]
Talks = Annotated[list[Talk], FailFast()]


class Sentences(_Body):
    """A text, or many that are each read alone."""

    model_config = ConfigDict(
        json_schema_extra={
            **_one_of("text", "texts"),
            "examples": [{"text": SAID}, {"texts": ["Arrived early, works like a charm.", SAID]}],
        }
    )

    text: str = ABSENT
    texts: Texts = ABSENT
    labels: Texts = LABELS


class Conversations(_Body):
    """A conversation, or many; a turn is a text, or an object with its text and speaker."""

    model_config = ConfigDict(
        json_schema_extra={
            **_one_of("turns", "conversations"),
            "examples": [{"turns": TALK}, {"conversations": [TALK, ["My bike is gone!", "I am so sorry."]]}],
        }
    )

    turns: Talk = ABSENT
    conversations: Talks = ABSENT
    labels: Texts = LABELS


class Anything(_Body):
    """A task of the model by its name, or one of your own with its instruction and labels."""

    model_config = ConfigDict(
        json_schema_extra={
            **_one_of("text", "texts", "turns", "conversations"),
            "examples": [
                {
                    "task": "urgency",
                    "instruction": "Consider the semantic information of sentence to tell how urgent it is.",
                    "labels": ["urgent", "can wait"],
                    "texts": ["Call me now!", "No hurry with the invoice."],
                },
                {"task": "sarcasm", "turns": TALK},
            ],
        }
    )

    task: str
    instruction: str = ""
    context: StrictBool = Field(default=False, description="Read the turns before the last one, too.")
    labels: Texts = LABELS
    text: str = ABSENT
    texts: Texts = ABSENT
    turns: Talk = ABSENT
    conversations: Talks = ABSENT


class Truncated(BaseModel):
    """What the model did not read, because the input is longer than a prompt may be."""

    turns: int = Field(description="Whole turns, those farthest from the target.")
    words: int = Field(description="Words from the middle of the target itself.")


class Label(BaseModel):
    """The label of one text or turn."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {
                    "label": "negative",
                    "probabilities": {"negative": 0.87, "neutral": 0.09, "positive": 0.04},
                    "truncated": {"turns": 0, "words": 0},
                }
            ]
        }
    )

    label: str
    probabilities: dict[str, float] = Field(description="Of every label of the list; they sum to 1.")
    truncated: Truncated


class Labels(BaseModel):
    """One label an item, in order."""

    predictions: list[Label]


class Emotions(BaseModel):
    """One label a turn; of many conversations a list for each."""

    predictions: list[Label] | list[list[Label]]


class Error(BaseModel):
    """What went wrong, in one sentence."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {
                    "error": "text: expected a text, found an empty one",
                    "id": "4f1c0a52d9e84f7b9c0f3c8f4d2a6b10",
                }
            ]
        }
    )

    error: str
    id: str = Field(description="Of the request; the server's log has it too.")
