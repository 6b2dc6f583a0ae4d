"""A `sql` source: what is read, with which types, and into which tables."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, TypeVar

from shared.definitions.models import Column, SqlConnection, SqlSource, TypedColumn
from shared.errors import UserError
from shared.sources.context import SourceContext
from shared.sources.typed import described, found_name
from shared.workspace import Workspace

if TYPE_CHECKING:
    from shared.sources.sql.session import Session
    from shared.sources.sql.statements import Statements

__all__ = ["SqlRows"]

T = TypeVar("T")


class SqlRows:
    """The rows of a table or query. SQLAlchemy is loaded when the first connection is made: it takes long."""

    def __init__(self, source: SqlSource, context: SourceContext) -> None:
        self._source = source
        self._context = context
        self._known: tuple[Column, ...] | None = None

    @property
    def readable(self) -> tuple[str, ...]:
        """No file: rows come by a connection."""
        return ()

    def columns(self, workspace: Workspace) -> tuple[Column, ...]:
        """The columns of the definition with the types of the database; all columns where it names none.

        Raises:
            UserError: The database cannot be read.
            DefinitionError: A column is missing or binary.
        """
        self._known = self._in_session(workspace, self._described)[0]
        return self._known

    def load(self, workspace: Workspace) -> None:
        """Fill `source_raw` in one read-only transaction.

        Raises:
            UserError: The database cannot be read, or the connection is lost.
            DefinitionError: A column is missing or binary.
        """

        def loading(session: Session) -> None:
            columns, read = self._described(session)
            if self._known is not None and self._known != columns:
                raise UserError(f"{session.label}: the types of its columns changed during the run; start it again")
            session.load(workspace, self._statements(), read)

        self._in_session(workspace, loading)

    def _described(self, session: Session) -> tuple[tuple[Column, ...], dict[str, TypedColumn]]:
        """The columns, and those that are read by their name in the database."""
        statements = self._statements()
        found = session.found(statements)
        columns = described(self._source, found, statements.name)
        read = (column for column in columns if isinstance(column, TypedColumn))
        return columns, {found_name(column.name, found) or column.name: column for column in read}

    def _statements(self) -> Statements:
        from shared.sources.sql.statements import Statements  # noqa: PLC0415 - loads SQLAlchemy

        return Statements.of(self._source, self._context.parameters)

    def _in_session(self, workspace: Workspace, work: Callable[[Session], T]) -> T:
        from shared.sources.sql.session import Session, with_session  # noqa: PLC0415 - loads SQLAlchemy

        statements = self._statements()
        session = Session(*self._address())
        return workspace.within(lambda: with_session(session, statements, work), session.cancel)

    def _address(self) -> tuple[str, str]:
        """The URL, and what messages call the database."""
        named = self._source.connection
        if not isinstance(named, str):
            return self._context.secret(named), "the database"
        name = self._context.text(named)
        connection = self._context.connection(name)
        if not isinstance(connection, SqlConnection):
            raise UserError(f"the connection {name} is of type {connection.type}; a source of type sql needs type sql")
        return self._context.secret(connection.url), f"the database of the connection {name}"
