"""CreateMultiple, UpdateMultiple, UpsertMultiple and DeleteMultiple (the bulk-operations page)."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import orjson

from emulator.body_errors import invalid_payload, key_column_in_body
from emulator.environment import Environment
from emulator.errors import ServiceError, duplicate_primary_key, invalid_argument, not_implemented
from emulator.messages import Effect, Planned, Request, Response, answer
from emulator.odata import RowKey, row_reference
from emulator.operations.bodies import check_type
from emulator.operations.changes import Changes, TableChanges, written
from emulator.operations.reading import session_token
from emulator.operations.references import absent, drop_key_columns, identity, key_values, take_identity
from emulator.operations.rules.refusals import unsupported_message
from emulator.schema import AlternateKey, Table
from emulator.store import Values
from emulator.store.values import guid_text

__all__ = ["Bulk"]

_DETAILS: Final = "Microsoft.PowerApps.CDS.ErrorDetails.Plugin.BulkApiErrorDetails"
_OPERATIONS: Final = {
    "CreateMultiple": "create",
    "UpdateMultiple": "update",
    "UpsertMultiple": "upsert",
    "DeleteMultiple": "delete",
}
_OK: Final = 200


@dataclass(slots=True)
class _Item:
    """One target: its body, its reference and the number of its row, if there is one.

    `identity` can be compared: identifier and partition, or the name of the key and its values with text in normal
    form; None for a new row.
    """

    body: Mapping[str, Any]
    reference: RowKey | None
    identity: Any
    row: int | None = None


class Bulk:
    """The bulk messages of all tables."""

    def __init__(self, environment: Environment, changes: Changes) -> None:
        """Works on the rows of `environment`."""
        self._environment = environment
        self._changes = changes

    def plan(self, request: Request, table: Table, message: str) -> Planned:
        """Plans a message such as `POST accounts/Microsoft.Dynamics.CRM.UpsertMultiple`.

        Which rows exist is decided here, when the request arrives, as in the service.

        Raises:
            ServiceError: The table does not support the message, or an item is refused.
        """
        if message not in table.bulk_messages:
            if message == "DeleteMultiple":
                raise not_implemented("DeleteMultiple has not yet been implemented.")
            raise unsupported_message(message, table.logical_name)
        work = self._changes.of(table)
        self._environment.permit(request.caller, table, _OPERATIONS[message])
        items = self._items(request, work, message)
        rows = {_OPERATIONS[message]: len(items)}
        if not table.bulk_all_or_nothing:
            return Planned(rows=rows, act=lambda: self._act_separately(request, work, message, items))
        steps = self._steps(request, work, message, items)
        return Planned(rows=rows, act=lambda: self._act_together(request, work, message, steps))

    def _items(self, request: Request, work: TableChanges, message: str) -> list[_Item]:
        targets = request.parameters(message, ("Targets",)).get("Targets")
        if not isinstance(targets, list):
            raise invalid_payload("The parameter 'Targets' is missing.")
        items = [self._item(work, target) for target in targets]
        if message != "CreateMultiple":
            self._find(work, items)
            items = _unique(items, message)
        return items

    def _item(self, work: TableChanges, target: Any) -> _Item:
        table = work.table
        if not isinstance(target, dict) or "@odata.type" not in target:
            raise invalid_payload(
                f"A type named for each item in 'Targets' is required: set @odata.type to '{table.edm_name}'."
            )
        check_type(target["@odata.type"], table)
        address = target.get("@odata.id")
        if address is not None:
            if not isinstance(address, str):
                raise invalid_payload("The value of '@odata.id' must be a text.")
            found, reference = row_reference(address, self._environment.schema)
            if found is not table:
                raise invalid_argument(f"The target {address} is not a row of {table.entity_set}.")
            return _Item(target, reference, None)
        record_id = target.get(table.primary_id)
        if record_id is None:
            return _Item(target, None, None)
        return _Item(target, _with_partition(target, guid_text(record_id)), None)

    def _find(self, work: TableChanges, items: Sequence[_Item]) -> None:
        """Finds the rows of all items; items with the same kind of reference need one statement."""
        table, rows = work.table, work.rows
        kinds: dict[str, list[_Item]] = {}
        for item in items:
            reference = item.reference
            if reference is None:
                continue
            if reference.id is not None:
                item.identity = (reference.id, reference.values.get("partitionid"))
                kinds.setdefault("", []).append(item)
            elif reference.key is not None:
                item.identity = (reference.key.name, key_values(self._environment, table, reference))
                kinds.setdefault(reference.key.name, []).append(item)
        for name, group in kinds.items():
            key = next((key for key in table.keys if key.name == name), None)
            if key is None and not table.elastic:
                numbers = rows.by_ids([item.identity[0] for item in group])
                for item in group:
                    item.row = numbers.get(item.identity[0])
            else:
                self._find_by_key(work, key, group)

    def _find_by_key(self, work: TableChanges, key: AlternateKey | None, group: Sequence[_Item]) -> None:
        rows = work.rows
        identities = [item.identity for item in group]
        if key is None:
            for item, (record_id, partition) in zip(group, identities, strict=True):
                item.row = rows.by_id(record_id, partition)
        elif len(key.columns) == 1:
            numbers = rows.by_single_key(key, [values[0] for _, values in identities])
            for item, (_, values) in zip(group, identities, strict=True):
                item.row = numbers.get(values[0])
        else:
            for item, (_, values) in zip(group, identities, strict=True):
                item.row = rows.by_key(key, values)

    def _steps(self, request: Request, work: TableChanges, message: str, items: Sequence[_Item]) -> "_Steps":
        """Returns the rows to insert, update and delete."""
        steps = _Steps()
        check = request.row_check
        for item in items:
            values = self._values(work, message, item)
            if check is not None:
                check({**_named_identity(work.table, item), **values})
            if message == "DeleteMultiple" and item.row is not None:
                steps.deletes.append((item.row, item.identity[0]))
            elif item.row is None:
                steps.inserts.append(values)
            else:
                steps.updates.append((item.row, values))
        return steps

    def _values(self, work: TableChanges, message: str, item: _Item) -> Values:
        if item.row is None:
            if message in {"UpdateMultiple", "DeleteMultiple"}:
                raise _absent(work.table, item)
            values = work.bodies.created(item.body)
            if message == "UpsertMultiple":
                _identify(self._environment, work.table, item, values)
            return values
        if message == "DeleteMultiple":
            return {}
        read = work.bodies.upserted if message == "UpsertMultiple" else work.bodies.updated
        values = read(item.body)
        drop_key_columns(values, item.reference)
        return values

    def _act_together(self, request: Request, work: TableChanges, message: str, steps: "_Steps") -> Response:
        """Executes all steps in one transaction: an error rolls all of them back."""
        with self._environment.database.transaction():
            ids = work.create(steps.inserts, request.caller) if steps.inserts else []
            updated = self._ids_of(work, steps)
            if steps.updates:
                work.update(steps.updates, request.caller)
            deleted = work.delete(steps.deletes, request.caller) if steps.deletes else ()
        effects = (*written(work.table, "create", ids), *written(work.table, "update", updated), *deleted)
        return self._answer(request, work.table, message, ids, effects)

    def _ids_of(self, work: TableChanges, steps: "_Steps") -> list[str]:
        numbers = [number for number, _ in steps.updates]
        if not numbers:
            return []
        found = work.rows.fetch_many(numbers, (work.table.primary_id,))
        return [found[number][0] for number in numbers if number in found]

    def _answer(
        self, request: Request, table: Table, message: str, ids: Sequence[str], effects: tuple[Effect, ...]
    ) -> Response:
        headers = {} if message == "DeleteMultiple" else session_token(table)
        if message != "CreateMultiple":
            return answer(headers=headers, effects=effects)
        context = request.context("Microsoft.Dynamics.CRM.CreateMultipleResponse")
        return answer({"@odata.context": context, "Ids": ids}, headers=headers, effects=effects)

    def _act_separately(self, request: Request, work: TableChanges, message: str, items: Sequence[_Item]) -> Response:
        """Executes each item alone, for elastic tables; the error states which items failed."""
        outcomes: list[dict[str, Any]] = []
        ids: list[str] = []
        effects: list[Effect] = []
        first: ServiceError | None = None
        for index, item in enumerate(items):
            try:
                steps = self._steps(request, work, message, [item])
                response = self._act_together(request, work, message, steps)
            except ServiceError as error:
                first = first or error
                outcomes.append({"RequestIndex": index, "Id": _shown_id(work.table, item), "StatusCode": error.status})
                continue
            effects.extend(response.effects)
            done = [record_id for effect in response.effects for record_id in effect.ids]
            ids.extend(done)
            outcomes.append({"RequestIndex": index, "Id": done[0] if done else "", "StatusCode": _OK})
        if first is None:
            return self._answer(request, work.table, message, ids, tuple(effects))
        return _partial_failure(request, first, outcomes, tuple(effects))


class _Steps:
    """The rows that a message inserts, updates and deletes."""

    def __init__(self) -> None:
        self.inserts: list[Values] = []
        self.updates: list[tuple[int, Values]] = []
        self.deletes: list[tuple[int, str]] = []


def _partial_failure(
    request: Request, error: ServiceError, outcomes: Sequence[Mapping[str, Any]], effects: tuple[Effect, ...]
) -> Response:
    body = error.body()
    if request.preferences.wants(_DETAILS):
        body["error"][f"@{_DETAILS}"] = orjson.dumps(outcomes).decode()
    return answer(body, status=error.status, headers=error.headers, effects=effects)


def _unique(items: Sequence[_Item], message: str) -> list[_Item]:
    """Handles several targets for one row: UpdateMultiple uses the first, UpsertMultiple fails (bulk-operations)."""
    seen: set[object] = set()
    kept = []
    for item in items:
        identity = item.identity if item.row is None else item.row
        if identity is None or identity not in seen:
            seen.add(identity)
            kept.append(item)
        elif message == "UpsertMultiple":
            raise duplicate_primary_key()
    return kept


def _with_partition(target: Mapping[str, Any], record_id: str) -> RowKey:
    partition = target.get("partitionid")
    return RowKey(id=record_id, values={} if partition is None else {"partitionid": partition})


def _identify(environment: Environment, table: Table, item: _Item, values: Values) -> None:
    """Gives a new row the identity that its `@odata.id` states."""
    reference = item.reference
    if reference is None:
        return
    if reference.key is not None and not values.keys().isdisjoint(reference.key.columns):
        raise key_column_in_body()
    take_identity(environment, table, reference, values)


def _named_identity(table: Table, item: _Item) -> Values:
    return {} if item.reference is None else identity(table, item.reference)


def _shown_id(table: Table, item: _Item) -> str:
    return str(_named_identity(table, item).get(table.primary_id, ""))


def _absent(table: Table, item: _Item) -> ServiceError:
    if item.reference is None:
        return invalid_argument(f"An item of 'Targets' does not name a row: {table.primary_id} is missing.")
    return absent(table, item.reference)
