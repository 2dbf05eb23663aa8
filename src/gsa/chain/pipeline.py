"""The pipeline from examples to calibrated predictions: encode, score, combine, calibrate.

Evaluation and prediction share it, so that a score is measured on exactly what users get.
"""

from collections.abc import Callable, Sequence
from dataclasses import replace
from itertools import groupby
from threading import Lock
from typing import Any

from gsa.chain.calibration import Calibration, combine_labels
from gsa.data.encoder import Encoder, Prompt
from gsa.data.layout import Layout
from gsa.data.selection import yes_or_no_examples
from gsa.data.task import Task
from gsa.data.token_counts import TokenCountCache
from gsa.data.types import Example, Prediction
from gsa.model.backbone import LoadedModel
from gsa.model.scoring import score
from gsa.model.validation import refuse_unsuitable
from gsa.trie.packing import MAX_ROW_TOKENS

CHUNK = 1024
"""Examples that are encoded before they are scored; bounds memory, and how long other threads wait."""
ENCODERS = 64
"""Tasks whose encoder is kept: those used last."""
ProgressCallback = Callable[[int], None]
"""Called with the number of examples done."""


class Pipeline:
    """A loaded model with its layout and calibration. Safe to use from several threads.

    They take turns at encoding and, apart from that, at the model.
    """

    def __init__(
        self,
        loaded: LoadedModel,
        layout: Layout,
        max_row_tokens: int = MAX_ROW_TOKENS,
        calibration: Calibration | None = None,
    ) -> None:
        """`max_row_tokens` bounds the memory of a forward pass.

        Raises InputError for a model whose window or positions are shorter than the layout's prompts.
        """
        config = getattr(loaded.model, "config", None)  # the model of a server has none
        if config:
            refuse_unsuitable(config, config.model_type, layout.max_tokens)
        self.loaded, self.layout, self.max_row_tokens = loaded, layout, max_row_tokens
        self.calibration = calibration or Calibration()
        self._encoders: dict[tuple[Any, ...], Encoder] = {}
        self._token_counts = TokenCountCache(loaded.tokenizer, layout.line)
        self._encoding, self._scoring = Lock(), Lock()

    def predict(
        self,
        examples: Sequence[Example],
        tasks: Task | Sequence[Task],
        progress: ProgressCallback | None = None,
    ) -> list[Prediction]:
        """Return one Prediction an example, in order; `tasks` is one for all, or one an example.

        Any number of examples: those of one task and dialogue are brought together, and a chunk of them is
        scored at a time.
        """
        task_of = [tasks] * len(examples) if isinstance(tasks, Task) else list(tasks)
        keys = {id(task): _key(task) for task in task_of}
        order = _grouped(examples, [keys[id(task)] for task in task_of])
        predictions: dict[int, Prediction] = {}
        for start in range(0, len(order), CHUNK):
            chunk = order[start : start + CHUNK]
            done = (lambda count: progress(start + count)) if progress else None  # noqa: B023
            answers = self.predict_batch([examples[i] for i in chunk], [task_of[i] for i in chunk], done)
            predictions.update(zip(chunk, answers, strict=True))
        return [predictions[i] for i in range(len(examples))]

    def predict_batch(
        self,
        examples: Sequence[Example],
        tasks: Task | Sequence[Task],
        progress: ProgressCallback | None = None,
    ) -> list[Prediction]:
        """Return one Prediction an example, in order, as `predict`, but all of them packed at once."""
        task_of = [tasks] * len(examples) if isinstance(tasks, Task) else tasks
        prompts: list[Prompt] = []
        groups: list[tuple[Task, int]] = []
        with self._encoding:
            for _, pairs in groupby(zip(examples, task_of, strict=True), key=lambda pair: _key(pair[1])):
                group = list(pairs)
                task, members = group[0][1], [example for example, _ in group]
                binary = yes_or_no_examples(members, task) if task.multilabel else members
                prompts += self._encoder(task).encode(binary)
                groups.append((task, len(binary)))
        done = (lambda count: progress(count * len(examples) // len(prompts))) if progress else None
        with self._scoring:
            answers = self._score(prompts, done)
        predictions: list[Prediction] = []
        for task, count in groups:
            calibrated, answers = self.calibration.apply(task, answers[:count]), answers[count:]
            combined = combine_labels(task, calibrated, self.calibration) if task.multilabel else calibrated
            predictions += combined
        return predictions

    def encode(self, examples: Sequence[Example], task: Task) -> list[Prompt]:
        """Return the prompts of examples of one task."""
        with self._encoding:
            return self._encoder(task).encode(examples)

    def predict_versions(self, prompts: Sequence[Prompt], task: Task) -> list[Prediction]:
        """Return the Prediction of each version of one prompt, laid out in one trie whatever its length."""
        same_group = [replace(prompt, example=prompts[0].example) for prompt in prompts]
        with self._scoring:
            return self.calibration.apply(task, self._score(same_group, None))

    def _score(self, prompts: Sequence[Prompt], progress: ProgressCallback | None) -> list[Prediction]:
        return score(self.loaded.model, prompts, self.max_row_tokens, progress)

    def _encoder(self, task: Task) -> Encoder:
        key = _key(task)
        encoder = self._encoders.pop(key, None)
        if encoder is None:
            encoder = Encoder(self.loaded.tokenizer, self.layout, task, self._token_counts)
        self._encoders[key] = encoder  # as the last used
        if len(self._encoders) > ENCODERS:
            del self._encoders[next(iter(self._encoders))]
        return encoder


def _grouped(examples: Sequence[Example], keys: Sequence[tuple[Any, ...]]) -> list[int]:
    """Return the indices of the examples, those of one key together and within it those of one dialogue."""
    groups: dict[tuple[Any, ...], dict[int, list[int]]] = {}
    for i, (example, key) in enumerate(zip(examples, keys, strict=True)):
        groups.setdefault(key, {}).setdefault(id(example.dialogue), []).append(i)
    return [i for dialogues in groups.values() for indices in dialogues.values() for i in indices]


def _key(task: Task) -> tuple[Any, ...]:
    words, merged = tuple(sorted(task.words.items())), tuple(sorted(task.merged.items()))
    return task.name, task.instruction, task.labels, words, merged, task.context, task.about, task.multilabel
