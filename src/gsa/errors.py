"""The one exception that means "your input": what was found, where, what was expected; and short memory."""

import errno
from collections.abc import Iterable
from difflib import get_close_matches


class InputError(ValueError):
    """Bad input, said in one sentence; the command line prints it and exits with code 2."""


def suggest(word: str, known: Iterable[str]) -> str:
    """Return ``" (did you mean 'x'?)"`` for the known word nearest to a misspelt one, or ``""``."""
    near = get_close_matches(word, list(known), n=1)
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
