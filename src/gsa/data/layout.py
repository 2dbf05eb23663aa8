"""The order in which instruction, dialogue, target and labels become one prompt text.

In: a Task, a Dialogue, the index of the target, the turns to show. Out: one text that ends where the
answer begins; the answer follows after one space. Design: prefixes that prompts have in common come
first wherever a layout allows it, because the TokenTrie computes them once.
"""

from typing import Literal

from pydantic import BaseModel, ConfigDict, Field, StrictBool, StrictInt, model_validator

from gsa.data.task import Task
from gsa.data.types import Dialogue

LayoutName = Literal["paper", "instruction_first", "inline"]
Context = Literal["dialogue", "history", "window"]


class Layout(BaseModel):
    """How an example becomes a prompt; part of every recipe."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: LayoutName = "inline"
    """``paper``: dialogue, target, instruction, labels (section 4.1). ``instruction_first``: instruction,
    labels, dialogue, target. ``inline``: instruction, labels, the dialogue up to and with the target."""
    context: Context = "history"
    """``dialogue``: all turns. ``history``: the turns up to the target. ``window``: the last few."""
    window: StrictInt = Field(default=8, ge=1)
    """Turns shown before the target when context is ``window``."""
    max_tokens: StrictInt = Field(default=1024, ge=64)
    """Longest prompt with its answer, in tokens; whole turns farthest from the target are left out."""
    end: StrictBool = False
    """Whether the answer is closed by the end-of-text token, for use with free generation elsewhere.
    Costs one token a target; always on where one label's tokens begin another's."""

    @model_validator(mode="after")
    def _no_future_inline(self) -> "Layout":
        if self.name == "inline" and self.context == "dialogue":
            raise ValueError(
                "layout 'inline' ends the prompt at the target, so context 'dialogue' cannot hold: "
                "expected context 'history' or 'window'"
            )
        return self

    def turns(self, dialogue: Dialogue, target: int) -> range:
        """Return the indices of the turns to show before any is left out for length."""
        if self.context == "dialogue":
            return range(len(dialogue.turns))
        if self.context == "history":
            return range(target + 1)
        return range(max(0, target - self.window), target + 1)

    def prompt(self, task: Task, dialogue: Dialogue, target: int, turns: range) -> str:
        """Return the prompt text; `turns` is the run of turns to show and contains the target."""
        said = dialogue.turns[target].line()
        labels = "Labels: " + ", ".join(task.word(label) for label in task.labels)
        lines = [dialogue.turns[i].line() for i in turns]
        if self.name == "inline":
            shown = lines if task.context else [said]
            return "\n".join([task.instruction, labels, *shown]) + " =>"
        if task.context:
            body = ["Dialogue:", *lines, f"Target utterance: {said}"]
        else:
            body = [said] if self.name == "paper" else [f"Sentence: {said}"]
        ask = [task.instruction, labels]
        parts = [*body, *ask] if self.name == "paper" else [*ask, *body]
        return "\n".join(parts) + "\nAnswer:"
