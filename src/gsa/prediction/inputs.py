"""Users' texts, turns and conversations in Python: to Dialogues and Examples. Imports no torch."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Any

from gsa.data.task import Task
from gsa.data.types import Dialogue, Example, Utterance, unreadable
from gsa.errors import InputError, suggest

Turn = str | Mapping[str, str] | tuple[str, str] | Utterance
"""One turn as a user gives it: its text, ``{"text": ..., "speaker": ...}``, in a list of turns
``(speaker, text)``, or an Utterance."""


def example(task: Task, dialogue: Dialogue, target: int = 0) -> Example:
    """Return one turn of a conversation as an unlabelled Example.

    Examples about one dialogue share the object, so that its turns are read once.
    """
    return Example("", task.name, dialogue, target)


def aspect_examples(task: Task, texts: Sequence[Any], aspects: Sequence[Any]) -> list[list[Example]]:
    """Return an Example of each aspect of each text; those of one text share its Dialogue.

    Raises InputError unless every text has a list of aspects, none of them empty.
    """
    if len(texts) != len(aspects):
        raise InputError(f"found {len(texts)} texts and {len(aspects)} lists of aspects: expected as many")
    groups = []
    for number, (text, names) in enumerate(zip(texts, aspects, strict=True), start=1):
        where = f"input {number}" if len(texts) > 1 else "input"
        if isinstance(names, str) or not all(isinstance(name, str) and name.strip() for name in names):
            raise InputError(f"{where}: expected a list of aspects, none of them empty, found {names!r:.60}")
        sentence = dialogue(text, where)
        groups.append([replace(example(task, sentence), aspect=name) for name in names])
    return groups


def utterance(turn: Any, where: str) -> Utterance:
    """Return a user's turn as an Utterance; raises InputError for one without a text."""
    if _is_pair(turn):
        turn = Utterance(turn[1], turn[0])
    if isinstance(turn, Mapping):
        for key in turn:
            if key not in ("text", "speaker"):
                near = suggest(str(key), ("text", "speaker"))
                raise InputError(f"{where}: unknown key '{key}'{near}: expected 'text' and 'speaker'")
        turn = Utterance(turn.get("text", ""), turn.get("speaker") or "")
    if isinstance(turn, str):
        turn = Utterance(turn)
    if not isinstance(turn, Utterance) or not isinstance(turn.text, str) or not isinstance(turn.speaker, str):
        raise InputError(f"{where}: expected a text or a turn with 'text' and 'speaker', found {turn!r:.60}")
    character = unreadable(turn.text) or unreadable(turn.speaker)
    if character or not turn.text.strip():
        raise InputError(f"{where}: expected a text, found {character or 'an empty one'}")
    return turn


def dialogue(turns: Turn | Iterable[Turn], where: str = "dialogue") -> Dialogue:
    """Return a user's conversation as a Dialogue; a lone turn is a dialogue of one.

    Raises InputError that names the turn which cannot be read, counted from 1, and for a tuple of two texts,
    which may be two turns or one.
    """
    if isinstance(turns, str | Mapping | Utterance):
        return Dialogue("", (utterance(turns, where),))
    if _is_pair(turns):
        raise InputError(
            f"{where}: found a tuple of two texts, which may be two turns, or a speaker and a text: expected "
            "a list of turns"
        )
    items = as_list(turns, where)
    if not isinstance(items, list) or not items:
        raise InputError(f"{where}: expected one turn or more, found {turns!r:.60}")
    return Dialogue("", tuple(utterance(turn, f"{where} turn {n}") for n, turn in enumerate(items, start=1)))


def as_list(inputs: Any, where: str = "input") -> Any:
    """Return any iterable of texts, turns or conversations as a list; a text or a turn as it is.

    A tuple of two texts stays one. Raises InputError for a table: one of its columns is expected.
    """
    if not _is_iterable(inputs) or _is_pair(inputs):
        return inputs
    if hasattr(inputs, "columns"):
        kind = type(inputs).__name__
        raise InputError(f"{where}: found a table ({kind}): expected one of its columns, or a list")
    try:
        items = iter(inputs)
    except TypeError:  # a NumPy array without dimensions has __iter__ but cannot be iterated
        return inputs
    return list(items)


def is_many(inputs: object, task: Task) -> bool:
    """Return whether an input, as `as_list` returns it, is a list of inputs of the task rather than one.

    A list of texts is many inputs of a task that reads sentences, but one dialogue for a task that reads
    dialogues; there a list of lists is many. A tuple of two texts in a list is a turn.
    """
    if not isinstance(inputs, list | tuple):
        return False
    nested = bool(inputs) and all(_is_iterable(item) and not _is_pair(item) for item in inputs)
    return nested if task.context else True


def _is_iterable(inputs: object) -> bool:
    return isinstance(inputs, Iterable) and not isinstance(inputs, str | bytes | Mapping | Utterance)


def _is_pair(turn: object) -> bool:
    return isinstance(turn, tuple) and len(turn) == 2 and all(isinstance(part, str) for part in turn)
