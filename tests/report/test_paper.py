"""The paper's numbers as data: what the paper says of them follows from them."""

import pytest

from gsa.datasets.catalogue import CATALOGUE
from gsa.report.paper import BENCHMARK, FEW_SHOT, TABLE_1, TABLE_3, TABLE_4, TABLE_5, margins
from gsa.report.significance import t_test


def test_names_are_the_catalogues():
    assert {*BENCHMARK, *FEW_SHOT} <= set(CATALOGUE)
    assert set(TABLE_1) == set(BENCHMARK)
    assert all(set(row.scores) <= set(BENCHMARK) for row in TABLE_3)
    assert all(tuple(row.scores) == FEW_SHOT for row in TABLE_5)


def test_margins_are_the_arrows_of_table_3():
    assert list(margins().values()) == [1.50, -0.39, -0.28, 1.12, 1.84, 7.06, 2.62, 12.23]


def test_average_margins_are_those_of_section_6_1():
    found = list(margins().values())
    assert sum(found[:3]) / 3 == pytest.approx(0.28, abs=0.005)
    assert sum(found[3:6]) / 3 == pytest.approx(3.34, abs=0.005)
    assert sum(found[6:]) / 2 == pytest.approx(7.43, abs=0.0051)


def test_averages_of_table_4():
    means = [sum(row.scores.values()) / 3 for row in TABLE_4]
    assert means == pytest.approx([58.74, 59.44, 60.38], abs=0.005)


def test_the_ours_rows_of_tables_3_and_4_agree():
    assert all(TABLE_3[-1].scores[name] == value for name, value in TABLE_4[-1].scores.items())


def test_what_the_papers_test_gives_on_its_margins():
    """Over all eight datasets it is significant one-sided alone, within each level not at all."""
    found = list(margins().values())
    whole = t_test(found)
    assert whole.p_greater < 0.05 < whole.p
    assert all(t_test(part).p_greater > 0.05 for part in (found[:3], found[3:6], found[6:]))
