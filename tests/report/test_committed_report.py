"""The committed reports are of the committed rows: what needs no bootstrap is made again and compared."""

import re
from pathlib import Path

import pytest

from gsa.report import tables
from gsa.report.cases import find_disagreements, table_6
from gsa.report.runs import by_arm, read_runs

ROOT = Path(__file__).parents[2]
RESULTS = ROOT / "results"


def made_of() -> dict[str, list[Path]]:
    """Return by report the folders that `make report` makes it of."""
    lines = re.findall(
        r"gsa report (.+) --overlaps \S+ --out results/report/(\S+)", (ROOT / "Makefile").read_text()
    )
    return {name: [ROOT / folder for folder in folders.split()] for folders, name in lines}


@pytest.mark.parametrize("name", ["study", "gsa-135m"])
def test_tables_are_those_of_the_rows(name: str) -> None:
    arms = by_arm(read_runs(made_of()[name]))
    made = [
        tables.table_3(arms),
        tables.table_4(arms),
        tables.table_5(arms),
        table_6(find_disagreements(arms)),
    ]
    for table in made:
        kept = RESULTS / "report" / name / "tables" / f"{table.name}.csv"
        assert kept.is_file() == bool(table.rows)
        assert not table.rows or kept.read_text() == table.csv(), f"{kept.name} is of other rows: make report"
    assert sum(bool(table.rows) for table in made) >= 3


def test_every_report_is_whole() -> None:
    reports = sorted([*made_of(), "gradient-similarity"])
    assert reports == sorted(path.name for path in (RESULTS / "report").iterdir())
    for page in (RESULTS / "report").glob("*/report.md"):
        named = set(re.findall(r"\(figures/([^)]+)\)", page.read_text()))
        assert len(named) > 3
        assert named == {path.name for path in (page.parent / "figures").iterdir()}
        assert "not as they were stored" not in page.read_text()
