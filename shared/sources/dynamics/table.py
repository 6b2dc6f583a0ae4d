"""A Dataverse table, view or query as a source: pages of records into `source_raw`, by SQL."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final
from uuid import uuid4

import duckdb

from shared.definitions.models import Column, DynamicsSource, ParameterValue, TypedColumn
from shared.definitions.parameters import in_odata, in_xml
from shared.entities import AttributeMetadata, EntityMetadata
from shared.errors import AbortRun, DefinitionError, Problem, RequestRefused, RetryLater, UserError
from shared.fetch_xml import fetch_text, limit_rows, read_fetch
from shared.sources.context import SourceContext
from shared.sources.dynamics.fetched import fetched_columns
from shared.sources.dynamics.members import Columns, Member, table_columns
from shared.sources.dynamics.past import add_condition, check_whole, condition_of, scale_of, sent, up_to
from shared.sources.dynamics.tables import Tables
from shared.sources.text_files import loaded_rows
from shared.sources.typed import described, found_name
from shared.sources.watermarks.marks import Mark, Scale, start_of, watermark_column
from shared.sources.watermarks.reading import ReadsPastWatermark, WatermarkReading
from shared.transform import SOURCE_ERRORS
from shared.workspace import Workspace, json_rows, literal, quoted, writing

if TYPE_CHECKING:
    from xml.etree.ElementTree import Element  # the parser is loaded only where there is a query

__all__ = ["DynamicsTable"]

# Of a page: fewer are parsed in memory, because a separate file takes a millisecond.
_FEW_BYTES: Final = 200_000


@dataclass(frozen=True, slots=True, kw_only=True)
class _Query:
    """What is asked.

    Attributes:
        entity: The table.
        fetch: The query in FetchXML; None for a query of the table.
        members: The columns that are read, with their members.
    """

    entity: EntityMetadata
    fetch: str | None
    members: tuple[tuple[TypedColumn, Member], ...]


@dataclass(frozen=True, slots=True)
class _Past:
    """Only records are read whose value is at or past this one, or missing."""

    attribute: AttributeMetadata
    start: ParameterValue


class DynamicsTable(ReadsPastWatermark):
    """The records of a `dynamics` source."""

    readable: tuple[str, ...] = ()

    def __init__(self, source: DynamicsSource, context: SourceContext) -> None:
        self._source = source
        self._context = context
        self._known: tuple[tuple[Column, ...], _Query] | None = None
        self._watermark = WatermarkReading(source)

    def columns(self, workspace: Workspace) -> tuple[Column, ...]:  # noqa: ARG002 - the types are in the metadata
        """The columns of the definition with the types of the table; all columns where it names none.

        Raises:
            UserError: There is no such view, or the FetchXML cannot be used.
            DefinitionError: The table or a column is missing, a column cannot be read or cannot be a watermark.
            AbortRun: Dataverse refuses the credentials.
            RetryLater: Dataverse is unavailable.
        """
        return self._resolved()[0]

    def check(self, workspace: Workspace, mark: Mark) -> None:  # noqa: ARG002 - the types are in the metadata
        """See `Watermarked.check`."""
        _, query = self._resolved()
        _, attribute, scale = self._marked(query)
        self._start(mark, attribute, scale)

    def load(self, workspace: Workspace) -> None:
        """Fill `source_raw` page by page.

        Raises:
            UserError: Dataverse refuses the query.
            DefinitionError: As `columns`.
            AbortRun: Dataverse refuses the credentials or the table.
            RetryLater: Dataverse is unavailable; the rows that were read before must not be used.
        """
        _, query = self._resolved()
        names = ", ".join(f"{quoted(column.name)} {column.sql_type}" for column, _ in query.members)
        workspace.execute(f"CREATE TABLE source_raw (_row BIGINT, {names})")
        workspace.run(SOURCE_ERRORS)
        with _of_the_source(), self._context.open_tables(self._source) as tables:
            past = self._past(tables, query)
            for page in self._pages(tables, query, past):
                _insert(workspace, query, page)
                if self._context.rows is not None and loaded_rows(workspace) >= self._context.rows:
                    workspace.execute(f"DELETE FROM source_raw WHERE _row > {self._context.rows}")
                    break

    def _resolved(self) -> tuple[tuple[Column, ...], _Query]:
        """The columns, and what is asked; the metadata is read once."""
        if self._known is None:
            with _of_the_source(), self._context.open_tables(self._source) as tables:
                entity, fetch = self._asked(tables)
                found = self._columns(tables, entity, fetch)
            columns, members = self._described(entity, found), found.members
            placed = tuple(
                (column, members[found_name(column.name, members) or column.name])
                for column in columns
                if isinstance(column, TypedColumn)
            )
            text = None if fetch is None else fetch_text(fetch)
            query = _Query(entity=entity, fetch=text, members=placed)
            if self._source.watermark:
                self._marked(query)
            self._known = columns, query
        return self._known

    def _asked(self, tables: Tables) -> tuple[EntityMetadata, Element | None]:
        """The table, and the query where there is one."""
        if self._source.fetch_xml is not None:
            fetch = self._fetch(in_xml(self._source.fetch_xml, self._context.parameters), "source.fetch_xml")
            return _entity(tables, fetch[0].get("name", ""), "source.fetch_xml"), fetch
        entity = _entity(tables, self._source.entity or "", "source.entity")
        if self._source.view is None:
            return entity, None
        name = self._context.text(self._source.view)
        try:
            return entity, self._fetch(tables.view(entity, name), f"the view {name}")
        except UserError as error:
            raise DefinitionError([Problem(message=error.message, path="source.view")]) from error

    def _columns(self, tables: Tables, entity: EntityMetadata, fetch: Element | None) -> Columns:
        if fetch is None:
            return table_columns(entity)
        try:
            return fetched_columns(fetch, entity, tables.entity)
        except UserError as error:
            path = "source.fetch_xml" if self._source.view is None else "source.view"
            raise DefinitionError([Problem(message=error.message, path=path)]) from error

    def _described(self, entity: EntityMetadata, found: Columns) -> tuple[Column, ...]:
        named = any(column.read for column in self._source.columns)
        known = {name: member.known for name, member in (found.members if named else found.own).items()}
        return described(self._source, {**known, **(found.unreadable if named else {})}, entity.logical_name)

    def _fetch(self, text: str, place: str) -> Element:
        try:
            query = read_fetch(text)
        except ValueError as error:
            raise UserError(f"{place}: {error}") from None
        if self._source.watermark:
            check_whole(query)
        return query

    def _past(self, tables: Tables, query: _Query) -> _Past | None:
        """What the watermark leaves out; None where all records are read."""
        if self._source.watermark is None:
            return None
        column, attribute, scale = self._marked(query)
        mark = self._watermark.begin(column, scale)
        past = None
        if mark is not None:
            past = self._start(mark, attribute, scale)
        condition = None if past is None else condition_of(attribute, past.start, query.entity)
        self._watermark.within = up_to(tables.greatest(query.entity, attribute.name, condition), column, scale)
        return past

    def _start(self, mark: Mark, attribute: AttributeMetadata, scale: Scale) -> _Past:
        return _Past(attribute, sent(start_of(mark, scale, self._watermark.overlap), attribute))

    def _marked(self, query: _Query) -> tuple[TypedColumn, AttributeMetadata, Scale]:
        """The column of the watermark, and what it holds."""
        _, column = watermark_column(self._source, {column.name: column for column, _ in query.members})
        member = next(member for own, member in query.members if own is column)
        return column, *scale_of(column.name, member, query.entity)

    def _pages(self, tables: Tables, query: _Query, past: _Past | None) -> Iterator[bytes]:
        members = [member for _, member in query.members]
        annotations = sorted({member.annotation for member in members if member.annotation})
        exact = [member.name for member in members if member.exact]
        if query.fetch is not None:
            fetch = read_fetch(query.fetch)
            if past is not None:
                add_condition(fetch, past.attribute, past.start)
            if self._context.rows is not None:
                limit_rows(fetch, self._context.rows)
            return tables.fetched(query.entity, fetch, annotations=annotations, exact=exact)
        conditions = []
        if self._source.filter:
            conditions.append(in_odata(self._source.filter, self._context.parameters, query.entity))
        if past is not None:
            conditions.append(condition_of(past.attribute, past.start, query.entity))
        condition = conditions[0] if len(conditions) == 1 else " and ".join(f"({each})" for each in conditions)
        selected = list(dict.fromkeys(member.selected for member in members))
        most = self._context.rows
        return tables.rows(query.entity, selected, condition or None, annotations=annotations, exact=exact, most=most)


def _entity(tables: Tables, name: str, path: str) -> EntityMetadata:
    try:
        return tables.entity(name)
    except AbortRun as error:
        raise DefinitionError([Problem(message=error.message, path=path)]) from error


@contextmanager
def _of_the_source() -> Iterator[None]:
    """Add to a refusal that it is about the source: the target is a Dataverse environment, too."""
    try:
        yield
    except RequestRefused as error:
        raise UserError(f"source: Dataverse refuses the query: {error.message}") from error
    except RetryLater as error:
        raise RetryLater(f"source: {error.message}", retry_after=error.retry_after) from error
    except AbortRun as error:
        raise AbortRun(f"source: {error.message}") from error


def _insert(workspace: Workspace, query: _Query, page: bytes) -> None:
    """Add the records of a page to `source_raw`; row numbers continue."""
    ((before,),) = workspace.query("SELECT coalesce(max(_row), 0) FROM source_raw")
    names = list(dict.fromkeys(member.name for _, member in query.members))
    try:
        if len(page) <= _FEW_BYTES:
            rows = json_rows(dict.fromkeys(names, "VARCHAR"), parameter="$2", flat=True)
            workspace.execute(_statement(query, rows), [before, page.decode()])
            return
        file = workspace.folder / f"page-{uuid4().hex}.json"
        with writing(workspace.folder):
            file.write_bytes(page)
        listed = ", ".join(f"{literal(name)}: 'VARCHAR'" for name in names)
        rows = f"read_json($2, format = 'array', columns = {{{listed}}})"
        workspace.execute(_statement(query, rows), [before, str(file)])
        file.unlink()
    except duckdb.Error as error:  # its own message would repeat a value
        raise AbortRun(
            f"the service returned records of {query.entity.logical_name} that do not match its metadata: a value does "
            f"not fit the type of its column"
        ) from error


def _statement(query: _Query, rows: str) -> str:
    values = ", ".join(_value(column, member) for column, member in query.members)
    # No name is given to the number: an alias of a FetchXML query may have any.
    return f"INSERT INTO source_raw SELECT $1::BIGINT + row_number() OVER (), {values} FROM {rows} AS r"


def _value(column: TypedColumn, member: Member) -> str:
    return f"CAST(r.{quoted(member.name)} AS {column.sql_type})"
