"""Lines over steps and examples: what is drawn is what is on disk."""

from dataclasses import replace

import numpy as np
import pytest

from gsa.report import curves


def test_learning_curves_are_the_logs(arms, tmp_path, drawn):
    assert curves.learning_curves(arms, tmp_path / "a.png")
    every = [axes for axes in drawn[0].axes if axes.lines]
    assert [axes.get_title() for axes in every] == list(arms)
    assert sum(len(axes.lines) for axes in every) == 6
    line = every[0].lines[0]
    assert list(line.get_xdata()) == list(range(6, 61))
    assert line.get_ydata() == pytest.approx(
        [np.mean([2 / (i + 1) for i in range(first, first + 6)]) for first in range(55)]
    )


def test_levels_are_smoothed_apart(arms, tmp_path, drawn):
    log = "".join(f'{{"level": {level}, "loss": {level}.0}}\n' for level in [1] * 30 + [2] * 20)
    (tmp_path / "log.jsonl").write_text(log)
    one = replace(arms["progressive"][0], root=tmp_path)
    assert curves.learning_curves({"progressive": [one]}, tmp_path / "a.png")
    first, border, second = drawn[0].axes[0].lines
    assert set(first.get_ydata()) == {1.0}
    assert set(second.get_ydata()) == {2.0}
    assert (first.get_xdata()[-1], list(border.get_xdata()), second.get_xdata()[-1]) == (30, [30, 30], 50)
    assert [text.get_text() for text in drawn[0].axes[0].get_legend().get_texts()] == ["seed 0"]


def test_a_log_that_was_cut_is_read_as_far_as_it_goes(arms, tmp_path, drawn):
    (tmp_path / "log.jsonl").write_bytes(b'{"loss": 2.0}\n\xff\n[]\n{"loss": 1.0}\n{"lo')
    one = replace(arms["progressive"][0], root=tmp_path)
    assert curves.learning_curves({"progressive": [one]}, tmp_path / "a.png")
    assert list(drawn[0].axes[0].lines[0].get_ydata()) == [2.0, 1.0]


def test_scores_stand_over_the_examples_seen(arms, tmp_path, drawn):
    """100 examples of each dataset and two epochs a level."""
    assert curves.examples_seen(arms["progressive"][0]) == [0, 400, 800, 1000]
    assert curves.scores_by_examples(arms, tmp_path / "a.png")
    panels = {axes.get_title(): axes for axes in drawn[0].axes}
    assert [text.get_text() for text in panels["MELD"].get_legend().get_texts()] == list(arms)
    assert [text.get_text() for text in panels["MUStARD"].get_legend().get_texts()] == [
        arm for arm in arms if arm != "erc-only"
    ]
    (line,) = (each.lines[0] for each in panels["SST-2"].containers if each.get_label() == "progressive")
    assert list(line.get_xdata()) == [0, 400, 800, 1000]
    (bars,) = next(c for c in panels["SST-2"].containers if c.get_label() == "progressive").lines[2]
    low, high = bars.get_segments()[3][:, 1]
    for level, found in enumerate(line.get_ydata()):
        values = []
        for run in arms["progressive"]:  # levels in between were asked the first 50 alone
            answers = run.predictions(level, "sst2").answers
            values.append(100 * np.mean(answers.predicted[:50] == answers.gold[:50]))
        assert found == pytest.approx(np.mean(values))
    assert (high - low) / 2 == pytest.approx(np.std(values, ddof=1)), "of the last level"


def test_labels_stay_on_the_figure_whole(arms, tmp_path, drawn):
    one = arms["progressive"][:1]
    long = {"progressive with a much longer name, of four levels and replay, second attempt": one}
    assert curves.learning_curves(long, tmp_path / "a.png")
    assert curves.scores_by_examples(long, tmp_path / "b.png")
    for figure in drawn:
        figure.draw_without_rendering()
        labels = [*figure.texts, *(axes.title for axes in figure.axes)]
        labels += [
            text for axes in figure.axes if axes.get_legend() for text in axes.get_legend().get_texts()
        ]
        assert any("\n" in label.get_text() for label in labels)
        for label in labels:
            box = label.get_window_extent()
            assert 0 <= box.x0 <= box.x1 <= figure.bbox.x1, label.get_text()
            assert 0 <= box.y0 <= box.y1 <= figure.bbox.y1, label.get_text()
    (label,) = [text for text in drawn[0].texts if "loss" in text.get_text()]
    assert label.get_text().replace("\n", " ") == "loss of the level, running mean over a tenth of its steps"
