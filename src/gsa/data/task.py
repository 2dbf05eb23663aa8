"""What is asked of an example: level, instruction, labels. A task is data, not code.

The three instructions are the paper's own (section 4.1); each level's wording contains the
information of the level before: semantic; and contextual; and linguistic (paper, table 2).
"""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

from gsa.errors import InputError


@dataclass(frozen=True)
class Task:
    """An instruction with its closed list of labels."""

    name: str
    """One word: ``sentiment``, ``emotion``, ``sarcasm``, or a recipe's own."""
    level: int
    """1 sentiment analysis, 2 emotion recognition in conversation, 3 sarcasm detection, more by recipe."""
    instruction: str
    labels: tuple[str, ...] = ()
    """Names of the classes, in the order in which prompts list them."""
    words: Mapping[str, str] = field(default_factory=dict)
    """What the model reads and answers for a label, where that is not the label itself."""
    merged: Mapping[str, str] = field(default_factory=dict)
    """Gold labels that are asked as another label: MOSI's neutral counts as positive with two classes."""
    context: bool = True
    """Whether the dialogue around the target is shown; sentiment analysis sees the sentence alone."""

    def word(self, label: str) -> str:
        """Return the answer words of a label."""
        return self.words.get(label, label)

    def canonical_label(self, label: str) -> str:
        """Return the label that is asked for a gold label: itself, or the one it is merged into."""
        return self.merged.get(label, label)

    def with_labels(self, *labels: str, words: Mapping[str, str] | None = None) -> "Task":
        """Return the same question over other labels; raises InputError for fewer than two."""
        task = replace(self, labels=tuple(labels), words=dict(words or {}), merged={})
        answers = [task.word(label) for label in labels]
        if len(labels) < 2 or len(set(answers)) < len(answers) or not all(a.strip() for a in answers):
            raise InputError(
                f"task '{self.name}': expected two or more distinct, non-empty labels, found {answers}"
            )
        return task


SENTIMENT = Task(
    name="sentiment",
    level=1,
    instruction="Consider the semantic information of sentence to determine its sentiment polarity.",
    labels=("negative", "neutral", "positive"),
    context=False,
)

EMOTION = Task(
    name="emotion",
    level=2,
    instruction=(
        "Consider both the semantic information of the target utterance itself and the contextual "
        "information of the dialogue it is situated in."
    ),
    labels=("neutral", "joy", "surprise", "anger", "sadness", "disgust", "fear"),
)

SARCASM = Task(
    name="sarcasm",
    level=3,
    instruction=(
        "Consider whether there is an incongruity between the emotional states of the target utterance's "
        "semantic information and its contextual information, and whether the expression of the target "
        "utterance involves linguistic incongruity."
    ),
    labels=("sarcastic", "non-sarcastic"),
)

TASKS: Mapping[str, Task] = {task.name: task for task in (SENTIMENT, EMOTION, SARCASM)}
