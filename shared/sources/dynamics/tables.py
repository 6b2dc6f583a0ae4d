"""The part of a Dataverse environment that a source can use; the composition root gives it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Protocol

from shared.entities import EntityMetadata

if TYPE_CHECKING:
    from xml.etree.ElementTree import Element  # the parser is loaded only where there is a query

__all__ = ["Tables"]


class Tables(Protocol):
    """The tables of one environment. Every method raises AbortRun and RetryLater as requests to Dataverse do."""

    def entity(self, name: str) -> EntityMetadata:
        """A table by logical name, entity set name or display name."""
        ...

    def view(self, entity: EntityMetadata, name: str) -> str:
        """The FetchXML of a saved view.

        Raises:
            UserError: There is none of this name, or more than one.
        """
        ...

    def rows(
        self,
        entity: EntityMetadata,
        columns: Sequence[str],
        condition: str | None,
        *,
        annotations: Sequence[str],
        exact: Sequence[str],
        most: int | None = None,
    ) -> Iterator[bytes]:
        """The records of a table, each page as its JSON array.

        Args:
            entity: The table.
            columns: The properties to select.
            condition: An OData filter.
            annotations: What the answers should have beside the values.
            exact: Members whose numbers must keep every digit; long ones become texts.
            most: How many records, a page at most; None for all.

        Raises:
            UserError: The query is too long.
            RequestRefused: The service refuses the query.
        """
        ...

    def fetched(
        self, entity: EntityMetadata, query: Element, *, annotations: Sequence[str], exact: Sequence[str]
    ) -> Iterator[bytes]:
        """The same for a query in FetchXML, which is changed."""
        ...

    def greatest(self, entity: EntityMetadata, column: str, condition: str | None) -> str | None:
        """The greatest value of a column, with all digits; None where no record has one.

        Args:
            entity: The table.
            column: Its logical name.
            condition: An OData filter; None for all records.

        Raises:
            RequestRefused: The service refuses the query.
        """
        ...
