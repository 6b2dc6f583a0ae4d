"""Columns of a source: read, calculated or conditional."""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated, Final

from pydantic import Field

from shared.definitions.models.base import WHOLE, Model, Pattern, Script, Sql, Verbatim
from shared.definitions.models.notation import (
    AmbiguousTime,
    DecimalSeparator,
    InputFormats,
    NullValues,
    Pivot,
    Signs,
    ThousandsSeparator,
    TimeZone,
    Words,
)

__all__ = ["MOST", "Case", "Column", "ColumnType", "Replacement", "TypedColumn"]

MOST: Final = 1_000_000_000  # characters or lines: more than any file has, and less than what overflows


class ColumnType(StrEnum):
    """What a source column holds."""

    TEXT = "text"
    NUMBER = "number"
    DATE = "date"
    BOOL = "bool"
    JSON = "json"


class Replacement(Model):
    """A regular expression and what replaces every match of it."""

    pattern: Annotated[Pattern, Verbatim()] = Field(description="What to replace, in RE2 syntax.")
    with_: Annotated[str, Verbatim()] = Field(
        default="", alias="with", description=r"The replacement; `\1` is the first group."
    )


class Case(Model):
    """One branch of a conditional column."""

    when: Sql = Field(description="Condition over the row's columns; the first branch whose condition is true is used.")
    then: Sql = Field(description="Value of the column in this branch.")


class Column(Model):
    """One column of the source: read, calculated (`formula` or `script`) or conditional (`cases`)."""

    name: str = Field(
        min_length=1,
        description="The column's name in the source. For `type: events`, `json`, `rest` and `parquet` also a "
        "JSONPath such as `$.address.city`, which needs an alias.",
    )
    alias: str | None = Field(
        default=None, min_length=1, description="Name for expressions and mappings, instead of `name`."
    )
    type: ColumnType = Field(
        default=ColumnType.TEXT,
        description="Type of the column's values; `json` is text that must be JSON. A source that has types of its "
        "own, such as `parquet`, has its own type as the default.",
    )
    description: str = Field(default="", description="Description; no effect.")
    mandatory: bool = Field(
        default=False,
        description="An empty value is an error. With `validate` the row is rejected. Without it the row is synced, "
        "a Mandatory Rule Violation is counted, and the run ends as *Completed with errors*.",
    )
    validate_: bool = Field(
        default=False,
        alias="validate",
        description="Reject the row if the value does not fit the type or `input_format`. Without it, only the field "
        "is left out.",
    )
    trim: bool = Field(default=False, description="Remove white space at both ends.")
    max_length: Annotated[int, Field(ge=1, le=MOST), WHOLE] | None = Field(
        default=None, description="Most characters; a longer value rejects the row."
    )
    replace: tuple[Replacement, ...] = Field(default=(), description="Replacements in the value, applied in order.")
    null_values: NullValues | None = Field(
        default=None,
        description="Texts that mean no value, such as `NULL` or `N/A`, in exactly this form; they are compared after "
        "`trim` and before `replace`. Replaces the list of the source; `[]`: only an empty text means no value.",
    )
    decimal_separator: DecimalSeparator | None = Field(
        default=None,
        description="Character before the decimals of a number; only with `type: number`. Default a point.",
    )
    thousands_separator: ThousandsSeparator | None = Field(
        default=None,
        description="Character between groups of three digits, such as `.` in `1.250,50`; only with `type: number`. A "
        "number without it is read too; in a wrong place it is an error. A blank also stands for no-break blanks. "
        "Default none.",
    )
    strip: Signs | None = Field(
        default=None,
        description="Signs that are removed before and after a number, with the blanks beside them, such as `€%`; "
        "only with `type: number`.",
    )
    input_format: InputFormats | None = Field(
        default=None,
        description="Format of the dates, in .NET (`dd/MM/yyyy HH:mm:ss`) or strptime (`%d/%m/%Y`) tokens, or `excel` "
        "for Excel's serial numbers (`45322.5`); only with `type: date`. Of several formats, the first one that fits "
        "is used. Default ISO 8601.",
    )
    time_zone: TimeZone | None = Field(
        default=None,
        description="Time zone of the moments that are written without an offset, such as `Europe/Berlin`; only with "
        "`type: date`. Default UTC.",
    )
    on_ambiguous_time: AmbiguousTime | None = Field(
        default=None,
        description="Which moment is meant by a time that exists twice in the time zone, or does not exist, when the "
        "clocks change. Without it, such a time is an Input Format Exception.",
    )
    pivot: Pivot | None = Field(
        default=None,
        description="First two-digit year of the 20th century: with 50, `49` is 2049 and `50` is 1950. Needs an "
        "`input_format` with `yy` or `%y`. Default 69.",
    )
    true_values: Words | None = Field(
        default=None,
        description="Words that mean true, instead of the usual ones, in upper or lower case; only with `type: bool`.",
    )
    false_values: Words | None = Field(
        default=None,
        description="Words that mean false, instead of the usual ones, in upper or lower case; only with `type: bool`.",
    )
    file_name: bool = Field(
        default=False,
        description="Makes a column with the name of the file that the row comes from, such as `may.csv`; only for "
        "sources of files.",
    )
    file_path: bool = Field(
        default=False,
        description="Makes a column with the whole path or URL of the file that the row comes from; only for sources "
        "of files.",
    )
    formula: Sql | None = Field(
        default=None, description="Makes a calculated column: an expression that gives the value for each row."
    )
    cases: tuple[Case, ...] = Field(
        default=(), description="Makes a conditional column: branches that are tried in order."
    )
    script: Script | None = Field(
        default=None,
        description="Makes a column that JavaScript calculates: a function `calc(currentRecord)` that returns the "
        "value of a row. It sees the columns that are read and that its text names.",
    )
    default: Sql | None = Field(
        default=None, description="Value of a conditional column if no branch applies; without it the value is null."
    )

    @property
    def label(self) -> str:
        """The name that expressions and mappings use: the alias where there is one."""
        return self.alias or self.name

    @property
    def read(self) -> bool:
        """Whether the source gives the value; False when it is calculated, conditional or of a script."""
        return self.formula is None and not self.cases and self.script is None

    @property
    def stored(self) -> bool:
        """Whether the column is in the source's records; False also when its value tells the file."""
        return self.read and not self.file_name and not self.file_path

    @property
    def input_formats(self) -> tuple[str, ...]:
        """The formats of its dates in the order in which they are tried; empty for ISO 8601."""
        return (self.input_format,) if isinstance(self.input_format, str) else self.input_format or ()


class TypedColumn(Column):
    """A column of which the source gives values of a type, and not only text; made from the source, never written."""

    raw: ColumnType = Field(description="What the loaded values are; text where the source gives text.")
    sql_type: str = Field(description="SQL type of the loaded values.")
    moment_format: str = Field(default="", description="Format of the source's own dates among texts; empty for none.")
    faults: tuple[str, ...] = Field(default=(), description="The marks of errors that some loaded values are.")
    place: int = Field(
        default=0, description="Number of the column in `source_places`, from 1; 0 where the source tells no places."
    )

    @classmethod
    def of(cls, column: Column, known: ColumnType, raw: ColumnType, sql_type: str) -> TypedColumn:
        """A column of the definition with what the source knows about it.

        Args:
            column: As it is written.
            known: Its type in the source, which it has if the definition gives none.
            raw: What the loaded values are.
            sql_type: SQL type of the loaded values.
        """
        written = column.model_dump(by_alias=True, exclude_unset=True)
        return cls.model_validate({"type": known, **written, "raw": raw, "sql_type": sql_type})
