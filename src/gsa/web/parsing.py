"""A conversation as people paste it: text in, Utterances out.

One turn per line, ``Name: text``. Empty lines are skipped. A name is what precedes the first colon that is
followed by a space, if it is short enough to be one, so that ``10:30``, ``https://`` and ``:)`` stay text. A
line without a name is a turn without a speaker, and so is one that begins with a colon.
"""

import re

from gsa.data.types import Utterance
from gsa.errors import InputError

LINE = re.compile(r"(?P<name>.{0,60}?)(?::(?=\s|$)|：)\s*(?P<text>.*)", re.S)
MAX_NAME, MAX_NAME_WORDS = 40, 4
"""Characters and words of the longest name."""
SENTENCE_PUNCTUATION = re.compile(r"[?!;,…。，？！]")
"""What a sentence has and a name does not."""
DIRECTION_MARKS = re.compile("[\u200e\u200f\u061c\u202a-\u202e\u2066-\u2069\ufeff]")
"""Chat programs put them around names; no model was tuned on them."""


def parse_conversation(pasted: str, max_turns: int) -> list[Utterance]:
    """Return the turns of a pasted conversation; raises InputError for none, or for more than `max_turns`.

    A name without a text is refused with the number of its line, counted from 1.
    """
    turns: list[Utterance] = []
    # Only line feeds end a line: str.splitlines would also cut at characters that texts may hold.
    for number, line in enumerate(re.split(r"\r\n|\r|\n", pasted), start=1):
        line = DIRECTION_MARKS.sub("", line).strip()
        if line:
            turns.append(_parse_turn(line, number))
    if not turns:
        raise InputError("expected a conversation, one turn per line as 'Name: text', found nothing")
    if len(turns) > max_turns:
        raise InputError(f"expected at most {max_turns:,} turns, one per line, found {len(turns):,}")
    return turns


def _parse_turn(line: str, number: int) -> Utterance:
    match = LINE.fullmatch(line)
    name = match["name"].strip() if match else ""
    if match is None or (name and not _is_name(name)):
        return Utterance(line)
    if not match["text"]:
        raise InputError(f"line {number}: expected a text after '{line[:MAX_NAME]}', found none")
    return Utterance(match["text"], name)


def _is_name(name: str) -> bool:
    short = len(name) <= MAX_NAME and len(name.split()) <= MAX_NAME_WORDS
    return short and not SENTENCE_PUNCTUATION.search(name)
