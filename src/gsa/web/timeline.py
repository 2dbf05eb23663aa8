"""The plot of a conversation: the probability of each label at each turn."""

from collections.abc import Mapping, Sequence
from typing import Any

import gradio as gr
import pandas as pd  # type: ignore[import-untyped]

from gsa.data.types import Prediction
from gsa.web.html import legend

COLORS = {
    "neutral": "#94a3b8", "non-sarcastic": "#94a3b8", "positive": "#22a050", "negative": "#dc4040",
    "anger": "#dc4040", "joy": "#d9931e", "sadness": "#4f7df0", "fear": "#a75bdc", "surprise": "#14a098",
    "sarcastic": "#e0559f", "disgust": "#75a32a",
}  # fmt: skip
"""Of the lines in the plot; the hues are those of page.css."""
PALETTE = ("#4f7df0", "#22a050", "#dc4040", "#d9931e", "#a75bdc", "#14a098", "#e0559f", "#75a32a")
"""Of labels without a color of their own, by their place in the list."""


def timeline(predictions: Mapping[str, Sequence[Prediction]]) -> dict[str, list[float]]:
    """Return by label its probability at each turn.

    Of the first task every label, of a further one with two labels the first.
    """
    series: dict[str, list[float]] = {}
    for position, answers in enumerate(predictions.values()):
        labels = list(answers[0].probabilities)
        for label in labels if position == 0 else labels[:1] if len(labels) == 2 else []:
            series.setdefault(label, [answer.probabilities[label] for answer in answers])
    return series


def plot_update(series: Mapping[str, Sequence[float]]) -> tuple[Any, str]:
    """Return the update of the plot, and its legend, which Gradio 6.31 leaves empty."""
    rows = [
        (turn, label, probability)
        for label, values in series.items()
        for turn, probability in enumerate(values, start=1)
    ]
    colors = {label: COLORS.get(label, PALETTE[i % len(PALETTE)]) for i, label in enumerate(series)}
    frame = pd.DataFrame(rows, columns=["turn", "label", "probability"])
    visible = len(rows) > len(series)
    return gr.update(value=frame, color_map=colors, visible=visible), legend(list(series)) if visible else ""
