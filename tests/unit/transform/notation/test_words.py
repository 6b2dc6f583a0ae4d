"""Words are compared in one form, whether the program or the database makes it."""

from __future__ import annotations

import sys
import unicodedata

import pytest

from shared.transform.notation.words import folded_word, spelled
from shared.workspace import Workspace


def in_database(texts: list[str]) -> list[str]:
    with Workspace.open() as workspace:
        found = workspace.query(f"SELECT {spelled('word')} FROM (SELECT unnest(?::VARCHAR[]) AS word)", [texts])
        return [word for (word,) in found]


def test_every_letter_has_the_same_form_in_both() -> None:
    letters = [chr(code) for code in range(sys.maxunicode + 1) if not 0xD800 <= code <= 0xDFFF]
    changed = [each for each in letters if each.lower() != each or unicodedata.normalize("NFC", each) != each]
    words = [f"x{each}y" for each in changed]
    assert len(words) > 2000
    assert in_database(words) == [folded_word(word) for word in words]


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("ΕΝΕΡΓΟΣ", "ενεργος"),
        ("ΕΝΕΡΓΟΣ ΠΕΛΑΤΗΣ", "Ενεργος Πελάτης".replace("ά", "α")),
        ("İptal", "iptal"),
        ("CAFÉ", "cafe\u0301"),
        (" Yes ", "yes"),
    ],
)
def test_words_that_are_the_same(one: str, other: str) -> None:
    """In capitals and in small letters; a sigma at the end of a word has a form of its own only in small letters."""
    assert folded_word(one) == folded_word(other)
    assert in_database([one.strip(), other.strip()]) == [folded_word(one)] * 2
