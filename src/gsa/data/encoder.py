"""Encoding of examples as token ids: a tokenizer, a Layout, a Task and Examples in; a Prompt for each out.

A Prompt has the ids before the answer, and the ids of every label's answer. Prompt and answer are tokenised
as one text, and the answer is what follows the longest prefix common to all labels, so that sharing prefixes
never changes what the model reads.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

from gsa.data.layout import Layout
from gsa.data.task import Task
from gsa.data.token_counts import TokenCountCache, TokenIds, TurnTokenCounts, tokenize
from gsa.data.types import Dialogue, Example, Utterance
from gsa.errors import InputError

TEXT_ENDINGS = (*".,!?:)'\"*~a7é\u2019\u2026\u3002", "\U0001f600")
"""Ends of a text with which an encoder checks whether the tokenizer merges them with the answer."""
MIN_CONTENT_TOKENS = 32
"""Tokens that instruction and labels must leave for the content of an example."""
MARGIN = 8
"""Tokens kept free beside the longest frame, since a boundary may tokenise differently in another text."""
BATCH = 512
"""Texts that are tokenised in one call."""


@dataclass(frozen=True, slots=True)
class Prompt:
    """One example as token ids."""

    example: Example
    task: Task
    ids: TokenIds
    """Token ids before the answer."""
    answers: tuple[TokenIds, ...]
    """Token ids of each label's answer, in the order of the task's labels."""
    turns: range
    """Indices of the turns that are shown."""
    gold: int | None
    """Index of the gold label, if known."""
    omitted_turns: int = 0
    """Number of turns of the layout's context that were left out for length."""
    cut_words: int = 0
    """Number of words cut from the target utterance because it alone exceeds the maximum length."""
    weight: float = 1.0
    """Weight of the example in the labels loss."""


@dataclass(frozen=True, slots=True)
class _Content:
    """What a prompt shows of an example; a target that was cut is a dialogue of its own."""

    dialogue: Dialogue
    target: int
    turns: range
    cut_words: int = 0


def common_prefix_length(a: Sequence[int], b: Sequence[int]) -> int:
    """Return the length of the longest common prefix of two sequences of token ids."""
    n = min(len(a), len(b))
    if a[:n] == b[:n]:
        return n
    return next((i for i in range(n) if a[i] != b[i]), n)


