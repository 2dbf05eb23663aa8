"""The forgetting matrix of an arm with backward transfer."""

from pathlib import Path

import numpy as np
import pytest
from study import PROGRESSIVE, write_run

from gsa.report.forgetting import forgetting_matrix, forgetting_table
from gsa.report.runs import by_arm, read_runs


def test_every_dataset_after_every_level(arms):
    table = forgetting_table("progressive", arms["progressive"], 200)
    assert table.header == ("dataset", "metric", "n", "untuned", "after SA", "after ERC", "after SD",
                            "backward transfer", "95% interval", "n of both")  # fmt: skip
    assert [row[0] for row in table.rows] == [
        "SST-2", "CMU-MOSI", "MELD", "EmoryNLP", "MUStARD", "backward transfer",
    ]  # fmt: skip
    sst2 = table.rows[0]
    assert sst2[4].endswith("(n=50)")
    assert " ± " in sst2[6]
    assert {len(row) for row in table.rows} == {len(table.header)}


def test_transfer_is_taken_over_what_both_levels_answered(arms):
    """SST-2 was learned at level 1 and answered on 50 examples there."""
    table = forgetting_table("progressive", arms["progressive"], 200)
    changes = []
    for run in arms["progressive"]:
        after, final = run.predictions(1, "sst2"), run.predictions(3, "sst2")
        same = final.select(after.ids)
        right = [(a.predicted == a.gold).mean() for a in (same, after.answers)]
        changes.append(100 * (right[0] - right[1]))
    assert table.rows[0][7] == f"{np.mean(changes):+.2f}"
    assert table.rows[0][9] == "50"
    low, high = map(float, table.rows[0][8].split(" to "))
    assert low <= np.mean(changes) <= high


def test_replay_does_not_change_the_level_that_transfer_counts_from(tmp_path):
    """SST-2 is learned at level 1, and some of it is read again at the last level."""
    replayed = {**PROGRESSIVE, "SD": ["mustard", "sst2"]}
    names = [name for level in PROGRESSIVE.values() for name in level]
    root = write_run(tmp_path / "run", "run", 0, replayed, measured=names)
    runs = by_arm(read_runs([root]))["run"]
    assert [runs[0].learned_at(name) for name in ("sst2", "mustard")] == [1, 3]
    table = forgetting_table("run", runs, 100)
    change = runs[0].main_row(3, "sst2").value - runs[0].main_row(1, "sst2").value
    assert float(table.rows[0][7]) == pytest.approx(change, abs=0.01)
    assert table.rows[4][7] == ""


def test_the_last_levels_datasets_have_no_transfer_and_the_rest_average(arms):
    table = forgetting_table("progressive", arms["progressive"], 200)
    assert table.rows[4][7:] == ["", "", ""]
    each = [float(row[7]) for row in table.rows[:4]]
    assert float(table.rows[5][7]) == pytest.approx(np.mean(each), abs=0.02)


def test_without_predictions_transfer_is_taken_from_the_rows(tmp_path):
    root = write_run(tmp_path / "run", "run", 0, PROGRESSIVE)
    for file in root.glob("predictions/level-1/*.parquet"):
        Path(file).unlink()
    runs = by_arm(read_runs([root]))["run"]
    table = forgetting_table("run", runs, 100)
    assert table.rows[0][7] == ""
    run = runs[0]
    learned = {"sst2": 1, "mosi": 1, "meld": 2, "emorynlp": 2}
    changes = [
        run.main_row(3, name).value - run.main_row(level, name).value for name, level in learned.items()
    ]
    assert table.rows[5][7] == f"{np.mean(changes):+.2f} (of rows)"


def test_the_matrix_of_a_figure_is_over_what_every_level_answered(arms):
    rows, columns, values = forgetting_matrix(arms["progressive"])
    assert rows[0] == "SST-2 (n = 50)"
    assert columns == ["untuned", "after SA", "after ERC", "after SD"]
    assert values.shape == (5, 4)
    expected = [
        100 * np.mean((answers := run.predictions(3, "sst2").answers).predicted[:50] == answers.gold[:50])
        for run in arms["progressive"]
    ]
    assert values[0, 3] == pytest.approx(np.mean(expected))


def test_without_predictions_the_matrix_has_the_rows(tmp_path):
    root = write_run(tmp_path / "run", "run", 0, PROGRESSIVE)
    for file in root.glob("predictions/level-1/*.parquet"):
        file.unlink()
    (run,) = by_arm(read_runs([root]))["run"]
    assert forgetting_matrix([run])[2][0, 1] == pytest.approx(run.main_row(1, "sst2").value)


def test_where_one_fold_alone_was_asked_at_a_level_the_matrix_is_of_that_fold(tmp_path):
    levels = {"SA": ["sst2"], "SD": ["mustard"]}
    for name in ("run", "run-fold1"):
        write_run(tmp_path / name, name, 0, levels)
    for file in (tmp_path / "run-fold1").glob("predictions/level-1/*.parquet"):
        file.unlink()
    (run,) = read_runs([tmp_path])
    titles, _, values = forgetting_matrix([run])
    assert titles[1] == "MUStARD (n = 120)"
    assert values[1, 2] == pytest.approx(run.folds[0].main_row(2, "mustard").value)
    assert values[1, 2] != run.main_row(2, "mustard").value
