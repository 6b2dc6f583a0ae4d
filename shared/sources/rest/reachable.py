"""What is known of a source's hosts before a run: those that it may not reach."""

from __future__ import annotations

from collections.abc import Iterator

from shared.definitions.models import RestSource
from shared.definitions.models import Source as SourceDefinition
from shared.definitions.models.connections.api import OAuth2Client
from shared.errors import Problem, UserError
from shared.http.guarded_files import GuardedFiles
from shared.remote import RemoteFiles, is_remote
from shared.sources.context import SourceContext

__all__ = ["unreachable"]


def unreachable(source: SourceDefinition, context: SourceContext) -> Iterator[Problem]:
    """The addresses of a source that a run would refuse.

    Args:
        source: The definition's source.
        context: Parameters, connections, and the hosts that may be reached.

    Raises:
        UserError: A parameter has no value, or there is no such connection.
    """
    if isinstance(source, RestSource):
        yield from _of_api(source, context)
        return
    path = getattr(source, "path", None)
    if isinstance(path, str) and is_remote(text := context.text(path)):
        try:
            GuardedFiles(RemoteFiles(), context.reach).check(text)
        except UserError as error:
            yield Problem(message=error.message, path="source.path")


def _of_api(source: RestSource, context: SourceContext) -> Iterator[Problem]:
    from shared.sources.rest.endpoint import address_of, connection_of  # noqa: PLC0415 - only this kind needs HTTP

    connection = connection_of(source, context)
    try:
        address_of(source, connection, context)
    except UserError as error:
        yield Problem(message=error.message, path="source.url" if connection is None else "source.connection")
    auth = source.auth or (connection.auth if connection else None)
    if isinstance(auth, OAuth2Client):
        try:
            context.reach.check(context.url(auth.token_url))
        except UserError as error:
            own = source.auth is not None
            yield Problem(message=error.message, path="source.auth.token_url" if own else "source.connection")
