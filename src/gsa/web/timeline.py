"""How a conversation went: the probability of every label over the turns, as HTML.

One row a label, named at its left, one column a turn; a column's height is the probability, the likeliest
label of a turn is solid. Wide conversations scroll; the numbers stand in the list of turns as well.
"""

from collections.abc import Mapping, Sequence

from gsa.data.types import Prediction, Utterance
from gsa.web.html import colour, escaped, percent

NUMBERS = 24
"""Turns up to which each has its number below; of longer conversations every tenth has."""
HINT = 60
"""Letters of a speaker in the hint of a column."""


def timeline(turns: Sequence[Utterance], found: Mapping[str, Sequence[Prediction]]) -> str:
    """Return the plot: every label of the first task; of further tasks with two labels the first one.

    `found` has by the name of a task one Prediction a turn.
    """
    tasks = list(found)
    rows = ""
    for task, answers in found.items():
        labels = list(answers[0].probabilities)
        shown = labels if task == tasks[0] else labels[:1] if len(labels) == 2 else []
        rows += "".join(_row(label, labels, turns, answers) for label in shown)
    ticks = "".join(
        f"<span>{number if len(turns) <= NUMBERS or number % 10 == 0 else ''}</span>"
        for number in range(1, len(turns) + 1)
    )
    said = escaped(f"{' and '.join(tasks)} over {len(turns)} turns; every number is in the list below")
    return (
        f'<figure class="gsa-plot"><figcaption>Turn by turn <small class="gsa-note">height is probability, '
        "solid is the likeliest label</small></figcaption>"
        f'<div class="gsa-scroll" tabindex="0" role="img" aria-label="{said}">'
        f'<div class="gsa-grid">{rows}<div class="gsa-row gsa-axis"><span class="gsa-name">turn</span>'
        f'<span class="gsa-cells">{ticks}</span></div></div></div></figure>'
    )


def _row(label: str, labels: Sequence[str], turns: Sequence[Utterance], found: Sequence[Prediction]) -> str:
    cells = []
    for number, (turn, answer) in enumerate(zip(turns, found, strict=True), start=1):
        share = answer.probabilities[label]
        who = f"{number} {turn.speaker[:HINT]}".strip()
        best = ' class="gsa-best"' if answer.label == label else ""
        hint = escaped(f"{who}: {label} {percent(share)}")
        cells.append(f'<span{best} title="{hint}"><i style="height:{100 * share:.1f}%"></i></span>')
    name = f'<span class="gsa-name"><bdi>{escaped(label)}</bdi></span>'
    columns = f'<span class="gsa-cells">{"".join(cells)}</span>'
    return f'<div class="gsa-row {colour(label, labels)}">{name}{columns}</div>'
