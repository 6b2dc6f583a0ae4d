"""Options of choice columns: by value or label, and what is said about a text that names none of them."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Final

from shared.entities import AttributeMetadata, AttributeType, Choice
from shared.suggestions import closest
from shared.transform.notation.value_class import value_class
from shared.transform.notation.words import folded_word, spelled
from shared.transform.rules import ErrorType, ValueProblem
from shared.transform.states.pairs import listed
from shared.transform.targets import CHOICES, TargetColumn
from shared.workspace import Step, Table, literal

__all__ = [
    "LABELLED",
    "all_options",
    "ambiguous_choice",
    "ambiguous_flaw",
    "number_names",
    "suggestion_steps",
    "unknown_choice",
    "unknown_flaw",
]

LABELLED: Final = CHOICES | {AttributeType.MULTI_PICKLIST}
# Without zeros that change nothing; at most the digits of a number column: 28 and 10.
_PLAIN_NUMBER: Final = re.compile(r"0|-?(?:[1-9][0-9]{0,27}(?:\.[0-9]{0,9}[1-9])?|0\.[0-9]{0,9}[1-9])")
_MOST_LISTED: Final = 20
_MOST_SHOWN: Final = 40  # characters of a constant that is not known, and of a text that is compared with the options
_INSTEAD: Final = "give the value of the option that is meant, or make its label unique"
# How a message is noted: the value, the text in it that names no option, the message, and what the steps add to it.
_NOTED: Final = (
    r"^([\s\S]*)\x1f([^\x1f]*)\x1f((?:[^\x1f]*: )?no option of (\w+).*; the value is )(|: did you mean [\s\S]*)$"
)
# Different unknown texts that are compared with the options; each comparison takes a microsecond.
_MOST_COMPARED: Final = 1000
_SIMILAR: Final = 0.85  # of 1, by Jaro and Winkler: a slip of the hand, or the beginning of a longer label


def number_names(named: Mapping[str, tuple[Choice, ...]]) -> dict[str, tuple[Choice, ...]]:
    """The texts of `named_by` that are the plain notation of a number: what a number can be equal to."""
    return {text: options for text, options in named.items() if _PLAIN_NUMBER.fullmatch(text)}


def unknown_flaw(attribute: AttributeMetadata, value: str, part: str, *, broken: str) -> ValueProblem:
    """A text that names no option; `suggestion_steps` puts the class of the value in the place of what is noted.

    Args:
        attribute: The column.
        value: SQL of the value as a text.
        part: SQL of the text in it that names no option.
        broken: SQL condition.
    """
    return ValueProblem(
        error=ErrorType.UNKNOWN_CHOICE,
        message=f"{_no_option(attribute)}; the value is ",
        broken=broken,
        detail=f"concat({value}, chr(31), replace(left({part}, {_MOST_SHOWN}), chr(31), ' '), chr(31))",
        rejects=True,
    )


def ambiguous_flaw(
    attribute: AttributeMetadata, several: Mapping[str, tuple[Choice, ...]], part: str, *, broken: str
) -> ValueProblem:
    """A text that names several options: none of them is taken.

    Args:
        attribute: The column.
        several: SQL of each such text -> the options that it names.
        part: SQL of the text in the value, in the same form.
        broken: SQL condition.
    """
    cases = "".join(f" WHEN {text} THEN {literal(f'{listed(options)}: ')}" for text, options in several.items())
    return ValueProblem(
        error=ErrorType.AMBIGUOUS_CHOICE,
        message=f"several options of {attribute.name} have this label; {_INSTEAD}",
        broken=broken,
        detail=f"CASE {part}{cases} END",
        rejects=True,
    )


def ambiguous_choice(attribute: AttributeMetadata, text: str, options: Sequence[Choice]) -> str:
    """The message about a constant that names several options of a column.

    Args:
        attribute: The column.
        text: The constant.
        options: What it names.
    """
    return f"'{text[:_MOST_SHOWN]}' names several options of {attribute.name}: {listed(options)}; {_INSTEAD}"


def _no_option(attribute: AttributeMetadata) -> str:
    return f"no option of {attribute.name}{'' if attribute.choices else ', which has no options'}"


def unknown_choice(attribute: AttributeMetadata, text: str, *, listed: bool = True) -> str:
    """The message about a constant that names no option of a column.

    Args:
        attribute: The column.
        text: The constant.
        listed: Tell all options; else only the most similar one, because another message has told them.
    """
    said = f"'{text[:_MOST_SHOWN]}' is {_no_option(attribute)}"
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
    """The steps that finish the messages about unknown texts; none without a choice column.

    The first adds the most similar option. The second puts the class of the value in the place of the value. Messages
    that are finished stay as they are.
    """
    choices = [column.attribute for column in columns if column.attribute.type in LABELLED]
    rows = [row for attribute in choices for row in _option_rows(attribute)]
    steps = [("Suggest options for unknown choices", _suggested(rows))] if rows else []
    steps += [("Leave values out of messages about unknown choices", _CLASSED)] if choices else []
    return tuple(
        Step(
            title,
            sql,
            needs=frozenset({Table.SOURCE_ERRORS}),
            only_if=f"SELECT _row FROM source_errors WHERE {_UNKNOWN} LIMIT 1",
        )
        for title, sql in steps
    )


def _suggested(options: Sequence[str]) -> str:
    similarity = f"jaro_winkler_similarity({spelled('unknown.said')}, option.label)"
    return f"""
UPDATE source_errors SET message = source_errors.message || ': did you mean ' || best.shown || '?'
FROM (
  SELECT unknown.message, arg_max(option.shown, {similarity}) AS shown
  FROM (
    SELECT DISTINCT message, {_noted(2)} AS said, {_noted(4)} AS target
    FROM source_errors WHERE {_UNKNOWN} LIMIT {_MOST_COMPARED}) AS unknown
  JOIN (VALUES {", ".join(options)}) AS option(target, label, shown) ON option.target = unknown.target
  WHERE {similarity} >= {_SIMILAR}
  GROUP BY unknown.message) AS best
WHERE {_UNKNOWN} AND source_errors.message = best.message""".strip()


def _noted(group: int) -> str:
    return f"regexp_extract(message, {literal(_NOTED)}, {group})"


_UNKNOWN: Final = f"error = {literal(ErrorType.UNKNOWN_CHOICE)} AND contains(source_errors.message, chr(31))"
_CLASSED: Final = f"""
UPDATE source_errors SET message = concat(found.said, {value_class("found.value")}, found.more)
FROM (
  SELECT DISTINCT message, {_noted(1)} AS value, {_noted(3)} AS said, {_noted(5)} AS more
  FROM source_errors WHERE {_UNKNOWN}) AS found
WHERE {_UNKNOWN} AND source_errors.message = found.message""".strip()


def _option_rows(attribute: AttributeMetadata) -> Iterable[str]:
    for choice in attribute.choices:
        for label in choice.labels:
            yield f"({literal(attribute.name)}, {literal(folded_word(label))}, {literal(str(choice))})"
