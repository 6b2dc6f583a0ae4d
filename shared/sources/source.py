"""What a run sees of a source, and how the definition's kind of source becomes one."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Protocol, assert_never

from shared.definitions.models import DelimitedSource, EventsSource, ParameterValue
from shared.definitions.models import Source as SourceDefinition
from shared.definitions.parameters import in_text
from shared.errors import UserError
from shared.remote import OpenUrl, open_without_account
from shared.sources.delimited import DelimitedFiles
from shared.workspace import Workspace

__all__ = ["Source", "open_source"]


class Source(Protocol):
    """A place to load rows from, once."""

    @property
    def readable(self) -> tuple[str, ...]:
        """The local files that a workspace should be allowed to read; others are copied into its folder.

        Raises:
            UserError: There is no such file.
        """
        ...

    def load(self, workspace: Workspace) -> None:
        """Fill `source_raw`, and `source_errors` with the rows that could not be split into columns.

        Raises:
            UserError: The source cannot be read; the message names it and says what to do.
        """
        ...


def open_source(
    source: SourceDefinition, parameters: Mapping[str, ParameterValue], *, open_url: OpenUrl = open_without_account
) -> Source:
    """Return the source that a definition describes; nothing is opened yet.

    Args:
        source: The definition's source.
        parameters: Resolved parameters, for its paths.
        open_url: Turns a URL into its file system and path.

    Raises:
        UserError: The source is for real time alone.
    """
    match source:
        case DelimitedSource():
            return DelimitedFiles(source, path=in_text(source.path, parameters), open_url=open_url)
        case EventsSource():
            raise UserError("a source of type events gets its rows from the listener: this sync cannot run as a batch")
        case unknown:
            assert_never(unknown)
