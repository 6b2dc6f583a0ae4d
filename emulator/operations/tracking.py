"""Change tracking: all rows with a delta link, then the changes since, with deletions last.

(use-change-tracking-synchronize-data-external-systems.)

The page does not say which moment the token of a read with several pages stands for, nor that a row is listed once. So
the token stands for the first page or for the last one, and of pages with at least three rows each begins with the row
that ended the one before. In a list of changes, properties without a value are left out, as in the page's sample.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, Final, Self
from urllib.parse import quote, unquote

from emulator.environment import Environment
from emulator.errors import ServiceError
from emulator.messages import Request, Response, answer
from emulator.odata import Query
from emulator.odata.paging import LARGEST_PAGE, PageMark
from emulator.operations.reading import Record, RowShape, TableQuery
from emulator.schema import Table
from emulator.store import sql_name

__all__ = ["DeltaToken", "changes_since", "changes_total", "tracked_rows"]

_TOKEN: Final = re.compile(r"([0-9]{1,18})!(\d\d/\d\d/\d{4} \d\d:\d\d:\d\d)", re.ASCII)
_TIME: Final = "%m/%d/%Y %H:%M:%S"
_APPLIED: Final = {"Preference-Applied": "odata.track-changes"}
_FEW_ROWS: Final = 3  # of a page: with fewer, repeating one would leave no room for others


@dataclass(frozen=True, slots=True, kw_only=True)
class DeltaToken:
    """A row version and the time of the delta link, `919042!08/22/2017 08:10:44`."""

    version: int
    given: datetime

    @classmethod
    def parse(cls, text: str) -> Self:
        """Reads a decoded `$deltatoken`.

        Raises:
            ServiceError: The text is not a delta token.
        """
        match = _TOKEN.fullmatch(text)
        try:
            given = datetime.strptime(match[2] if match else "", _TIME).replace(tzinfo=UTC)
        except ValueError:
            match = None
        if match is None:
            raise ServiceError(400, "0x80044353", "The version stamp associated with the client is not valid.")
        return cls(version=int(match[1]), given=given)

    def check_age(self, environment: Environment) -> None:
        """Refuses a token that is older than the time for which the organisation keeps deletions.

        Raises:
            ServiceError: ExpiredVersionStamp: the client must read all rows again.
        """
        days = environment.database.scalar('SELECT "expirechangetrackingindays" FROM "organization" LIMIT 1') or 0
        if environment.clock() - self.given > timedelta(days=days):
            raise ServiceError(
                400,
                "0x80044352",
                "Version stamp associated with the client has expired. Please perform a full sync.",
            )

    def link(self, request: Request) -> str:
        """Returns the delta link that continues from here."""
        text = quote(f"{self.version}!{self.given.strftime(_TIME)}", safe="")
        options = [part for part in request.query.split("&") if part and not _is_token(part)]
        return f"{request.root}{request.path}?{'&'.join([*options, f'$deltatoken={text}'])}"


def _is_token(option: str) -> bool:
    return unquote(option).startswith(("$deltatoken=", "$skiptoken="))


def _check(table: Table, query: Query) -> None:
    used = {"$filter": query.filter, "$orderby": query.order, "$expand": query.expand, "$top": query.top}
    for name, value in used.items():
        if value is not None and value != ():
            raise ServiceError(
                400, "0x80060888", f'The "{name}" query parameter isn\'t supported when Change Tracking is enabled.'
            )
    if table.intersect and not table.change_tracking:
        raise ServiceError(
            400,
            "0x80072492",
            f"Changes cannot be retrieved for intersect entity {table.logical_name} since both related entities are "
            "not enabled for change tracking.",
        )
    if not table.change_tracking:
        raise ServiceError(400, "0x80044355", f"Change tracking is not enabled for the entity {table.logical_name}.")


def _page_size(request: Request) -> int:
    return min(request.preferences.page_size or LARGEST_PAGE, LARGEST_PAGE)


def _select(asked: TableQuery, shape: RowShape, text: str, parameters: Sequence[Any]) -> list[tuple[Any, ...]]:
    name = asked.sql_table
    statement = f'SELECT {shape.columns}, {name}."versionnumber", {name}."row_" FROM {name} WHERE {text}'
    return asked.fetch(statement, parameters)


def _answer(asked: TableQuery, content: Record) -> Response:
    return answer(content, headers=_APPLIED, effects=asked.read(len(content["value"])))


def tracked_rows(asked: TableQuery) -> Response:
    """Answers the first request: all rows, and on the last page the delta link.

    Raises:
        ServiceError: The table is not tracked, or the query filters or sorts.
    """
    asked = asked.checked()
    _check(asked.table, asked.query)
    environment, request = asked.environment, asked.request
    mark = PageMark.parse(asked.query.skip_token)
    version = mark.version or environment.database.version
    size = _page_size(request)
    shape = RowShape(asked)
    rows = _select(asked, shape, '"row_" > ? ORDER BY "row_" LIMIT ?', (mark.row, size + 1))
    records = shape.records(rows[:size])
    content: Record = {"@odata.context": asked.context(), "value": records}
    if len(rows) > size:
        following = PageMark(number=mark.number + 1, row=_end(rows, size, -1), version=version)
        primary_id = asked.table.primary_id
        content["@odata.nextLink"] = following.link(request.url, primary_id, records[-1][primary_id])
    else:
        token = environment.database.version if _stands_for_last(version) else version
        content["@odata.deltaLink"] = DeltaToken(version=token, given=environment.clock()).link(request)
    return _answer(asked, content)


def _end(rows: Sequence[tuple[Any, ...]], size: int, place: int) -> int:
    """The number after which the next page begins: that of the last row of this one, or of the row before it."""
    return int(rows[size - (2 if size >= _FEW_ROWS else 1)][place])


def _stands_for_last(version: int) -> bool:
    """Whether the token of a read that began at a row version stands for its last page: half of them do."""
    return bool(version * 2_654_435_761 >> 9 & 1)


def changes_since(asked: TableQuery) -> Response:
    """Answers a delta link: changed rows by version, then deletions.

    Raises:
        ServiceError: The token is too old or not valid, or the query filters or sorts.
    """
    asked = asked.checked()
    _check(asked.table, asked.query)
    environment, request = asked.environment, asked.request
    token = DeltaToken.parse(asked.query.delta_token or "")
    token.check_age(environment)
    mark = PageMark.parse(asked.query.skip_token)
    until = mark.version or environment.database.version
    records, following = _changed(asked, token, mark)
    content: Record = {"@odata.context": asked.context("/$delta"), "value": records}
    if following is not None:
        following = PageMark(number=mark.number + 1, row=following.row, skipped=following.skipped, version=until)
        content["@odata.nextLink"] = following.link(request.url, asked.table.primary_id, "")
    else:
        content["@odata.deltaLink"] = DeltaToken(version=until, given=environment.clock()).link(request)
    return _answer(asked, content)


def _changed(asked: TableQuery, token: DeltaToken, mark: PageMark) -> tuple[list[Record], PageMark | None]:
    """One page, and the mark of the next; its `row` is the last version of a change, `skipped` of a deletion."""
    size = _page_size(asked.request)
    shape = RowShape(asked)
    records: list[Record] = []
    last = max(mark.row, token.version)
    if not mark.skipped:
        rows = _select(asked, shape, '"versionnumber" > ? ORDER BY "versionnumber" LIMIT ?', (last, size + 1))
        records = [_without_nulls(record) for record in shape.records(rows[:size])]
        if len(rows) > size:
            return records, PageMark(row=_end(rows, size, -2))
    room = size - len(records)
    deleted = _deletions(asked, max(mark.skipped, token.version), room + 1)
    context = asked.request.context(f"{asked.table.entity_set}/$deletedEntity")
    records += [{"@odata.context": context, "id": one[1], "reason": "deleted"} for one in deleted[:room]]
    if len(deleted) > room:
        return records, PageMark(row=last, skipped=deleted[room - 1][0] if room else token.version)
    return records, None


def _without_nulls(record: Record) -> Record:
    return {name: value for name, value in record.items() if value is not None}


def _deletions(asked: TableQuery, after: int, limit: int) -> list[tuple[Any, ...]]:
    """Deletions by version, without rows that exist again; rows of two partitions with one identifier are two rows."""
    name = asked.sql_table
    same = f'{name}.{sql_name(asked.table.primary_id)} = "_deleted"."id"'
    same += f' AND {name}."partitionid" IS "_deleted"."partition"' if asked.table.elastic else ""
    return asked.fetch(
        'SELECT max("version"), "id" FROM "_deleted" WHERE "entity" = ? AND "version" > ?'
        f" AND NOT EXISTS (SELECT 1 FROM {name} WHERE {same})"
        ' GROUP BY "id", "partition" ORDER BY 1 LIMIT ?',
        (asked.table.logical_name, after, limit),
    )


def changes_total(asked: TableQuery) -> int:
    """Returns how many changes and deletions a delta link would list."""
    token = DeltaToken.parse(asked.query.delta_token or "")
    token.check_age(asked.environment)
    changed = asked.environment.database.scalar(
        f'SELECT count(*) FROM {asked.sql_table} WHERE "versionnumber" > ?', (token.version,)
    )
    return int(changed) + len(_deletions(asked, token.version, -1))
