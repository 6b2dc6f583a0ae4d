"""The pairs of many-to-many relationships: associate and disassociate two rows."""

from emulator.environment import Environment
from emulator.messages import Caller, Effect
from emulator.odata import PairLink
from emulator.operations.changes import Changes, written
from emulator.store import sql_name

__all__ = ["Pairs"]


class Pairs:
    """The rows of all intersect tables."""

    def __init__(self, environment: Environment, changes: Changes) -> None:
        """Works on the rows of `environment`."""
        self._environment = environment
        self._changes = changes

    def associate(self, link: PairLink, parent_id: str, other_id: str, caller: Caller) -> tuple[Effect, ...]:
        """Adds a pair.

        Raises:
            ServiceError: The pair exists already (412, DuplicateRecord).
        """
        work = self._changes.of(link.intersect)
        ids = work.create([{link.near: parent_id, link.far: other_id}], caller)
        return written(link.intersect, "create", ids)

    def disassociate(self, link: PairLink, parent_id: str, other_id: str, caller: Caller) -> tuple[Effect, ...]:
        """Removes a pair; one that does not exist is no error."""
        return self._changes.of(link.intersect).delete(self._found(link, parent_id, other_id), caller)

    def contains(self, link: PairLink, parent_id: str, other_id: str) -> bool:
        """Whether the pair exists."""
        return bool(self._found(link, parent_id, other_id))

    def _found(self, link: PairLink, parent_id: str, other_id: str) -> list[tuple[int, str]]:
        """Number and identifier of the pair, if it exists."""
        intersect = link.intersect
        return self._environment.database.connection.execute(
            f'SELECT "row_", {sql_name(intersect.primary_id)} FROM {sql_name(intersect.logical_name)}'
            f" WHERE {sql_name(link.near)} = ? AND {sql_name(link.far)} = ?",
            (parent_id, other_id),
        ).fetchall()
