"""Figures: what is drawn is what is on disk."""

import sys
from dataclasses import replace

import numpy as np
import polars as pl
import pytest
from matplotlib.image import imread
from study import write_run

from gsa.errors import InputError
from gsa.evaluation.predictions import PredictionStore
from gsa.report import curves, figures
from gsa.report.comparison import scores
from gsa.report.forgetting import forgetting_matrix
from gsa.report.runs import read_runs


def texts(axes) -> list[str]:
    return [text.get_text() for text in axes.texts]


def test_a_named_matrix(tmp_path, drawn):
    values = np.asarray([[1.0, -0.25], [-0.25, np.nan]])
    figures.heat_map(["SA", "ERC"], ["SA", "ERC"], values, "Cosines", tmp_path / "a.png", (-1, 1), 2)
    axes = drawn[0].axes[0]
    assert texts(axes) == ["1.00", "-0.25", "-0.25"]
    assert [label.get_text() for label in axes.get_xticklabels()] == ["SA", "ERC"]
    assert axes.get_title() == "Cosines"
    assert axes.images[0].get_clim() == (-1, 1)
    picture = imread(tmp_path / "a.png")
    assert picture.ndim == 3
    assert picture.std() > 0.01


def test_a_long_title_stays_on_a_small_figure(tmp_path, drawn):
    title = "Cosine of the subtasks' gradients: progressive, untuned, the recipe's losses\nbelow: as measured"
    figures.heat_map(["SA", "ERC"], ["SA", "ERC"], np.eye(2), title, tmp_path / "a.png")
    axes = drawn[0].axes[0]
    assert axes.get_title().replace("\n", " ") == title.replace("\n", " ")
    box = axes.title.get_window_extent()
    assert 0 <= box.x0 < box.x1 <= drawn[0].bbox.x1
    assert box.y1 <= drawn[0].bbox.y1


def test_a_matrix_of_nothing_or_of_one_value(tmp_path):
    figures.heat_map(["a"], ["b"], np.asarray([[np.nan]]), "", tmp_path / "a.png")
    figures.heat_map(["a"], ["b"], np.asarray([[3.0]]), "", tmp_path / "b.png")
    assert (tmp_path / "b.png").is_file()


def test_the_same_data_give_the_same_bytes(arms, tmp_path):
    for name in ("a.png", "b.png"):
        figures.forgetting("progressive", arms["progressive"], tmp_path / name)
    assert (tmp_path / "a.png").read_bytes() == (tmp_path / "b.png").read_bytes()


def test_the_forgetting_map_has_the_matrix(arms, tmp_path, drawn):
    figures.forgetting("progressive", arms["progressive"], tmp_path / "a.png")
    values = forgetting_matrix(arms["progressive"])[2]
    assert texts(drawn[0].axes[0]) == [f"{value:.1f}" for value in values.flat]


def test_a_long_name_of_an_arm_stays_on_the_figure(arms, tmp_path, drawn):
    assert figures.confusions("a-rather-long-name-" * 5, arms["erc-only"][:1], tmp_path / "a.png")
    box = drawn[0]._suptitle.get_window_extent()
    assert 0 <= box.x0 < box.x1 <= drawn[0].bbox.x1


def test_confusions_are_shares_of_gold_labels(arms, tmp_path, drawn):
    assert figures.confusions("progressive", arms["progressive"], tmp_path / "a.png")
    shown = [axes for axes in drawn[0].axes if axes.get_title()]
    assert [axes.get_title() for axes in shown] == [
        "SST-2, n=120", "CMU-MOSI, n=120", "MELD, n=120", "EmoryNLP, n=120", "MUStARD, n=120",
    ]  # fmt: skip
    answers = [run.predictions(3, "sst2").answers for run in arms["progressive"]]
    gold = np.concatenate([a.gold for a in answers])
    said = np.concatenate([a.predicted for a in answers])
    expected = [100 * (said[gold == i] == j).mean() for i in (0, 1) for j in (0, 1)]
    assert texts(shown[0]) == [f"{value:.0f}" for value in expected]


def test_reliability_diagrams_say_the_error(arms, tmp_path, drawn):
    assert figures.reliability("multitask", arms["multitask"], tmp_path / "a.png")
    found = [run.predictions(1, "meld").answers for run in arms["multitask"]]
    chances = np.concatenate([a.probabilities for a in found])
    error = figures.calibration(chances, np.concatenate([a.gold for a in found])).error
    assert f"MELD: ECE {100 * error:.1f}%" in [axes.get_title() for axes in drawn[0].axes]
    assert error > 0.1  # half right, always more than half sure


def test_a_rule_without_probabilities_has_no_diagram(tmp_path):
    root = write_run(tmp_path / "rule", "rule", 0, {"SA": ["sst2"]})
    table = PredictionStore(root).load(1, "sst2", "test")
    assert table is not None
    sure = table.with_columns((pl.col("^p_.*$") > 0.5).cast(pl.Float64))
    PredictionStore(root).store(1, "sst2", "test", sure)
    (run,) = read_runs([root])
    assert not figures.reliability("rule", [run], tmp_path / "a.png")
    rows = scores({"rule": [run]}, 100).rows
    assert rows[0][-1] == ""
    assert rows[0][-2] != ""


def test_what_there_is_nothing_of_is_not_drawn(arms, tmp_path):
    bare = [replace(run, root=tmp_path) for run in arms["progressive"]]
    for draw in (figures.confusions, figures.reliability):
        assert not draw("progressive", bare, tmp_path / "a.png")
    for draw in (curves.learning_curves, curves.scores_by_examples):
        assert not draw({"progressive": bare}, tmp_path / "a.png")
    assert list(tmp_path.iterdir()) == []


def test_a_missing_extra_says_which_to_install(monkeypatch):
    monkeypatch.setitem(sys.modules, "matplotlib.figure", None)
    with pytest.raises(InputError, match=r"pip install '\.\[plots\]'"):
        figures.canvas(1, 1)
