"""What a run sees of a source."""

from __future__ import annotations

from typing import Protocol

from shared.definitions.models import Column
from shared.workspace import Workspace

__all__ = ["Source"]


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
