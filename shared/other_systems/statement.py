"""A statement of a database, as a step after the sync: with bound values, in one transaction."""

from __future__ import annotations

from shared.definitions.models import SqlStep
from shared.definitions.models.database_sql import statement
from shared.errors import UserError
from shared.sources import SourceContext
from shared.sources.sql.dialects import misread
from shared.sources.sql.source import database_of
from shared.workspace import Workspace

__all__ = ["run_statement"]


def run_statement(step: SqlStep, context: SourceContext, workspace: Workspace) -> int:
    """Carry out the statement of a step; returns the number of rows that it changed, 0 if the database does not tell.

    Args:
        step: Names the database and has the statement.
        context: Gives parameters, connections and secrets.
        workspace: Its time limit is that of the statement.

    Raises:
        UserError: The database cannot be reached, refuses the statement, or reads it otherwise than it was checked.
        OutOfTimeError: The time is over; the statement was asked to stop, and is not committed unless it had ended.
    """
    # Imported here: SQLAlchemy takes long to load.
    from shared.sources.sql.session import SqlSession, with_session  # noqa: PLC0415 - see above
    from shared.sources.sql.statements import Statements  # noqa: PLC0415 - see above

    session = SqlSession(*database_of(step.connection, context), context.roots, changes=True)
    if problem := misread(step.statement, session.dialect):
        raise UserError(f"sql.statement: {problem}")
    text = statement(step.statement)  # without the semicolon at its end

    def work(opened: SqlSession) -> int:
        return opened.change(text, context.parameters)

    return workspace.within(lambda: with_session(session, Statements(), work), session.cancel)
