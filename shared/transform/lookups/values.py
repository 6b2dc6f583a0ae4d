"""What lookups need in `desired`: the values that they search for, and columns with names of their own."""

from __future__ import annotations

from dataclasses import dataclass, replace

from shared.entities import AttributeMetadata
from shared.transform.targets import TEXTS
from shared.workspace import quoted

__all__ = ["MatchValue", "given_name", "link_name", "selector_name"]


@dataclass(frozen=True, slots=True, kw_only=True)
class MatchValue:
    """A value of the source that identifies a referenced record, or a part of what identifies it.

    Attributes:
        source: The source column; empty if an expression gives the value.
        column: The column that it is searched in.
        name: The column of `desired` that holds it, typed as `attribute`; NULL where it equals its comparable form,
            because most values do, and the same text twice would be a third of what a lookup adds to the table.
        attribute: The match column under that name.
    """

    source: str
    column: str
    name: str
    attribute: AttributeMetadata

    @property
    def key(self) -> str:
        """The column of `desired` that holds the value in comparable form."""
        return f"key:{self.name}"

    def written(self, table: str = "") -> str:
        """SQL of the value as the source gives it, over a table with the columns of `desired`."""
        return f"coalesce({table}{quoted(self.name)}, {table}{quoted(self.key)})"

    def is_like(self, other: MatchValue) -> bool:
        """Whether both come from the same source column, and have the same typed and comparable forms."""
        mine, theirs = replace(self.attribute, name=""), replace(other.attribute, name="")
        texts = mine.type in TEXTS and theirs.type in TEXTS  # a text that is searched for may be of any length
        return self.source == other.source and (texts or mine == theirs)


def selector_name(target: str) -> str:
    """The column of `desired` that names the table which a row refers to."""
    return f"{target}.table"


def given_name(target: str) -> str:
    """The column of `desired` that says whether the row has anything to search for."""
    return f"given:{target}"


def link_name(target: str) -> str:
    """The column of `desired` that says how a lookup ended: NULL well, 0 not found, else how many were found."""
    return f"link:{target}"
