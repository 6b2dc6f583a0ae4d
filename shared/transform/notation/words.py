"""Words in text: true, false, nothing, and the names of options."""

from __future__ import annotations

import unicodedata
from collections import defaultdict
from collections.abc import Collection, Iterable, Sequence

from shared.definitions.models import Column
from shared.definitions.models.notation import FALSE_WORDS, TRUE_WORDS
from shared.entities import Choice
from shared.workspace import literal

__all__ = [
    "boolean",
    "folded_word",
    "listed_value",
    "looked_up",
    "named_by",
    "options_of",
    "spelled",
    "truth_words",
    "without_words",
]


def truth_words(column: Column) -> dict[str, bool]:
    """Word -> what it means in a column of type bool."""
    true, false = column.true_values or TRUE_WORDS, column.false_values or FALSE_WORDS
    return {**dict.fromkeys(true, True), **dict.fromkeys(false, False)}


_USUAL = {**dict.fromkeys(TRUE_WORDS, True), **dict.fromkeys(FALSE_WORDS, False)}


def spelled(text: str) -> str:
    """SQL for the form in which words are compared: in lower case, an accent as one character with its letter.

    A sigma has one form, also at the end of a word.
    """
    return f"replace(nfc_normalize(lower({text})), 'ς', 'σ')"


def folded_word(text: str) -> str:
    """The same form of a word of a definition or of the metadata, without blanks at its ends."""
    lower = text.strip().replace("İ", "i").lower()  # as DuckDB does; Python adds a dot to the i
    return unicodedata.normalize("NFC", lower).replace("ς", "σ")


def named_by(choices: Iterable[Choice]) -> dict[str, tuple[Choice, ...]]:
    """Text, as `folded_word` gives it -> the options that it names, in their order.

    A value names its own option, also where it is the label of another one. A label names each option that has it, in
    whatever language.
    """
    found = defaultdict[str, dict[int, Choice]](dict)
    for choice in choices:
        for label in choice.labels:
            found[folded_word(label)][choice.value] = choice
    by_label = {text: tuple(options.values()) for text, options in found.items()}
    return by_label | {str(choice.value): (choice,) for choice in choices}


def options_of(choices: Sequence[Choice]) -> dict[str, int]:
    """Text, as `folded_word` gives it -> value, of the texts that name one option and no other."""
    return {text: options[0].value for text, options in named_by(choices).items() if len(options) == 1}


def boolean(
    text: str,
    labels: Iterable[tuple[str, bool]] = (),
    words: dict[str, bool] = _USUAL,
    without: Collection[str] = (),
) -> str:
    """SQL for the truth value that a text names; NULL where it names none.

    Args:
        text: SQL of the text.
        labels: Further names and their values; they have precedence over the words.
        words: Word -> its value.
        without: Labels and words, as `folded_word` gives them, that name no truth value.
    """
    known = [(word, truth) for word, truth in (*labels, *words.items()) if folded_word(word) not in without]
    return looked_up(spelled(text), known, "BOOLEAN")


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
