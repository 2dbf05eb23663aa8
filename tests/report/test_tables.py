"""The paper's tables beside measured rows."""

import csv
import io
import json
from dataclasses import replace
from pathlib import Path

import pytest
from study import ERC_ONLY, write_run

from gsa.evaluation import results
from gsa.report import comparison
from gsa.report.forgetting import forgetting_table
from gsa.report.paper import BENCHMARK, FEW_SHOT
from gsa.report.runs import by_arm, read_runs
from gsa.report.significance import mean_sd
from gsa.report.tables import (
    Table,
    format_mean,
    level_datasets,
    table_1,
    table_2,
    table_3,
    table_4,
    table_5,
    title_of,
)

FIXTURES = Path(__file__).parents[1] / "datasets" / "fixtures"


def test_a_table_as_markdown_and_csv():
    table = Table("t", "Title", ("a", "b"), [["1,5", "x|y"], ["", "z"]], ("A note.",))
    assert table.markdown() == "## Title\n\n| a | b |\n|---|---|\n| 1,5 | x\\|y |\n|  | z |\n\nA note.\n"
    assert list(csv.reader(io.StringIO(table.csv()))) == [["a", "b"], ["1,5", "x|y"], ["", "z"]]


def test_numbers():
    assert format_mean([]) == ""
    assert format_mean([61.234]) == "61.23"
    assert format_mean([60.0, 62.0]) == "61.00 ± 1.41"


def test_table_1_counts_the_files_that_are_there(monkeypatch):
    monkeypatch.setenv("GSA_DATA", str(FIXTURES))
    table = table_1()
    assert [row[2] for row in table.rows][:2] == ["SST-2", "CMU-MOSI"]
    assert len(table.rows) == 8
    assert all(row[4].replace(",", "").isdigit() for row in table.rows if row[4])
    assert table.rows[4][5:] == ["8", "13k"]


def test_table_1_without_data(monkeypatch, tmp_path):
    monkeypatch.setenv("GSA_DATA", str(tmp_path))
    table = table_1()
    assert all(row[3:5] == ["", ""] for row in table.rows)
    assert len(table.notes) == 9
    assert str(tmp_path) not in table.markdown()


def test_table_2_is_the_papers():
    assert [row[2:] for row in table_2().rows] == [
        ["yes", "no", "no"], ["yes", "yes", "no"], ["yes", "yes", "yes"],
    ]  # fmt: skip


def test_table_3_has_all_published_rows_then_the_measured(arms):
    table = table_3(arms)
    published = [row for row in table.rows if row[2] == "published"]
    assert len(published) == 12
    assert published[-1] == ["GSA-7B", "7B", "published", "", "", "96.04", "85.46", "85.58", "71.78", "67.35",
                             "42.01", "74.75", "73.63"]  # fmt: skip
    assert published[4][:2] == ["UniMSE (multimodal)", "not stated"]
    measured = {row[0]: row for row in table.rows if row[2] == "measured here"}
    assert list(measured) == ["untuned", "erc-only", "multitask", "progressive"]
    place = 5 + BENCHMARK.index("meld")
    values = [run.main_row(3, "meld").value for run in arms["progressive"]]
    assert measured["progressive"][place] == "{:.2f} ± {:.2f}".format(*mean_sd(values))
    assert measured["progressive"][1:5] == ["135M", "measured here", "2", "500"]
    assert measured["untuned"][4] == ""
    assert measured["progressive"][5 + BENCHMARK.index("iemocap")] == ""


def test_fewer_examples_than_others_are_told(tmp_path):
    write_run(tmp_path / "a", "a", 0, ERC_ONLY)
    write_run(tmp_path / "b", "b", 0, {"ERC": ["meld"], "more": ["emorynlp"]}, sample=50)
    runs = read_runs([tmp_path])
    cut = [run if run.arm == "a" else _at(run, 1) for run in runs]
    rows = {row[0]: row for row in table_3(by_arm(cut)).rows}
    assert rows["b"][9].endswith(" (n=50)")
    assert "n=" not in rows["a"][9]


