"""Rows of similarities, and what the report makes of them."""

import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import similarity
from similarity import At, Similarity, matrix, shown, tables

from gsa.errors import InputError
from gsa.report.report import report
from gsa.report.runs import by_arm, read_runs

ROW = Similarity(
    "progressive", 0, 3, "gradient", "recipe", "sst2", "meld", "gold", "cosine", 0.2, None, 0.0, 50
)
UPDATE = Similarity("progressive", 0, 0, "link", "", "SA", "ERC", "q_proj", "columns", 0.09, 0.01, 0.03, 30)


def rows_of(seed: int) -> list[Similarity]:
    """Two datasets at one level and two links, values that grow with the seed."""
    row = replace(ROW, seed=seed, value=0.2 + 0.2 * seed)
    halves = [replace(row, first=name, second=name, measure="halves", value=0.8) for name in ("sst2", "meld")]
    corrected = replace(row, measure="corrected", value=0.3 + 0.2 * seed, error=0.06)
    update = replace(UPDATE, seed=seed)
    kinds = {"rows": 0.03, "column angle": 60.0, "row angle": 70.0, "update": 0.1}
    links = [update, *(replace(update, measure=kind, value=value) for kind, value in kinds.items())]
    return [*halves, row, corrected, *links]


@pytest.fixture
def probed(study: Path, tmp_path: Path) -> Path:
    """A study whose progressive arm has rows for both seeds."""
    root = Path(shutil.copytree(study, tmp_path / "study"))
    for seed in (0, 1):
        similarity.add(root / f"progressive-s{seed}", rows_of(seed))
    return root


def test_rows_come_back_and_take_the_place_of_their_like(tmp_path: Path) -> None:
    assert similarity.read(tmp_path) == []
    similarity.add(tmp_path, rows_of(0))
    similarity.add(tmp_path, [replace(ROW, value=None)])
    found = similarity.read(tmp_path)
    assert found == [replace(row, value=None) if row == ROW else row for row in rows_of(0)]


@pytest.mark.parametrize("change", [('"n": 50', '"n": 51'), ('"n": 50', '"m": 50'), ("0.2", '"many"')])
def test_a_damaged_row_is_refused_in_words(tmp_path: Path, change: tuple[str, str]) -> None:
    similarity.add(tmp_path, [ROW])
    file = tmp_path / similarity.FILE
    file.write_text(file.read_text().replace(*change))
    with pytest.raises(
        InputError, match=r"similarity.jsonl line 1: not a result row: .*gsa similarity makes"
    ):
        similarity.read(tmp_path)


def test_a_number_that_is_none_is_refused(tmp_path: Path) -> None:
    similarity.write_rows(tmp_path / similarity.FILE, [{**vars(ROW), "value": "many"}])
    with pytest.raises(InputError, match="is no number"):
        similarity.read(tmp_path)


def test_the_matrix_has_cosines_below_and_corrected_ones_above() -> None:
    names, values = matrix(rows_of(0), At(3, "recipe", "gold"))
    assert names == ["sst2", "meld"]
    assert values.tolist() == [[0.8, 0.3], [0.2, 0.8]]
    unsure = [replace(row, value=None) if row.measure == "corrected" else row for row in rows_of(0)]
    assert np.isnan(matrix(unsure, At(3, "recipe", "gold"))[1][0, 1])


def test_seeds_are_averaged_and_their_errors_with_them(probed: Path) -> None:
    gradients, links = tables(by_arm(read_runs([probed])))
    assert gradients.name == "similarity-progressive"
    (line,) = gradients.rows
    assert line == ["after SD", "recipe", "gold", "SST-2", "MELD", "0.300", "0.800", "0.800", "0.400",
                    f"{0.06 / np.sqrt(2):.3f}", "50"]  # fmt: skip
    assert links.rows == [["SA", "ERC", "q_proj", "0.090 (0.030)", "0.030 (0.030)", "60.0 (0.0)",
                           "70.0 (0.0)", "0.100 (sd 0.010)", "30"]]  # fmt: skip


def test_links_are_shown_times_chance() -> None:
    (title, gradients), (_, links) = shown(rows_of(0))
    assert title.startswith("Cosines of gradients at level 3, the recipe's losses")
    assert gradients == [["", "sst2", "meld"], ["sst2", "0.80", "0.30"], ["meld", "0.20", "0.80"]]
    assert links == [["", "q_proj columns", "q_proj rows"], ["SA and ERC", "3.00", "1.00"]]


def test_the_report_shows_them_and_leaves_out_what_is_not_there(
    study: Path, probed: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("GSA_DATA", str(tmp_path))
    made = report([probed], tmp_path / "with", resamples=100, say=lambda _: None)
    names = {file.name for file in made.files}
    figures = {"similarity-progressive-level-3-recipe-gold.png", "links-progressive.png"}
    assert figures | {"similarity-progressive.csv", "links-progressive.csv"} <= names
    page = (tmp_path / "with" / "report.md").read_text()
    assert "## Figure 3: gradients of the subtasks, progressive" in page
    assert all(f"](figures/{name})" in page for name in figures)
    made = report([study], tmp_path / "without", resamples=100, say=lambda _: None)
    assert not figures & {file.name for file in made.files}
    assert "Figure 3: gradients" not in (tmp_path / "without" / "report.md").read_text()
    assert any(sentence.startswith("Figure 3: no run has rows of similarity") for sentence in made.absent)


def test_rows_of_another_run_are_not_taken_for_this_ones(probed: Path) -> None:
    similarity.add(probed / "erc-only-s0", rows_of(0))
    assert [table.name for table in tables(by_arm(read_runs([probed])))] == [
        "similarity-progressive", "links-progressive"
    ]  # fmt: skip
