"""The rules a row can break: each is one bit, so a valid row needs one integer and no list of errors."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from shared.workspace import literal, quoted

__all__ = ["ErrorType", "Rule", "RuleSet", "ValueProblem"]

_BITS: Final = 62  # of a BIGINT, whose sign is left alone


class ErrorType(StrEnum):
    """The types of errors of a row, as in the error files."""

    DUPLICATE_KEY = "Duplicate Key"
    MALFORMED_ROW = "Malformed Row"
    INVALID_FORMAT = "Invalid Format Exception"
    INPUT_FORMAT = "Input Format Exception"
    MAX_LENGTH = "Max Length Violation"
    MANDATORY = "Mandatory Rule Violation"
    CREATE_ONLY = "Create-Only Column"
    UNRESOLVED_LINK = "Unresolved Link"
    AMBIGUOUS_LINK = "Ambiguous Link"
    PARENT_FAILED = "Parent Failed"
    UNKNOWN_CHOICE = "Unknown Choice"
    AMBIGUOUS_CHOICE = "Ambiguous Choice"
    INVALID_STATUS = "Invalid Status"
    TRANSITION = "Transition Not Allowed"
    OUTSIDE_FILTER = "Outside Filter"
    KEY_NOT_WRITTEN = "Key Not Written"
    EDITED = "Edited in target"
    EDITED_SINCE = "Edited since"


@dataclass(frozen=True, slots=True, kw_only=True)
class Rule:
    """One way in which a row can be wrong.

    Attributes:
        column: The column that caused it, as the user named it.
        rejects: Whether the row is rejected for it; otherwise the field alone is left out, or the fact is counted.
        message: What was expected; never what was found.
        broken: SQL condition over the row.
        detail: SQL of a text that goes before the message where the rule is broken: which part of the value is at
            fault. Empty for none.
        value_detail: The same over the values of the table that is reported, so that it is computed there and only
            for rows with errors. Empty for none.
    """

    column: str
    error: ErrorType
    rejects: bool
    message: str
    broken: str
    detail: str = ""
    value_detail: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class ValueProblem:
    """A way in which a value does not fit.

    Attributes:
        rejects: Whether the row is rejected for it; None where the column's `validate` decides.
        broken: SQL condition, over the same columns as `Conversion.value`.
        detail: SQL of a text that goes before the message, over the same columns; empty for none.
        value_detail: The same over the value alone, whose name it has in `desired` too; empty for none.
    """

    error: ErrorType
    message: str
    broken: str
    rejects: bool | None = None
    detail: str = ""
    value_detail: str = ""

    def rule(self, column: str, *, rejects: bool, message: str = "") -> Rule:
        """The rule of a row that it makes.

        Args:
            column: What error rows call the column.
            rejects: Whether the row is rejected where the problem does not say it.
            message: Instead of its own.
        """
        return Rule(
            column=column,
            error=self.error,
            rejects=rejects if self.rejects is None else self.rejects,
            message=message or self.message,
            broken=self.broken,
            detail=self.detail,
            value_detail=self.value_detail,
        )


class RuleSet:
    """The rules of one stage, kept as bits in the columns ``<name>0``, ``<name>1`` and so on.

    The detail of a rule about the value is a separate column, which is null in valid rows.
    """

    def __init__(self, name: str, rules: Sequence[Rule]) -> None:
        self.rules = tuple(rules)
        self._name = name
        self._places = {id(rule): place for place, rule in enumerate(self.rules)}
        self._words = [self.rules[start : start + _BITS] for start in range(0, max(len(self.rules), 1), _BITS)]

    @property
    def columns(self) -> tuple[str, ...]:
        """The quoted names of the columns that hold the bits and what was found."""
        return (*self._bits, *(self._said(rule) for rule in self.rules if rule.detail))

    @property
    def _bits(self) -> tuple[str, ...]:
        return tuple(quoted(f"{self._name}{number}") for number in range(len(self._words)))

    def _said(self, rule: Rule) -> str:
        return quoted(f"{self._name}:{self._places[id(rule)]}")

    def select(self, *, unless: str = "") -> str:
        """SQL items that compute the bits; zero for rows that meet the condition `unless`."""
        items = []
        for column, rules in zip(self._bits, self._words, strict=True):
            bits = [f"CASE WHEN {rule.broken} THEN {1 << bit} ELSE 0 END" for bit, rule in enumerate(rules)]
            word = f"({' | '.join(bits) or '0'})"
            word = f"CASE WHEN {unless} THEN 0 ELSE {word} END" if unless else word
            items.append(f"CAST({word} AS BIGINT) AS {column}")
        return ",\n    ".join(items)

    def found(self) -> tuple[str, ...]:
        """SQL items that keep the bits, and compute from them the messages about invalid values."""
        details = (
            f"CASE WHEN {column} & {1 << bit} <> 0 THEN {rule.detail} END AS {self._said(rule)}"
            for column, rules in zip(self._bits, self._words, strict=True)
            for bit, rule in enumerate(rules)
            if rule.detail
        )
        return (*self._bits, *details)

    def rejected(self) -> str:
        """SQL condition: a broken rule rejects the row."""
        return self.any_of([rule for rule in self.rules if rule.rejects])

    def any_of(self, rules: Sequence[Rule]) -> str:
        """SQL condition: one of these rules is broken."""
        masks: dict[int, int] = {}
        for word, bit in sorted({divmod(self._places[id(rule)], _BITS) for rule in rules}):
            masks[word] = masks.get(word, 0) | 1 << bit
        names = self._bits if masks else ()
        tests = [f"{names[word]} & {mask} <> 0" for word, mask in masks.items()]
        return f"({' OR '.join(tests)})" if tests else "false"

    def broken(self) -> str:
        """SQL condition: any rule is broken, whether or not it rejects the row."""
        return " OR ".join(f"{column} <> 0" for column in self._bits)

    def report(self, table: str) -> list[str]:
        """SQL statements that write one row of `source_errors` for every rule that a row of `table` breaks."""
        return [
            f"""
INSERT INTO source_errors
SELECT _row, rule."column", rule.error, rule.rejected, {self._message(rules)}
FROM {self._detailed(table, column, rules)} JOIN (VALUES
    {_values(rules)}
  ) AS rule(bit, "column", error, rejected, message) ON {column} & rule.bit <> 0
WHERE {column} <> 0""".strip()
            for column, rules in zip(self._bits, self._words, strict=True)
            if rules
        ]

    def _detailed(self, table: str, column: str, rules: Sequence[Rule]) -> str:
        """The table with the details that are computed from its values: a layer, for its columns have any name."""
        details = [
            f"CASE WHEN {column} & {1 << bit} <> 0 THEN {rule.value_detail} END AS {self._said(rule)}"
            for bit, rule in enumerate(rules)
            if rule.value_detail
        ]
        kept = ["_row", column, *(self._said(rule) for rule in rules if rule.detail)]
        return f"(SELECT {', '.join(kept + details)} FROM {table}) AS found" if details else table

    def _message(self, rules: Sequence[Rule]) -> str:
        detailed = ((bit, rule) for bit, rule in enumerate(rules) if rule.detail or rule.value_detail)
        said = "".join(f" WHEN {1 << bit} THEN {self._said(rule)}" for bit, rule in detailed)
        return f"concat(CASE rule.bit{said} END, rule.message)" if said else "rule.message"


def _values(rules: Sequence[Rule]) -> str:
    return ",\n    ".join(
        f"({1 << bit}, {literal(rule.column)}, {literal(rule.error)}, {literal(rule.rejects)}, {literal(rule.message)})"
        for bit, rule in enumerate(rules)
    )
