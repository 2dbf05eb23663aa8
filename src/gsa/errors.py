"""The one exception that means "your input": what was found, where, what was expected; and short memory."""

import errno
from collections.abc import Iterable
from difflib import get_close_matches
from itertools import islice


class InputError(ValueError):
    """Bad input, said in one sentence; the command line prints it and exits with code 2."""


MAX_COMPARED, MAX_WORD = 1_000, 100
"""Known words, and characters of a word, that are compared: users' files may have any number of both."""


def suggest(word: str, known: Iterable[str]) -> str:
    """Return ``" (did you mean 'x'?)"`` for the known word nearest to a misspelt one, or ``""``."""
    words = [candidate for candidate in islice(known, MAX_COMPARED) if len(candidate) <= MAX_WORD]
    near = get_close_matches(word, words, n=1) if len(word) <= MAX_WORD else []
    return f" (did you mean '{near[0]}'?)" if near else ""


SHORT = ("can't allocate memory", "cannot allocate memory", "out of memory", "bad alloc", "bad_alloc")
"""What torch's allocators, its mapping of files, and C++ say when there is no memory."""


def memory_is_short(error: BaseException) -> bool:
    """Whether an exception, Python's, the system's or torch's, says that memory ran out."""
    if isinstance(error, MemoryError) or type(error).__name__ == "OutOfMemoryError":
        return True
    if isinstance(error, OSError):
        return error.errno == errno.ENOMEM
    return isinstance(error, RuntimeError) and any(words in str(error).lower() for words in SHORT)
