"""A conversation as people paste it in, Utterances out.

One turn a line, ``Name: text``. Empty lines are skipped. A name is what stands before the first colon with
a space behind it, if it is short enough to be one, so that ``10:30``, ``https://`` and ``:)`` stay text. A
line without a name is a turn of nobody, and so is one that begins with a colon, whatever follows it.
"""

import re

from gsa.data.types import Utterance
from gsa.errors import InputError

LINE = re.compile(r"(?P<name>.{0,60}?)(?::(?=\s|$)|：)\s*(?P<text>.*)", re.S)
LETTERS, WORDS = 40, 4
"""Of the longest name."""
UNNAMEABLE = re.compile(r"[?!;,…。，？！]")
"""What a sentence has and a name has not."""
MARKS = re.compile("[\u200e\u200f\u061c\u202a-\u202e\u2066-\u2069\ufeff]")
"""Marks of direction, which chats put around names; no model was tuned on them."""


def conversation(pasted: str, most: int) -> list[Utterance]:
    """Return the turns of a pasted conversation; raises InputError for none, or for more than `most`.

    A name without a text is refused with the number of its line, counted from 1.
    """
    found: list[Utterance] = []
    # Only line feeds end a line: str.splitlines would also cut at letters that texts may hold.
    for number, line in enumerate(re.split(r"\r\n|\r|\n", pasted), start=1):
        line = MARKS.sub("", line).strip()
        if line:
            found.append(_turn(line, number))
    if not found:
        raise InputError("expected a conversation, one turn a line as 'Name: text', found nothing")
    if len(found) > most:
        raise InputError(f"expected at most {most:,} turns, one a line, found {len(found):,}")
    return found


def _turn(line: str, number: int) -> Utterance:
    match = LINE.fullmatch(line)
    name = match["name"].strip() if match else ""
    if match is None or (name and not _is_name(name)):
        return Utterance(line)
    if not match["text"]:
        raise InputError(f"line {number}: expected a text after '{line[:LETTERS]}', found none")
    return Utterance(match["text"], name)


def _is_name(name: str) -> bool:
    return len(name) <= LETTERS and len(name.split()) <= WORDS and not UNNAMEABLE.search(name)
