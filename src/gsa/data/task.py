"""Tasks: level, instruction and label list. A task is data, not code.

The three instructions are the paper's own (section 4.1); each level adds a kind of information to that of the
level before: semantic, contextual, linguistic (paper, table 2).
"""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

from gsa.data.types import unreadable
from gsa.errors import InputError


@dataclass(frozen=True)
class Task:
    """An instruction with its label list."""

    name: str
    """One word: ``sentiment``, ``emotion``, ``sarcasm``, or a recipe's own."""
    level: int
    """1 sentiment analysis, 2 emotion recognition in conversation, 3 sarcasm detection; more in recipes."""
    instruction: str
    labels: tuple[str, ...] = ()
    """Names of the classes, in the order of the prompts."""
    words: Mapping[str, str] = field(default_factory=dict)
    """The words that stand for a label in prompts and answers, where they differ from the label."""
    merged: Mapping[str, str] = field(default_factory=dict)
    """Gold labels merged into another label: MOSI's neutral is positive with two classes."""
    context: bool = True
    """Whether prompts show the dialogue around the target; sentiment analysis shows the sentence alone."""
    about: str = ""
    """The word that introduces an example's aspect in the last line of a prompt; empty for no aspect."""
    multilabel: bool = False
    """Whether several labels may hold at once; prompts then ask each of them (see ``yes_or_no``)."""

    def __post_init__(self) -> None:
        """Raise InputError for an instruction or a label with a character that no tokenizer can read."""
        for text in (self.instruction, *self.labels, *self.words.values()):
            if isinstance(text, str) and (character := unreadable(text)):
                raise InputError(
                    f"task '{self.name}': expected an instruction and labels that can be read, found "
                    f"{character} in {text!r:.60}"
                )

    def word(self, label: str) -> str:
        """Return the words that stand for a label in prompts and answers."""
        return self.words.get(label, label)

    def canonical_label(self, label: str) -> str:
        """Return the label that a gold label is merged into, or the label itself."""
        return self.merged.get(label, label)

    def split_labels(self, label: str) -> tuple[str, ...]:
        """Return the labels that an example's ``label`` stands for: several only in a multi-label task."""
        return tuple(label.split(",")) if self.multilabel else (label,)

    def yes_or_no(self) -> "Task":
        """Return the binary task that a multi-label task asks of each label; any other task unchanged."""
        return replace(self, labels=("yes", "no"), words={}, multilabel=False) if self.multilabel else self

    @property
    def takes_aspect(self) -> bool:
        """Whether who asks names an aspect of the text; a multi-label task names its labels itself."""
        return bool(self.about) and not self.multilabel

    @property
    def queries(self) -> int:
        """The number of prompts of an example: one for each label where several may hold at once."""
        return len(self.labels) if self.multilabel else 1

    def aspect_line(self, aspect: str) -> str:
        """Return the line of a prompt that names the aspect, with white space collapsed."""
        return f"{self.about}: {' '.join(aspect.split())}"

    def with_labels(self, *labels: str, words: Mapping[str, str] | None = None) -> "Task":
        """Return the task with another label list, without white space around the labels.

        Raises InputError for fewer than two labels, for labels that are no texts, and for empty or duplicate
        words.
        """
        for label in labels:
            if not isinstance(label, str):
                raise InputError(f"task '{self.name}': expected labels that are texts, found {label!r:.60}")
        labels = tuple(label.strip() for label in labels)
        task = replace(self, labels=labels, words=dict(words or {}), merged={})
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

ASPECT = Task(
    name="aspect",
    level=4,
    instruction=(
        "Consider the semantic information of sentence to determine the sentiment polarity of the aspect."
    ),
    labels=("negative", "neutral", "positive"),
    context=False,
    about="Aspect",
)

IRONY = Task(
    name="irony",
    level=4,
    instruction="Consider the semantic information of sentence to determine whether it is ironic.",
    labels=("non-ironic", "ironic"),
    context=False,
)

OFFENSE = Task(
    name="offense",
    level=4,
    instruction="Consider the semantic information of sentence to determine whether it is offensive.",
    labels=("not-offensive", "offensive"),
    context=False,
)

HATE = Task(
    name="hate",
    level=4,
    instruction="Consider the semantic information of sentence to determine whether it expresses hate.",
    labels=("not-hate", "hate"),
    context=False,
)

EMOTIONS = Task(
    name="emotions",
    level=4,
    instruction=(
        "Consider the semantic information of sentence to determine whether it expresses the emotion."
    ),
    labels=(
        *("admiration", "amusement", "anger", "annoyance", "approval", "caring", "confusion", "curiosity"),
        *("desire", "disappointment", "disapproval", "disgust", "embarrassment", "excitement", "fear"),
        *("gratitude", "grief", "joy", "love", "nervousness", "optimism", "pride", "realization", "relief"),
        *("remorse", "sadness", "surprise", "neutral"),
    ),
    context=False,
    about="Emotion",
    multilabel=True,
)

TASKS: Mapping[str, Task] = {task.name: task for task in (SENTIMENT, EMOTION, SARCASM)}
