"""Layouts: the order in which instruction, labels, dialogue and target form the text of a prompt.

The text ends where the answer begins; the answer follows after one space. `inline` puts first what prompts
have in common, because the TokenTrie computes common prefixes once.
"""

from typing import Literal

from pydantic import BaseModel, ConfigDict, Field, StrictBool, StrictInt, model_validator

from gsa.data.task import Task
from gsa.data.types import Dialogue, Utterance

LayoutName = Literal["paper", "inline"]
Context = Literal["dialogue", "history"]


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

    @model_validator(mode="after")
    def _check_context(self) -> "Layout":
        if self.name == "inline" and self.context == "dialogue":
            raise ValueError(
                "layout 'inline' ends the prompt at the target, so context 'dialogue' cannot hold: "
                "expected context 'history'"
            )
        return self

    uncased: StrictBool | None = None
    """Whether texts, speakers and aspects are read in lower case, as by an uncased model, so that capitals
    make no difference. Left out is as the run that serves as backbone reads them, for other backbones no."""

    def line(self, turn: Utterance) -> str:
        """Return a turn as one line of a prompt."""
        return self._cased(turn.line())

    def aspect_line(self, task: Task, aspect: str) -> str:
        """Return the line that names what a task asks about."""
        return task.aspect_line(self._cased(aspect))

    def _cased(self, text: str) -> str:
        return text.lower() if self.uncased else text

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
            lines.append(self.aspect_line(task, aspect))
        if self.name == "inline":
            return "\n".join([task.instruction, labels, *lines]) + " =>"
        return "\n".join([*lines, task.instruction, labels]) + "\nAnswer:"
