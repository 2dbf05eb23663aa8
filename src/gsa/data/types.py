"""The core types: utterances, dialogues and examples in, predictions out."""

import re
import unicodedata
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from numbers import Real

from gsa.errors import InputError

UNREADABLE = re.compile("[\0\ud800-\udfff]")
"""NUL and surrogates."""
INVISIBLE = frozenset(("Cc", "Cf", "Mn", "Me"))
"""Unicode categories of characters that show nothing by themselves: controls, zero-width ones, marks."""


@dataclass(frozen=True, slots=True)
class Utterance:
    """One turn."""

    text: str
    """May be empty; may contain any Unicode character except NUL and surrogates."""
    speaker: str = ""
    """Name of the speaker, if known."""

    def line(self) -> str:
        """Return the turn as one line of a prompt: ``Speaker: text``, with white space collapsed."""
        text = " ".join(self.text.split())
        speaker = " ".join(self.speaker.split())
        return f"{speaker}: {text}" if speaker else text

    @property
    def whole(self) -> str:
        """The text that it is, or was taken from."""
        return self.text


@dataclass(frozen=True, slots=True)
class UtteranceVersion(Utterance):
    """A turn without some of its words."""

    original: str = ""
    """The text with all its words."""

    @property
    def whole(self) -> str:
        """The text with all its words."""
        return self.original


@dataclass(frozen=True, slots=True)
class Dialogue:
    """Utterances in order; a single sentence is a dialogue of one."""

    id: str
    """Unique within a dataset and split, stable between versions of this package."""
    turns: tuple[Utterance, ...]


@dataclass(frozen=True, slots=True)
class Example:
    """A target utterance in its dialogue, and its gold label if one is known."""

    id: str
    """Unique within a dataset and split, stable between versions of this package."""
    dataset: str
    dialogue: Dialogue
    """Shared by all examples of one dialogue (the same object)."""
    target: int
    """Index of the target utterance in ``dialogue.turns``."""
    label: str | None = None
    """Of a task that allows several labels, those that hold, in the task's order with commas between."""
    aspect: str = ""
    """What is asked about, for a task that says so: an aspect term, or a label that is asked yes or no."""

    @property
    def utterance(self) -> Utterance:
        """The target utterance."""
        return self.dialogue.turns[self.target]


@dataclass(frozen=True, slots=True)
class Truncated:
    """What was left out of a prompt because it was too long; false where nothing was."""

    turns: int = 0
    """Whole turns of the dialogue, those farthest from the target."""
    words: int = 0
    """Words from the middle of the target itself."""

    def __bool__(self) -> bool:
        return bool(self.turns or self.words)


@dataclass(frozen=True, slots=True)
class Prediction:
    """The label of one text or utterance."""

    label: str | None
    """The most probable label; None where its probability is below a `min_confidence`."""
    probabilities: Mapping[str, float]
    """Of every label of the task, in its order; they sum to 1, except those of a multi-label task."""
    truncated: Truncated = Truncated()
    """What the model did not read."""
    language: str = ""
    """ISO 639-1 code of the text's language where it is plainly not English, which the shipped model reads;
    empty for English, for a text too short to tell, and without the extra `language`."""
    greedy: str | None = field(default=None, repr=False, compare=False)
    """The label that greedy decoding over the whole vocabulary gives (section 5.3), if it gives one."""

    @property
    def likeliest(self) -> str:
        """The most probable label, however confident."""
        return self.label or max(self.probabilities, key=lambda label: self.probabilities[label])

    @property
    def labels(self) -> tuple[str, ...]:
        """The labels that hold: one, several of a multi-label task, none where `label` is None."""
        if self.label is None or self.label in self.probabilities:
            return () if self.label is None else (self.label,)
        return tuple(self.label.split(","))

    @property
    def confidence(self) -> float:
        """The highest of the probabilities."""
        return max(self.probabilities.values())

    @property
    def score(self) -> float | None:
        """The probability of positive minus that of negative, from -1 to 1; None without these labels."""
        if not {"positive", "negative"} <= self.probabilities.keys():
            return None
        return self.probabilities["positive"] - self.probabilities["negative"]


def confident(predictions: Sequence[Prediction], min_confidence: float) -> list[Prediction]:
    """Return the predictions without the labels whose probability is below `min_confidence`.

    Raises InputError unless that is from 0 to 1.
    """
    if not isinstance(min_confidence, Real) or not 0 <= min_confidence <= 1:
        raise InputError(f"min_confidence: expected a number from 0 to 1, found {min_confidence!r:.60}")
    return [p if p.confidence >= min_confidence else replace(p, label=None) for p in predictions]


def sentence(text: str, id: str, dataset: str, label: str | None = None, speaker: str = "") -> Example:
    """Return a single sentence as an Example: a dialogue of one turn."""
    return Example(id, dataset, Dialogue(id, (Utterance(text, speaker),)), 0, label)


def unreadable(text: str) -> str:
    """Return the first character that no tokenizer can read, as ``the character U+0000``, ``""`` if none."""
    match = UNREADABLE.search(text)
    return f"the character U+{ord(match[0]):04X}" if match else ""


def is_blank(text: str) -> bool:
    """Return whether a text shows nothing: it has white space and zero-width characters alone, or none."""
    return all(char.isspace() or unicodedata.category(char) in INVISIBLE for char in text)
