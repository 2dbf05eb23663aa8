"""What is shown: every word escaped, every colour named, every number there."""

import re
from html.parser import HTMLParser

import pytest

from gsa.data.types import Prediction, Truncated, Utterance
from gsa.web import html as drawing
from gsa.web.timeline import timeline

HOSTILE = [
    "<script>alert(1)</script>",
    "<img src=x onerror=alert(1)>",
    "\"><svg onload='alert(1)'>",
    "${alert(1)} {{constructor.constructor('alert(1)')()}} {{{x}}} `",
    "&lt;b&gt; &amp; </li></ol></section>",
]


NONE = Truncated()


class Elements(HTMLParser):
    """Collects what markup opens and says, and checks that it closes what it opens."""

    def __init__(self, markup: str) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.attributes: list[tuple[str, str]] = []
        self.open: list[str] = []
        self.said = ""
        self.feed(markup)
        self.close()
        assert not self.open

    def handle_starttag(self, tag, attrs):
        self.tags.append(tag)
        self.attributes += attrs
        self.open.append(tag)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        self.said += data


def prediction(label: str, truncated: Truncated = NONE, **chances: float) -> Prediction:
    return Prediction(label, chances, truncated)


CALM = prediction("joy", joy=0.75, anger=0.25)
CROSS = prediction("anger", joy=0.1, anger=0.9)
IRONIC = prediction("sarcastic", **{"sarcastic": 0.8, "non-sarcastic": 0.2})
PLAIN = prediction("non-sarcastic", **{"sarcastic": 0.3, "non-sarcastic": 0.7})


@pytest.mark.parametrize("text", HOSTILE)
def test_no_text_of_a_user_becomes_markup(text: str) -> None:
    mine = Prediction(text, {text: 0.6, "b": 0.4})
    turns = [Utterance(text, text), Utterance("b")]
    shown = [
        drawing.alert(text),
        drawing.note(text),
        drawing.verdict(mine, text),
        drawing.talk(turns, {text: [mine, mine]}),
        drawing.levels({text: mine, "b": mine}, text),
        timeline(turns, {text: [mine, mine]}),
    ]
    known = {"p", "strong", "ul", "li", "ol", "span", "section", "bdi", "div", "small", "h2", "i", "figure"}
    for markup in shown:
        found = Elements(markup)
        assert set(found.tags) <= known | {"figcaption"}
        assert {name for name, _ in found.attributes} <= {
            "class", "role", "style", "dir", "title", "tabindex", "aria-label",
        }  # fmt: skip
        assert not re.search(r"[{}$`]", markup), "nothing that a template reads"
    assert text in Elements(shown[0]).said, "and it reads as it was written"


def test_bars_say_every_label_and_number_in_words() -> None:
    said = Elements(drawing.bars(CALM)).said
    assert said == "joy75.0%anger25.0%"
    assert "gsa-joy gsa-best" in drawing.bars(CALM)
    assert 'style="width:75.00%"' in drawing.bars(CALM)


@pytest.mark.parametrize(
    ("share", "says"),
    [(0.0, "0.0%"), (1e-9, "<0.1%"), (0.0016, "0.2%"), (0.5, "50.0%"), (0.99999, ">99.9%"), (1.0, "100.0%")],
)
def test_a_probability_is_never_rounded_to_certainty(share: float, says: str) -> None:
    assert drawing.percent(share) == says


def test_labels_of_ones_own_have_colours_too() -> None:
    labels = [f"label {i}" for i in range(12)]
    found = [drawing.colour(label, labels) for label in labels]
    assert found[:8] == [f"gsa-c{i}" for i in range(8)]
    assert found[8:] == found[:4]


def test_a_conversation_shows_each_turn_with_all_its_labels() -> None:
    turns = [Utterance("Hello.", "Mara"), Utterance("Wonderful.")]
    missed = prediction("anger", Truncated(turns=3), joy=0.1, anger=0.9)
    found = Elements(drawing.talk(turns, {"emotion": [CALM, missed], "sarcasm": [PLAIN, IRONIC]}))
    assert found.tags.count("li") == 2
    for word in ("Mara", "Hello.", "joy 75.0%", "non-sarcastic 70.0%", "no name", "sarcastic 80.0%"):
        assert word in found.said
    assert "3 earlier turns not read" in found.said
    assert ("dir", "auto") in found.attributes


def test_the_timeline_has_a_row_a_label_and_a_column_a_turn() -> None:
    turns = [Utterance(f"{i}", "Mara") for i in range(30)]
    found = {"emotion": [CALM, CROSS] * 15, "sarcasm": [PLAIN, IRONIC] * 15}
    markup = timeline(turns, found)
    assert markup.count("<i style=") == 30 * 3, "joy, anger and sarcastic"
    assert 'title="2 Mara: anger 90.0%"' in markup
    assert markup.count('class="gsa-best"') == 30 + 15
    said = Elements(markup).said
    assert "joyangersarcasticturn102030" in said.replace("Turn by turn", "").split("label", 1)[1]
    assert ("tabindex", "0") in Elements(markup).attributes


def test_what_was_not_read_is_said() -> None:
    cut = prediction("joy", Truncated(turns=1, words=1200), joy=0.75, anger=0.25)
    assert "1 distant turn and 1,200 words left out" in Elements(drawing.verdict(cut, "emotion")).said
    assert drawing.unread(CALM) == ""


def test_levels_that_change_the_label_are_marked() -> None:
    markup = drawing.levels({"untuned": CALM, "after SA": CROSS, "after ERC": CROSS}, "emotion of: Hello.")
    found = Elements(markup)
    assert found.tags.count("section") == 3
    assert found.said.count("changed") == 1
    assert "after SA changed" in found.said
    assert found.said.startswith("emotion of: Hello.")
