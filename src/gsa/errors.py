"""The one exception that means "your input": what was found, where, what was expected; and short memory."""

import errno
import re
from collections.abc import Iterable, Mapping, Sequence
from difflib import get_close_matches
from itertools import islice
from typing import Any


class InputError(ValueError):
    """Bad input, said in one sentence; the command line prints it and exits with code 2."""


MAX_COMPARED, MAX_WORD = 1_000, 100
"""Known words, and characters of a word, that are compared: users' files may have any number of both."""


NAME = re.compile(r"[A-Za-z0-9][\w.-]*")
"""A name by which an item of a list is addressed."""


def suggest(word: str, known: Iterable[str]) -> str:
    """Return ``" (did you mean 'x'?)"`` for the known word nearest to a misspelt one, or ``""``."""
    words = [candidate for candidate in islice(known, MAX_COMPARED) if len(candidate) <= MAX_WORD]
    near = get_close_matches(word, words, n=1) if len(word) <= MAX_WORD else []
    return f" (did you mean '{near[0]}'?)" if near else ""


def key_of(location: Sequence[int | str], document: Any, is_missing: bool = False) -> str:
    """Return the location of a pydantic error as the dotted key that a user writes in the document.

    An item of a list is its name, or its index if it has none or shares it. Parts that the document does not
    have, such as the tags of unions, are left out, unless it is the last one of a key that is missing.
    """
    keys, node = [], document
    for part in location:
        if isinstance(node, Mapping) and part in node:
            keys.append(str(part))
            node = node[part]
        elif isinstance(node, Sequence) and isinstance(part, int) and part < len(node):
            names = item_names(node)
            keys.append(names[part] if names.count(names[part]) == 1 and names[part] else str(part))
            node = node[part]
    return ".".join([*keys, str(location[-1])] if is_missing else keys)


def item_names(items: Sequence[Any]) -> list[str]:
    """Return the name of each item of a list in a document; an empty one where it has none."""
    names = [item.get("name") if isinstance(item, Mapping) else item for item in items]
    return [name if isinstance(name, str) and NAME.fullmatch(name) else "" for name in names]


SHORT = ("can't allocate memory", "cannot allocate memory", "out of memory", "bad alloc", "bad_alloc")
"""What torch's allocators, its mapping of files, and C++ say when there is no memory."""


def memory_is_short(error: BaseException) -> bool:
    """Whether an exception, Python's, the system's or torch's, says that memory ran out."""
    if isinstance(error, MemoryError) or type(error).__name__ == "OutOfMemoryError":
        return True
    if isinstance(error, OSError):
        return error.errno == errno.ENOMEM
    return isinstance(error, RuntimeError) and any(words in str(error).lower() for words in SHORT)
