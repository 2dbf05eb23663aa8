"""What the tabs show of Predictions: series for the plot, warnings, errors in one sentence."""

import pytest

pytest.importorskip("gradio", reason="needs the extra `web`")

import gradio as gr

from gsa.data.types import Prediction, Truncated
from gsa.errors import InputError
from gsa.web import tabs

CALM = Prediction("joy", {"joy": 0.75, "anger": 0.25})
CROSS = Prediction("anger", {"joy": 0.1, "anger": 0.9})
IRONIC = Prediction("sarcastic", {"sarcastic": 0.8, "non-sarcastic": 0.2})


def test_the_timeline_has_every_label_of_the_first_task_and_one_of_a_further_pair() -> None:
    frame = tabs.timeline({"emotion": [CALM, CROSS], "sarcasm": [IRONIC, IRONIC]})
    rows = list(frame.itertuples(index=False, name=None))
    assert rows == [
        (1, "joy", 0.75), (1, "anger", 0.25), (2, "joy", 0.1), (2, "anger", 0.9),
        (1, "sarcastic", 0.8), (2, "sarcastic", 0.8),
    ]  # fmt: skip


def test_what_was_not_read_is_a_warning(monkeypatch: pytest.MonkeyPatch) -> None:
    warnings: list[str] = []
    monkeypatch.setattr(gr, "Warning", warnings.append)
    long = Prediction("joy", CALM.probabilities, Truncated(turns=1, words=1200))
    assert tabs._probabilities(long) == {"joy": 0.75, "anger": 0.25}
    assert tabs._probabilities(CALM) == {"joy": 0.75, "anger": 0.25}
    assert warnings == ["Too long for one reading: 1 distant turn and 1,200 words left out."]


def test_an_error_is_escaped() -> None:
    with pytest.raises(gr.Error) as caught, tabs._gradio_errors():
        raise InputError("found <b>this</b>")
    assert caught.value.message == "found &lt;b&gt;this&lt;/b&gt;."
