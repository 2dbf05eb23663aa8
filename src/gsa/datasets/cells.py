"""Values of cells as people's programs write them: names, sort keys and label lists from any type."""

import re
from collections.abc import Mapping
from decimal import Decimal
from numbers import Integral, Real
from typing import Any

from gsa.data.types import UNREADABLE, unreadable
from gsa.errors import InputError

EXACT = 2**53
"""Whole numbers below it are exact as floats; larger floats are written as they are."""


def is_missing(value: object) -> bool:
    """Return whether a value is None, NaN, or what pandas has for a missing value."""
    if value is None:
        return True
    try:
        return bool(value != value)
    except (TypeError, ValueError):  # pandas.NA has no truth value, and neither has an array
        return type(value).__name__ == "NAType"


def as_name(value: Any) -> str | None:
    """Return a speaker, an id or a label as a text, None for what is neither a text nor a number.

    A whole number is one without a decimal point: 1.0 is "1", as pandas reads a column with gaps. A
    missing value is empty.
    """
    if is_missing(value):
        return ""
    if isinstance(value, str):
        return value.strip()
    if isinstance(value, bool) or not isinstance(value, Real | Decimal):
        return None
    number: Any = value
    is_whole = isinstance(number, Integral) or (-EXACT < number < EXACT and number == int(number))
    return str(int(number)) if is_whole else str(number)


def name_cell(values: Mapping[str, Any], column: str) -> str:
    """Return a column's name, empty where there is no column; raises InputError for what is no name."""
    value = values.get(column) if column else ""
    name = as_name(value)
    if name is None:
        raise InputError(f"'{column}': expected a text or a number, found {excerpt(value)}")
    return name


def sort_key_cell(values: Mapping[str, Any], column: str) -> tuple[Any, ...]:
    """Return the key that sorts numbers by value, and texts such as times with their digits as numbers.

    It is empty where there is no column. Raises InputError for a missing value.
    """
    if not column:
        return ()
    value: Any = values.get(column)
    if is_missing(value) or not str(value).strip():
        raise InputError(f"'{column}': expected a value to sort turns by, found none")
    number = _as_number(value)
    if number is not None and not is_missing(number):
        return (0, number)
    parts = re.split(r"(\d+)", str(value).strip())
    return (1, *((len(part.lstrip("0")), part) if part.isdecimal() else (0, part) for part in parts))


def _as_number(value: Any) -> Any:
    """Return a number as it is, since floats do not tell long ids apart, a text as one, None for others."""
    if isinstance(value, Real | Decimal):
        return value
    for number in (int, float):
        try:
            return number(value)
        except (TypeError, ValueError):
            continue
    return None


def labels_cell(values: Mapping[str, Any], column: str) -> tuple[str, ...]:
    """Return the label list of a row: a list, or a text with commas between; empty where there is none.

    Raises InputError for anything else.
    """
    value = values.get(column) if column else None
    items = value.split(",") if isinstance(value, str) else value
    if is_missing(items) or items == [""]:
        return ()
    labels = [as_name(item) for item in items] if isinstance(items, list | tuple) else []
    if not labels or not all(labels):
        raise InputError(f"'{column}': expected a list of labels, found {excerpt(value)}")
    return tuple(label for label in labels if label)


def excerpt(value: object) -> str:
    """Return the beginning of a value for a message."""
    return "none" if value is None else f"{value!r:.60}"


def describe_unreadable(text: str) -> str:
    """Return what cannot be read in a text; a byte that is not UTF-8 with what it is in Windows-1252."""
    match = UNREADABLE.search(text)
    code = ord(match[0]) if match else 0
    if not 0xDC80 <= code <= 0xDCFF:
        return unreadable(text)
    character = bytes([code - 0xDC00]).decode("cp1252", "replace")
    return f"the byte 0x{code - 0xDC00:02X} ('{character}' in the encoding cp1252)"
