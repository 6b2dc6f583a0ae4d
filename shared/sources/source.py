"""The interface of a source for a run."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Protocol, runtime_checkable

from shared.definitions.models import Column
from shared.sources.places.row_lines import RowLine
from shared.workspace import Workspace

__all__ = ["ChecksFirstLines", "KnowsLines", "Source"]


@runtime_checkable
class KnowsLines(Protocol):
    """A source of files whose rows have line numbers."""

    def lines(self, workspace: Workspace) -> Iterator[tuple[int, RowLine]]:
        """The rows with errors, as far as the lines on which they begin are known.

        Args:
            workspace: Was loaded by this source.

        Raises:
            UserError: A file cannot be read any more.
        """
        ...


class Source(Protocol):
    """A place to load rows from, once."""

    @property
    def readable(self) -> tuple[str, ...]:
        """The local files that a workspace should be allowed to read; others are copied into its folder.

        Raises:
            UserError: There is no such file.
        """
        ...

    def columns(self, workspace: Workspace) -> tuple[Column, ...]:
        """The columns of the definition, with what the source itself knows of columns and types.

        Args:
            workspace: May read the files of the source; gets no table.

        Raises:
            UserError: The source cannot be read.
            DefinitionError: A column that the definition names is not in the source, or is of an unusable type.
        """
        ...

    def load(self, workspace: Workspace) -> None:
        """Fill `source_raw`, and `source_errors` with the rows that could not be split into columns.

        Raises:
            UserError: The source cannot be read; the message names it and says what to do.
        """
        ...


@runtime_checkable
class ChecksFirstLines(Protocol):
    """A source whose files show mistakes in their first lines, before a run."""

    def first_lines(self) -> tuple[str, ...]:
        """Look at the first lines of each local file; returns warnings about what may be a mistake.

        Raises:
            UserError: They do not fit the definition.
        """
        ...
