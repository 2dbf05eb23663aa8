"""The whole report, from folders of runs to files."""

import re
import shutil
from pathlib import Path

import pytest
from study import ERC_ONLY, write_run

from gsa.errors import InputError
from gsa.report.report import make_report

FIXTURES = Path(__file__).parents[1] / "datasets" / "fixtures"


@pytest.fixture(autouse=True)
def data(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GSA_DATA", str(FIXTURES))


@pytest.fixture(scope="module")
def report_folder(tmp_path_factory):
    return tmp_path_factory.mktemp("made") / "report"


@pytest.fixture(scope="module")
def study_report(study, report_folder):
    """The report of the whole study; not to be changed."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("GSA_DATA", str(FIXTURES))
        return make_report([study], report_folder, resamples=100)


def test_a_study_becomes_a_page_tables_and_figures(study, study_report, report_folder):
    names = {file.relative_to(report_folder).as_posix() for file in study_report.files}
    tables = {f"tables/table-{i}.csv" for i in range(1, 7)}
    tables |= {"tables/differences.csv", "tables/t-test.csv", "tables/scores.csv"}
    tables |= {"tables/forgetting-progressive.csv"}
    assert {name for name in names if name.startswith("tables/")} == tables
    figures = {f"figures/{kind}-{arm}.png" for kind in ("confusion", "reliability")
               for arm in ("progressive", "multitask", "erc-only")}  # fmt: skip
    figures |= {"figures/learning-curves.png", "figures/examples.png", "figures/forgetting-progressive.png"}
    assert {name for name in names if name.startswith("figures/")} == figures
    page = (report_folder / "report.md").read_text()
    assert set(re.findall(r"\]\((figures/.*?)\)", page)) == figures
    assert "| progressive - multitask | MELD |" in page
    assert str(report_folder) not in page
    assert str(study) not in page


def test_the_same_rows_give_the_same_report(study, study_report, report_folder, tmp_path):
    make_report([study], tmp_path / "again", resamples=100)
    files = [file for file in sorted(report_folder.rglob("*")) if file.is_file()]
    assert len(files) > 15
    for file in files:
        assert file.read_bytes() == (tmp_path / "again" / file.relative_to(report_folder)).read_bytes()


def test_what_is_absent_is_said_with_the_reason(study_report):
    said = "\n".join(study_report.absent)
    assert "IEMOCAP: no rows: " in said
    assert "CMU-MOSEI: no rows: " in said
    assert "Table 5: no run has rows of TweetEval" in said
    assert "Paired" not in said


def test_one_run_gives_tables_without_comparisons(study, tmp_path):
    made = make_report([study / "progressive-s0"], tmp_path / "report", resamples=100)
    assert any(sentence.startswith("Paired differences: they need two arms") for sentence in made.absent)
    names = {file.name for file in made.files}
    assert "differences.csv" not in names
    assert {"table-3.csv", "table-6.csv", "forgetting-progressive.csv", "scores.csv"} <= names


def test_a_run_that_lacks_things(tmp_path):
    root = write_run(tmp_path / "run", "bare", 0, ERC_ONLY)
    shutil.rmtree(root / "predictions")
    (root / "log.jsonl").unlink()
    (root / "run.json").unlink()
    made = make_report([root], tmp_path / "report", resamples=100)
    said = "\n".join(made.absent)
    assert "bare, seed 0: no predictions of its last level, so no intervals: meld, emorynlp." in said
    assert "Learning curves: no log.jsonl beside the rows." in said
    assert "Confusion: bare: no predictions." in said
    assert "Table 6: it needs" in said
    assert not [file for file in made.files if file.suffix == ".png"]


@pytest.mark.usefixtures("without_matplotlib")
def test_damage_and_unfinished_runs_are_told(study, tmp_path):
    root = Path(shutil.copytree(study / "progressive-s0", tmp_path / "run"))
    lines = [
        line for line in (root / "results.jsonl").read_text().splitlines(True) if '"level": 3' not in line
    ]
    (root / "results.jsonl").write_text("".join(lines))
    file = next(root.glob("predictions/level-2/meld*.parquet"))
    file.write_bytes(b"no table")
    said = "\n".join(make_report([root], tmp_path / "report", resamples=100).absent)
    assert "progressive, seed 0: measured up to level 2 of 3." in said
    assert "no checksum noted: predictions/level-2/meld-test.parquet." in said


@pytest.mark.usefixtures("without_matplotlib")
def test_a_seed_that_is_behind_is_left_out(study, tmp_path):
    root = Path(shutil.copytree(study, tmp_path / "study"))
    file = root / "progressive-s1" / "results.jsonl"
    lines = [line for line in file.read_text().splitlines(True) if '"level": 3' not in line]
    file.write_text("".join(line for line in lines if '"sst2"' not in line))
    made = make_report([root], tmp_path / "report", resamples=100)
    said = "\n".join(made.absent)
    assert "progressive, seed 1: measured up to level 2 of 3, other seeds further: left out." in said
    assert "progressive, seed 1: no rows of sst2, which other seeds have." in said
    assert [run.seed for run in made.arms["progressive"]] == [0]


@pytest.mark.usefixtures("without_matplotlib")
def test_without_the_extra_there_are_tables_alone(study, tmp_path):
    made = make_report([study], tmp_path / "report", resamples=100)
    assert any("pip install '.[plots]'" in sentence for sentence in made.absent)
    assert {file.suffix for file in made.files} == {".csv", ".md"}


@pytest.mark.usefixtures("without_matplotlib", "study_report")
def test_a_new_report_takes_the_place_of_the_old_and_of_nothing_else(study, report_folder, tmp_path):
    out = Path(shutil.copytree(report_folder, tmp_path / "report"))
    assert (out / "tables" / "differences.csv").exists()
    make_report([study / "progressive-s0"], out, resamples=100)
    assert not (out / "tables" / "differences.csv").exists()
    assert not list(out.rglob("*.png"))
    (out / "report.md").unlink()
    with pytest.raises(InputError, match="exists and is not a report: expected a new or empty folder"):
        make_report([study], out, resamples=100)
    with pytest.raises(InputError, match="exists and is not a report"):
        make_report([study], study, resamples=100)
    assert (study / "progressive-s0" / "results.jsonl").is_file()
