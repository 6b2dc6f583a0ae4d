"""Lists of activity parties: one text with several values, each searched for like a lookup of its own.

`parties_<n>` has a row for each value of mapping n, with the columns that a lookup has in `desired`; what is found goes
back into the one row of `desired` that the values are from.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Final

from shared.definitions.models import KeyMatch
from shared.transform.keys import normalise_key
from shared.transform.lookups.columns import LookupColumn, given_name, link_name
from shared.transform.notation.blanks import trimmed
from shared.transform.rules import ErrorType, Rule
from shared.transform.targets import sql_type
from shared.workspace import NewTable, Step, Table, literal, quoted

__all__ = ["MOST_PARTIES", "PARTY", "bounds", "collected", "split_steps"]

PARTY: Final = "_party"
"""The column that numbers the rows of a table of parties, in the order of the values."""
MOST_PARTIES: Final = 1000
"""In one list; an email that Exchange Online sends has at most as many recipients."""


def bounds(lookup: LookupColumn, label: str) -> tuple[Rule, ...]:
    """The rule that a list keeps; none for another lookup."""
    if not lookup.is_list:
        return ()
    parts = f"string_split({quoted(f'in:{lookup.name}')}, {_delimiter(lookup)})"
    message = f"a list has at most {MOST_PARTIES:,} parties"
    broken = f"coalesce(len({parts}) > {MOST_PARTIES}, false)"
    return (Rule(column=label, error=ErrorType.INVALID_FORMAT, rejects=True, message=message, broken=broken),)


def _delimiter(lookup: LookupColumn) -> str:
    return literal(lookup.mapping.delimiter or ";")


def split_steps(lookups: Iterable[LookupColumn], match: KeyMatch, *, unless: str) -> Iterator[Step]:
    """The steps that make the tables of parties from the texts in `desired`.

    Args:
        lookups: The lookups of a sync.
        match: How values are compared.
        unless: SQL condition over `desired`: the row is not looked at.
    """
    for lookup in lookups:
        if lookup.is_list:
            yield Step.creating(
                f"Divide {lookup.name} into parties",
                NewTable(name=lookup.rows, query=_split(lookup, match, unless)),
                f"destination.mappings[{lookup.place}]",
                needs=frozenset({Table.DESIRED}),
            )


def _split(lookup: LookupColumn, match: KeyMatch, unless: str) -> str:
    name = quoted(lookup.name)
    found = (value for candidate in lookup.candidates for value in candidate.values)
    values = {value.name: value for value in found}.values()  # several entries may search for one value
    typed = ", ".join(f"TRY_CAST(text AS {sql_type(value.attribute)}) AS {quoted(value.name)}" for value in values)
    keys = ", ".join(
        f"{normalise_key(value.attribute, quoted(value.name), match)} AS {quoted(value.key)}" for value in values
    )
    return f"""
SELECT row_number() OVER (ORDER BY _row, place) AS {PARTY}, *, {keys},
  CAST(NULL AS VARCHAR) AS {name}, false AS {quoted(f"_omit_{lookup.name}")},
  true AS {quoted(given_name(lookup.name))}, CAST(NULL AS BIGINT) AS {quoted(link_name(lookup.name))}
FROM (
  SELECT _row, place, {typed}
  FROM (
    SELECT _row, place, {trimmed("part")} AS text
    FROM (
      SELECT _row, generate_subscripts(parts, 1) AS place, unnest(parts) AS part
      FROM (SELECT _row, string_split({name}, {_delimiter(lookup)}) AS parts FROM desired
        WHERE NOT ({unless}) AND {quoted(f"_omit_{lookup.name}")} IS NOT TRUE)))
  WHERE text <> '')""".strip()


def collected(lookup: LookupColumn) -> Step:
    """The step that writes the parties of each row into `desired`, each once, and their worst result."""
    name, link = quoted(lookup.name), quoted(link_name(lookup.name))
    return Step(
        "Collect the parties of each row",
        f"""
UPDATE desired SET {name} = found.parties, {link} = found.result
FROM (
  SELECT desired._row, string_agg(party.{name}, ',' ORDER BY party.{PARTY}) FILTER (WHERE party.is_first) AS parties,
    max(party.{link}) AS result
  FROM desired LEFT JOIN (
    SELECT *, row_number() OVER (PARTITION BY _row, {name} ORDER BY {PARTY}) = 1 AS is_first FROM {lookup.rows}
  ) AS party ON party._row = desired._row GROUP BY desired._row) AS found
WHERE found._row = desired._row""".strip(),
        f"destination.mappings[{lookup.place}]",
        needs=frozenset({Table.DESIRED, lookup.rows}),
    )
