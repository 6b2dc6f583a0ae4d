"""The check of a source's hosts before a run: those that it may not reach."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial

from shared.definitions import Language, names_in
from shared.definitions.models import HttpStep, RestSource
from shared.definitions.models import Source as SourceDefinition
from shared.definitions.models.connections.api import OAuth2Client
from shared.errors import Problem, UserError
from shared.http.guarded_files import GuardedFiles
from shared.remote import RemoteFiles, is_remote
from shared.sources.context import SourceContext

__all__ = ["unreachable", "unreachable_api"]


def unreachable(source: SourceDefinition, context: SourceContext) -> Iterator[Problem]:
    """The addresses of a source that a run would refuse; those that only a run knows are left out.

    Args:
        source: The definition's source.
        context: Parameters, connections, and the hosts that may be reached.

    Raises:
        UserError: There is no such connection, or only a run knows its name.
    """
    if isinstance(source, RestSource):
        yield from unreachable_api(source, context, "source")
        return
    path = getattr(source, "path", None)
    if isinstance(path, str) and _is_known(path, context) and is_remote(text := context.text(path)):
        files = GuardedFiles(RemoteFiles(), context.reach)
        yield from _refused(partial(files.check, text), "source.path")


def unreachable_api(source: RestSource | HttpStep, context: SourceContext, place: str) -> Iterator[Problem]:
    """The same for a request to an API, whose keys are at a place; an address that is a secret is left out.

    Raises:
        UserError: As `unreachable`.
    """
    from shared.sources.rest.endpoint import address_of, connection_of  # noqa: PLC0415 - only this kind needs HTTP
    from shared.sources.rest.past import with_watermark  # noqa: PLC0415 - likewise

    if isinstance(source, RestSource):
        context = with_watermark(source, context)
    connection = connection_of(source, context)
    if isinstance(source.url, str | None) and _is_known(source.url or "", context):
        at = f"{place}.url" if connection is None else f"{place}.connection"
        yield from _refused(partial(address_of, source, connection, context), at)
    auth = source.auth or (connection.auth if connection else None)
    if isinstance(auth, OAuth2Client) and _is_known(auth.token_url, context):
        at = f"{place}.auth.token_url" if source.auth is not None else f"{place}.connection"
        yield from _refused(partial(context.reach.check, context.url(auth.token_url)), at)


def _is_known(text: str, context: SourceContext) -> bool:
    """Whether each parameter of a text has a value."""
    return context.parameters.keys() >= set(names_in(text, Language.TEXT, context.parameters))


def _refused(check: Callable[[], object], path: str) -> Iterator[Problem]:
    try:
        check()
    except UserError as error:
        yield Problem(message=error.message, path=path)
