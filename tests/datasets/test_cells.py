"""Cells of any type as names, sort keys and label lists."""

from decimal import Decimal
from fractions import Fraction

import numpy as np
import pandas as pd
import pytest

from gsa.datasets.cells import as_name, describe_unreadable, labels_cell, name_cell, sort_key_cell
from gsa.errors import InputError


def test_names_are_texts_and_numbers() -> None:
    values = [" Ana ", 7, -3, 1.0, 2.5, 10**20, None, float("nan"), pd.NA, ""]
    assert [as_name(value) for value in values] == [
        "Ana", "7", "-3", "1", "2.5", str(10**20), "", "", "", "",
    ]  # fmt: skip
    numbers = [np.int64(7), np.float32(0.5), np.float64(1), Decimal("2.00"), Decimal("2.50"), Fraction(4, 2)]
    assert [as_name(value) for value in numbers] == ["7", "0.5", "1", "2", "2.50", "2"]
    extremes = [float("inf"), Decimal("Infinity"), Decimal("1E+400"), Decimal("NaN"), 1e300]
    assert [as_name(value) for value in extremes] == ["inf", "Infinity", "1E+400", "", "1e+300"]
    assert as_name(np.True_) is None
    assert [as_name(value) for value in (True, [1], {"a": 1}, b"a")] == [None] * 4
    assert name_cell({"who": 1.0}, "who") == "1"
    assert name_cell({"who": 1.0}, "") == name_cell({"who": 1.0}, "whom") == ""
    with pytest.raises(InputError, match="'who': expected a text or a number, found True"):
        name_cell({"who": True}, "who")


def test_sort_keys_compare_numbers_before_texts() -> None:
    keys = [sort_key_cell({"t": value}, "t") for value in (-1, "2", 10.5, "9:05", "10:01", "x")]
    assert keys == sorted(keys)
    assert sort_key_cell({}, "") == ()
    for missing in (None, float("nan"), pd.NA, " "):
        with pytest.raises(InputError, match="'t': expected a value to sort turns by, found none"):
            sort_key_cell({"t": missing}, "t")
    ids = [-(10**400), float("-inf"), -1, 2**62, 2**62 + 1, str(2**62 + 2), 1e30, 10**400, "nan"]
    ids[:2] = ids[1::-1]
    keys = [sort_key_cell({"t": value}, "t") for value in ids]
    assert keys == sorted(keys), "long numbers are told apart"
    assert len(set(keys)) == len(keys)
    assert sort_key_cell({"t": "01"}, "t") == sort_key_cell({"t": 1}, "t")
    assert sort_key_cell({"t": "9" * 5000 + ":1"}, "t") < sort_key_cell({"t": "9" * 5000 + ":2"}, "t")


def test_label_lists_are_lists_or_texts_with_commas() -> None:
    assert labels_cell({"l": " a ,b"}, "l") == labels_cell({"l": ["a", "b"]}, "l") == ("a", "b")
    assert labels_cell({"l": [0, 1.0]}, "l") == ("0", "1")
    assert labels_cell({"l": pd.NA}, "l") == labels_cell({"l": None}, "l") == ()
    with pytest.raises(InputError, match="'l': expected a list of labels, found 5"):
        labels_cell({"l": 5}, "l")


def test_bytes_that_are_not_utf_8_are_named_in_windows_1252() -> None:
    assert describe_unreadable("caf\udce9") == "the byte 0xE9 ('é' in the encoding cp1252)"
    assert describe_unreadable("a\0") == "the character U+0000"
    assert describe_unreadable("café") == ""
