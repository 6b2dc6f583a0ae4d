"""Text with columns of fixed width as a source."""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated, Literal

from pydantic import Field

from shared.definitions.models.base import WHOLE, Text
from shared.definitions.models.columns import MOST, Column
from shared.definitions.models.sources.base import SourceModel
from shared.definitions.models.sources.text import Encoding

__all__ = ["FixedColumn", "FixedWidthSource", "ShortLines"]


class ShortLines(StrEnum):
    """What a line is that ends before its last column does."""

    FILL = "fill"
    REJECT = "reject"


class FixedColumn(Column):
    """One column of a `fixed_width` source; besides the keys below, one that is read has a place in the line."""

    start: Annotated[int, Field(ge=1, le=MOST), WHOLE] | None = Field(
        default=None, description="Place of the first character in the line; the first place is 1."
    )
    width: Annotated[int, Field(ge=1, le=MOST), WHOLE] | None = Field(default=None, description="Number of characters.")


class FixedWidthSource(SourceModel):
    """Text in which each column has its place in the line: local or remote, plain or gzip."""

    type: Literal["fixed_width"] = Field(description="Text with columns of fixed width.")
    path: Text = Field(description="A local path or fsspec URL (`abfs://`, `s3://`); globs are allowed.")
    columns: tuple[FixedColumn, ...] = Field(
        min_length=1,
        description="The columns to read, each with `start` and `width`, and columns to calculate. They may overlap.",
    )
    encoding: Encoding = Field(default="utf-8", description="The files' encoding.")
    header_rows_to_ignore: Annotated[int, Field(ge=0, le=MOST), WHOLE] = Field(
        default=0, description="Lines to skip at the start of every file."
    )
    footer_rows_to_ignore: Annotated[int, Field(ge=0, le=MOST), WHOLE] = Field(
        default=0, description="Lines to skip at the end of each file; blank lines count too."
    )
    short_lines: ShortLines = Field(
        default=ShortLines.FILL,
        description="A line that ends before its last column does: `fill` reads what is missing as no value; `reject` "
        "makes it a malformed row.",
    )
