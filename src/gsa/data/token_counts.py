"""Token counts of the turns of dialogues: each distinct line is tokenised once, each dialogue summed once."""

import sys
from collections import OrderedDict
from collections.abc import Callable
from itertools import accumulate
from typing import Any

from gsa.data.types import Dialogue, Utterance, unreadable
from gsa.errors import InputError

TokenIds = tuple[int, ...]

_NUMBERS: dict[int, int] = {}
"""The object of each token id that was met, at most the vocabulary."""
MAX_BYTES = 2**22
"""Bytes of cached lines after which the cache is emptied, so that an endless stream takes constant memory."""
ENTRY_BYTES = 100
"""Bytes of a cache entry beside the line itself."""
MAX_TURNS = 2**15
"""Turns of the dialogues whose sums are cached; the least recently used dialogue is dropped first."""
LINE_OVERHEAD = 2
"""Tokens added to those of a line: one for the line break, one for a boundary that tokenises differently."""


def tokenize(tokenizer: Any, texts: list[str]) -> list[TokenIds]:
    """Return the token ids of each text without a final end-of-text token.

    Control tokens are not recognised in a text: whatever a user writes is read as text. Equal ids are one
    Python object, which takes 8 bytes in a tuple instead of 40. Raises InputError for a text with surrogates.
    """
    try:
        encoded = tokenizer(texts, split_special_tokens=True)["input_ids"]
    except TypeError:
        if text := next(filter(unreadable, texts), ""):
            raise InputError(f"expected UTF-8 text, found {unreadable(text)}") from None
        raise
    eos = tokenizer.eos_token_id
    texts_ids = (ids[:-1] if ids and ids[-1] == eos else ids for ids in encoded)
    return [tuple(map(_NUMBERS.setdefault, ids, ids)) for ids in texts_ids]


class TurnTokenCounts:
    """Token counts of the turns of one dialogue."""

    def __init__(self, turns: tuple[Utterance, ...], counts: list[int]) -> None:
        """`counts` has the tokens of each turn's line."""
        self.turns = turns
        self._sums = [0, *accumulate(counts)]
        self._starts: dict[int, list[int]] = {}

    def total(self, turns: range) -> int:
        """Return the tokens of consecutive turns."""
        return self._sums[turns.stop] - self._sums[turns.start]

    def history_start(self, target: int, budget: int) -> int:
        """Return the first turn of the history shown to a target within a budget of tokens.

        A history that exceeds the budget is cut to a quarter of it, so that the following targets start at
        the same turn and share their prefix: a long conversation then costs 1.33 times its tokens.
        """
        if budget not in self._starts:
            start, starts = 0, []
            for turn in range(len(self.turns)):
                if self.total(range(start, turn + 1)) > budget:
                    limit = max(budget // 4, self.total(range(turn, turn + 1)))
                    while self.total(range(start, turn + 1)) > limit:
                        start += 1
                starts.append(start)
            self._starts[budget] = starts
        return self._starts[budget][target]


class TokenCountCache:
    """Token counts by one tokenizer, shared by its encoders of one layout; takes constant memory."""

    def __init__(self, tokenizer: Any, line: Callable[[Utterance], str] = Utterance.line) -> None:
        """Start empty; `line` is the layout's, which makes a line of a turn."""
        self._tokenizer, self._line = tokenizer, line
        self.lines: dict[str, int] = {}
        """Tokens of each cached line."""
        self.size = 0
        """Bytes of the cached lines."""
        self._dialogues: OrderedDict[int, TurnTokenCounts] = OrderedDict()
        self._turns = 0

    def of(self, dialogue: Dialogue) -> TurnTokenCounts:
        """Return the token counts of a dialogue's turns, the same object for the same tuple of turns."""
        key = id(dialogue.turns)  # not reused while the entry holds the tuple
        if key in self._dialogues:
            self._dialogues.move_to_end(key)
            return self._dialogues[key]
        counts = TurnTokenCounts(dialogue.turns, self._count([self._line(turn) for turn in dialogue.turns]))
        if len(dialogue.turns) > 1:
            self._dialogues[key] = counts
            self._turns += len(dialogue.turns)
        while self._turns > MAX_TURNS and len(self._dialogues) > 1:
            _, oldest = self._dialogues.popitem(last=False)
            self._turns -= len(oldest.turns)
        return counts

    def _count(self, lines: list[str]) -> list[int]:
        if self.size > MAX_BYTES:
            self.lines, self.size = {}, 0
        new = [line for line in dict.fromkeys(lines) if line not in self.lines]
        if new:
            self.size += sum(sys.getsizeof(line) + ENTRY_BYTES for line in new)
            for line, ids in zip(new, tokenize(self._tokenizer, new), strict=True):
                self.lines[line] = len(ids) + LINE_OVERHEAD
        return [self.lines[line] for line in lines]
