"""Delimited text as a source."""

from __future__ import annotations

import re
from typing import Annotated, Final, Literal, Self

from pydantic import AfterValidator, Field, model_validator

from shared.definitions.models.base import WHOLE, Text, Verbatim
from shared.definitions.models.columns import MOST
from shared.definitions.models.sources.base import SourceModel, WithHeader
from shared.definitions.models.sources.text import Encoding

__all__ = ["DelimitedSource"]

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


class DelimitedSource(WithHeader, SourceModel):
    """CSV, TSV and similar text: local or remote, plain, gzip or zstd."""

    type: Literal["delimited"] = Field(description="Delimited text files.")
    path: Text = Field(description="A local path or fsspec URL (`abfs://`, `s3://`); globs are allowed.")
    delimiter: Annotated[str, AfterValidator(_delimiter), Verbatim()] = Field(
        default=",", description=r"Character between the fields; also `U+0001` or `\t`."
    )
    text_qualifier: Annotated[str, AfterValidator(_qualifier), Verbatim()] = Field(
        default='"', description="Quote character around fields; inside a field it is doubled. Empty: no quotes."
    )
    encoding: Encoding = Field(default="utf-8", description="The files' encoding.")
    header: bool = Field(
        default=True,
        description="Whether there is a line of column names above the data. Without it, columns are identified by "
        "their order. Names are compared without regard to case, blanks at the ends and invisible characters. Default "
        "true; false if `header_rows_to_ignore` is given.",
    )
    header_rows_to_ignore: Annotated[int, Field(ge=0, le=MOST), WHOLE] = Field(
        default=0, description="Lines to skip at the start of every file."
    )
    footer_rows_to_ignore: Annotated[int, Field(ge=0, le=MOST), WHOLE] = Field(
        default=0, description="Lines to skip at the end of each file; blank lines count too."
    )

    @model_validator(mode="after")
    def _fields_can_be_told_from_quotes(self) -> Self:
        if self.text_qualifier and self.text_qualifier in self.delimiter:
            raise ValueError(
                "the delimiter and the text qualifier are the same character; write text_qualifier: '' "
                "if fields have no quotes"
            )
        return self
