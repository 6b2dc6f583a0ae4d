"""Options of choice columns: by value or label, and what is said about a text that names none of them."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from typing import Final

from shared.entities import AttributeMetadata, AttributeType, Choice
from shared.suggestions import closest
from shared.transform.notation.words import folded_word, spelled
from shared.transform.rules import ErrorType
from shared.transform.targets import CHOICES, TargetColumn
from shared.workspace import Step, Table, literal

__all__ = [
    "LABELLED",
    "all_options",
    "no_option",
    "numbers_of",
    "options_of",
    "suggestion_steps",
    "unknown_choice",
    "unknown_text",
]

LABELLED: Final = CHOICES | {AttributeType.MULTI_PICKLIST}
# Without zeros that change nothing; at most the digits of a number column: 28 and 10.
_PLAIN_NUMBER: Final = re.compile(r"0|-?(?:[1-9][0-9]{0,27}(?:\.[0-9]{0,9}[1-9])?|0\.[0-9]{0,9}[1-9])")
_MOST_LISTED: Final = 20
_MOST_SHOWN: Final = 40  # characters of a text that is not known: enough to find it in the row
# Different unknown texts that are compared with the options; each comparison takes a microsecond.
_MOST_COMPARED: Final = 1000
_SIMILAR: Final = 0.85  # of 1, by Jaro and Winkler: a slip of the hand, or the beginning of a longer label


def options_of(choices: tuple[Choice, ...]) -> dict[str, int]:
    """Text, as `folded_word` gives it -> value: the value itself before any label, and of equal labels the first."""
    found: dict[str, int] = {str(choice.value): choice.value for choice in choices}
    for choice in choices:
        for label in choice.labels:
            found.setdefault(folded_word(label), choice.value)
    return found


def numbers_of(choices: tuple[Choice, ...]) -> dict[str, int]:
    """The texts of `options_of` that are the plain notation of a number: what a number can be equal to."""
    return {text: value for text, value in options_of(choices).items() if _PLAIN_NUMBER.fullmatch(text)}


def no_option(attribute: AttributeMetadata) -> str:
    """What follows a text that names no option of a column: the end of a sentence."""
    return f"no option of {attribute.name}{'' if attribute.choices else ', which has no options'}"


def unknown_text(text: str) -> str:
    """SQL of the beginning of that sentence, over the SQL of the text."""
    return f"'''' || left({text}, {_MOST_SHOWN}) || ''' is '"


def unknown_choice(attribute: AttributeMetadata, text: str, *, listed: bool = True) -> str:
    """The message about a constant that names no option of a column.

    Args:
        attribute: The column.
        text: The constant.
        listed: Tell all options; else only the most similar one, because another message has told them.
    """
    said = f"'{text[:_MOST_SHOWN]}' is {no_option(attribute)}"
    by_label = {label: choice for choice in attribute.choices for label in choice.labels}
    similar = "".join(f": did you mean {by_label[label]}?" for label in closest(text, by_label))
    more = f"{'' if similar else '.'} {all_options(attribute)}" if listed and attribute.choices else ""
    return f"{said}{similar}{more}"


def all_options(attribute: AttributeMetadata, *, most: int = _MOST_LISTED) -> str:
    """The sentence that lists the options of a column, up to a limit."""
    names = [str(choice) for choice in attribute.choices]
    more = f" and {len(names) - most} more" if len(names) > most else ""
    return f"The options of {attribute.name} are {', '.join(names[:most])}{more}"


def suggestion_steps(columns: Sequence[TargetColumn]) -> tuple[Step, ...]:
    """The step that adds the most similar option to messages about unknown texts; none without a choice column."""
    rows = [row for column in columns if column.attribute.type in LABELLED for row in _option_rows(column.attribute)]
    if not rows:
        return ()
    unknown = f"error = {literal(ErrorType.UNKNOWN_CHOICE)}"
    similarity = f"jaro_winkler_similarity({spelled('unknown.said')}, option.label)"
    sql = rf"""
UPDATE source_errors SET message = source_errors.message || ': did you mean ' || best.shown || '?'
FROM (
  SELECT unknown.message, arg_max(option.shown, {similarity}) AS shown
  FROM (
    SELECT DISTINCT message, regexp_extract(message, $$^'(.*)' is no option of (\w+)$$, 1) AS said,
      regexp_extract(message, $$^'(.*)' is no option of (\w+)$$, 2) AS target
    FROM source_errors WHERE {unknown} LIMIT {_MOST_COMPARED}) AS unknown
  JOIN (VALUES {", ".join(rows)}) AS option(target, label, shown) ON option.target = unknown.target
  WHERE {similarity} >= {_SIMILAR}
  GROUP BY unknown.message) AS best
WHERE {unknown} AND source_errors.message = best.message""".strip()
    return (
        Step(
            "Suggest options for unknown choices",
            sql,
            needs=frozenset({Table.SOURCE_ERRORS}),
            only_if=f"SELECT _row FROM source_errors WHERE {unknown} LIMIT 1",
        ),
    )


def _option_rows(attribute: AttributeMetadata) -> Iterable[str]:
    for choice in attribute.choices:
        for label in choice.labels:
            yield f"({literal(attribute.name)}, {literal(folded_word(label))}, {literal(str(choice))})"
