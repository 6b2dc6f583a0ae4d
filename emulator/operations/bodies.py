"""Request bodies as SQL columns: the properties that can be written, and the stored value of each."""

from collections.abc import Callable, Mapping
from functools import cached_property
from typing import Any, Final

from emulator.body_errors import (
    PayloadError,
    conflicting_type,
    invalid_payload,
    invalid_property,
    undeclared_property,
    value_required,
)
from emulator.environment import Environment
from emulator.errors import ServiceError, invalid_argument, not_implemented
from emulator.odata import RowKey, child_link, row_reference
from emulator.operations.references import existing_id
from emulator.operations.rules.parties import GIVEN, checked_party
from emulator.schema import Column, Table
from emulator.schema.activities import ACTIVITIES, PARTIES, parties_property
from emulator.store import Values
from emulator.store.values import converter, guid_text

__all__ = ["BodyReader", "check_type"]

_Setter = Callable[[Values, Any], None]
_BIND: Final = "@odata.bind"
_TYPE: Final = "@odata.type"
_LONGEST_NAME: Final = 200
_KEPT: Final = frozenset({"ownerid", "statecode", "statuscode", "partitionid"})


class BodyReader:
    """Reads the JSON objects that describe rows of one table."""

    def __init__(self, environment: Environment, table: Table) -> None:
        """Prepares a function for every property, so that a row needs one lookup per property."""
        self.table = table
        self._environment = environment
        self._create = self._setters(creating=True)
        self._update = self._setters(creating=False)

    def created(self, body: Mapping[str, Any]) -> Values:
        """Returns the SQL columns of a new row.

        Raises:
            ServiceError: A property is unknown, or a value does not fit its column.
        """
        return self._read(body, self._create)

    def updated(self, body: Mapping[str, Any]) -> Values:
        """Returns the SQL columns to change; the primary key is ignored.

        Raises:
            ServiceError: A property is unknown, or a value does not fit its column.
        """
        return self._read(body, self._update)

    def upserted(self, body: Mapping[str, Any]) -> Values:
        """Returns the SQL columns to change by an upsert of an existing row.

        An upsert of an elastic table replaces the whole row (use-upsert-insert-update-record, "Elastic table upsert"):
        columns that the body does not state get their default values.

        Raises:
            ServiceError: A property is unknown, or a value does not fit its column.
        """
        values = self.updated(body)
        return {**self._emptied, **values} if self.table.elastic else values

    @cached_property
    def _emptied(self) -> Values:
        """Every column that an update can set, with its default value."""
        values: Values = {}
        for name, column in self.table.columns.items():
            if not column.valid_for_update or column.primary_id or name in _KEPT:
                continue
            values[name] = column.default
            if column.is_polymorphic:
                values[f"{name}__type"] = None
        return values

    def _read(self, body: Mapping[str, Any], setters: Mapping[str, _Setter]) -> Values:
        values: Values = {}
        try:
            for name, value in body.items():
                setter = setters.get(name)
                if setter is not None:
                    setter(values, value)
                elif "@" not in name or name.endswith(_BIND):
                    raise self._unknown(name)
        except PayloadError as error:
            raise error.about(self.table.entity_set) from error
        return values

    def _unknown(self, name: str) -> ServiceError:
        if child_link(name.removesuffix(_BIND), self.table, self._environment.schema):
            return _deep_insert(name)
        if name.endswith(_BIND):
            return undeclared_property(name.removesuffix(_BIND))
        if name in self.table.by_property:
            return ServiceError(
                400,
                "0x80048d19",
                "CRM do not support direct update of Entity Reference properties, Use Navigation properties instead.",
            )
        return invalid_property(name, self.table.logical_name)

    def _setters(self, *, creating: bool) -> dict[str, _Setter]:
        setters: dict[str, _Setter] = {_TYPE: self._typed}
        for name, column in self.table.columns.items():
            allowed = column.valid_for_create if creating else column.valid_for_update
            allowed = allowed or (creating and self.table.intersect is not None)  # only a seed creates pairs
            if column.is_lookup:
                for navigation in dict.fromkeys(column.navigation.values()):
                    binder = self._binder(column) if allowed else _ignored
                    setters[navigation + _BIND] = binder
                    setters[navigation] = _clearing(column) if allowed else _ignored
            elif column.primary_id:
                setters[name] = _identifier(name) if creating else _ignored
            elif not allowed or column.computed:
                setters[name] = _ignored  # the service ignores values for read-only columns
            elif name in (self.table.intersect or ()):
                setters[name] = self._paired(column)
            else:
                setters[name] = self._plain(column)
        parties = self._environment.schema.tables.get(PARTIES)
        if parties is not None and self.table.activity and self.table.logical_name != ACTIVITIES:
            setters[parties_property(self.table)] = self._parties(parties)
        return setters

    def _typed(self, values: Values, value: Any) -> None:
        del values
        check_type(value, self.table)

    def _parties(self, parties: Table) -> _Setter:
        """Reads the collection of an activity's parties, which an insert and an update can state."""
        name = parties_property(self.table)
        reader = BodyReader(self._environment, parties)

        def setter(values: Values, value: Any) -> None:
            if not isinstance(value, list) or not all(isinstance(party, dict) for party in value):
                raise invalid_payload(f"'{name}' must be a collection of objects.")
            values[GIVEN] = [checked_party(self.table, reader.created(party)) for party in value]

        return setter

    def _plain(self, column: Column) -> _Setter:
        convert = converter(column, self.table)
        name = column.logical_name
        refuse_null = column.required == "SystemRequired"

        def setter(values: Values, value: Any) -> None:
            stored = convert(value)
            if stored is None and refuse_null:
                raise value_required(name, self.table.logical_name)
            values[name] = stored

        return setter

    def _paired(self, column: Column) -> _Setter:
        """Reads one side of a pair: the identifier of a row that exists."""
        plain, name = self._plain(column), column.logical_name
        schema = self._environment.schema
        relation = next(one for one in schema.many_to_many.values() if one.intersect == self.table.logical_name)
        paired = schema.tables[next(end.table for end in relation.ends if end.attribute == name)]

        def setter(values: Values, value: Any) -> None:
            plain(values, value)
            if values[name] is not None:
                existing_id(self._environment, paired, RowKey(id=values[name]))

        return setter

    def _binder(self, column: Column) -> _Setter:
        clear = _clearing(column)
        name = column.logical_name
        polymorphic = column.is_polymorphic

        def setter(values: Values, value: Any) -> None:
            if value is None:
                clear(values, None)
                return
            if not isinstance(value, str):
                raise undeclared_property(name)
            target, key = row_reference(value, self._environment.schema)
            if target.logical_name not in column.targets:
                raise invalid_argument(
                    f"The lookup {name} of {self.table.logical_name} does not refer to {target.logical_name}."
                )
            values[name] = existing_id(self._environment, target, key)
            if polymorphic:
                values[f"{name}__type"] = target.logical_name

        return setter


def check_type(stated: object, table: Table) -> None:
    """Checks `@odata.type`, which may have a hash sign at its start.

    Raises:
        ServiceError: It is the name of another type.
    """
    if str(stated).removeprefix("#") != table.edm_name:
        raise conflicting_type(table.edm_name, str(stated)[:_LONGEST_NAME])


def _ignored(values: Values, value: Any) -> None:
    del values, value


def _identifier(name: str) -> _Setter:
    def setter(values: Values, value: Any) -> None:
        if value is not None:
            values[name] = guid_text(value)

    return setter


def _clearing(column: Column) -> _Setter:
    name = column.logical_name

    def setter(values: Values, value: Any) -> None:
        if isinstance(value, dict):
            raise _deep_insert(name)
        if value is not None:
            raise undeclared_property(name)
        if values.get(name) is not None:  # another navigation property of the lookup states its row
            return
        values[name] = None
        if column.is_polymorphic:
            values[f"{name}__type"] = None

    return setter


def _deep_insert(name: str) -> ServiceError:
    return not_implemented(
        f"Creating or linking related rows ('{name}') is emulated only in a POST of one row: deep insert."
    )
