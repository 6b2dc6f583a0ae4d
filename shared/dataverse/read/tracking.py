"""Change tracking: a delta link for the present moment, and what has changed since a delta link.

Microsoft: "Use change tracking to synchronize data with external systems". The delta link comes with the last page of a
read of the whole table, and it is not said whether its token stands for the first or for the last page. So records are
read after the token was given: what changes meanwhile is listed the next time, whatever the token stands for. A delta
link is opaque: it is followed as it came.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Final

import duckdb

from shared.dataverse.http.answers import Answer, UnexpectedAnswer
from shared.dataverse.http.service import Service
from shared.dataverse.read.paging import Page, continued_pages
from shared.dataverse.read.reader import ReadReport, Records, keyed_queries, laid_out, members, read_queries
from shared.entities import EntityMetadata
from shared.transform.targets import TargetColumn
from shared.workspace import Workspace, literal, quoted

__all__ = ["Tracking"]

_NEXT: Final = "@odata.nextLink"
_DELTA: Final = "@odata.deltaLink"
_IDS_A_REQUEST: Final = 700  # about so many ids fit into the URL of a query
_MOST_IDS: Final = 500_000  # their queries have 20 MB


@dataclass(slots=True)
class _Links:
    """The links around the records of pages: the delta link comes with the last page."""

    delta: str | None = field(default=None)

    def following(self, envelope: Answer) -> str | None:
        self.delta = envelope.link(_DELTA)
        return envelope.link(_NEXT)


@dataclass(frozen=True, slots=True)
class Tracking:
    """The changes of one table.

    Attributes:
        service: Sends.
        entity: The table.
    """

    service: Service
    entity: EntityMetadata

    def begin(self) -> str:
        """A delta link for a moment between the call and the answer.

        Every record of the table is listed for it, by its id alone: the service gives the link with the last page.

        Raises:
            RequestRefused, AbortRun: The service does not track the table, or not for this user.
            RetryLater: The service is unavailable.
        """
        links = _Links()
        for _ in self._pages(f"{self.entity.entity_set}?$select={self.entity.primary_id}", links):
            pass
        return self._last(links)

    def changes(self, workspace: Workspace, link: str, into: str) -> str:
        """Insert what has changed since a delta link into a table with the columns `id` and `gone`.

        A record may be listed several times, and one that is gone although it was never there.

        Returns:
            The delta link that continues from here.

        Raises:
            RequestRefused: The token of the link is too old or not valid.
            AbortRun: No privilege, no such table, or the answer is not a page.
            RetryLater: The service is unavailable.
        """
        links, name = _Links(), self.entity.primary_id
        listed = f"{{{literal(name)}: 'VARCHAR', 'id': 'VARCHAR', 'reason': 'VARCHAR'}}"
        statement = (
            f"INSERT INTO {into} SELECT CAST(coalesce({quoted(name)}, id) AS UUID), reason IS NOT NULL\n"
            f"FROM read_json($1, format = 'array', columns = {listed})"
        )
        for page in self._pages(link, links):
            with laid_out(workspace, page.rows) as path:
                self._insert(workspace, statement, path)
        return self._last(links)

    def read(
        self,
        workspace: Workspace,
        layout: Sequence[TargetColumn],
        ids: Iterable[str],
        condition: str | None,
        into: str,
    ) -> ReadReport:
        """Insert the records with some ids that a filter lets through.

        Args:
            workspace: Has the table.
            layout: Columns to read.
            ids: Of the records.
            condition: An OData filter, not percent-encoded; None for all records.
            into: A table with the columns of `current` that are not generated.

        Raises:
            RequestRefused: The service refuses the query, such as a filter that it does not understand.
            AbortRun: No privilege, no such table.
            RetryLater: The service is unavailable.
        """
        keys = ({self.entity.primary_id: each} for each in ids)
        queries = list(keyed_queries(self.entity, layout, keys, condition))
        records = Records(entity=self.entity, layout=layout, into=into)
        at_once = max(1, self.service.meter.parallelism)
        return read_queries(workspace, self.service, records, queries, at_once=at_once)

    def is_whole_cheaper(self, changed: int, rows: int) -> bool:
        """Whether to read a whole table takes fewer requests than to read its changed records by their ids.

        Or whether these are so many that the text of the queries would fill the memory.
        """
        pages = max(1, -(-rows // self.service.connection.page_rows))
        return -(-changed // _IDS_A_REQUEST) > pages or changed > _MOST_IDS

    def members(self, layout: Sequence[TargetColumn]) -> tuple[str, ...]:
        """The members of a record that a reading takes."""
        return members(self.entity, layout)

    def _pages(self, path: str, links: _Links) -> Iterator[Page]:
        prefer = f"odata.maxpagesize={self.service.connection.page_rows},odata.track-changes"
        table = self.entity.logical_name
        return continued_pages(self.service, path, links.following, table=table, prefer=prefer)

    def _insert(self, workspace: Workspace, statement: str, path: str) -> None:
        try:
            workspace.execute(statement, [path])
        except duckdb.Error as error:
            raise UnexpectedAnswer(
                f"the service returned changes of {self.entity.logical_name} that are no records and no deletions"
            ) from error

    def _last(self, links: _Links) -> str:
        if links.delta is None:
            raise UnexpectedAnswer(f"the service returned no delta link for {self.entity.logical_name}")
        return links.delta
