"""Scores without repeated texts: ids of the file are left out, and only where the arm read their texts."""

import json
from pathlib import Path

import pytest

from gsa.errors import InputError
from gsa.evaluation.metrics import measure
from gsa.report import contamination as module
from gsa.report.contamination import contamination, read_overlaps


def test_the_repeated_are_left_out_of_the_score(arms) -> None:
    run = arms["progressive"][0]
    kept = run.predictions(run.last, "meld")
    gone, others = list(kept.ids[:3]), list(kept.ids[3:])
    found = contamination({"progressive": [run]}, {"meld": {"mosi": gone, "iemocap": others}}, 100)
    ((arm, dataset, of, n, every, rest, value, low, high),) = found.rows
    assert (arm, dataset, of, int(n), int(rest)) == (
        "progressive",
        "meld",
        "mosi",
        len(kept.ids),
        len(others),
    )
    for ids, said in ((kept.ids, every), (others, value)):
        assert float(said) == pytest.approx(
            measure(kept.select(ids), ["weighted_f1"])["weighted_f1"][0], abs=0.01
        )
    assert float(low) <= float(value) <= float(high)


def test_what_an_arm_did_not_read_is_not_left_out(arms) -> None:
    ids = arms["erc-only"][0].predictions(1, "meld").ids
    assert not contamination({"erc-only": arms["erc-only"]}, {"meld": {"sst2": list(ids[:2])}}, 100).rows
    assert not contamination(arms, {}, 100).rows


def test_a_file_that_is_none_is_refused(tmp_path: Path) -> None:
    file = tmp_path / "overlaps.json"
    file.write_text(json.dumps({"meld": {"mosi": ["a"]}}))
    assert read_overlaps(file) == {"meld": {"mosi": ["a"]}}
    for content in ("{", "[1]", '{"meld": 3}'):
        file.write_text(content)
        with pytest.raises(InputError, match="expected a file of `gsa data overlaps --out`"):
            read_overlaps(file)
    with pytest.raises(InputError, match="expected a file"):
        read_overlaps(tmp_path / "none.json")


def test_nothing_is_resampled_without_repeated_texts(arms, monkeypatch) -> None:
    monkeypatch.setattr(module, "bootstrap", lambda *_: pytest.fail("no score is shown"))
    assert not contamination(arms, {}, 100).rows
    assert not contamination(arms, {"meld": {"mosi": ["no such id"]}}, 100).rows
