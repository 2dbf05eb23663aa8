"""Documents: long texts, read in passages that end between sentences.

Sentences are found by sentencex (Wikimedia's splitter for some 300 languages; no model, no dependencies,
nothing of the text is lost) and put together to passages of up to `PASSAGE` characters. All passages share
the instruction in the trie. The document's probabilities are the means of its passages', each weighted by its
length, so they say how much of the document has which label.
"""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
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
class PassageExample(Example):
    """A passage of a document, to be labelled."""

    language: str = ""
    """Of the whole document, as `language.foreign_language` finds it."""


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
        return _predict_plan(predict, DocumentPlan.of(examples, task_of), progress)
    predictions = predict(examples, tasks, progress)
    if document is None and (long := too_long(predictions, task_of)):
        languages = [predictions[i].language for i in long]
        plan = DocumentPlan.of([examples[i] for i in long], [task_of[i] for i in long], languages)
        for i, prediction in zip(long, _predict_plan(predict, plan), strict=True):
            predictions[i] = prediction
    return predictions


def too_long(predictions: Sequence[Prediction], tasks: Sequence[Task]) -> list[int]:
    """Return which texts were too long to be read at once, of those that can be read in passages.

    There are none without the extra `documents`.
    """
    if not find_spec("sentencex"):
        return []
    return [
        i
        for i, (prediction, task) in enumerate(zip(predictions, tasks, strict=True))
        if prediction.truncated.words and not task.context and not task.multilabel
    ]


@dataclass(frozen=True)
class DocumentPlan:
    """The passages of several documents, and how their predictions are put together."""

    passages: Sequence[Sequence[tuple[int, str]]]
    """Of each document, with where they start."""
    languages: Sequence[str]
    """Of the documents."""
    examples: Sequence[PassageExample]
    """The passages of all documents, in order, to be labelled."""
    tasks: Sequence[Task]
    """Of the examples."""

    @classmethod
    def of(
        cls, documents: Sequence[Example], tasks: Sequence[Task], languages: Sequence[str] = ()
    ) -> "DocumentPlan":
        """Return the passages of documents; `languages` are theirs where they are known already."""
        texts = [document.utterance.text for document in documents]
        languages = languages or [foreign_language(text) for text in texts]
        passages = [passages_of(*pair) for pair in zip(texts, languages, strict=True)]
        parts = [
            (_passage_example(document, text, language), task)
            for document, task, language, own in zip(documents, tasks, languages, passages, strict=True)
            for _, text in own
        ]
        return cls(passages, languages, [part for part, _ in parts], [task for _, task in parts])

    def combine(self, predictions: Iterable[Prediction]) -> list[DocumentPrediction]:
        """Return the prediction of each document from those of all passages, in order."""
        answers = iter(predictions)
        return [
            combine_passages([Passage(text, start, next(answers)) for start, text in passages], language)
            for passages, language in zip(self.passages, self.languages, strict=True)
        ]


def check_documents(tasks: Iterable[Task]) -> None:
    """Raise InputError for a task that does not take texts in passages, and without the extra `documents`."""
    unsuitable = next((task for task in tasks if task.context or task.multilabel), None)
    if unsuitable:
        raise InputError(
            f"task '{unsuitable.name}': expected one of a single label that reads texts for documents"
        )
    if not find_spec("sentencex"):
        raise InputError(MISSING)


def passages_of(text: str, language: str = "") -> list[tuple[int, str]]:
    """Return where each passage of a text starts, and the passage without white space around it.

    `language` is an ISO 639-1 code, whose rules say where sentences end; empty is English. Raises InputError
    without the extra `documents`.
    """
    try:
        import sentencex
    except ImportError:
        raise InputError(MISSING) from None
    pieces = [piece for sentence in sentencex.segment(language or "en", text) for piece in _cut(sentence)]
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


def _predict_plan(
    predict: Predict, plan: DocumentPlan, progress: Callable[[int], None] | None = None
) -> list[Prediction]:
    share = len(plan.passages) / max(1, len(plan.examples))
    done = (lambda count: progress(int(count * share))) if progress else None
    return list(plan.combine(predict(plan.examples, plan.tasks, done)))


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


def _passage_example(document: Example, text: str, language: str) -> PassageExample:
    turns = (Utterance(text, document.utterance.speaker),)
    return PassageExample(
        document.id, document.dataset, Dialogue(document.dialogue.id, turns), 0, aspect=document.aspect,
        language=language,
    )  # fmt: skip
