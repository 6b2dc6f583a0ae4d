"""Deep insert: a row with new related rows, and with links to rows of a collection (create-entity-web-api)."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from emulator.body_errors import invalid_payload
from emulator.environment import Environment
from emulator.errors import invalid_argument, unknown_property
from emulator.messages import Effect, Request
from emulator.odata import ChildLink, Link, child_link, row_reference
from emulator.operations.changes import Changes, written
from emulator.operations.references import existing_id, existing_row
from emulator.operations.relations.pairs import Pairs
from emulator.operations.rules.refusals import unsupported_message
from emulator.schema import Table
from emulator.schema.activities import parties_property
from emulator.store import Values

__all__ = ["DeepInsert", "is_deep"]

_BIND: Final = "@odata.bind"


def is_deep(body: Mapping[str, Any]) -> bool:
    """Whether a body contains related rows or lists of them; a choice or an image is a number or a text."""
    return any(isinstance(value, dict | list) for value in body.values())


@dataclass(slots=True)
class _Parts:
    """A body in parts: the row's own properties, new rows for lookups, and what belongs into collections."""

    own: dict[str, Any] = field(default_factory=dict)
    targets: list[tuple[str, dict[str, Any]]] = field(default_factory=list)
    children: list[tuple[Link, dict[str, Any]]] = field(default_factory=list)
    links: list[tuple[Link, str]] = field(default_factory=list)


class DeepInsert:
    """The deep inserts of one environment."""

    def __init__(self, environment: Environment, changes: Changes) -> None:
        """Works on the rows of `environment`."""
        self._environment = environment
        self._changes = changes
        self._pairs = Pairs(environment, changes)

    def insert(
        self, request: Request, table: Table, body: Mapping[str, Any], identity: Values | None = None
    ) -> tuple[str, list[Effect]]:
        """Creates a row with its related rows, and returns its identifier and the effects, its own first.

        Related rows can have related rows, as deep as the JSON may be. The caller opens the transaction.

        Args:
            request: The request, for its user and for the check of a fault.
            table: The table of the row.
            body: The properties of the row.
            identity: SQL columns that the address of the row states.

        Raises:
            ServiceError: A row is refused, or a name is no navigation property of its table.
        """
        if not table.writable:
            raise unsupported_message("Create", table.logical_name)
        parts = self._parts(table, body)
        effects: list[Effect] = []
        for name, target_body in parts.targets:
            target = self._environment.schema.tables.get(table.by_navigation[name][1])
            if target is None:  # imported tables can refer to tables that were not imported
                raise unknown_property(name, table.logical_name)
            target_id, done = self.insert(request, target, target_body)
            effects += done
            parts.own[name + _BIND] = f"/{target.entity_set}({target_id})"
        work = self._changes.of(table)
        values = {**work.bodies.created(parts.own), **(identity or {})}
        if request.row_check is not None:
            request.row_check(values)
        ids = work.create([values], request.caller)
        for link, child in parts.children:
            effects += self._child(request, link, ids[0], child)
        for link, address in parts.links:
            effects += self._link(request, link, ids[0], address)
        return ids[0], [*written(table, "create", ids), *effects]

    def _parts(self, table: Table, body: Mapping[str, Any]) -> _Parts:
        parts = _Parts()
        for name, value in body.items():
            link = child_link(name.removesuffix(_BIND), table, self._environment.schema)
            if name == parties_property(table):
                parts.own[name] = value
            elif isinstance(value, dict) and name in table.by_navigation:
                parts.targets.append((name, value))
            elif isinstance(value, list) and link is not None and name.endswith(_BIND):
                parts.links += ((link, _address(name, one)) for one in value)
            elif isinstance(value, list) and link is not None:
                parts.children += ((link, _object(name, one)) for one in value)
            else:
                parts.own[name] = value
        return parts

    def _child(self, request: Request, link: Link, parent_id: str, body: Mapping[str, Any]) -> Iterator[Effect]:
        if isinstance(link, ChildLink):
            navigation = link.column.navigation[link.parent.logical_name]
            address = f"/{link.parent.entity_set}({parent_id})"
            _, effects = self.insert(request, link.table, {**body, navigation + _BIND: address})
            yield from effects
            return
        other_id, effects = self.insert(request, link.table, body)
        yield from effects
        yield from self._pairs.associate(link, parent_id, other_id, request.caller)

    def _link(self, request: Request, link: Link, parent_id: str, address: str) -> Sequence[Effect]:
        """Adds an existing row to a collection: sets its lookup, or adds a pair."""
        table, reference = row_reference(address, self._environment.schema)
        if table is not link.table:
            raise invalid_argument(f"The reference {address} is not a row of {link.table.entity_set}.")
        if not isinstance(link, ChildLink):
            other_id = existing_id(self._environment, table, reference)
            return self._pairs.associate(link, parent_id, other_id, request.caller)
        work = self._changes.of(table)
        navigation = link.column.navigation[link.parent.logical_name]
        values = work.bodies.updated({navigation + _BIND: f"/{link.parent.entity_set}({parent_id})"})
        row = existing_row(self._environment, table, reference)
        work.update([(row, values)], request.caller)
        return written(table, "update", (existing_id(self._environment, table, reference),))


def _object(name: str, value: object) -> dict[str, Any]:
    if not isinstance(value, dict):
        raise invalid_payload(f"The items of '{name}' must be JSON objects.")
    return value


def _address(name: str, value: object) -> str:
    if not isinstance(value, str):
        raise invalid_payload(f"The items of '{name}' must be addresses of rows.")
    return value