class Encoder:
    """Encodes the examples of one task as Prompts, with one tokenizer and one layout."""

    def __init__(
        self, tokenizer: Any, layout: Layout, task: Task, token_counts: TokenCountCache | None = None
    ) -> None:
        """Compute the token ids of the answers; the encoders of a tokenizer may share `token_counts`.

        A multi-label task is encoded as the binary task that it asks of each label, for `yes_or_no_examples`.
        Raises InputError if two labels have the same tokens, or if the layout's `max_tokens` leaves no room
        beside instruction and labels.
        """
        task = task.yes_or_no()
        self.layout, self.task = layout, task
        self._tokenizer = tokenizer
        self._eos = tokenizer.eos_token_id
        self._token_counts = token_counts or TokenCountCache(tokenizer, layout.line)
        # The target is repeated after the dialogue.
        self._repeats_target = task.context and layout.name == "paper"
        texts = self._sample_texts(task, "It was fine.")
        # One text shows whether there is room, before every label is tokenised behind the whole label list.
        self._content_budget(len(self._tokenize([max(texts, key=len)])[0]))
        prompt, answers = self._split(self._tokenize(texts))
        self.ends = layout.end or any(
            a != b and common_prefix_length(a, b) == len(a) for a in answers for b in answers
        )
        """Whether answers are closed by the end-of-text token."""
        if self.ends and self._eos is None:
            raise InputError(
                f"task '{task.name}': expected a tokenizer with an end-of-text token, which closes answers "
                "where one label begins with another, or where layout.end says so; found none"
            )
        if len(set(answers)) < len(answers) or not all(answers):
            raise InputError(
                f"task '{task.name}': two of the labels {list(task.labels)} have the same tokens"
            )
        self._answers = answers
        self._fixed_answers = self._answers_are_fixed(answers)
        self._budget = self._content_budget(len(prompt) + max(map(len, answers)))

    def encode(self, examples: Sequence[Example]) -> list[Prompt]:
        """Return one Prompt per example, in order, in time linear in the turns of the distinct dialogues.

        Raises InputError for a gold label that the task does not have.
        """
        labels = {label: i for i, label in enumerate(self.task.labels)}
        labels |= {label: labels[canonical] for label, canonical in self.task.merged.items()}
        for example in examples:
            if example.label is not None and example.label not in labels:
                raise InputError(
                    f"dataset '{example.dataset}', example '{example.id}': label '{example.label}' is not in "
                    f"the label list of task '{self.task.name}': expected one of {list(self.task.labels)}"
                )
            if self.task.about and not example.aspect.strip():
                raise InputError(
                    f"dataset '{example.dataset}', example '{example.id}': expected an aspect, which task "
                    f"'{self.task.name}' is about, found none"
                )
        gold = [None if example.label is None else labels[example.label] for example in examples]
        prompts: list[Prompt] = []
        for start in range(0, len(examples), BATCH):
            prompts += self._encode_batch(examples[start : start + BATCH], gold[start : start + BATCH])
        return prompts

    def _encode_batch(self, examples: Sequence[Example], gold: Sequence[int | None]) -> Iterator[Prompt]:
        contents = [self._content(example) for example in examples]
        texts = [
            self.layout.prompt(self.task, content.dialogue, content.target, content.turns, example.aspect)
            for content, example in zip(contents, examples, strict=True)
        ]
        words = [self.task.word(self.task.labels[label or 0]) for label in gold]
        encoded = self._tokenize([f"{text} {word}" for text, word in zip(texts, words, strict=True)])
        for example, content, label, text, ids in zip(examples, contents, gold, texts, encoded, strict=True):
            prompt, answers = self._separate(ids, label or 0, text)
            turns = range(example.target, example.target + 1) if content.cut_words else content.turns
            omitted = len(self._context(example)) - len(turns)
            yield Prompt(example, self.task, prompt, answers, turns, label, omitted, content.cut_words)

    def _separate(self, ids: TokenIds, label: int, text: str) -> tuple[TokenIds, tuple[TokenIds, ...]]:
        """Split one text's ids into prompt and answer; return the prompt and every label's answer.

        The boundary follows a fixed cue, so every label's ids follow from one of them; with a tokenizer that
        merges across it, all labels are tokenised with the prompt.
        """
        answer = self._answers[label]
        if self._fixed_answers and ids[len(ids) - len(answer) :] == answer:
            prompt, answers = ids[: len(ids) - len(answer)], self._answers
        else:
            prompt, answers = self._split(self._tokenize(self._label_texts(text)))
        return prompt, tuple((*a, self._eos) for a in answers) if self.ends else answers

    def _content_budget(self, frame: int) -> int:
        """Return the tokens left for an example's content beside those of instruction, labels and answer."""
        frame += MARGIN
        if self.layout.max_tokens - frame < MIN_CONTENT_TOKENS:
            raise InputError(
                f"layout.max_tokens: {self.layout.max_tokens} leaves no room beside the instruction and "
                f"labels of task '{self.task.name}', which take {frame}: expected at least "
                f"{frame + MIN_CONTENT_TOKENS}"
            )
        return self.layout.max_tokens - frame

    def _sample_texts(self, task: Task, sentence: str) -> list[str]:
        dialogue = Dialogue("", (Utterance(sentence),))
        return self._label_texts(self.layout.prompt(task, dialogue, 0, range(1), aspect=sentence))

    def _answers_are_fixed(self, answers: tuple[TokenIds, ...]) -> bool:
        """Return whether the answers' ids are the same whatever a text ends with.

        The last two labels stand for the label list, which may precede the boundary; texts with the whole
        list for each label and ending could have millions of tokens.
        """
        task = replace(self.task, instruction="", labels=self.task.labels[-2:])
        texts = [text for end in TEXT_ENDINGS for text in self._sample_texts(task, f"It was fine{end}")]
        ids, n = self._tokenize(texts), len(answers)
        return all(self._split(ids[i : i + n])[1] == answers for i in range(0, len(ids), n))

    def _label_texts(self, prompt: str) -> list[str]:
        return [f"{prompt} {self.task.word(label)}" for label in self.task.labels]

    @staticmethod
    def _split(texts: Sequence[TokenIds]) -> tuple[TokenIds, tuple[TokenIds, ...]]:
        n = min(common_prefix_length(texts[0], ids) for ids in texts)
        # A label that is a prefix of another keeps its last token, so that no answer is empty.
        n = min(n, *(len(ids) - 1 for ids in texts))
        return texts[0][:n], tuple(ids[n:] for ids in texts)

    def _tokenize(self, texts: list[str]) -> list[TokenIds]:
        return tokenize(self._tokenizer, texts)

    def _context(self, example: Example) -> range:
        """Return the turns that the layout shows before any is left out for length."""
        if not self.task.context:
            return range(example.target, example.target + 1)
        return self.layout.turns(example.dialogue, example.target)

    def _content(self, example: Example) -> _Content:
        """Return the turns of an example that fit, or its target shortened if that alone is too long."""
        dialogue, target = example.dialogue, example.target
        counts, budget = self._token_counts.of(dialogue), self._budget_beside_aspect(example)
        own = counts.total(range(target, target + 1))
        copies = 2 if self._repeats_target else 1
        if own * copies > budget:
            full = self.layout.line(dialogue.turns[target])
            line = self._shorten(full, budget // copies - 2)
            cut_words = max(1, len(full.split()) - len(line.split()))
            return _Content(Dialogue(dialogue.id, (Utterance(line),)), 0, range(1), cut_words)
        return _Content(dialogue, target, self._fit(counts, target, self._context(example), budget))

    def _budget_beside_aspect(self, example: Example) -> int:
        """Return the tokens left for the turns; raises InputError if the aspect leaves too few."""
        if not self.task.about:
            return self._budget
        budget = self._budget - len(
            self._tokenize([self.layout.aspect_line(self.task, example.aspect, example.utterance)])[0]
        )
        if budget < MIN_CONTENT_TOKENS // 2:
            raise InputError(
                f"dataset '{example.dataset}', example '{example.id}': expected an aspect that leaves room "
                f"for the text, found one of {len(example.aspect)} characters"
            )
        return budget

    def _fit(self, counts: TurnTokenCounts, target: int, context: range, budget: int) -> range:
        """Return the turns of a context that fit a budget, without whole turns farthest from the target."""
        own = counts.total(range(target, target + 1))
        repeated = own if self._repeats_target else 0
        if counts.total(context) + repeated <= budget:
            return context
        if self.layout.context == "history":
            if repeated:  # one of two budgets, so that targets of common length start at the same turn
                repeated = budget // (4 if repeated <= budget // 4 else 2)
            return range(counts.history_start(target, budget - repeated), context.stop)
        first, last, left = target, target + 1, budget - repeated - own
        while True:  # the nearest turn first; of two equally near, the later one
            later = last < context.stop and (last - target <= target - first + 1 or first == context.start)
            index = last if later else first - 1
            cost = counts.total(range(index, index + 1))
            if cost > left:
                return range(first, last)
            left -= cost
            first, last = (first, last + 1) if later else (first - 1, last)

    def _shorten(self, line: str, limit: int) -> str:
        """Return as much of the beginning and the end of a line as fits into a limit of tokens."""
        low, high = 0, len(line) // 2
        while low < high:  # binary search for the number of characters on either side
            middle = (low + high + 1) // 2
            fits = len(self._tokenize([_elide(line, middle)])[0]) <= limit
            low, high = (middle, high) if fits else (low, middle - 1)
        return _elide(line, low)


def _elide(line: str, characters: int) -> str:
    """Return the first and the last characters of a line with an ellipsis between."""
    return f"{line[:characters].rstrip()}...{line[len(line) - characters :].lstrip()}"
