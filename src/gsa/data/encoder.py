"""From examples to token ids: Prompts and Answers.

In: a tokenizer, a Layout, a Task, Examples. Out: one Prompt each: the ids before the answer, and the ids
of every label's answer. Prompt and answer are tokenised as one text, and the answer is what follows the
longest prefix common to all labels, so sharing never changes what the model reads.
"""

import sys
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from itertools import accumulate, islice
from typing import Any

from gsa.data.layout import Layout
from gsa.data.task import Task
from gsa.data.types import Dialogue, Example, Utterance
from gsa.errors import InputError

Ids = tuple[int, ...]

ENDINGS = (*".,!?:)'\"*~a7é\u2019\u2026\u3002", "\U0001f600")
"""Ends of a text that are tried, to find out whether a tokenizer merges them with what follows."""
SMALLEST = 32
"""Tokens that must be left for what an example says."""
REMEMBERED = 2**22
"""Bytes of the lines whose length in tokens is kept, so that an endless stream takes constant memory."""
ENTRY = 100
"""Bytes that keeping a line takes beside the line itself."""


@dataclass(frozen=True, slots=True)
class Prompt:
    """One example as token ids."""

    example: Example
    task: Task
    ids: Ids
    """Token ids before the answer."""
    answers: tuple[Ids, ...]
    """Token ids of each label's answer, in the order of the task's labels."""
    turns: range
    """The turns that are shown; shorter than the layout's context if turns were left out for length."""
    gold: int | None
    """Index of the gold label, if known."""
    omitted_turns: int = 0
    """Turns of the layout's context that were left out for length."""
    cut_words: int = 0
    """Words of the target utterance that were left out, because it alone is longer than a prompt may be."""
    weight: float = 1.0
    """How much the example counts in the labels loss."""


def shared(a: Sequence[int], b: Sequence[int]) -> int:
    """Return the length of the longest common prefix."""
    n = min(len(a), len(b))
    if a[:n] == b[:n]:
        return n
    return next((i for i in range(n) if a[i] != b[i]), n)


@dataclass
class Known:
    """Lines and their tokens by one tokenizer, for as many of its encoders as share it."""

    tokens: dict[str, int] = field(default_factory=dict)
    """Tokens of each line that is kept."""
    size: int = 0
    """Bytes that it takes."""


