"""A preview: the plan of the first rows of a source."""

from __future__ import annotations

from shared.definitions import Column, SyncDefinition
from shared.reconcile.queries import first_rows_steps
from shared.sources import Source
from shared.workspace import Workspace

__all__ = ["FirstRows", "previewed_definition"]


class FirstRows:
    """The first rows of a source.

    Args:
        source: The source; all of it is read, because only then its rows have their order.
        rows: How many rows are kept.
    """

    def __init__(self, source: Source, rows: int) -> None:
        self._source = source
        self._rows = rows

    @property
    def readable(self) -> tuple[str, ...]:
        """See `Source`."""
        return self._source.readable

    def columns(self, workspace: Workspace) -> tuple[Column, ...]:
        """See `Source`."""
        return self._source.columns(workspace)

    def load(self, workspace: Workspace) -> None:
        """See `Source`."""
        self._source.load(workspace)
        for statement in first_rows_steps(self._rows):
            workspace.execute(statement)


def previewed_definition(definition: SyncDefinition) -> SyncDefinition:
    """The definition for a preview: what is not among the first rows is not dropped, and no step follows."""
    behaviour = definition.sync_behaviour.model_copy(update={"dropped": "ignore", "returned": "ignore"})
    return definition.model_copy(update={"sync_behaviour": behaviour, "post_sync": ()})
