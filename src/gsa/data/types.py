"""What every dataset and every user input becomes, and what the model answers: examples and predictions."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field

UNREADABLE = re.compile("[\0\ud800-\udfff]")


@dataclass(frozen=True, slots=True)
class Utterance:
    """One turn."""

    text: str
    """What was said; may be empty, may hold any Unicode but no NUL."""
    speaker: str = ""
    """Who said it, if known."""

    def line(self) -> str:
        """Return the turn as the one line that a model reads: ``Speaker: text``, white space folded."""
        text = " ".join(self.text.split())
        speaker = " ".join(self.speaker.split())
        return f"{speaker}: {text}" if speaker else text


@dataclass(frozen=True, slots=True)
class Dialogue:
    """Utterances in order; a lone sentence is a dialogue of one."""

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

    label: str
    """The most probable label."""
    probabilities: Mapping[str, float]
    """Of every label of the task, in its order; they sum to 1."""
    truncated: Truncated = Truncated()
    """What the model did not read."""
    greedy: str | None = field(default=None, repr=False, compare=False)
    """The label that greedy decoding over the whole vocabulary gives (section 5.3), if it gives one."""


def sentence(text: str, id: str, dataset: str, label: str | None = None, speaker: str = "") -> Example:
    """Return a lone sentence as an Example: a dialogue of one turn."""
    return Example(id, dataset, Dialogue(id, (Utterance(text, speaker),)), 0, label)


def unreadable(text: str) -> str:
    """Return what of a text no tokenizer can read, as ``the character U+0000``, or an empty string."""
    found = UNREADABLE.search(text)
    return f"the character U+{ord(found[0]):04X}" if found else ""
