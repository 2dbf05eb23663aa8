"""Result rows and the forgetting matrix."""

import json
from dataclasses import asdict, replace
from unittest.mock import ANY

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gsa.errors import InputError
from gsa.evaluation import results
from gsa.evaluation.results import Result, add, forgetting_matrix, read

ROW = Result("run", 1, 2, "meld", "test", "weighted_f1", 61.25, 2610)


def test_rows_come_back_in_the_order_they_were_first_stored(tmp_path):
    rows = [replace(ROW, level=level) for level in (2, 0, 1)]
    add(tmp_path, rows[:2])
    add(tmp_path, rows[2:])
    assert read(tmp_path) == rows


def test_nothing_measured_yet(tmp_path):
    assert read(tmp_path) == []
    add(tmp_path, [])
    assert read(tmp_path) == []


@pytest.mark.parametrize(
    "change",
    [{"run": "b"}, {"seed": 2}, {"level": 1}, {"dataset": "x"}, {"split": "dev"}, {"metric": "accuracy"}],
)
def test_a_row_of_another_key_is_kept_beside(tmp_path, change):
    other = replace(ROW, **change)
    add(tmp_path, [ROW])
    add(tmp_path, [other])
    assert read(tmp_path) == [ROW, other]


def test_a_row_of_the_same_key_takes_the_place_of_the_earlier_one(tmp_path):
    first, last = replace(ROW, level=1), replace(ROW, level=3)
    add(tmp_path, [first, ROW, last])
    newer = replace(ROW, value=70.5, n=100)
    add(tmp_path, [newer])
    assert read(tmp_path) == [first, newer, last]
    add(tmp_path, [replace(newer, value=1.0), replace(newer, value=2.0)])
    assert [row.value for row in read(tmp_path)] == [61.25, 2.0, 61.25]


def test_rows_are_plain_json_lines(tmp_path):
    add(tmp_path, [ROW, replace(ROW, level=-1, dataset="фильмы\u2028")])
    raw = (tmp_path / results.FILE).read_bytes()
    assert raw.endswith(b"\n")
    assert [json.loads(line)["level"] for line in raw.split(b"\n")[:-1]] == [2, -1]
    assert json.loads(raw.split(b"\n")[0]) == {**asdict(ROW), "crc32": ANY}
    assert [path.name for path in tmp_path.iterdir()] == ["results.jsonl"]


@given(
    st.lists(
        st.builds(
            Result, st.text(), st.integers(), st.integers(-1, 3), st.text(), st.text(), st.text(),
            st.floats(allow_nan=False), st.integers(0),
        )
    )
)  # fmt: skip
def test_any_rows_come_back(tmp_path_factory, rows):
    folder = tmp_path_factory.mktemp("run")
    add(folder, rows)
    key = lambda r: (r.run, r.seed, r.level, r.dataset, r.split, r.metric)  # noqa: E731
    assert read(folder) == list({key(row): row for row in rows}.values())


@pytest.mark.parametrize(
    "bad",
    [
        "{",
        "",
        "[]",
        "7",
        '{"run": "run"}',
        json.dumps({**asdict(ROW), "colour": "red"}),
        "\x00",
    ],
)
def test_a_line_that_is_no_row_is_pointed_at(tmp_path, bad):
    good = json.dumps(asdict(ROW))
    (tmp_path / results.FILE).write_text(f"{good}\n{bad}\n{good}\n", encoding="utf-8")
    with pytest.raises(InputError, match=r"results\.jsonl line 2: not a result row"):
        read(tmp_path)
    with pytest.raises(InputError):  # and what is there is not overwritten
        add(tmp_path, [ROW])
    assert (tmp_path / results.FILE).read_text(encoding="utf-8") == f"{good}\n{bad}\n{good}\n"


NAMES = {-1: "majority", 0: "untuned", 1: "after SA", 2: "after ERC"}


def test_the_forgetting_matrix_has_a_row_a_dataset_and_a_column_a_level():
    rows = [
        Result("run", 1, level, dataset, "test", metric, value, n)
        for level, dataset, metric, value, n in [
            (-1, "sst2", "accuracy", 50.08, 1821),
            (0, "sst2", "accuracy", 60.0, 1821),
            (1, "sst2", "accuracy", 90.96, 500),
            (2, "sst2", "accuracy", 89.449, 1821),
            (2, "sst2", "macro_f1", 1.0, 1821),
            (2, "meld", "weighted_f1", 61.25, 2610),
            (2, "elsewhere", "accuracy", 2.0, 1),
            (7, "meld", "weighted_f1", 3.0, 9999),
        ]
    ]
    mains = {"meld": "weighted_f1", "sst2": "accuracy", "mustard": "weighted_f1"}
    assert forgetting_matrix(rows, mains, NAMES) == [
        ["dataset", "metric", "n", "majority", "untuned", "after SA", "after ERC"],
        ["meld", "weighted_f1", "2610", "", "", "", "61.2"],
        ["sst2", "accuracy", "1821", "50.1", "60.0", "91.0 (n=500)", "89.4"],
        ["mustard", "weighted_f1", "0", "", "", "", ""],
    ]


def test_the_forgetting_matrix_of_nothing():
    assert forgetting_matrix([], {}, NAMES) == [["dataset", "metric", "n", *NAMES.values()]]
    assert forgetting_matrix([ROW], {"meld": "accuracy"}, {2: "after"}) == [
        ["dataset", "metric", "n", "after"],
        ["meld", "accuracy", "0", ""],
    ]
