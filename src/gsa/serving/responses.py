"""The JSON of responses: pydantic models that describe it in the OpenAPI."""

from typing import Any

from pydantic import BaseModel, ConfigDict, Field, JsonValue

from gsa.data.types import Prediction
from gsa.prediction.documents import DocumentPrediction, Passage
from gsa.prediction.explain import Explanation


class Truncation(BaseModel):
    """What the model did not read, because the input is longer than a prompt may be."""

    turns: int = Field(description="Whole turns, those farthest from the target.")
    words: int = Field(description="Words from the middle of the target itself.")


class PassageResponse(BaseModel):
    """The label of a passage of a text."""

    start: int = Field(description="Index of its first character in the text.")
    text: str
    label: str
    probabilities: dict[str, float]


EXAMPLE: dict[str, JsonValue] = {
    "label": "negative",
    "probabilities": {"negative": 0.87, "neutral": 0.09, "positive": 0.04},
    "truncated": {"turns": 0, "words": 0},
    "language": "",
}


class _Response(BaseModel):
    warning: str = Field(
        default="", description="Of a whole response, if labels are given that no level was tuned on."
    )


class LabelResponse(_Response):
    """The label of one text or turn."""

    model_config = ConfigDict(json_schema_extra={"examples": [EXAMPLE]})

    label: str
    probabilities: dict[str, float] = Field(
        description="Of each label. They sum to 1, unless several labels may hold."
    )
    truncated: Truncation
    language: str = Field(
        description="ISO 639-1 code where the text is plainly not English, otherwise empty; always empty "
        "without the extra `language`."
    )
    passages: list[PassageResponse] = Field(
        default=[], description="Only of a text that was read in passages; its probabilities are their means."
    )


class LabelsResponse(_Response):
    """One label for each text or conversation, in order."""

    predictions: list[LabelResponse]


class TurnLabelsResponse(_Response):
    """One label for each turn or aspect; of many conversations or texts a list for each."""

    predictions: list[LabelResponse] | list[list[LabelResponse]]


class ExplanationResponse(LabelResponse):
    """A label, and how much each word of the text moves one label."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {
                    **EXAMPLE,
                    "explained": "negative",
                    "words": ["Rude", "staff."],
                    "effects": [4.41, -0.17],
                    "reach": 1,
                }
            ]
        }
    )

    explained: str = Field(description="The label that the effects are of.")
    words: list[str]
    effects: list[float] = Field(
        description="By how much each word raises the log-odds of that label; below 0 where it lowers them."
    )
    reach: int = Field(description="How many words behind a word the text was read with and without it.")


class ErrorResponse(BaseModel):
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
    id: str = Field(description="Id of the request, as in the server's log.")


def as_json(prediction: Prediction) -> dict[str, Any]:
    """Return a Prediction as the JSON of a LabelResponse."""
    truncated = {"turns": prediction.truncated.turns, "words": prediction.truncated.words}
    content: dict[str, Any] = {
        "label": prediction.label,
        "probabilities": dict(prediction.probabilities),
        "truncated": truncated,
        "language": prediction.language,
    }
    if isinstance(prediction, DocumentPrediction):
        content["passages"] = [_passage(passage) for passage in prediction.passages]
    return content


def _passage(passage: Passage) -> dict[str, Any]:
    label, probabilities = passage.prediction.label, dict(passage.prediction.probabilities)
    return {"start": passage.start, "text": passage.text, "label": label, "probabilities": probabilities}


def explanation_as_json(explanation: Explanation) -> dict[str, Any]:
    """Return an Explanation as the JSON of an ExplanationResponse."""
    return {
        **as_json(explanation.prediction),
        "explained": explanation.label,
        "words": list(explanation.words),
        "effects": list(explanation.effects),
        "reach": explanation.reach,
    }
