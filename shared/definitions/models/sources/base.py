"""What every kind of source has: a type, columns, texts that mean no value, and a filter."""

from __future__ import annotations

from typing import Any

from pydantic import Field, model_validator

from shared.definitions.models.base import Model, Sql
from shared.definitions.models.columns import Column
from shared.definitions.models.notation import NullValues

__all__ = ["SelfDescribing", "SourceModel", "WithHeader"]


class SourceModel(Model):
    """The keys of every kind of source."""

    type: str = Field(description="Kind of source.")
    columns: tuple[Column, ...] = Field(min_length=1, description="The columns to read and to calculate.")
    null_values: NullValues = Field(
        default=(),
        description="Texts that mean no value in every column that does not have a list of its own, such as "
        '`["NULL", "N/A"]`. An empty text always means no value.',
    )
    filter: Sql | None = Field(default=None, description="Condition; only rows for which it is true are synced.")

    @property
    def row_filter(self) -> str | None:
        """The SQL condition over the loaded rows; a source may apply its filter itself."""
        return self.filter

    @property
    def has_all_columns(self) -> bool:
        """Whether the definition alone says which columns there are, and their types."""
        return True


class SelfDescribing(SourceModel):
    """A source that knows its columns and types."""

    columns: tuple[Column, ...] = Field(
        default=(),
        description="The columns to read and to calculate. Without a column that is read, all columns of the source "
        "are read.",
    )

    @property
    def has_all_columns(self) -> bool:
        """Whether the definition gives a type to each column that is read, and there is one."""
        read = [column for column in self.columns if column.stored]
        return bool(read) and all("type" in column.model_fields_set for column in read)


class WithHeader(Model):
    """A source with the keys `header` and `header_rows_to_ignore`: the rows to ignore replace the header."""

    @model_validator(mode="before")
    @classmethod
    def _rows_to_ignore_replace_the_header(cls, data: Any) -> Any:
        if isinstance(data, dict) and data.get("header_rows_to_ignore") and "header" not in data:
            return {**data, "header": False}
        return data
