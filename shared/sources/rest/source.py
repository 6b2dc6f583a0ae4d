"""A `rest` source: the records of all pages, loaded as text; each page is read when its answer is complete."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from contextlib import closing
from dataclasses import replace
from http import HTTPStatus
from itertools import islice
from typing import Any, Final

from shared.definitions.models import Column, RestColumn, RestSource
from shared.definitions.models.sources.paging import CursorPages, LinkPages
from shared.errors import UserError
from shared.http.transport import Response
from shared.json_paths import ABSENT, finder_of_records
from shared.sources.context import SourceContext
from shared.sources.json_text.loading import RecordRows, Value, value_of
from shared.sources.json_text.records import BadRecord, chosen, json_document, json_records
from shared.sources.rest.answers import beginning_of_answer, text_of_answer
from shared.sources.rest.api import Api
from shared.sources.rest.endpoint import Endpoint, endpoint_of
from shared.sources.rest.paging import AnswerPage, PageRequest, pager_of
from shared.sources.rest.past import PastWatermark
from shared.sources.rest.retries import Retries
from shared.sources.rest.seen import SeenPages, Total
from shared.sources.text_files import make_text_tables
from shared.sources.watermarks.marks import Mark
from shared.sources.watermarks.reading import ReadsPastWatermark, WatermarkReading
from shared.workspace import Workspace

__all__ = ["RestRows"]

_WAITING: Final = 1 << 22  # bytes of rows that are loaded at once: one statement for each page would take longer
# A path to all elements finds an empty list where there is no list at all, such as in an error with status 200.
_NOT_JSON: Final = "see what the service answers to this request"
Records = Iterable[dict[str, Any] | BadRecord]


class RestRows(ReadsPastWatermark):
    """The records of an API."""

    def __init__(self, source: RestSource, context: SourceContext) -> None:
        self._source = source
        self._context = context
        self._watermark = WatermarkReading(source)

    @property
    def readable(self) -> tuple[str, ...]:
        """No local file is read."""
        return ()

    def columns(self, workspace: Workspace) -> tuple[Column, ...]:  # noqa: ARG002 - JSON has no types of its own
        """The columns of the definition."""
        return self._source.columns

    def check(self, workspace: Workspace, mark: Mark) -> None:  # noqa: ARG002 - the definition has the type
        """See `Watermarked.check`."""
        PastWatermark(self._source, self._watermark).start_of(mark)

    def load(self, workspace: Workspace) -> None:
        """Fill `source_raw` page by page; row numbers continue from one page to the next.

        Raises:
            UserError: The service refuses a request, or its answers cannot be read.
            RetryLater: The service throttles or is not available for too long.
            AbortRun: An answer is too large.
        """
        past = PastWatermark(self._source, self._watermark) if self._source.watermark else None
        context = past.context(self._context) if past else self._context
        first = self._read(endpoint_of(self._source, context), workspace)
        if past:
            past.ended(first)

    def _read(self, endpoint: Endpoint, workspace: Workspace) -> int:
        """Read all pages; gives the number of records of the first one."""
        make_text_tables(workspace, self._source.columns)
        retries = Retries(
            endpoint.retry_policy,
            interval=endpoint.interval,
            clock=self._context.clock,
            go_on=workspace.check_time,
            throttled=self._context.throttled,
        )
        file = workspace.folder / "answer.json"
        with closing(Api(endpoint, self._context, file, retries)) as api:
            reading = _Reading(self._source, api, workspace, self._context.rows)
            first = reading.all(PageRequest(url=endpoint.url, body=endpoint.body))
        file.unlink(missing_ok=True)
        return first


class _Reading:
    """One read of all pages, or of those that have the first rows."""

    def __init__(self, source: RestSource, api: Api, workspace: Workspace, most: int | None) -> None:
        self._source = source
        self._most = most
        self._api = api
        self._columns = [column for column in source.columns if column.read]
        self._rows = RecordRows(workspace, [column.name for column in self._columns])
        self._file = workspace.folder / "answer.json"
        self._find = finder_of_records(source.records) if source.records else None
        self._total_path = source.pagination.total if source.pagination else None
        self._shape = _Shape()
        self._seen, self._total = SeenPages(), Total(self._total_path)

    def all(self, start: PageRequest) -> int:
        """Read every page; gives the number of records of the first one."""
        pager = pager_of(self._source.pagination, start)
        asked: PageRequest | None = pager.first()
        number = first = 0
        while asked is not None:
            number += 1
            place = self._api.place(asked)
            self._seen.ask(asked, place)
            page = self._page(asked, number)
            first = first if number > 1 else page.rows
            if self._rows.waiting > _WAITING:
                self._rows.flush()
            if self._left == 0:
                break
            asked = pager.following(page)
        else:
            self._total.compare(self._rows.last, place)
        self._rows.flush()
        return first

    @property
    def _left(self) -> int | None:
        """How many rows are still to be read; None for all that there are."""
        return None if self._most is None else self._most - self._rows.last

    def _page(self, asked: PageRequest, number: int) -> AnswerPage:
        answer, url = self._api.answer(asked)
        partial = answer.status == HTTPStatus.PARTIAL_CONTENT
        page = AnswerPage(url=url, place=self._api.place(asked), headers=answer.headers, partial=partial)
        begun = beginning_of_answer(answer, self._file, page.place)
        if not begun:
            return page
        kept = _Kept(as_document=self._find is None and not self._shape.is_list(begun, page.place))
        with closing(text_of_answer(answer, self._file, page.place)) as text:
            if self._is_read_whole:
                page = replace(page, document=json_document(text, page.place, remedy=_NOT_JSON))
                records: Records = self._in_document(page)
            else:
                records = kept.passed(json_records(text, page.place, None, remedy=_NOT_JSON))
            self._total.note(page)
            noted = self._seen.noted(records, page.place)
            rows = self._rows.add(islice(noted, self._left), _values(self._columns, answer), f"page {number:,}")
        return replace(page, rows=rows, document=page.document if self._is_read_whole else kept.document)

    @property
    def _is_read_whole(self) -> bool:
        """Whether the whole document is needed: other values besides the records, or records inside it."""
        pages = self._source.pagination
        named = isinstance(pages, CursorPages | LinkPages) and pages.next is not None
        return self._find is not None or named or self._total_path is not None

    def _in_document(self, page: AnswerPage) -> Records:
        """The records of an answer; null is a list without any."""
        value = page.document if self._find is None else self._find(page.document)
        if value is ABSENT:
            raise UserError(
                f"{page.place}: `records` finds nothing in the answer: correct it, or see whether the service answered "
                f"with an error"
            )
        return () if value is None else chosen(value, _same, "record")


class _Shape:
    """Whether the answers of a source without `records` are lists: another one is not a page but an error."""

    def __init__(self) -> None:
        self._lists: bool | None = None

    def is_list(self, begun: str, place: str) -> bool:
        """Whether an answer is a list, as the first one was or was not.

        Args:
            begun: Its beginning.
            place: The request as messages show it.

        Raises:
            UserError: They differ.
        """
        is_list = begun.startswith("[")
        if self._lists is None:
            self._lists = is_list
        if is_list is not self._lists:
            kinds = ("a list", "an object") if is_list else ("an object", "a list")
            raise UserError(
                f"{place} answered with {kinds[0]}, but to an earlier request with {kinds[1]}: see whether the service "
                f"answered with an error"
            )
        return is_list


class _Kept:
    """Keeps the record of an answer that is one object: it is the document, which may have a link to the next page.

    Args:
        as_document: Whether the answer is no list.

    Attributes:
        document: The only record that has been passed on; `ABSENT` for several, and for those of a list.
    """

    def __init__(self, *, as_document: bool) -> None:
        self._as_document = as_document
        self.document: Any = ABSENT

    def passed(self, records: Records) -> Records:
        for number, each in enumerate(records):
            is_first = number == 0 and isinstance(each, dict)
            self.document = each if self._as_document and is_first else ABSENT
            yield each


def _same(value: Any) -> Any:
    return value


def _values(columns: Sequence[RestColumn], answer: Response) -> list[Value]:
    return [_header(answer.headers, each.header) if each.header else value_of(each) for each in columns]


def _header(headers: Mapping[str, str], name: str) -> Value:
    value = headers.get(name.lower())
    return lambda _record: value
