"""Layouts: the order in which instruction, labels, dialogue and target form the text of a prompt.

The text ends where the answer begins; the answer follows after one space. `inline` puts first what prompts
have in common, because the TokenTrie computes common prefixes once.
"""

import re
from dataclasses import replace
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field, StrictBool, StrictInt, model_validator

from gsa.data.task import Task
from gsa.data.types import Dialogue, Utterance

WORD = re.compile(r"[^\W\d_]+(?:['\u2019][^\W\d_]+)*")
LONG = 4
"""Letters from which a word has a capital in any title."""
ADDRESS = re.compile(r"(?:@|https?://|www\.)\S+")
"""Names of users and links, whose case says nothing about the text."""
LayoutName = Literal["paper", "inline"]
Context = Literal["dialogue", "history"]
CaseFolding = Literal["none", "capitals", "all"]


def is_in_capitals(text: str) -> bool:
    """Return whether a text is written in capitals, two at least, or in title case, two words at least.

    In title case every word begins with a capital, or, if three or more do, every word of four letters.
    """
    text = ADDRESS.sub("", text)
    if text.upper() == text:
        return sum(character.isupper() for character in text) > 1
    if text.lower() == text:
        return False
    capitals, long = [], 0
    for match in WORD.finditer(text):
        capitals.append(match[0][0].isupper())
        is_long = len(match[0]) >= LONG
        if is_long and not capitals[-1]:  # most texts end the search here, at their first words
            return False
        long += is_long
    return len(capitals) > 1 if all(capitals) else long > 2


class Layout(BaseModel):
    """The form of prompts; part of every recipe."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: LayoutName = "inline"
    """``paper``: dialogue, target, instruction, labels (section 4.1). ``inline``: instruction, labels, the
    dialogue up to and including the target."""
    context: Context = "history"
    """``dialogue``: all turns. ``history``: the turns up to and including the target."""
    max_tokens: StrictInt = Field(default=1024, ge=64)
    """Maximum length of a prompt with its answer; whole turns farthest from the target are left out first."""
    end: StrictBool = False
    """Whether the answer is closed by the end-of-text token, for free generation in other programs. Costs one
    token per target; always on where one label's tokens are a prefix of another's."""

    fold_case: CaseFolding | None = None
    """Which texts are read in lower case: ``capitals`` those in capitals or in title case, ``all`` all of
    them, as by an uncased model, ``none`` none. Left out is as the run that serves as backbone reads them,
    for other backbones none."""

    @model_validator(mode="after")
    def _check_context(self) -> "Layout":
        if self.name == "inline" and self.context == "dialogue":
            raise ValueError(
                "layout 'inline' ends the prompt at the target, so context 'dialogue' cannot hold: "
                "expected context 'history'"
            )
        return self

    def line(self, turn: Utterance) -> str:
        """Return a turn as one line of a prompt."""
        if self.fold_case == "all":
            return turn.line().lower()
        return replace(turn, text=turn.text.lower()).line() if self._folds(turn) else turn.line()

    def aspect_line(self, task: Task, aspect: str, target: Utterance) -> str:
        """Return the line that names what a task asks about; an aspect is read as the text that it is of."""
        return task.aspect_line(aspect.lower() if self._folds(target) else aspect)

    def _folds(self, turn: Utterance) -> bool:
        """Return whether a turn is read in lower case; one without some of its words is read as with them."""
        return self.fold_case == "all" or (self.fold_case == "capitals" and is_in_capitals(turn.whole))

    def turns(self, dialogue: Dialogue, target: int) -> range:
        """Return the indices of the turns to show before any is left out for length."""
        if self.context == "dialogue":
            return range(len(dialogue.turns))
        return range(target + 1)

    def prompt(self, task: Task, dialogue: Dialogue, target: int, turns: range, aspect: str = "") -> str:
        """Return the prompt text; `turns` are the indices of the turns to show, including the target.

        A task about an aspect names it in a line after the target, so that all aspects share what precedes.
        """
        labels = "Labels: " + ", ".join(task.word(label) for label in task.labels)
        target_line = self.line(dialogue.turns[target])
        lines = [self.line(dialogue.turns[i]) for i in turns] if task.context else [target_line]
        if self.name == "paper" and task.context:
            lines = ["Dialogue:", *lines, f"Target utterance: {target_line}"]
        if task.about:
            lines.append(self.aspect_line(task, aspect, dialogue.turns[target]))
        if self.name == "inline":
            return "\n".join([task.instruction, labels, *lines]) + " =>"
        return "\n".join([*lines, task.instruction, labels]) + "\nAnswer:"
