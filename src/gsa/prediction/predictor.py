"""The predictor: a tuned chain that labels texts and conversations, one Prediction each.

Every method goes through `predict`, which packs examples of any tasks and dialogues into shared tries.
"""

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import replace
from functools import cached_property
from typing import Any, overload

from gsa.chain.calibration import Calibration
from gsa.chain.pipeline import Pipeline
from gsa.data.layout import Layout
from gsa.data.task import ASPECT, EMOTION, SARCASM, SENTIMENT, TASKS, Task
from gsa.data.types import Dialogue, Example, Prediction, confident
from gsa.errors import InputError, suggest
from gsa.model.backbone import LoadedModel
from gsa.prediction.documents import PassageExample, predict_texts
from gsa.prediction.explain import Explanation, explain
from gsa.prediction.inputs import (
    Turn,
    as_list,
    aspect_examples,
    dialogue,
    example,
    instruction_text,
    is_many,
    label_list,
    read_conversations,
    report_untuned_aspects,
    report_untuned_labels,
    untuned_labels,
)
from gsa.prediction.language import foreign_language
from gsa.trie.packing import MAX_ROW_TOKENS

Conversation = Turn | Iterable[Turn]


class Predictor:
    """Labels with probabilities. Safe to use from several threads: they take turns."""

    def __init__(
        self,
        loaded: LoadedModel,
        layout: Layout,
        tasks: Mapping[str, Task] = TASKS,
        max_row_tokens: int = MAX_ROW_TOKENS,
        identity: Mapping[str, Any] | None = None,
        calibration: Calibration | None = None,
        tuned: Collection[str] | None = None,
    ) -> None:
        """Wrap a loaded model; `gsa.load` does it for a run, a model folder or a Hugging Face id.

        `tuned` are the names of the tasks that it was tuned on, None for all of `tasks`.
        """
        self.layout = layout
        self.tasks = dict(tasks)
        """What it can be asked, by name: what it was tuned to do, its own levels' tasks first, with the label
        lists that it was tuned on, and the paper's tasks."""
        self.tuned = frozenset(tasks if tuned is None else tuned)
        """Names of the tasks that a level was tuned on."""
        self.identity = dict(identity or {"base": loaded.identity, "precision": loaded.precision})
        """What predictions depend on; two predictors with equal identities give equal predictions."""
        self.precision = loaded.precision
        """Of the weights: float32, the reference, or bfloat16."""
        self.model = loaded.model
        """A transformers model or a LeanLlama; not to be changed."""
        self.tokenizer = loaded.tokenizer
        """Its tokenizer; not to be changed."""
        self.pipeline = Pipeline(loaded, layout, max_row_tokens, calibration)
        """From examples to predictions, calibrated by what was fitted on dev sets with these weights."""

    @cached_property
    def tuned_labels(self) -> tuple[str, ...]:
        """The labels of the tasks that a level was tuned on."""
        return tuple(sorted({label for name in self.tuned for label in self.tasks[name].labels}))

    def untuned_labels(self, labels: Iterable[str]) -> str:
        """Return as a sentence which labels no level was tuned on; empty if one was tuned on all of them."""
        return untuned_labels(tuple(labels), self.tuned_labels)

    def with_model(
        self, loaded: LoadedModel, layout: Layout | None = None, calibration: Calibration | None = None
    ) -> "Predictor":
        """Return a predictor with another model, its layout and calibration, and this one's tasks.

        `layout` is this one's if left out.
        """
        return Predictor(
            loaded,
            layout or self.layout,
            self.tasks,
            self.pipeline.max_row_tokens,
            calibration=calibration,
            tuned=self.tuned,
        )

    @overload
    def sentiment(  # type: ignore[overload-overlap]  # a str is a sequence of str too
        self,
        inputs: str,
        labels: Iterable[str] = (),
        errors: str = "raise",
        min_confidence: float = 0.0,
        document: bool | None = None,
    ) -> Prediction: ...
    @overload
    def sentiment(
        self,
        inputs: Iterable[str],
        labels: Iterable[str] = (),
        errors: str = "raise",
        min_confidence: float = 0.0,
        document: bool | None = None,
    ) -> list[Prediction]: ...
    def sentiment(
        self,
        inputs: str | Iterable[str],
        labels: Iterable[str] = (),
        errors: str = "raise",
        min_confidence: float = 0.0,
        document: bool | None = None,
    ) -> Any:
        """Return the polarity of a text, or of each text of a list or another iterable, in order.

        Each text is read alone. `labels` replaces the label list. A label with a probability below
        `min_confidence` is None. Texts too long to be read at once, or all with `document`, are read in
        passages and give a DocumentPrediction. Raises InputError for an empty text; with `errors` "skip" its
        prediction is None instead.
        """
        return self.classify(
            SENTIMENT.name,
            inputs,
            labels,
            errors=errors,
            min_confidence=min_confidence,
            document=document,
        )

    @overload
    def emotions(  # type: ignore[overload-overlap]
        self,
        conversation: Conversation,
        labels: Iterable[str] = (),
        errors: str = "raise",
        min_confidence: float = 0.0,
    ) -> list[Prediction]: ...
    @overload
    def emotions(
        self,
        conversation: Iterable[Iterable[Turn]],
        labels: Iterable[str] = (),
        errors: str = "raise",
        min_confidence: float = 0.0,
    ) -> list[list[Prediction]]: ...
    def emotions(
        self,
        conversation: Any,
        labels: Iterable[str] = (),
        errors: str = "raise",
        min_confidence: float = 0.0,
    ) -> Any:
        """Return the emotion of every utterance of a conversation: a list as long as its turns.

        A list of conversations gives a list of such lists. Every turn is read once, whatever their
        number. `labels` replaces the label list. A label with a probability below `min_confidence` is None.
        Raises InputError that names an empty turn; with `errors` "skip" it is left out and its prediction is
        None, and so is that of a missing conversation.
        """
        task = self.task(EMOTION.name, labels)
        conversation = as_list(conversation)
        many = is_many(conversation, replace(task, context=True))  # however the task was tuned
        conversations = read_conversations(conversation if many else [conversation], many, errors)
        dialogues = [Dialogue("", tuple(filter(None, turns))) for turns in conversations]
        examples = [example(task, d, target) for d in dialogues for target in range(len(d.turns))]
        predictions = iter(confident(self.predict(examples, task), min_confidence))
        by_dialogue = [
            [next(predictions) if turn else None for turn in turns] or None for turns in conversations
        ]
        return by_dialogue if many else by_dialogue[0]

    @overload
    def sarcasm(  # type: ignore[overload-overlap]
        self,
        conversation: Conversation,
        labels: Iterable[str] = (),
        errors: str = "raise",
        min_confidence: float = 0.0,
    ) -> Prediction: ...
    @overload
    def sarcasm(
        self,
        conversation: Iterable[Iterable[Turn]],
        labels: Iterable[str] = (),
        errors: str = "raise",
        min_confidence: float = 0.0,
    ) -> list[Prediction]: ...
    def sarcasm(
        self,
        conversation: Any,
        labels: Iterable[str] = (),
        errors: str = "raise",
        min_confidence: float = 0.0,
    ) -> Any:
        """Return whether the last turn of a conversation is sarcastic; the turns before it are its context.

        A list of conversations gives a list. A label with a probability below `min_confidence` is None.
        Raises InputError that names an empty turn; with `errors` "skip" it is left out, and the prediction is
        None if it is the last one.
        """
        return self.classify(SARCASM.name, conversation, labels, errors=errors, min_confidence=min_confidence)

    @overload
    def aspects(  # type: ignore[overload-overlap]
        self,
        text: str,
        aspects: Sequence[str],
        labels: Sequence[str] = (),
        min_confidence: float = 0.0,
    ) -> list[Prediction]: ...
    @overload
    def aspects(
        self,
        text: Sequence[str],
        aspects: Sequence[Sequence[str]],
        labels: Sequence[str] = (),
        min_confidence: float = 0.0,
    ) -> list[list[Prediction]]: ...
    def aspects(
        self, text: Any, aspects: Any, labels: Sequence[str] = (), min_confidence: float = 0.0
    ) -> Any:
        """Return the polarity of each aspect in a text, in order; the text is read once for all of them.

        A list of texts takes a list of aspects for each and gives a list of lists. A label with a probability
        below `min_confidence` is None. Raises InputError for an empty text or aspect, and for aspects that
        are no list.
        """
        task = self.aspect_task(labels)
        if not any(known.takes_aspect for known in self.tasks.values()):
            report_untuned_aspects(self.identity["base"])
        text = as_list(text)
        many = isinstance(text, list | tuple)
        texts, lists = (text, as_list(aspects)) if many else ([text], [aspects])
        examples = aspect_examples(task, texts, lists)
        answers = self.predict([one for group in examples for one in group], task)
        predictions = iter(confident(answers, min_confidence))
        by_text = [[next(predictions) for _ in group] for group in examples]
        return by_text if many else by_text[0]

    def classify(
        self,
        task: str | Task,
        inputs: Any,
        labels: Iterable[str] = (),
        instruction: str = "",
        context: bool = False,
        errors: str = "raise",
        min_confidence: float = 0.0,
        document: bool | None = None,
    ) -> Any:
        """Return a task's label of one input, or of each of a list, in order.

        `task` is one of `tasks`, a Task, or a new name with `instruction` and `labels`. A task that reads
        sentences takes a text or a list of texts; one that reads dialogues, as a new one does with
        `context`, takes a conversation or a list of them, and labels the last turn. A label with a
        probability below `min_confidence` is None. A text too long to be read at once, or any with
        `document`, is read in passages and gives a DocumentPrediction; `document=False` leaves its middle
        out instead. Raises InputError for an unknown task or an empty text; with `errors` "skip" the
        prediction of an empty or missing text, or of a conversation whose last turn is one, is None.
        """
        chosen = self.task(task, labels, instruction, context)
        inputs = as_list(inputs)
        many = is_many(inputs, chosen)
        conversations = read_conversations(inputs if many else [inputs], many, errors)
        present = [turns for turns in conversations if turns and turns[-1]]
        dialogues = [Dialogue("", tuple(filter(None, turns))) for turns in present]
        examples = [example(chosen, d, len(d.turns) - 1) for d in dialogues]
        read = predict_texts(self.predict, examples, chosen, document)
        answers = iter(confident(read, min_confidence))
        predictions = [next(answers) if turns and turns[-1] else None for turns in conversations]
        return predictions if many else predictions[0]

    def task(
        self, task: str | Task, labels: Iterable[str] = (), instruction: str = "", context: bool = False
    ) -> Task:
        """Return a task by name with its label list or another; raises InputError for an unknown name.

        With `context` it reads the turns before the target, whether or not it was tuned to. Labels that no
        level was tuned on are logged, and a likely misspelling of one that was is a warning.
        """
        labels, instruction = label_list(labels), instruction_text(instruction)
        if isinstance(task, str):
            if instruction:
                known = self.tasks.get(task, Task(task, 4, "", context=False))
                task = replace(known, instruction=instruction)
            elif task in self.tasks:
                task = self.tasks[task]
            else:
                near = suggest(task, self.tasks)
                raise InputError(
                    f"task '{task}': unknown{near}: expected one of {sorted(self.tasks)}, "
                    "or a task of your own with its instruction and labels"
                )
        elif not isinstance(task, Task):
            raise InputError(f"task: expected a name or a Task, found {task!r:.60}")
        task = replace(task, context=True) if context else task
        task = task.with_labels(*labels) if labels or not task.labels else task
        if labels:
            report_untuned_labels(tuple(labels), self.tuned_labels)
        return task

    def aspect_task(self, labels: Iterable[str] = ()) -> Task:
        """Return the task that asks about an aspect, with its label list or another.

        It is the model's own `aspect`, otherwise its only task about an aspect, otherwise the generic one.
        """
        tuned = {name: task for name, task in self.tasks.items() if task.takes_aspect}
        only = next(iter(tuned.values())) if len(tuned) == 1 else ASPECT
        return self.task(tuned.get(ASPECT.name, only), labels)

    def predict(
        self,
        examples: Sequence[Example],
        tasks: str | Task | Sequence[str | Task],
        progress: Callable[[int], None] | None = None,
    ) -> list[Prediction]:
        """Return one Prediction an example, in order.

        `tasks` is one task, or its name, for all examples, or a list of one an example. Examples of one task
        share its instruction, those of one Dialogue object its turns. Of a multi-label task all labels that
        hold are one label, with commas between. `progress` is called with the number of examples done. Raises
        InputError for what is no Example, an unknown task, and another number of tasks.
        """
        examples = as_list(examples, "examples")
        if not isinstance(examples, list | tuple):
            raise InputError(f"examples: expected a list of Examples, found {examples!r:.60}")
        for number, one in enumerate(examples, start=1):
            if not isinstance(one, Example):
                raise InputError(f"example {number}: expected an Example, found {one!r:.60}")
        predictions = self.pipeline.predict(examples, self._tasks_of(examples, tasks), progress)
        return [
            replace(prediction, language=_language(example))
            for prediction, example in zip(predictions, examples, strict=True)
        ]

    def _tasks_of(self, examples: Sequence[Example], tasks: Any) -> Task | list[Task]:
        """Return tasks as the pipeline takes them, where names stand for tasks of the model."""
        tasks = as_list(tasks, "tasks")
        if isinstance(tasks, Task):
            return tasks
        if not isinstance(tasks, list | tuple):
            return self.task(tasks)
        if len(tasks) != len(examples):
            raise InputError(
                f"tasks: expected one for all examples or one an example, found {len(tasks)} for "
                f"{len(examples)} examples"
            )
        return [task if isinstance(task, Task) else self.task(task) for task in tasks]

    def explain(
        self, inputs: Conversation, task: str | Task = SENTIMENT.name, label: str = "", exact: bool = False
    ) -> Explanation:
        """Return how much each word of a text, or of the last turn of a conversation, moves its label.

        `label` is the label to explain, the predicted one if empty. The tokens of at most three plain
        readings are computed, unless `exact` reads every version of the text to its end. Raises InputError
        for an empty text, and for one that is too long to be read in full.
        """
        return explain(self, dialogue(inputs, "text"), self.task(task), label, exact)


def _language(example: Example) -> str:
    """Return the language of an example's text, of a passage that of its document."""
    if isinstance(example, PassageExample):
        return example.language
    return foreign_language(example.utterance.text)
