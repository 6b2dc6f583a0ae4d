"""How a mapping finds the record that a lookup column refers to."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, Tag

from shared.definitions.models.base import SHAPE, Model, ODataFilter, Sql

__all__ = ["Lookup", "Match", "MatchValue"]

_Name = Annotated[str, Field(min_length=1)]
_Names = Annotated[tuple[_Name, ...], Field(min_length=1)]
Match = Annotated[
    Annotated[_Name, Tag("text")]
    | Annotated[_Names, Tag("list")]
    | Annotated[
        dict[_Name, Annotated[Annotated[_Name, Tag("text")] | Annotated[_Names, Tag("list")], SHAPE]], Tag("mapping")
    ],
    SHAPE,
]
MatchValue = str | int | float | bool


class Lookup(Model):
    """The record of another table (or of the same one) that a lookup column refers to."""

    entity: str | None = Field(
        default=None,
        min_length=1,
        description="Logical name of the referenced table. It can be left out if the column refers to one table only.",
    )
    entity_from: str | None = Field(
        default=None,
        min_length=1,
        description="Source column that holds the logical name of the referenced table in each row; it is one of the "
        "columns in `source`. `match` then has one entry for each table.",
    )
    match: Match = Field(
        description="What identifies the referenced record: a column of the referenced table, a list of columns (then "
        "`source` is a list of as many columns), the name of an alternate key, or `id`. With `entity_from`: table -> "
        "columns."
    )
    filter: ODataFilter | None = Field(
        default=None, description="OData filter: only these records of the referenced table are found."
    )
    on_missing: Literal["reject", "clear", "keep", "create"] = Field(
        default="reject",
        description="What happens if no record is found: the row is rejected (*Unresolved Link*), the column is "
        "cleared, the column keeps its value, or the referenced record is created.",
    )
    on_ambiguous: Literal["reject", "oldest", "newest"] = Field(
        default="reject",
        description="What happens if several records are found: the row is rejected (*Ambiguous Link*), or the record "
        "that was created first or last is used.",
    )
    default: MatchValue | tuple[MatchValue, ...] | None = Field(
        default=None,
        description="Value to search for if the source is empty or no record is found; a list if `match` is a list.",
    )
    create: dict[_Name, Sql] = Field(
        default_factory=dict,
        description="With `on_missing: create`: further columns of the new record, each with an SQL expression over "
        "the source columns.",
    )

    @property
    def tables(self) -> tuple[str, ...]:
        """Logical names of the referenced tables as far as the definition names them."""
        if isinstance(self.match, dict):
            return tuple(self.match)
        return (self.entity,) if self.entity else ()

    def match_in(self, table: str) -> str | tuple[str, ...]:
        """What identifies a record of a table."""
        return self.match[table] if isinstance(self.match, dict) else self.match
