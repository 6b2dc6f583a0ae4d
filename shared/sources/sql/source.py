"""A `sql` source: what is read, with which types, and into which tables."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Final, TypeVar

from shared.definitions.models import Column, ColumnType, SecretReference, SqlConnection, SqlSource, TypedColumn
from shared.errors import DefinitionError, Problem, UserError
from shared.sources.context import SourceContext
from shared.sources.sql.dialects import misread
from shared.sources.typed import KnownColumn, described, found_name
from shared.sources.watermarks.marks import Mark, Scale, start_of, unusable, watermark_column
from shared.sources.watermarks.notation import check_notation
from shared.sources.watermarks.reading import ReadsPastWatermark, WatermarkReading
from shared.workspace import Workspace

if TYPE_CHECKING:
    from shared.sources.sql.session import SqlSession
    from shared.sources.sql.statements import Statements

__all__ = ["SqlRows", "database_of"]

T = TypeVar("T")
_TEXTS_LOOKED_AT: Final = 1000  # of a column with dates as texts, to know how they are written


class SqlRows(ReadsPastWatermark):
    """The rows of a table or query. SQLAlchemy is loaded when the first connection is made: it takes long."""

    def __init__(self, source: SqlSource, context: SourceContext) -> None:
        self._source = source
        self._context = context
        self._known: tuple[Column, ...] | None = None
        self._watermark = WatermarkReading(source)

    @property
    def readable(self) -> tuple[str, ...]:
        """No file: rows come by a connection."""
        return ()

    def columns(self, workspace: Workspace) -> tuple[Column, ...]:
        """The columns of the definition with the types of the database; all columns where it names none.

        Raises:
            UserError: The database cannot be read.
            DefinitionError: A column is missing or binary, or cannot be a watermark; or the database reads the query or
                the filter otherwise than it was checked.
        """

        def checked(session: SqlSession) -> tuple[Column, ...]:
            columns, read, found = self._described(session)
            if self._source.watermark:
                self._marked(session, read, found)
            return columns

        self._known = self._in_session(workspace, checked)
        return self._known

    def check(self, workspace: Workspace, mark: Mark) -> None:
        """See `Watermarked.check`."""

        def checked(session: SqlSession) -> None:
            _, read, found = self._described(session)
            name, column, scale = self._marked(session, read, found)
            start_of(mark, scale, self._watermark.overlap)
            if scale in {Scale.TEXT, Scale.COLLATED} and column.type is ColumnType.DATE:
                check_notation(mark.value, session.texts(self._statements(), name, _TEXTS_LOOKED_AT))

        self._in_session(workspace, checked)

    def load(self, workspace: Workspace) -> None:
        """Fill `source_raw` in one read-only transaction.

        Raises:
            UserError: The database cannot be read, or the connection is lost.
            DefinitionError: A column is missing or binary, or the database reads the query or the filter otherwise than
                it was checked.
        """

        def loading(session: SqlSession) -> None:
            columns, read, found = self._described(session)
            if self._known is not None and self._known != columns:
                raise UserError(f"{session.label}: the types of its columns changed during the run; start it again")
            session.load(workspace, self._past(session, read, found), read)

        self._in_session(workspace, loading)

    def _described(
        self, session: SqlSession
    ) -> tuple[tuple[Column, ...], dict[str, TypedColumn], Mapping[str, KnownColumn | str]]:
        """The columns, those that are read by their name in the database, and what is known of each."""
        statements = self._statements()
        found = session.found(statements)
        columns = described(self._source, found, statements.name)
        read = (column for column in columns if isinstance(column, TypedColumn))
        return columns, {found_name(column.name, found) or column.name: column for column in read}, found

    def _past(
        self, session: SqlSession, read: Mapping[str, TypedColumn], found: Mapping[str, KnownColumn | str]
    ) -> Statements:
        """The statements for what is past the watermark, where there is one."""
        statements = self._statements()
        if self._source.watermark is None:
            return statements
        name, column, scale = self._marked(session, read, found)
        mark = self._watermark.begin(column, scale)
        if mark is None:
            return statements
        return session.past(statements, name, start_of(mark, scale, self._watermark.overlap), scale)

    def _marked(
        self, session: SqlSession, read: Mapping[str, TypedColumn], found: Mapping[str, KnownColumn | str]
    ) -> tuple[str, TypedColumn, Scale]:
        """The column of the watermark with its name in the database, and what it holds."""
        name, column = watermark_column(self._source, read)
        known = found[name]
        scale = session.scale(name, column, known) if isinstance(known, KnownColumn) else None
        if scale is None:
            raise unusable(f"{name} is a {column.type}; a number, a date or a text is needed")
        return name, column, scale

    def _statements(self) -> Statements:
        from shared.sources.sql.statements import Statements  # noqa: PLC0415 - loads SQLAlchemy

        return Statements.of(self._source, self._context.parameters, self._context.rows)

    def _in_session(self, workspace: Workspace, work: Callable[[SqlSession], T]) -> T:
        from shared.sources.sql.session import SqlSession, with_session  # noqa: PLC0415 - loads SQLAlchemy

        statements = self._statements()
        session = SqlSession(*database_of(self._source.connection, self._context), self._context.roots)
        self._check_reading(session.dialect)
        return workspace.within(lambda: with_session(session, statements, work), session.cancel)

    def _check_reading(self, dialect: str) -> None:
        texts = {"query": self._source.query, "filter": self._source.filter}
        found = {key: misread(text, dialect) for key, text in texts.items() if text}
        problems = [Problem(message=said, path=f"source.{key}") for key, said in found.items() if said]
        if problems:
            raise DefinitionError(problems)


def database_of(named: str | SecretReference, context: SourceContext) -> tuple[str, str]:
    """The URL of a database, and what messages call it.

    Args:
        named: The name of a connection, or a reference to the URL.
        context: Gives connections and secrets.

    Raises:
        UserError: There is no such connection or secret, or it is a connection of another type.
    """
    if not isinstance(named, str):
        return context.secret(named), "the database"
    name = context.text(named)
    connection = context.connection(name)
    if not isinstance(connection, SqlConnection):
        raise UserError(f"the connection {name} is of type {connection.type}; one of type sql is needed")
    return context.secret(connection.url), f"the database of the connection {name}"
