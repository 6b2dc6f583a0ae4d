"""What tells a person which row an error belongs to: its key, and its value where that was asked for."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Final, Self

from shared.definitions.models import Column, SyncDefinition
from shared.transform import FAULT_SHOWN, is_fault
from shared.visible import ABOUT_VALUES, MOST_OF_A_VALUE
from shared.workspace import NewTable, literal, quoted

__all__ = ["PLAIN", "SOURCE_LINES", "RowDetails"]

_MOST_SHOWN: Final = 100  # characters of a key's part or of a value


@dataclass(frozen=True, slots=True, kw_only=True)
class RowDetails:
    """SQL texts about rows of the source, over `source_raw AS raw` and, for calculated columns, `shaped`.

    Attributes:
        key: The key as the source has it, its parts with commas between them; empty if it is not known.
        values: Column as errors name it -> the value as the source has it; empty if values are not to be shown.
        calculated: Whether the key needs `shaped`.
        lines: Whether the table `source_lines` has the lines of rows.
    """

    key: str = ""
    values: Mapping[str, str] = field(default_factory=dict)
    calculated: bool = False
    lines: bool = False

    @classmethod
    def of(cls, definition: SyncDefinition, *, values: bool) -> Self:
        """The details for the errors of a sync.

        Args:
            definition: The sync.
            values: Whether the values of fields in error are shown.
        """
        columns = {column.label: column for column in definition.source.columns}
        sources = {mapping.target: mapping.source for mapping in definition.destination.mappings}
        parts = [columns.get(str(sources.get(target))) for target in definition.sync_behaviour.sync_key]
        known = [column for column in parts if column is not None]
        texts = ", ".join(map(_shown_value, known))
        return cls(
            key=f"concat_ws(', ', {texts})" if known and len(known) == len(parts) else "",
            values=dict(_values(columns, sources)) if values else {},
            calculated=any(not column.read for column in known),
        )

    @property
    def tables(self) -> str:
        """SQL of the joins that the texts need, with a table `wanted` before them that has `_row`."""
        joins = ["LEFT JOIN source_raw AS raw ON raw._row = wanted._row"] if self.key or self.values else []
        joins += ["LEFT JOIN shaped ON shaped._row = wanted._row"] if self.calculated and self.key else []
        joins += ["LEFT JOIN source_lines AS place ON place._row = wanted._row"] if self.lines else []
        return " ".join(joins)

    def value(self, column: str) -> str:
        """SQL of the value of the field that an error is about; null if it has none.

        Args:
            column: SQL of the column's name as errors have it.
        """
        cases = "".join(f" WHEN {literal(name)} THEN {text}" for name, text in self.values.items())
        return f"CASE {column}{cases} END" if cases else "NULL"

    def examples_query(self) -> str:
        """SQL for (row, column, key, value, line, file) of the rows and columns in two lists, the parameters."""
        return f"""
SELECT wanted._row, wanted."column", {self.key or "NULL"}, {self.value('wanted."column"')},
  {"place.line, place.file" if self.lines else "NULL, NULL"}
FROM (SELECT unnest(?::BIGINT[]) AS _row, unnest(?::VARCHAR[]) AS "column") AS wanted {self.tables}""".strip()

    def file(self) -> tuple[tuple[str, ...], str]:
        """The header of the file of the source's errors, and SQL for its rows: one line a row of the source."""
        line = ("Line",) if self.lines else ()
        header = ("Row", "Rejected", "Errors", "Key", *line, "Columns", *(("Values",) if self.values else ()))
        name = """nullif("column", '')"""
        message = _with_value("message", "value") if self.values else "message"
        values = (
            f"string_agg(concat_ws(': ', {name}, value), '; ' ORDER BY \"column\", error) FILTER (value IS NOT NULL)"
        )
        items = [
            "_row",
            "CASE WHEN bool_or(rejected) THEN 'Yes' ELSE 'No' END",
            f"string_agg(concat_ws(': ', {name}, error, nullif({message}, '')), '; ' ORDER BY \"column\", error)",
            "any_value(key)",
            *(["any_value(line)"] if self.lines else []),
            f"string_agg(DISTINCT {name}, ', ' ORDER BY {name})",
            *([values] if self.values else []),
        ]
        place = ", concat_ws(':', place.file, place.line) AS line" if self.lines else ""
        return (
            header,
            f"""
SELECT {", ".join(items)}
FROM (
  SELECT wanted.*, {self.key or "NULL"} AS key, {self.value('wanted."column"')} AS value{place}
  FROM source_errors AS wanted {self.tables})
GROUP BY _row ORDER BY _row""".strip(),
        )


SOURCE_LINES: Final = NewTable(name="source_lines", columns="(_row BIGINT, line BIGINT, file VARCHAR)")
"""The lines on which rows begin; `file` is null where the source is one file."""
PLAIN: Final = RowDetails()
"""Neither keys nor values."""


def _values(columns: Mapping[str, Column], sources: Mapping[str, object]) -> Iterator[tuple[str, str]]:
    """The columns that are read, under their own names and those of the target columns that they are mapped to."""
    for label, column in columns.items():
        if column.read:
            yield label, _shown_value(column)
    for target, source in sources.items():
        mapped = columns.get(str(source))
        if target not in columns and mapped is not None and mapped.read:
            yield target, _shown_value(mapped)


def _with_value(message: str, value: str) -> str:
    """SQL of what `shared.visible.with_value` gives."""
    cut = (
        f"CASE WHEN length({value}) > {MOST_OF_A_VALUE} THEN left({value}, {MOST_OF_A_VALUE - 1}) || '…' "
        f"ELSE {value} END"
    )
    cases = "".join(
        f" WHEN regexp_matches({message}, {literal(pattern)}) THEN concat(regexp_extract({message}, {literal(pattern)},"
        f" 1), chr(39), {cut}, chr(39), {literal(verb)}, regexp_extract({message}, {literal(pattern)}, 2))"
        for pattern, verb in ABOUT_VALUES
    )
    return f"CASE WHEN {value} IS NULL THEN {message}{cases} ELSE {message} END"


def _shown_value(column: Column) -> str:
    value = f"raw.{quoted(column.name)}" if column.read else f"shaped.{quoted(column.label)}"
    text = f"CAST({value} AS VARCHAR)"
    return f"CASE WHEN {is_fault(text)} THEN {literal(FAULT_SHOWN)} ELSE left({text}, {_MOST_SHOWN}) END"
