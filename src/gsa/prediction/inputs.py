"""Users' texts, turns, conversations and label lists in Python: to Dialogues, Examples and lists.

Imports no torch.
"""

import logging
from collections.abc import Iterable, Mapping, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import replace
from functools import lru_cache
from itertools import islice
from typing import Any

from gsa.data.task import Task
from gsa.data.types import Dialogue, Example, Utterance, UtteranceVersion, is_blank, unreadable
from gsa.datasets.cells import as_name, describe_unreadable, is_missing
from gsa.errors import InputError, suggest

logger = logging.getLogger(__name__)

Turn = str | Mapping[str, Any] | tuple[Any, str] | Utterance
"""One turn as a user gives it: its text, ``{"text": ..., "speaker": ...}``, an Utterance, or
``{"content": ..., "role": ...}``; in a list of turns ``(speaker, text)`` too."""
ERRORS = ("raise", "skip")
"""What is done with an input that cannot be read: raise an InputError, or give None as its prediction."""


def example(task: Task, dialogue: Dialogue, target: int = 0) -> Example:
    """Return one turn of a conversation as an unlabelled Example.

    Examples about one dialogue share the object, so that its turns are read once.
    """
    return Example("", task.name, dialogue, target)


def aspect_examples(task: Task, texts: Sequence[Any], aspects: Sequence[Any]) -> list[list[Example]]:
    """Return an Example of each aspect of each text; those of one text share its Dialogue.

    Raises InputError unless every text has a list of aspects, none of them empty.
    """
    if not isinstance(aspects, list | tuple):
        raise InputError(f"aspects: expected a list of aspects for each text, found {aspects!r:.60}")
    if len(texts) != len(aspects):
        raise InputError(f"found {len(texts)} texts and {len(aspects)} lists of aspects: expected as many")
    groups = []
    for number, (text, names) in enumerate(zip(texts, aspects, strict=True), start=1):
        location = f"input {number}" if len(texts) > 1 else "input"
        names = as_list(names, location)
        is_list = isinstance(names, list | tuple)
        if not is_list or not all(isinstance(name, str) and not is_blank(name) for name in names):
            raise InputError(
                f"{location}: expected a list of aspects, none of them empty, found {names!r:.60}"
            )
        for name in names:
            _check_readable(name, f"{location}: aspects")
        sentence = dialogue(text, location)
        groups.append([replace(example(task, sentence), aspect=name) for name in names])
    return groups


def last_turn(conversation: Dialogue, task: Task, text: str) -> Example:
    """Return the last turn of a conversation as an Example, with a version of its text in its place."""
    *context, last = conversation.turns
    turns = (*context, UtteranceVersion(text, last.speaker, last.text))
    return example(task, Dialogue(conversation.id, turns), len(context))


def utterance(turn: Any, location: str) -> Utterance:
    """Return a user's turn as an Utterance; raises InputError for one without a text.

    A speaker may be a number or None. Further keys of a mapping are ignored, as in files.
    """
    text, speaker = turn, None
    if isinstance(turn, Utterance):
        text, speaker = turn.text, turn.speaker
    elif _is_pair(turn):
        speaker, text = turn
    elif isinstance(turn, Mapping):
        text, speaker = _text_and_speaker(turn, location)
    name = as_name(speaker)
    if name is None:
        raise InputError(f"{location}: expected a speaker that is a text or a number, found {speaker!r:.60}")
    if not isinstance(text, str):
        raise InputError(f"{location}: expected a text, found {text!r:.60}")
    character = unreadable(text) or unreadable(name)
    if character or is_blank(text):
        raise InputError(f"{location}: expected a text, found {character or 'an empty one'}")
    return turn if isinstance(turn, Utterance) and turn.speaker == name else Utterance(text, name)


def _text_and_speaker(turn: Mapping[Any, Any], location: str) -> tuple[Any, Any]:
    for text, speaker in (("text", "speaker"), ("content", "role")):
        if text in turn:
            return turn[text], turn.get("speaker", turn.get(speaker))
    raise InputError(f"{location}: {missing_text(turn)}")


def missing_text(turn: Mapping[Any, Any]) -> str:
    """Return what is wrong with a turn that has no text."""
    keys = list(islice(turn, 5))
    near = next(filter(None, (suggest(str(key), ("text", "content")) for key in keys)), "")
    return f"expected a key 'text', found {', '.join(map(repr, keys)) or 'none':.60}{near}"


def dialogue(turns: Turn | Iterable[Turn], location: str = "dialogue") -> Dialogue:
    """Return a user's conversation as a Dialogue; a lone turn is a dialogue of one.

    Raises InputError that names the turn which cannot be read, counted from 1, and for a tuple of two texts,
    which may be two turns or one.
    """
    return Dialogue("", tuple(turn for turn in utterances(turns, location) if turn))


def utterances(turns: Any, location: str = "dialogue", errors: str = "raise") -> list[Utterance | None]:
    """Return the turns of a user's conversation.

    With `errors` "skip" a turn that cannot be read is None, and a conversation that is missing has no turns.
    Raises InputError as `dialogue` does.
    """
    skip = errors == "skip"
    if skip and is_missing(turns):
        return []
    if isinstance(turns, str | Mapping | Utterance) or is_missing(turns):
        return [_utterance_or_none(turns, location, skip)]
    if _is_pair(turns):
        raise InputError(
            f"{location}: found a tuple of two texts, which may be two turns, or a speaker and a text: "
            "expected a list of turns"
        )
    items = as_list(turns, location)
    if not isinstance(items, list) or not items:
        raise InputError(f"{location}: expected one turn or more, found {turns!r:.60}")
    return [_utterance_or_none(turn, f"{location} turn {n}", skip) for n, turn in enumerate(items, start=1)]


