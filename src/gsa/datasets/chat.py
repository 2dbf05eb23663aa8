"""A conversation as people paste it: text in, Utterances out.

One turn per line, ``Name: text``, with or without a time before or behind the name, as chat programs copy
it: ``[12:04] Anna: hi``, ``12/03/24, 12:04 - Anna: hi``. Empty lines are skipped. A name is what precedes the
first colon that is followed by a space, if it is short enough to be one, so that ``10:30``, ``https://`` and
``:)`` stay text. A line without a name is a turn without a speaker, and so is one that begins with a colon;
exports have such lines from the program itself, as ``12/03/24, 12:00 - Anna added Ben``.
Where the turns have times, a line without time and name continues the turn before.
"""

import re
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence

from gsa.data.types import Utterance
from gsa.errors import InputError

LINE = re.compile(r"(?P<name>.{0,60}?)(?::(?=\s|$)|：)\s*(?P<text>.*)", re.S)
MAX_NAME, MAX_NAME_WORDS = 40, 4
"""Characters and words of the longest name."""
SENTENCE_PUNCTUATION = re.compile(r"[?!;,…。，？！]")
"""What a sentence has and a name does not."""
DIRECTION_MARKS = re.compile("[\u200e\u200f\u061c\u202a-\u202e\u2066-\u2069\ufeff]")
"""Chat programs put them around names; no model was tuned on them."""
MAX_SPEAKERS = 3
"""Names that are a conversation's even if nobody speaks twice; a list of titled texts has more."""
_DATE = r"\d{1,4}[-/.]\d{1,2}(?:[-/.]\d{1,4})?\.?,?[\sT]\s*"
_TIME = r"\d{1,2}:\d{2}(?::\d{2}(?:[.,]\d+)?)?(?:Z|[+-]\d{2}:?\d{2}|\s?[AaPp]\.?[Mm]\.?)?"
_BRACKETED = rf"(?:\[(?:{_DATE})?{_TIME}\]|\((?:{_DATE})?{_TIME}\))"
STAMP = re.compile(rf"(?:(?P<sure>{_BRACKETED}|{_DATE}{_TIME}(?=\s))|{_TIME}(?=\s))\s*(?:[-–—]\s+)?")
"""A time before a name; without brackets and date it may also begin a text."""
STAMP_BEHIND = re.compile(rf"\s*{_BRACKETED}$")
"""A time between a name and the colon."""


def parse_conversation(pasted: str, max_turns: int) -> list[Utterance]:
    """Return the turns of a pasted conversation; raises InputError for none, or for more than `max_turns`.

    A name without a text is refused with the number of its line, counted from 1.
    """
    # Only line feeds end a line: str.splitlines would also cut at characters that texts may hold.
    lines = enumerate(re.split(r"\r\n|\r|\n", pasted), start=1)
    turns = [parse_line(line, number) for number, line in join_continued(lines)]
    if not turns:
        raise InputError("expected a conversation, one turn per line as 'Name: text', found nothing")
    if len(turns) > max_turns:
        raise InputError(f"expected at most {max_turns:,} turns, one per line, found {len(turns):,}")
    return turns


def is_conversation(lines: Sequence[str], untimed: bool = True) -> bool:
    """Return whether lines are a conversation: two or more of its turns have a name, and not too many names.

    If most turns have a time, half of them need a name; otherwise all do, and only with `untimed`.
    """
    turns = _turns(lines)
    names = Counter(name for _, name, _ in turns if name)
    named = names.total()
    if named < 2 or len(names) > max(MAX_SPEAKERS, named // 2):
        return False
    timed = sum(is_timed for is_timed, _, _ in turns)
    if 2 * timed > len(turns):
        return 2 * named >= len(turns)
    return untimed and named == len(turns)


def resembles_conversation(lines: Sequence[str]) -> bool:
    """Return whether some turns have a time and a name, or half of them a name."""
    turns = _turns(lines)
    named = sum(bool(name) for _, name, _ in turns)
    return any(is_timed and name for is_timed, name, _ in turns) or 2 * named >= len(turns) > 1


def _turns(lines: Sequence[str]) -> list[tuple[bool, str, str]]:
    return [_split(line) for _, line in join_continued((0, line) for line in lines)]


def join_continued(lines: Iterable[tuple[int, str]]) -> Iterator[tuple[int, str]]:
    """Yield the numbered turns: lines that are not empty, with those that continue a turn joined to it."""
    number, turn, timed = 0, "", False
    for next_number, line in lines:
        line = DIRECTION_MARKS.sub("", line).strip()
        if not line:
            continue
        time, name, _ = _split(line)
        if timed and not time and not name:
            turn += f"\n{line}"
            continue
        if turn:
            yield number, turn
        number, turn, timed = next_number, line, time
    if turn:
        yield number, turn


def parse_line(line: str, number: int) -> Utterance:
    """Return one turn; raises InputError that names the line for a name without a text."""
    line = DIRECTION_MARKS.sub("", line).strip()
    _, name, text = _split(line)
    if not text:
        raise InputError(f"line {number}: expected a text after '{line[:MAX_NAME]}', found none")
    return Utterance(text, name)


def _split(line: str) -> tuple[bool, str, str]:
    """Return whether a line has a time, its name or an empty text, and its text."""
    stamp = STAMP.match(line)
    if not stamp or stamp.end() == len(line):
        return False, *_name_and_text(line)
    name, text = _name_and_text(line[stamp.end() :])
    if stamp["sure"] or (name and not name[0].islower()):
        return True, name, text
    return False, "", line


def _name_and_text(line: str) -> tuple[str, str]:
    match = LINE.fullmatch(line)
    if match is None:
        return "", line
    name = STAMP_BEHIND.sub("", match["name"].strip())
    short = len(name) <= MAX_NAME and len(name.split()) <= MAX_NAME_WORDS
    if name and (not short or SENTENCE_PUNCTUATION.search(name)):
        return "", line
    return name, match["text"]
