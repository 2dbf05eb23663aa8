"""The report of the study, made of invented rows and of the committed ones."""

import shutil
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from gradient_similarity import rows as stored
from gradient_similarity.report import blank_noise, gradient_matrix, make_report, text_matrices
from gradient_similarity.rows import Condition, Similarity

from gsa.errors import InputError

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
        stored.add(root / f"progressive-s{seed}", rows_of(seed))
    return root


def test_the_matrix_has_cosines_below_and_corrected_ones_above() -> None:
    names, values = gradient_matrix(rows_of(0), Condition(3, "recipe", "gold"))
    assert names == ["sst2", "meld"]
    assert values.tolist() == [[0.8, 0.3], [0.2, 0.8]]
    unsure = [replace(row, value=None) if row.measure == "corrected" else row for row in rows_of(0)]
    assert np.isnan(gradient_matrix(unsure, Condition(3, "recipe", "gold"))[1][0, 1])


def test_seeds_are_averaged_and_their_errors_with_them(probed: Path, tmp_path: Path) -> None:
    make_report([probed], tmp_path / "report")
    gradients = (tmp_path / "report" / "tables" / "similarity-progressive.csv").read_text().splitlines()
    error = f"{0.06 / np.sqrt(2):.3f}"
    assert gradients[1:] == [f"after SD,recipe,gold,SST-2,MELD,0.300,0.800,0.800,0.400,{error},50"]
    links = (tmp_path / "report" / "tables" / "links-progressive.csv").read_text().splitlines()
    cells = "0.090 (0.030),0.030 (0.030),60.0 (0.0),70.0 (0.0),0.100 (sd 0.010),30"
    assert links[1:] == [f"SA,ERC,q_proj,{cells}"]


def test_cosines_of_noise_are_white() -> None:
    values = np.asarray([[0.9, 0.8, -3.0], [0.5, 0.7, 2.0], [0.1, 0.2, 0.1]])
    blank_noise(values)
    blank = np.isnan(values)
    assert blank.tolist() == [[False, False, True], [False, False, True], [False, False, False]]


def test_links_are_shown_times_chance() -> None:
    (title, gradients), (_, links) = text_matrices(rows_of(0))
    assert title.startswith("Cosines of gradients at level 3, the recipe's losses")
    assert gradients == [["", "sst2", "meld"], ["sst2", "0.80", "0.30"], ["meld", "0.20", "0.80"]]
    assert links == [["", "q_proj columns", "q_proj rows"], ["SA and ERC", "3.00", "1.00"]]


def test_the_report_has_tables_and_heat_maps(probed: Path, tmp_path: Path) -> None:
    files = make_report([probed], tmp_path / "report")
    figures = {"similarity-progressive-level-3-recipe-gold.png", "links-progressive.png"}
    tables = {"similarity-progressive.csv", "links-progressive.csv"}
    assert {file.name for file in files} == {"report.md", *figures, *tables}
    page = (tmp_path / "report" / "report.md").read_text()
    assert "## Figure 3: gradients of the subtasks, progressive" in page
    assert all(f"](figures/{name})" in page for name in figures)


def test_rows_of_another_run_are_not_reported_as_this_ones(study: Path, tmp_path: Path) -> None:
    root = Path(shutil.copytree(study, tmp_path / "study"))
    stored.add(root / "erc-only-s0", rows_of(0))
    with pytest.raises(InputError, match=r"no rows of similarity\.jsonl: measure a run first"):
        make_report([root], tmp_path / "report")
    assert not (tmp_path / "report").exists()


def test_the_committed_report_is_of_the_committed_rows(tmp_path: Path) -> None:
    results = Path(__file__).parents[2] / "results"
    committed = results / "report" / "gradient-similarity"
    files = make_report([results / "gsa-135m"], tmp_path / "report")
    assert len(files) == len([file for file in committed.rglob("*") if file.is_file()])
    for file in files:
        if file.suffix != ".png":  # its bytes depend on matplotlib's version
            assert file.read_text() == (committed / file.relative_to(tmp_path / "report")).read_text()


def test_the_command_line(probed: Path, tmp_path: Path) -> None:
    script = Path(__file__).parents[2] / "research" / "gradient_similarity"
    call = [sys.executable, script, "report"]
    done = subprocess.run([*call, probed, "--out", tmp_path / "out"], capture_output=True, text=True)
    assert (done.returncode, done.stdout) == (0, f"5 files in {tmp_path / 'out'}\n"), done.stderr
    done = subprocess.run([*call, tmp_path / "none"], capture_output=True, text=True)
    assert done.returncode == 1
    assert done.stderr.startswith("gradient_similarity: ")
    assert len(done.stderr.splitlines()) == 1
