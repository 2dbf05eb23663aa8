"""Documents: long texts, read in passages that end between sentences.

Sentences are found by sentencex (Wikimedia's splitter for some 300 languages; no model, no dependencies,
nothing of the text is lost) and put together to passages of up to `PASSAGE` characters. All passages share
the instruction in the trie. The document's probabilities are the means of its passages', each weighted by its
length, so they say how much of the document has which label.
"""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from importlib.util import find_spec

from gsa.data.task import Task
from gsa.data.types import Dialogue, Example, Prediction, Truncated, Utterance
from gsa.errors import InputError
from gsa.prediction.language import foreign_language

PASSAGE = 240
"""Characters of a passage, unless one sentence is longer: some 40 words of English."""
LONGEST_SENTENCE = 1200
"""Characters of a sentence that is not cut at white space."""
MISSING = (
    "documents are split by the package sentencex, which is not installed: expected the extra `documents`"
)

Predict = Callable[[Sequence[Example], Task | Sequence[Task], Callable[[int], None] | None], list[Prediction]]
"""The signature of `Predictor.predict`."""


@dataclass(frozen=True, slots=True)
class Passage:
    """A part of a document, and its prediction."""

    text: str
    start: int
    """Index of its first character in the document."""
    prediction: Prediction


@dataclass(frozen=True, slots=True)
class DocumentPrediction(Prediction):
    """The label of a document: the most probable one of the passages' mean."""

    passages: tuple[Passage, ...] = ()
    """In order; nothing but white space is between them."""


def predict_texts(
    predict: Predict,
    examples: Sequence[Example],
    tasks: Task | Sequence[Task],
    document: bool | None = None,
    progress: Callable[[int], None] | None = None,
) -> list[Prediction]:
    """Return one prediction an example, in order, a DocumentPrediction where it was read in passages.

    `tasks` is one task for all examples, or one an example. Texts are read in passages if `document` is True;
    if it is None, those that are too long to be read at once, where sentencex is installed. Raises InputError
    if True where that is missing, for a task that reads conversations, and for one of several labels.
    """
    task_of = [tasks] * len(examples) if isinstance(tasks, Task) else list(tasks)
    if document:
        check_documents(task_of)
        return _predict_documents(predict, examples, task_of, progress)
    predictions = predict(examples, tasks, progress)
    if document is None and find_spec("sentencex"):
        long = [
            i
            for i, (prediction, task) in enumerate(zip(predictions, task_of, strict=True))
            if prediction.truncated.words and not task.context and not task.multilabel
        ]
        if long:
            documents = _predict_documents(
                predict, [examples[i] for i in long], [task_of[i] for i in long], None
            )
            for i, prediction in zip(long, documents, strict=True):
                predictions[i] = prediction
    return predictions


def check_documents(tasks: Iterable[Task]) -> None:
    """Raise InputError for a task that does not take texts in passages, and without the extra `documents`."""
    unsuitable = next((task for task in tasks if task.context or task.multilabel), None)
    if unsuitable:
        raise InputError(
            f"task '{unsuitable.name}': expected one of a single label that reads texts for documents"
        )
    if not find_spec("sentencex"):
        raise InputError(MISSING)


def passages_of(text: str) -> list[tuple[int, str]]:
    """Return where each passage of a text starts, and the passage without white space around it.

    Raises InputError without the extra `documents`.
    """
    try:
        import sentencex
    except ImportError:
        raise InputError(MISSING) from None
    pieces = [
        piece
        for sentence in sentencex.segment(foreign_language(text) or "en", text)
        for piece in _cut(sentence)
    ]
    passages: list[tuple[int, str]] = []
    start, passage = 0, ""
    for piece in [*pieces, ""]:
        if passage.strip() and (not piece or len(passage) + len(piece.rstrip()) > PASSAGE):
            indent = len(passage) - len(passage.lstrip())
            passages.append((start + indent, passage.strip()))
            start, passage = start + len(passage), ""
        passage += piece
    return passages


def _cut(sentence: str) -> list[str]:
    """Return a sentence in parts of at most `LONGEST_SENTENCE` characters, cut at white space if it can."""
    parts = []
    while len(sentence) > LONGEST_SENTENCE:
        stop = max(sentence.rfind(" ", 0, LONGEST_SENTENCE), sentence.rfind("\n", 0, LONGEST_SENTENCE)) + 1
        parts.append(sentence[: stop or LONGEST_SENTENCE])
        sentence = sentence[stop or LONGEST_SENTENCE :]
    return [*parts, sentence]


def _predict_documents(
    predict: Predict,
    examples: Sequence[Example],
    tasks: Sequence[Task],
    progress: Callable[[int], None] | None,
) -> list[Prediction]:
    passages = [passages_of(example.utterance.text) for example in examples]
    parts = [
        (_with_text(example, text), task)
        for example, task, own in zip(examples, tasks, passages, strict=True)
        for _, text in own
    ]
    share = len(examples) / max(1, len(parts))
    done = (lambda count: progress(int(count * share))) if progress else None
    answers = iter(predict([part for part, _ in parts], [task for _, task in parts], done))
    predictions: list[Prediction] = []
    for example, own in zip(examples, passages, strict=True):
        read = tuple(Passage(text, start, next(answers)) for start, text in own)
        predictions.append(combine_passages(read, foreign_language(example.utterance.text)))
    return predictions


def combine_passages(passages: Sequence[Passage], language: str = "") -> DocumentPrediction:
    """Return the prediction of a document: the mean of its passages', weighted by their characters."""
    total = sum(len(passage.text) for passage in passages)
    probabilities = {
        label: sum(len(p.text) * p.prediction.probabilities[label] for p in passages) / total
        for label in passages[0].prediction.probabilities
    }
    return DocumentPrediction(
        label=max(probabilities, key=lambda label: probabilities[label]),
        probabilities=probabilities,
        truncated=Truncated(words=sum(passage.prediction.truncated.words for passage in passages)),
        language=language,
        passages=tuple(passages),
    )


def _with_text(example: Example, text: str) -> Example:
    turn = Utterance(text, example.utterance.speaker)
    return replace(example, dialogue=Dialogue(example.dialogue.id, (turn,)), target=0)
