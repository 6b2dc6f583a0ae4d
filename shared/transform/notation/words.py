"""Words in text: true, false, nothing, and the names of options."""

from __future__ import annotations

import unicodedata
from collections.abc import Iterable, Sequence

from shared.definitions.models import Column
from shared.definitions.models.notation import FALSE_WORDS, TRUE_WORDS
from shared.workspace import literal

__all__ = ["boolean", "folded_word", "listed_value", "looked_up", "spelled", "truth_words", "without_words"]


def truth_words(column: Column) -> dict[str, bool]:
    """Word -> what it means in a column of type bool."""
    true, false = column.true_values or TRUE_WORDS, column.false_values or FALSE_WORDS
    return {**dict.fromkeys(true, True), **dict.fromkeys(false, False)}


_USUAL = {**dict.fromkeys(TRUE_WORDS, True), **dict.fromkeys(FALSE_WORDS, False)}


def spelled(text: str) -> str:
    """SQL for the form in which words are compared: in lower case, an accent as one character with its letter."""
    return f"nfc_normalize(lower({text}))"


def folded_word(text: str) -> str:
    """The same form of a word of a definition or of the metadata, without blanks at its ends."""
    return unicodedata.normalize("NFC", text.strip().lower())


def boolean(text: str, labels: Iterable[tuple[str, bool]] = (), words: dict[str, bool] = _USUAL) -> str:
    """SQL for the truth value that a text names; NULL where it names none.

    Args:
        text: SQL of the text.
        labels: Further names and their values; they have precedence over the words.
        words: Word -> its value.
    """
    return looked_up(spelled(text), (*labels, *words.items()), "BOOLEAN")


def looked_up(folded: str, known: Iterable[tuple[str, bool | int]], sql_type: str) -> str:
    """SQL for the value of the first word that equals a text in the form of `spelled`; NULL where none does.

    A CASE would write the text's expression once for each word.
    """
    return listed_value(folded, [(spelled(literal(word)), value) for word, value in known], "VARCHAR", sql_type)


def listed_value(sought: str, known: Iterable[tuple[str, bool | int]], of_type: str, sql_type: str) -> str:
    """SQL for the value beside the first constant that equals what is sought; NULL where none does.

    Args:
        sought: SQL of it.
        known: SQL of each constant, and its value.
        of_type: DuckDB type of the constants.
        sql_type: DuckDB type of the values.
    """
    constants, values = zip(*known, strict=True)
    listed = f"[{', '.join(constants)}]::{of_type}[]"
    return f"([{', '.join(map(literal, values))}]::{sql_type}[])[list_position({listed}, {sought})]"


def without_words(text: str, words: Sequence[str]) -> str:
    """SQL for a text; NULL where it is one of some words. `text` is a column."""
    return f"CASE WHEN {text} NOT IN ({', '.join(map(literal, words))}) THEN {text} END"
