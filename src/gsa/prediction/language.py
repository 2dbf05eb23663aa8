"""The language of a text, where it is plainly not English, by py3langid (the extra `language`).

GSA-135M and its benchmark are English. A label of a text in another language is a guess, so its prediction
says which language it seems to be.
"""

import logging
import re
import unicodedata
from functools import cache
from typing import Any

logger = logging.getLogger(__name__)
SURE = 0.3
"""Smallest probability of another language that counts as plain."""
ENGLISH = 0.02
"""Largest probability of English beside it."""

NO_LANGUAGE = "zxx"
"""py3langid's code of emoji and symbols."""

PLAIN_ENGLISH = re.compile(
    r"\b(the|and|this|that|these|those|you|your|my|with|have|they|their|what|which|would|it|it's|i'm|don't|"
    r"can't|isn't|are|were|from|about|there|been|should|could)\b",
    re.IGNORECASE,
)
"""Words of no other common language: with one of them a text is not plainly foreign, and the model, which
takes a second to load, is not asked."""


@cache
def _identifier() -> Any:
    """Return py3langid's model, None without the extra, which is logged once."""
    try:
        from py3langid.langid import MODEL_FILE, LanguageIdentifier
    except ImportError:
        logger.warning(
            "texts that are not English are not marked, and their labels are guesses: the extra `language` "
            "(py3langid) marks them"
        )
        return None
    return LanguageIdentifier.from_model_file(MODEL_FILE, norm_probs=True)


def foreign_language(text: str) -> str:
    """Return the ISO 639-1 code of a text's language if it is plainly not English, otherwise ``""``.

    A text in another script is plain, however short. Latin words too few to tell, emoji and mixed texts give
    ``""``, and so does every text without the extra.
    """
    identifier = None if PLAIN_ENGLISH.search(text) else _identifier()
    if identifier is None:
        return ""
    ranked = identifier.rank(text)
    (language, probability), english = ranked[0], dict(ranked)["en"]
    sure = english < ENGLISH and (probability >= SURE or not _is_latin(text))
    return str(language) if sure and language not in ("en", NO_LANGUAGE) else ""


def foreign_note(language: str) -> str:
    """Return what a reader of a label is told about a text in another language than English."""
    return f"not English but '{language}': a guess"


def _is_latin(text: str) -> bool:
    """Return whether at least half of the letters are Latin; also of a text without letters."""
    letters = [character for character in text if character.isalpha()]
    latin = sum(unicodedata.name(letter, "").startswith("LATIN") for letter in letters)
    return 2 * latin >= len(letters)