def test_examples_that_a_level_repeats_count_once(tmp_path):
    root = write_run(tmp_path / "run", "run", 0, {"SA": ["sst2"], "ERC": ["meld", "sst2"]}, measured=["meld"])
    note = json.loads((root / "run.json").read_text())
    note["data"]["ERC/sst2"]["examples"] = 7
    (root / "run.json").write_text(json.dumps(note))
    (row,) = [row for row in table_3(by_arm(read_runs([root]))).rows if row[0] == "run"]
    assert row[4] == "200"


def _at(run, level):
    from dataclasses import replace

    return replace(run, rows=tuple(row for row in run.rows if row.level <= level))


def test_table_5_merges_a_familys_arms(tmp_path):
    for seed in (0, 1):
        for part in ("hate", "emotion"):
            levels = {"SA": ["sst2"], "few": [f"tweeteval-{part}"]}
            name = f"few-shot-{part}"
            measured = [f"tweeteval-{part}"]
            write_run(tmp_path / f"{name}-{seed}", name, seed, levels, measured=measured, per_class=150)
    arms = by_arm(read_runs([tmp_path]))
    table = table_5(arms)
    rows = {row[0]: row for row in table.rows}
    assert rows["GSA-7B"][4:] == ["57.65", "20.10", "68.82", "68.03"]
    assert rows["ratio few-shot / train"][4:] == ["0.03", "0.07", "0.18", "0.01"]
    mine = rows["few-shot, k = 150"]
    assert mine[1:4] == ["135M", "measured here", "2"]
    assert [" ± " in cell for cell in mine[4:]] == [name[10:] in ("hate", "emotion") for name in FEW_SHOT]
    assert rows["untuned"][2] == "measured here"
    assert not [row for row in table_3(arms).rows if row[0].startswith("few-shot")]
    levels = {"few": ["tweeteval-hate"]}
    write_run(tmp_path / "other", "gsa-few-shot-hate", 0, levels, per_class=150)
    rows = {row[0]: row for row in table_5(by_arm(read_runs([tmp_path]))).rows}
    assert {"few-shot, before its examples", "gsa-few-shot, before its examples"} < set(rows)
    assert "untuned" not in rows


@pytest.mark.parametrize("make", [table_3, table_5])
def test_rows_are_as_long_as_the_header(make, arms):
    table = make(arms)
    assert {len(row) for row in table.rows} == {len(table.header)}


def test_a_fourth_dataset_of_a_level_is_in_every_table(tmp_path):
    """More conversations, tuned and measured like the others."""
    levels = {"SA": ["sst2"], "ERC": ["meld", "emorynlp", "sampler-emotion"], "SD": ["mustard"]}
    for seed in range(2):
        write_run(tmp_path / f"four-s{seed}", "four", seed, levels, 0.8)
        write_run(tmp_path / f"three-s{seed}", "three", seed, {**levels, "ERC": ["meld", "emorynlp"]}, 0.6)
    arms = by_arm(read_runs([tmp_path]))
    assert level_datasets(arms)["ERC"] == ("iemocap", "meld", "emorynlp", "sampler-emotion")
    title = title_of("sampler-emotion")
    for table in (table_3(arms), table_4(arms)):
        column = table.header.index(title)
        cells = {row[0]: row[column] for row in table.rows}
        assert "±" in cells["four"]
        assert cells["three"] == ""
        assert {len(row) for row in table.rows} == {len(table.header)}
    assert any(row[0] == title and row[-1] for row in forgetting_table("four", arms["four"], 10).rows)
    assert any("sampler-emotion" in row for row in comparison.scores(arms, 10).rows)
    only = {"ERC": ["meld", "sampler-emotion"]}
    for seed in range(2):
        write_run(tmp_path / f"only-s{seed}", "only", seed, only, 0.5)
    lines = comparison.differences(by_arm(read_runs([tmp_path])), 10).rows
    shared = [row[1] for row in lines if row[0] == "four - only"]
    assert shared == ["MELD", title, "average ERC"]


def test_a_majority_of_other_examples_says_so(tmp_path):
    root = write_run(tmp_path / "a", "a", 0, {"SA": ["sst2", "mosi"]})
    rows = [row for row in results.read(root) if row.level == 0]
    results.add(
        root, [replace(row, level=results.MAJORITY, n=row.n + 7 * (row.dataset == "mosi")) for row in rows]
    )
    (row,) = [row for row in table_3(by_arm(read_runs([root]))).rows if row[0] == "majority"]
    assert not row[5].endswith(")")
    assert "(n=" in row[6]
