"""What programs send to the editor's API and get from it."""

from __future__ import annotations

from typing import Final

from pydantic import BaseModel, ConfigDict, Field

from shared.app.editing.questions import MOST_ROWS
from shared.definitions.loading.folders import MOST_BYTES

__all__ = [
    "VERSIONS_SHOWN",
    "AskedJob",
    "ColumnList",
    "DefinitionText",
    "FoundMistakes",
    "MadeSync",
    "Mistake",
    "NewSync",
    "Question",
    "SourceFile",
    "TableList",
    "UploadedFile",
    "VersionList",
]


VERSIONS_SHOWN: Final = 20
"""Versions on a page, and in an answer that is asked for without a limit."""


class _Model(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class DefinitionText(_Model):
    """A definition."""

    text: str = Field(max_length=MOST_BYTES, description="The YAML.")


class NewSync(DefinitionText):
    """A new sync; whoever makes it gets the right `admin`."""


class MadeSync(_Model):
    """A sync that was made. The header `Location` has the address of its definition, `ETag` its version."""

    sync: str = Field(description="Its name.")


class Question(_Model):
    """A question about a definition."""

    text: str | None = Field(default=None, max_length=MOST_BYTES, description="The YAML; what is saved without it.")
    rows: int = Field(default=10, ge=1, le=MOST_ROWS, description="Of a preview: how many rows.")


class Mistake(_Model):
    """A mistake in a definition."""

    message: str
    path: str
    line: int
    column: int


class UploadedFile(_Model):
    """A file that was sent to an address in storage."""

    upload: str = Field(max_length=100, description="What its address was given with.")


class SourceFile(_Model):
    """A file of a source."""

    path: str = Field(description="What a source names it with.")


class FoundMistakes(_Model):
    """What was found in a definition."""

    name: str
    valid: bool
    problems: list[Mistake]
    warnings: list[str]


class AskedJob(_Model):
    """The job of a question."""

    job: str = Field(description="Its id: `/api/jobs/{job}` has the `answer`.")


class _Version(_Model):
    id: str
    at: str
    by: str
    name: str
    action: str
    text: str


class VersionList(_Model):
    """Versions of a definition, newest first."""

    versions: list[_Version]
    older: str | None = Field(
        description="What to ask for as `before` to get the next ones; null where there are none."
    )


class _Table(_Model):
    name: str
    label: str
    id_column: str


class TableList(_Model):
    """The tables of an environment."""

    tables: list[_Table]


class _Option(_Model):
    value: int
    labels: list[str]


class _Column(_Model):
    name: str
    label: str
    type: str
    max_length: int | None
    required: str
    refers_to: list[str]
    options: list[_Option]
    writable: bool


class ColumnList(_Model):
    """A table and its columns."""

    table: str
    label: str
    id_column: str
    columns: list[_Column]
