"""The JSON of responses: pydantic models that describe it in the OpenAPI."""

from typing import Any

from pydantic import BaseModel, ConfigDict, Field

from gsa.data.types import Prediction


class Truncation(BaseModel):
    """What the model did not read, because the input is longer than a prompt may be."""

    turns: int = Field(description="Whole turns, those farthest from the target.")
    words: int = Field(description="Words from the middle of the target itself.")


class LabelResponse(BaseModel):
    """The label of one text or turn."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {
                    "label": "negative",
                    "probabilities": {"negative": 0.87, "neutral": 0.09, "positive": 0.04},
                    "truncated": {"turns": 0, "words": 0},
                    "language": "",
                }
            ]
        }
    )

    label: str
    probabilities: dict[str, float] = Field(
        description="Of each label. They sum to 1, unless several labels may hold."
    )
    truncated: Truncation
    language: str = Field(
        description="ISO 639-1 code where the text is plainly not English, otherwise empty; always empty "
        "without the extra `language`."
    )


class LabelsResponse(BaseModel):
    """One label for each text or conversation, in order."""

    predictions: list[LabelResponse]


class TurnLabelsResponse(BaseModel):
    """One label for each turn or aspect; of many conversations or texts a list for each."""

    predictions: list[LabelResponse] | list[list[LabelResponse]]


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
    return {
        "label": prediction.label,
        "probabilities": dict(prediction.probabilities),
        "truncated": truncated,
        "language": prediction.language,
    }
