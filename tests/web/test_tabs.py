"""What the tabs show of Predictions: series for the plot, warnings, errors in one sentence."""

import pytest

pytest.importorskip("gradio", reason="needs the extra `web`")

import gradio as gr

from gsa.data.types import Prediction, Truncated
from gsa.errors import InputError
from gsa.web import tabs, timeline

CALM = Prediction("joy", {"joy": 0.75, "anger": 0.25})
CROSS = Prediction("anger", {"joy": 0.1, "anger": 0.9})
IRONIC = Prediction("sarcastic", {"sarcastic": 0.8, "non-sarcastic": 0.2})


def test_the_timeline_has_every_label_of_the_first_task_and_one_of_a_further_pair() -> None:
    series = timeline.timeline({"emotion": [CALM, CROSS], "sarcasm": [IRONIC, IRONIC]})
    assert series == {"joy": [0.75, 0.1], "anger": [0.25, 0.9], "sarcastic": [0.8, 0.8]}


def test_the_plot_has_a_row_a_turn_and_label_and_is_hidden_for_one_turn() -> None:
    update, legend = timeline.plot_update({"joy": [0.75, 0.1], "own label": [0.25, 0.9]})
    rows = list(update["value"].itertuples(index=False, name=None))
    assert rows == [(1, "joy", 0.75), (2, "joy", 0.1), (1, "own label", 0.25), (2, "own label", 0.9)]
    assert update["visible"]
    assert update["color_map"] == {"joy": timeline.COLORS["joy"], "own label": timeline.PALETTE[1]}
    assert "gsa-joy" in legend
    assert "own label" in legend
    update, legend = timeline.plot_update({"joy": [0.75]})
    assert (update["visible"], legend) == (False, "")


def test_what_was_not_read_is_a_warning(monkeypatch: pytest.MonkeyPatch) -> None:
    warnings: list[str] = []
    monkeypatch.setattr(gr, "Warning", warnings.append)
    long = Prediction("joy", CALM.probabilities, Truncated(turns=1, words=1200))
    for prediction in (long, CALM, Prediction("joy", CALM.probabilities, language="de")):
        tabs._warn(prediction)
    assert warnings == [
        "Too long to be read in full: 1 distant turn and 1,200 words left out.",
        "This text is not English but 'de': a guess.",
    ]


def test_of_several_labels_at_once_those_that_hold_are_shown() -> None:
    assert tabs._probabilities(CALM) == {"joy": 0.75, "anger": 0.25}
    assert tabs._probabilities(CALM, held_only=True) == {"joy": 0.75}
    several = Prediction("joy,anger", {"joy": 0.75, "fear": 0.0, "anger": 0.5})
    assert tabs._probabilities(several, held_only=True) == {"joy": 0.75, "anger": 0.5}


def test_an_error_is_escaped() -> None:
    with pytest.raises(gr.Error) as caught, tabs._gradio_errors():
        raise InputError("found <b>this</b>")
    assert caught.value.message == "found &lt;b&gt;this&lt;/b&gt;."
