"""What every dataset and every user input becomes: utterances, dialogues, examples."""

import re
from dataclasses import dataclass

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


def sentence(text: str, id: str, dataset: str, label: str | None = None, speaker: str = "") -> Example:
    """Return a lone sentence as an Example: a dialogue of one turn."""
    return Example(id, dataset, Dialogue(id, (Utterance(text, speaker),)), 0, label)


def unreadable(text: str) -> str:
    """Return what of a text no tokenizer can read, as ``the character U+0000``, or an empty string."""
    found = UNREADABLE.search(text)
    return f"the character U+{ord(found[0]):04X}" if found else ""
