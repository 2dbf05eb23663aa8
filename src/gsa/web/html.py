"""A labelled conversation as HTML, turn by turn, in which every word of a user or a model is escaped."""

import html
from collections.abc import Mapping, Sequence

from gsa.data.task import EMOTION, SARCASM, SENTIMENT
from gsa.data.types import Prediction, Utterance
from gsa.prediction.documents import DocumentPrediction
from gsa.prediction.explain import Explanation
from gsa.prediction.language import foreign_note
from gsa.progress import count_of

NAMED_COLORS = {*EMOTION.labels, *SENTIMENT.labels, *SARCASM.labels}
"""Labels that have a color of their own in page.css; others take theirs by their place in the list."""
COLORS = 8
SHADES = 4
"""Steps of the color of an explained word."""
TEMPLATE_CHARACTERS = str.maketrans({"{": "&#123;", "}": "&#125;", "$": "&#36;", "`": "&#96;"})
MUTED = SARCASM.labels[1]


def escape(text: str) -> str:
    """Return a text as HTML shows it; what the page's templates would read is escaped too."""
    return html.escape(text).translate(TEMPLATE_CHARACTERS)


def note(sentence: str) -> str:
    """Return a remark beside a result."""
    return f'<p class="gsa-note">{escape(sentence)}</p>'


def percent(probability: float) -> str:
    """Return a probability in percent; never 0% or 100% for what is neither."""
    if 0 < probability < 0.001:
        return "<0.1%"
    if 0.999 < probability < 1:
        return ">99.9%"
    return f"{100 * probability:.1f}%"


def legend(labels: Sequence[str]) -> str:
    """Return labels in their colors."""
    chips = (
        f'<span class="gsa-chip {color_class(label, labels)}"><bdi>{escape(label)}</bdi></span>'
        for label in labels
    )
    return f'<p class="gsa-legend">{" ".join(chips)}</p>'


def color_class(label: str, labels: Sequence[str]) -> str:
    """Return the CSS class of a label's color."""
    return f"gsa-{label}" if label in NAMED_COLORS else f"gsa-c{labels.index(label) % COLORS}"


def conversation(turns: Sequence[Utterance], predictions: Mapping[str, Sequence[Prediction]]) -> str:
    """Return a conversation in the colors of the first task, with the labels of all.

    `predictions` has by the name of a task one Prediction for each turn.
    """
    items = []
    for number, (turn, *labels) in enumerate(zip(turns, *predictions.values(), strict=True), start=1):
        name = f"<bdi>{escape(turn.speaker)}</bdi>" if turn.speaker else "<em>no name</em>"
        omitted = max(prediction.truncated.turns for prediction in labels)
        items.append(
            f'<li class="gsa-turn {_color_of(labels[0])}">'
            f'<div class="gsa-head"><span class="gsa-note">{number}</span>'
            f'<span class="gsa-name">{name}</span>'
            f'<span class="gsa-chips">{"".join(map(_chip, labels))}</span></div>'
            f'<p class="gsa-text" dir="auto">{escape(turn.text)}</p>'
            f"{note(count_of(omitted, 'earlier turn') + ' not read') if omitted else ''}"
            f"{note(foreign_note(labels[0].language)) if labels[0].language else ''}</li>"
        )
    return f'<ol class="gsa-conversation">{"".join(items)}</ol>'


def passages(prediction: Prediction) -> str:
    """Return a document's passages in the colors of their labels; nothing of a text that was read at once."""
    if not isinstance(prediction, DocumentPrediction):
        return ""
    items = [
        f'<li class="gsa-turn {_color_of(passage.prediction)}">'
        f'<div class="gsa-head"><span class="gsa-chips">{_chip(passage.prediction)}</span></div>'
        f'<p class="gsa-text" dir="auto">{escape(passage.text)}</p></li>'
        for passage in prediction.passages
    ]
    summary = f"Too long to be read at once: read in {len(items)} passages, of which this is the mean."
    return f'{note(summary)}<ol class="gsa-conversation">{"".join(items)}</ol>'


def explanation(explained: Explanation) -> str:
    """Return a text whose words are the darker, the more they move its label; against it with dashes."""
    strongest = max(map(abs, explained.effects)) or 1.0
    spans = []
    for word, effect in zip(explained.words, explained.effects, strict=True):
        shade = round(SHADES * abs(effect) / strongest)
        side = "for" if effect > 0 else "against"
        style = f' class="gsa-{side} gsa-shade-{shade}"' if shade else ""
        spans.append(f"<span{style}>{escape(word)}</span>")
    words = ", ".join(explained.top())
    share = percent(explained.prediction.probabilities[explained.label])
    summary = f"{explained.label} {share}; what speaks for it most: {words or 'nothing'}"
    return f'<p class="gsa-text gsa-words" dir="auto">{" ".join(spans)}</p>{note(summary)}'


def _chip(prediction: Prediction) -> str:
    muted = " gsa-muted" if prediction.likeliest == MUTED else ""
    share = percent(prediction.probabilities[prediction.likeliest])
    return (
        f'<span class="gsa-chip {_color_of(prediction)}{muted}">'
        f"<bdi>{escape(prediction.likeliest)}</bdi> <small>{escape(share)}</small></span>"
    )


def _color_of(prediction: Prediction) -> str:
    return color_class(prediction.likeliest, list(prediction.probabilities))