def read_conversations(inputs: Sequence[Any], many: bool, errors: str) -> list[list[Utterance | None]]:
    """Return the turns of each input; with `errors` "skip" those that cannot be read are None."""
    check_errors(errors)
    location = "input {}" if many else "input"
    result = []
    for number, turns in enumerate(inputs, start=1):
        if many and errors == "raise" and is_missing(turns):
            raise InputError(
                f"{location.format(number)}: expected a text, found {turns!r:.60}; with errors='skip' its "
                "prediction is None"
            )
        result.append(utterances(turns, location.format(number), errors))
    return result


def _utterance_or_none(turn: Any, location: str, skip: bool) -> Utterance | None:
    try:
        return utterance(turn, location)
    except InputError:
        if not skip:
            raise
    return None


def check_errors(errors: str) -> None:
    """Raise InputError for another value than "raise" and "skip"."""
    if errors not in ERRORS:
        raise InputError(f"errors: expected one of {', '.join(ERRORS)}, found {errors!r:.60}")


def label_list(labels: Any) -> list[str]:
    """Return a label list as a list; any ordered iterable of texts may be given.

    Raises InputError for a lone text, a set, and items that are no texts. Labels that are numbers are warned
    of once.
    """
    if isinstance(labels, str | bytes | Mapping | AbstractSet) or labels is None:
        raise InputError(f"labels: expected a list of texts, found {labels!r:.60}")
    items = as_list(labels, "labels")
    if not isinstance(items, list | tuple):
        raise InputError(f"labels: expected a list of texts, found {labels!r:.60}")
    for item in items:
        if not isinstance(item, str):
            raise InputError(f"labels: expected texts, found {item!r:.60}")
        _check_readable(item, "labels")
    digits = tuple(item.strip() for item in items if item.strip().isdecimal())
    if digits:
        _warn_of_digits(digits)
    return [str(item) for item in items]


@lru_cache(maxsize=256)
def _warn_of_digits(labels: tuple[str, ...]) -> None:
    """Warn once for a label list."""
    logger.warning(
        "labels %s are numbers, which say nothing to a model that reads them: words answer better, such as "
        "negative and positive", ", ".join(labels),
    )  # fmt: skip


@lru_cache(maxsize=256)
def untuned_labels(labels: tuple[str, ...], tuned: tuple[str, ...]) -> str:
    """Return as a sentence which labels no level was tuned on, and what they may misspell; empty for none."""
    unknown = [label for label in dict.fromkeys(map(str.strip, labels)) if label not in tuned]
    words = ", ".join(f"{label!r:.100}{suggest(label, tuned)}" for label in unknown)
    return f"no level was tuned on {words}" if unknown else ""


@lru_cache(maxsize=256)
def report_untuned_labels(labels: tuple[str, ...], tuned: tuple[str, ...]) -> None:
    """Log once for a label list what no level was tuned on; warn where that may be a misspelling."""
    if sentence := untuned_labels(labels, tuned):
        logger.log(logging.WARNING if "did you mean" in sentence else logging.INFO, "%s", sentence)


@lru_cache(maxsize=256)
def report_untuned_aspects(identity: str) -> None:
    """Log once for a model that no level of it was tuned on questions about an aspect."""
    logger.warning(
        "no level was tuned on a question about an aspect: the labels of aspects are guesses (%s)", identity
    )


def instruction_text(instruction: Any) -> str:
    """Return an instruction without white space around it; an empty one is none.

    Raises InputError for white space alone, and for what is no text.
    """
    if not isinstance(instruction, str) or (instruction and is_blank(instruction)):
        raise InputError(f"instruction: expected a text, found {instruction!r:.60}")
    _check_readable(instruction, "instruction")
    return instruction.strip()


def _check_readable(text: str, location: str) -> None:
    if unreadable(text):
        raise InputError(f"{location}: expected text, found {describe_unreadable(text)} in {text!r:.60}")


def as_list(inputs: Any, location: str = "input") -> Any:
    """Return any iterable of texts, turns or conversations as a list; a text or a turn as it is.

    A tuple of two texts stays one. Raises InputError for a table: one of its columns is expected.
    """
    if not _is_iterable(inputs) or _is_pair(inputs):
        return inputs
    if hasattr(inputs, "columns"):
        kind = type(inputs).__name__
        raise InputError(f"{location}: found a table ({kind}): expected one of its columns, or a list")
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
    present = [item for item in inputs if not is_missing(item)]
    nested = bool(present) and all(_is_iterable(item) and not _is_pair(item) for item in present)
    return nested if task.context else True


def _is_iterable(inputs: object) -> bool:
    return isinstance(inputs, Iterable) and not isinstance(inputs, str | bytes | Mapping | Utterance)


def _is_pair(turn: object) -> bool:
    """Return whether a turn is a tuple of a speaker, which may be missing or a number, and a text."""
    if not isinstance(turn, tuple) or len(turn) != 2:
        return False
    return isinstance(turn[1], str) and as_name(turn[0]) is not None
