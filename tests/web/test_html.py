"""A conversation as HTML: every word escaped, every color named, every number there."""

import re
from dataclasses import replace
from html.parser import HTMLParser

import pytest

from gsa.data.types import Prediction, Truncated, Utterance
from gsa.prediction.documents import DocumentPrediction, Passage
from gsa.prediction.explain import Explanation
from gsa.web import html

HOSTILE = [
    "<script>alert(1)</script>",
    "<img src=x onerror=alert(1)>",
    "\"><svg onload='alert(1)'>",
    "${alert(1)} {{constructor.constructor('alert(1)')()}} {{{x}}} `",
    "&lt;b&gt; &amp; </li></ol></section>",
]


class Elements(HTMLParser):
    """Collects what markup opens and contains, and checks that it closes what it opens."""

    def __init__(self, markup: str) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.attributes: list[tuple[str, str]] = []
        self.open: list[str] = []
        self.text = ""
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
        self.text += data


NOTHING = Truncated()


def prediction(label: str, truncated: Truncated = NOTHING, **chances: float) -> Prediction:
    return Prediction(label, chances, truncated)


CALM = prediction("joy", joy=0.75, anger=0.25)
IRONIC = prediction("sarcastic", **{"sarcastic": 0.8, "non-sarcastic": 0.2})
PLAIN = prediction("non-sarcastic", **{"sarcastic": 0.3, "non-sarcastic": 0.7})


@pytest.mark.parametrize("text", HOSTILE)
def test_no_text_of_a_user_becomes_markup(text: str) -> None:
    own = Prediction(text, {text: 0.6, "b": 0.4})
    turns = [Utterance(text, text), Utterance("b")]
    known = {"p", "li", "ol", "span", "bdi", "div", "small", "em"}
    explained = Explanation(own, text, (text, "b"), (0.5, -1.0), 1, 2.0)
    for markup in (
        html.note(text),
        html.conversation(turns, {text: [own, own]}),
        html.legend([text, "b"]),
        html.explanation(explained),
        html.passages(DocumentPrediction(text, {text: 1.0}, passages=(Passage(text, 0, own),))),
    ):
        elements = Elements(markup)
        assert set(elements.tags) <= known
        assert {name for name, _ in elements.attributes} <= {"class", "dir"}
        assert not re.search(r"[{}$`]", markup), "nothing that a template reads"
        assert text in elements.text, "and it reads as it was written"


@pytest.mark.parametrize(
    ("probability", "expected"),
    [(0.0, "0.0%"), (1e-9, "<0.1%"), (0.0016, "0.2%"), (0.5, "50.0%"), (0.99999, ">99.9%"), (1.0, "100.0%")],
)
def test_a_probability_is_never_rounded_to_certainty(probability: float, expected: str) -> None:
    assert html.percent(probability) == expected


def test_labels_of_ones_own_have_colors_too() -> None:
    labels = [f"label {i}" for i in range(12)]
    classes = [html.color_class(label, labels) for label in labels]
    assert classes[:8] == [f"gsa-c{i}" for i in range(8)]
    assert classes[8:] == classes[:4]


def test_an_explanation_shades_words_by_their_effect() -> None:
    words, effects = ("not", "good", "at", "all"), (4.0, -2.0, 0.0, 0.4)
    markup = html.explanation(Explanation(CALM, "joy", words, effects, 3, 2.5))
    assert '<span class="gsa-for gsa-shade-4">not</span> <span class="gsa-against gsa-shade-2">good' in markup
    assert "<span>at</span> <span>all</span>" in markup
    assert "joy 75.0%; what speaks for it most: not, all" in markup


def test_a_conversation_shows_each_turn_with_all_its_labels() -> None:
    turns = [Utterance("Hello.", "Mara"), Utterance("Wonderful.")]
    truncated = prediction("anger", Truncated(turns=3), joy=0.1, anger=0.9)
    markup = html.conversation(turns, {"emotion": [CALM, truncated], "sarcasm": [PLAIN, IRONIC]})
    elements = Elements(markup)
    assert elements.tags.count("li") == 2
    for word in ("Mara", "Hello.", "joy 75.0%", "non-sarcastic 70.0%", "no name", "sarcastic 80.0%"):
        assert word in elements.text
    assert '<li class="gsa-turn gsa-joy">' in markup, "in the color of the first task's label"
    assert "3 earlier turns not read" in elements.text
    assert "not English" not in elements.text
    foreign = html.conversation(turns[:1], {"emotion": [replace(CALM, language="de")]})
    assert "not English but 'de': a guess" in Elements(foreign).text
    assert ("dir", "auto") in elements.attributes