class Encoder:
    """Turns the examples of one task into Prompts, with one tokenizer and one layout."""

    def __init__(self, tokenizer: Any, layout: Layout, task: Task, known: Known | None = None) -> None:
        """Work out the answers' ids; `known` is what this tokenizer's encoders share.

        Raises InputError if two labels read the same to the tokenizer, or if the layout's `max_tokens`
        leaves no room beside the instruction and labels.
        """
        self.layout, self.task = layout, task
        self._tokenizer = tokenizer
        self._eos = tokenizer.eos_token_id
        self._lengths = _Lengths(self._tokens, known or Known())
        texts = self._probe(task, "It was fine.")
        # One text says whether there is room, before every label is tokenised behind the whole list.
        self._room = self._room_beside(len(self._tokens([max(texts, key=len)])[0]))
        prompt, answers = self._split(self._tokens(texts))
        self.ends = layout.end or any(a != b and shared(a, b) == len(a) for a in answers for b in answers)
        """Whether answers are closed by the end-of-text token."""
        if len(set(answers)) < len(answers) or not all(answers):
            raise InputError(
                f"task '{task.name}': two of the labels {list(task.labels)} have the same tokens"
            )
        self._answers = answers
        self._local = self._seam_is_fixed(answers)
        self._room = self._room_beside(len(prompt) + max(map(len, answers)))

    def encode(self, examples: Sequence[Example]) -> list[Prompt]:
        """Return one Prompt per example, in order.

        Raises InputError where a gold label is not one of the task's.
        """
        return list(self._encode(examples))

    def _encode(self, examples: Sequence[Example], batch: int = 512) -> Iterator[Prompt]:
        labels = {label: i for i, label in enumerate(self.task.labels)}
        labels |= {label: labels[other] for label, other in self.task.merged.items()}
        for example in examples:
            if example.label is not None and example.label not in labels:
                raise InputError(
                    f"dataset '{example.dataset}', example '{example.id}': label '{example.label}' is not in "
                    f"the label list of task '{self.task.name}': expected one of {list(self.task.labels)}"
                )
        stream = iter(examples)
        while chunk := list(islice(stream, batch)):
            shown = [self._shown(example) for example in chunk]
            texts = [self.layout.prompt(self.task, d, t, turns) for d, t, turns, _ in shown]
            words = [
                self.task.word(self.task.canonical_label(self.task.labels[0] if e.label is None else e.label))
                for e in chunk
            ]
            ids = self._tokens([f"{text} {word}" for text, word in zip(texts, words, strict=True)])
            for example, one, text, (_, _, turns, cut) in zip(chunk, ids, texts, shown, strict=True):
                gold = None if example.label is None else labels[example.label]
                prompt, answers = self._separate(one, gold or 0, text)
                turns = range(example.target, example.target + 1) if cut else turns
                omitted = len(self._context(example)) - len(turns)
                yield Prompt(example, self.task, prompt, answers, turns, gold, omitted, cut)

    def _separate(self, ids: Ids, label: int, text: str) -> tuple[Ids, tuple[Ids, ...]]:
        """Cut one text's ids into prompt and answer.

        The seam lies behind a fixed cue, so every label's ids follow from one of them; for a tokenizer
        that merges across words, all labels are tokenised with the prompt.
        """
        answer = self._answers[label]
        if self._local and ids[len(ids) - len(answer) :] == answer:
            prompt, answers = ids[: len(ids) - len(answer)], self._answers
        else:
            prompt, answers = self._split(self._tokens(self._texts(text)))
        return prompt, tuple((*a, self._eos) for a in answers) if self.ends else answers

    def _room_beside(self, tokens: int) -> int:
        """Return the tokens left for what an example says beside the longest text of a short one."""
        frame = tokens + 8
        if self.layout.max_tokens - frame < SMALLEST:
            raise InputError(
                f"layout.max_tokens: {self.layout.max_tokens} leaves no room beside the instruction and "
                f"labels of task '{self.task.name}', which take {frame}: expected at least {frame + SMALLEST}"
            )
        return self.layout.max_tokens - frame

    def _probe(self, task: Task, said: str) -> list[str]:
        dialogue = Dialogue("", (Utterance(said),))
        return self._texts(self.layout.prompt(task, dialogue, 0, range(1)))

    def _seam_is_fixed(self, answers: tuple[Ids, ...]) -> bool:
        """Tell whether the answers' ids stay the same whatever a text ends with.

        Of the label list the last two suffice, which may stand before the seam; a text with the whole list
        for each label and ending could be millions of tokens.
        """
        short = replace(self.task, instruction="", labels=self.task.labels[-2:])
        ids = self._tokens([text for end in ENDINGS for text in self._probe(short, f"It was fine{end}")])
        n = len(answers)
        return all(self._split(ids[i : i + n])[1] == answers for i in range(0, len(ids), n))

    def _texts(self, prompt: str) -> list[str]:
        return [f"{prompt} {self.task.word(label)}" for label in self.task.labels]

    @staticmethod
    def _split(texts: Sequence[Ids]) -> tuple[Ids, tuple[Ids, ...]]:
        n = min(shared(texts[0], other) for other in texts)
        # A label that is the beginning of another keeps its last token, so that no answer is empty.
        n = min(n, *(len(ids) - 1 for ids in texts))
        return texts[0][:n], tuple(ids[n:] for ids in texts)

    def _tokens(self, texts: list[str]) -> list[Ids]:
        # Text is never read as control tokens, whatever a user writes.
        encoded = self._tokenizer(texts, split_special_tokens=True)["input_ids"]
        return [tuple(ids[:-1] if ids and ids[-1] == self._eos else ids) for ids in encoded]

    def _context(self, example: Example) -> range:
        """Return the turns that the layout shows before any is left out for length."""
        if not self.task.context:
            return range(example.target, example.target + 1)
        return self.layout.turns(example.dialogue, example.target)

    def _shown(self, example: Example) -> tuple[Dialogue, int, range, int]:
        """Choose the turns that fit; returns dialogue, target, turns, and the words cut off the target."""
        dialogue, target = example.dialogue, example.target
        turns = self._context(example)
        repeats = self.task.context and self.layout.name != "inline"
        self._lengths.read(dialogue)
        own = self._lengths.of(target)
        if own * (1 + repeats) > self._room:
            whole = dialogue.turns[target].line()
            line = self._shorten(whole, self._room // (1 + repeats) - 2)
            lost = max(1, len(whole.split()) - len(line.split()))
            return Dialogue(dialogue.id, (Utterance(line),)), 0, range(1), lost
        return dialogue, target, self._fit(target, turns, own if repeats else 0), 0

    def _fit(self, target: int, turns: range, repeated: int) -> range:
        """Leave out whole turns farthest from the target until the rest fits beside `repeated` tokens."""
        room = self._room - repeated
        if self._lengths.between(turns) <= room:
            return turns
        if turns.stop == target + 1 and self.layout.context == "history":
            if repeated:  # the same room for targets of common length, so that they begin at one turn
                room = self._room - max(repeated, self._room // 4)
            return range(self._lengths.starts(room)[target], turns.stop)
        first, last, left = target, target + 1, room - self._lengths.of(target)
        while True:  # the nearest turn first; of two as near, the later one
            later = last < turns.stop and (last - target <= target - first + 1 or first == turns.start)
            cost = self._lengths.of(last if later else first - 1)
            if cost > left:
                return range(first, last)
            left -= cost
            first, last = (first, last + 1) if later else (first - 1, last)

    def _shorten(self, line: str, limit: int) -> str:
        """Keep the head and the tail of a line that alone is longer than a prompt may be."""
        low, high = 0, len(line) // 2
        while low < high:  # the most letters on either side that still fit
            middle = (low + high + 1) // 2
            fits = len(self._tokens([self._ends_of(line, middle)])[0]) <= limit
            low, high = (middle, high) if fits else (low, middle - 1)
        return self._ends_of(line, low)

    @staticmethod
    def _ends_of(line: str, letters: int) -> str:
        return f"{line[:letters].rstrip()}...{line[len(line) - letters :].lstrip()}"


class _Lengths:
    """Tokens of the turns of one dialogue after another, each turn counted once for all its targets."""

    def __init__(self, tokens: Callable[[list[str]], list[Ids]], known: Known) -> None:
        self._tokens, self._known = tokens, known
        self._dialogue: Dialogue | None = None
        self._sums = [0]
        self._starts: dict[int, list[int]] = {}

    def read(self, dialogue: Dialogue) -> None:
        """Count the turns of a dialogue, unless it is the one of the call before."""
        if dialogue is not self._dialogue:
            lines = [turn.line() for turn in dialogue.turns]
            known = self._known
            if known.size > REMEMBERED:
                known.tokens, known.size = {}, 0
            new = [line for line in dict.fromkeys(lines) if line not in known.tokens]
            if new:
                known.size += sum(sys.getsizeof(line) + ENTRY for line in new)
                # One token for the line break, one for a seam that tokenises differently alone.
                known.tokens |= {line: len(ids) + 2 for line, ids in zip(new, self._tokens(new), strict=True)}
            self._dialogue, self._starts = dialogue, {}
            self._sums = [0, *accumulate(known.tokens[line] for line in lines)]

    def of(self, turn: int) -> int:
        return self._sums[turn + 1] - self._sums[turn]

    def between(self, turns: range) -> int:
        return self._sums[turns.stop] - self._sums[turns.start]

    def starts(self, room: int) -> list[int]:
        """Return the first turn of the history shown to each turn.

        When the history overflows, it falls back to half the room, so that the targets which follow
        begin at the same turn and go on sharing their prefix.
        """
        if room not in self._starts:
            start, found = 0, []
            for i in range(len(self._sums) - 1):
                if self.between(range(start, i + 1)) > room:
                    while start < i and self.between(range(start, i + 1)) > max(room // 2, self.of(i)):
                        start += 1
                found.append(start)
            self._starts[room] = found
        return self._starts[room]
