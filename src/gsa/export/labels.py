"""`labels.json` of an export: the tokens of every label, for programs that score labels without this package.

    {"tasks": {NAME: {"labels": [...], "answers": [[token, ...], ...], "end": token or null,
                      "reads": [{"after": [token, ...], "tokens": [token, ...]}, ...],
                      "example": {"prompt": TEXT, "tokens": [token, ...]}}}}

`answers` are the tokens that follow a prompt, with the end-of-text token where answers are closed by it.
`reads` are what to ask of a model, in order: after the prompt's tokens and `after`, the probabilities of
`tokens`. A label's probability is the product of its tokens', divided by the sum over all labels. `example`
is a prompt as text and as tokens, to check a tokenizer with.
"""

from collections.abc import Mapping
from typing import Any

from gsa.data.encoder import Encoder
from gsa.data.layout import Layout
from gsa.data.task import Task
from gsa.data.types import Dialogue, Example
from gsa.errors import InputError
from gsa.trie.label_reads import label_reads

LABELS = "labels.json"
ASPECT = "soup"
"""What the example of a task about an aspect asks about."""


def label_table(tokenizer: Any, layout: Layout, tasks: Mapping[str, Task], dialogue: Dialogue) -> Any:
    """Return the content of `labels.json`; `dialogue` is the example, whose last turn is asked about.

    Tasks that the layout has no room for are left out: a run has the paper's tasks, tuned on them or not.
    """
    table = {}
    for name, task in tasks.items():
        target = len(dialogue.turns) - 1
        aspect = ASPECT if task.about else ""
        try:
            encoder = Encoder(tokenizer, layout, task)
            (prompt,) = encoder.encode([Example("", "", dialogue, target, aspect=aspect)])
        except InputError:
            continue
        table[name] = {
            "labels": [encoder.task.word(label) for label in encoder.task.labels],
            "answers": [list(answer) for answer in prompt.answers],
            "end": tokenizer.eos_token_id if encoder.ends else None,
            "reads": [
                {"after": list(after), "tokens": tokens}
                for after, tokens in label_reads(prompt.answers).items()
            ],
            "example": {
                "prompt": layout.prompt(encoder.task, dialogue, target, prompt.turns, aspect),
                "tokens": list(prompt.ids),
            },
        }
    return {"tasks": table}
