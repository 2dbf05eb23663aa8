"""Answers as HTML: bars, a conversation turn by turn, levels side by side, one sentence of an error.

In: Predictions and what was asked. Out: markup in which every word of a user or a model is escaped. Every
colour comes with its label in words.
"""

import html
from collections.abc import Mapping, Sequence

from gsa.data.task import EMOTION, SARCASM, SENTIMENT
from gsa.data.types import Prediction, Utterance

KNOWN = {*EMOTION.labels, *SENTIMENT.labels, *SARCASM.labels}
"""Labels that have a colour of their own; others take theirs by their place in the list."""
COLOURS = 8
TEMPLATES = str.maketrans({"{": "&#123;", "}": "&#125;", "$": "&#36;", "`": "&#96;"})
PLAIN = SARCASM.labels[1]


def escaped(text: str) -> str:
    """Return a text as HTML shows it; what page templates would read is escaped too."""
    return html.escape(text).translate(TEMPLATES)


def alert(sentence: str) -> str:
    """Return an error."""
    return f'<p class="gsa-alert" role="alert"><strong>Not done.</strong> {escaped(sentence)}</p>'


def note(sentence: str) -> str:
    """Return what is told beside a result."""
    return f'<p class="gsa-note">{escaped(sentence)}</p>'


def colour(label: str, labels: Sequence[str]) -> str:
    """Return the CSS class of a label's colour."""
    return f"gsa-{label}" if label in KNOWN else f"gsa-c{list(labels).index(label) % COLOURS}"


def percent(share: float) -> str:
    """Return a probability as a person reads it; never 0% or 100% for what is neither."""
    if 0 < share < 0.001:
        return "<0.1%"
    if 0.999 < share < 1:
        return ">99.9%"
    return f"{100 * share:.1f}%"


def bars(found: Prediction) -> str:
    """Return every label with its probability as a bar, in the order of the list."""
    chances = found.probabilities
    rows = []
    for label, share in chances.items():
        best = label == found.label
        rows.append(
            f'<li class="gsa-bar {colour(label, list(chances))}{" gsa-best" if best else ""}">'
            f'<span class="gsa-name"><bdi>{escaped(label)}</bdi></span>'
            f'<span class="gsa-track"><span class="gsa-fill" style="width:{100 * share:.2f}%"></span></span>'
            f'<span class="gsa-share">{escaped(percent(share))}</span></li>'
        )
    return f'<ul class="gsa-bars">{"".join(rows)}</ul>'


def verdict(found: Prediction, what: str) -> str:
    """Return the likeliest label, large, above the bars of all."""
    shown = colour(found.label, list(found.probabilities))
    said = f'<p class="gsa-verdict {shown}"><span class="gsa-what">{escaped(what)}</span> '
    said += f'<strong class="gsa-chip"><bdi>{escaped(found.label)}</bdi></strong></p>'
    return f'<section class="gsa-card">{said}{bars(found)}{unread(found)}</section>'


def unread(found: Prediction) -> str:
    """Return what the model did not read, or nothing."""
    lost = [
        f"{number:,} {noun}{'s' if number > 1 else ''}"
        for number, noun in ((found.truncated.turns, "distant turn"), (found.truncated.words, "word"))
        if number
    ]
    return note(f"Too long for one reading: {' and '.join(lost)} left out.") if lost else ""


def talk(turns: Sequence[Utterance], found: Mapping[str, Sequence[Prediction]]) -> str:
    """Return a conversation in the colours of the first task, with the labels of all.

    `found` has by the name of a task one Prediction a turn.
    """
    items = []
    for at, turn in enumerate(turns):
        mine = {task: answers[at] for task, answers in found.items()}
        first = next(iter(mine.values()))
        who = (
            f"<bdi>{escaped(turn.speaker)}</bdi>"
            if turn.speaker
            else '<span class="gsa-nobody">no name</span>'
        )
        chips = "".join(_chip(answer) for answer in mine.values())
        missed = max((answer.truncated.turns for answer in mine.values()), default=0)
        left = f'<p class="gsa-note">{missed:,} earlier turns not read</p>' if missed else ""
        items.append(
            f'<li class="gsa-turn {colour(first.label, list(first.probabilities))}">'
            f'<div class="gsa-head"><span class="gsa-number">{at + 1}</span>'
            f'<span class="gsa-who">{who}</span><span class="gsa-chips">{chips}</span></div>'
            f'<p class="gsa-said" dir="auto">{escaped(turn.text)}</p>{left}</li>'
        )
    return f'<ol class="gsa-talk">{"".join(items)}</ol>'


def _chip(answer: Prediction) -> str:
    quiet = " gsa-quiet" if answer.label == PLAIN else ""
    share = percent(answer.probabilities[answer.label])
    return (
        f'<span class="gsa-chip {colour(answer.label, list(answer.probabilities))}{quiet}">'
        f"<bdi>{escaped(answer.label)}</bdi> <small>{escaped(share)}</small></span>"
    )


def levels(found: Mapping[str, Prediction], asked: str) -> str:
    """Return a card a level, in their order, and above them what was asked."""
    cards, before = [], ""
    for name, answer in found.items():
        changed = "" if before in ("", answer.label) else ' <small class="gsa-note">changed</small>'
        before = answer.label
        chip = f'<strong class="gsa-chip"><bdi>{escaped(answer.label)}</bdi></strong>'
        cards.append(
            f'<section class="gsa-card"><h2>{escaped(name)}{changed}</h2>'
            f'<p class="gsa-verdict {colour(answer.label, list(answer.probabilities))}">{chip}</p>'
            f"{bars(answer)}</section>"
        )
    last = list(found.values())[-1]
    return f'{note(asked)}<div class="gsa-levels">{"".join(cards)}</div>{unread(last)}'
