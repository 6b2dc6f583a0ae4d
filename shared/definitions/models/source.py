"""Where rows come from: columns and the kinds of source."""

from __future__ import annotations

import codecs
import re
from enum import StrEnum
from typing import Annotated, Any, Final, Literal, Self

from pydantic import AfterValidator, Discriminator, Field, model_validator

from shared.definitions.models.base import Model, Pattern, Sql, Text
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

__all__ = ["Case", "Column", "ColumnType", "DelimitedSource", "EventsSource", "Replacement", "Source"]

_MOST = 1_000_000_000  # characters or lines: more than any file has, and less than what overflows


class ColumnType(StrEnum):
    """What a source column holds."""

    TEXT = "text"
    NUMBER = "number"
    DATE = "date"
    BOOL = "bool"


class Replacement(Model):
    """A regular expression and what replaces every match of it."""

    pattern: Pattern = Field(description="What to replace, in RE2 syntax.")
    with_: str = Field(default="", alias="with", description=r"The replacement; `\1` is the first group.")


class Case(Model):
    """One branch of a conditional column."""

    when: Sql = Field(description="Condition over the row's columns; the first branch whose condition is true is used.")
    then: Sql = Field(description="Value of the column in this branch.")


class Column(Model):
    """One column of the source: read, calculated (`formula`) or conditional (`cases`)."""

    name: str = Field(
        min_length=1,
        description="The column's name in the source. For `type: events`: a field of the record, or a JSONPath such "
        "as `$.address.city` (a JSONPath needs an alias).",
    )
    alias: str | None = Field(
        default=None, min_length=1, description="Name for expressions and mappings, instead of `name`."
    )
    type: ColumnType = Field(default=ColumnType.TEXT, description="Type of the column's values.")
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
    max_length: int | None = Field(
        default=None, ge=1, le=_MOST, description="Most characters; a longer value rejects the row."
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
    formula: Sql | None = Field(
        default=None, description="Makes a calculated column: an expression that gives the value for each row."
    )
    cases: tuple[Case, ...] = Field(
        default=(), description="Makes a conditional column: branches that are tried in order."
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
        """Whether the column is in the source; False when it is calculated or conditional."""
        return self.formula is None and not self.cases

    @property
    def input_formats(self) -> tuple[str, ...]:
        """The formats of its dates in the order in which they are tried; empty for ISO 8601."""
        return (self.input_format,) if isinstance(self.input_format, str) else self.input_format or ()


_CODE_POINT: Final = re.compile(r"[Uu]\+([0-9A-Fa-f]{1,6})")
_MOST_DELIMITER_BYTES: Final = 4  # read_csv of DuckDB takes no longer delimiter


def _characters(text: str) -> str:
    r"""Read `U+0001` and `\t` as the character they name."""
    if found := _CODE_POINT.fullmatch(text):
        try:
            character = chr(int(found[1], 16))
            character.encode()
        except ValueError:
            raise ValueError("this Unicode character does not exist") from None
        return character
    return "\t" if text == r"\t" else text


def _delimiter(text: str) -> str:
    characters = _characters(text)
    if not 0 < len(characters.encode()) <= _MOST_DELIMITER_BYTES:
        raise ValueError("a delimiter has 1 to 4 bytes")
    if set(characters) & set("\r\n\0"):
        raise ValueError("the delimiter cannot be a line break or NUL")
    return characters


def _qualifier(text: str) -> str:
    characters = _characters(text)
    if len(characters) > 1 or not characters.isascii():
        raise ValueError("a text qualifier is one ASCII character, or empty for none")
    if characters and characters in "\r\n\0":
        raise ValueError("the text qualifier cannot be a line break or NUL")
    return characters


def _encoding(name: str) -> str:
    try:
        " ".encode(name)  # some codecs are not for text (base64, rot13), which is known only here
        return codecs.lookup(name).name
    except (LookupError, ValueError):
        raise ValueError("unknown encoding; write one such as utf-8, utf-16, windows-1252 or iso-8859-1") from None


class DelimitedSource(Model):
    """CSV, TSV and their relatives: local or remote, plain, gzip or zstd."""

    type: Literal["delimited"] = Field(description="Delimited text files.")
    path: Text = Field(description="A local path or fsspec URL (`abfs://`, `s3://`); globs are allowed.")
    delimiter: Annotated[str, AfterValidator(_delimiter)] = Field(
        default=",", description=r"Character between the fields; also `U+0001` or `\t`."
    )
    text_qualifier: Annotated[str, AfterValidator(_qualifier)] = Field(
        default='"', description="Quote character around fields; inside a field it is doubled. Empty: no quotes."
    )
    encoding: Annotated[str, AfterValidator(_encoding)] = Field(default="utf-8", description="The files' encoding.")
    header: bool = Field(
        default=True,
        description="Whether there is a line of column names above the data. Without it, columns are identified by "
        "their order. Names are compared without regard to case, blanks and invisible characters. Default true; "
        "false if `header_rows_to_ignore` is given.",
    )
    header_rows_to_ignore: int = Field(
        default=0, ge=0, le=_MOST, description="Lines to skip at the start of every file."
    )
    footer_rows_to_ignore: int = Field(default=0, ge=0, le=_MOST, description="Lines to skip at the end of each file.")
    columns: tuple[Column, ...] = Field(min_length=1, description="The columns to read and to calculate.")
    null_values: NullValues = Field(
        default=(),
        description="Texts that mean no value in every column that does not have a list of its own, such as "
        '`["NULL", "N/A"]`. An empty text always means no value.',
    )
    filter: Sql | None = Field(default=None, description="Condition; only rows for which it is true are synced.")

    @model_validator(mode="before")
    @classmethod
    def _rows_to_ignore_replace_the_header(cls, data: Any) -> Any:
        if isinstance(data, dict) and data.get("header_rows_to_ignore") and "header" not in data:
            return {**data, "header": False}
        return data

    @model_validator(mode="after")
    def _fields_can_be_told_from_quotes(self) -> Self:
        if self.text_qualifier and self.text_qualifier in self.delimiter:
            raise ValueError(
                "the delimiter and the text qualifier are the same character; write text_qualifier: '' "
                "if fields have no quotes"
            )
        return self


class EventsSource(Model):
    """The records that the listener decodes; real time only."""

    type: Literal["events"] = Field(description="Records of events.")
    columns: tuple[Column, ...] = Field(min_length=1, description="Fields of the record, and calculated columns.")
    null_values: NullValues = Field(
        default=(),
        description="Texts that mean no value in every column that does not have a list of its own, such as "
        '`["NULL", "N/A"]`. An empty text always means no value.',
    )
    filter: Sql | None = Field(default=None, description="Condition; only records for which it is true are synced.")


Source = Annotated[DelimitedSource | EventsSource, Discriminator("type")]
