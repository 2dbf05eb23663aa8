"""The language of texts: plainly foreign ones are named, English and short ones are not."""

import sys

import pytest

from gsa.prediction import language
from gsa.prediction.language import foreign_language

ENGLISH = (
    "The invoice is due on Friday.", "TERRIBLE CUSTOMER SERVICE", "omg this is sooo gooood!!!", "OK", "lol",
    "Meh.", "\U0001f44d", "Best regards, Anna", "Great food at Chez Pierre", "@user idk tbh smh", "12:30",
    "Oh no! All of them?",
)  # fmt: skip
FOREIGN = {
    "Die Rechnung ist am Freitag fällig.": "de",
    "Je suis très content du produit": "fr",
    "No me gusta nada esta película": "es",
    "这个产品很好": "zh",
    "Ужасный сервис": "ru",
    "Çok kötü bir hizmet": "tr",
    "пиздец": "ru",
    "很好": "zh",
}


@pytest.mark.parametrize("text", ENGLISH)
def test_english_and_what_is_too_short_to_tell_are_not_marked(text: str) -> None:
    assert foreign_language(text) == ""


@pytest.mark.parametrize(("text", "code"), FOREIGN.items())
def test_plainly_foreign_texts_are_named(text: str, code: str) -> None:
    assert foreign_language(text) == code


def test_nothing_is_marked_without_the_extra_which_is_said_once(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setitem(sys.modules, "py3langid.langid", None)
    language._identifier.cache_clear()
    try:
        for _ in range(2):
            assert foreign_language("Die Rechnung ist am Freitag fällig.") == ""
        assert [record.message for record in caplog.records] == [
            "texts that are not English are not marked, and their labels are guesses: the extra `language` "
            "(py3langid) marks them"
        ]
    finally:
        language._identifier.cache_clear()
