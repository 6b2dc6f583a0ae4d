"""The rows that an organisation has from the start: organisation, business unit, users, currency and messages."""

from typing import Any, Final
from uuid import UUID, uuid5

from emulator.store import Database

__all__ = ["BASE_CURRENCY", "NAMESPACE", "SYSTEM_USER", "add_system_rows", "business_unit_id", "organization_id"]

NAMESPACE: Final = UUID("6d1ac24a-7a5b-4b3c-9d0e-5c1d7f2e9a11")
SYSTEM_USER: Final = str(uuid5(NAMESPACE, "SYSTEM"))
BASE_CURRENCY: Final = str(uuid5(NAMESPACE, "USD"))

Row = tuple[str, dict[str, Any]]


def organization_id() -> str:
    """Returns the identifier of the organisation."""
    return str(uuid5(NAMESPACE, "organization"))


def business_unit_id() -> str:
    """Returns the identifier of the root business unit."""
    return str(uuid5(NAMESPACE, "business unit"))


def _organisation_rows() -> list[Row]:
    unit = business_unit_id()
    return [
        ("businessunit", {"businessunitid": unit, "name": "emulator"}),
        ("transactioncurrency", {
            "transactioncurrencyid": BASE_CURRENCY, "currencyname": "US Dollar", "isocurrencycode": "USD",
            "currencysymbol": "$", "currencyprecision": 2, "exchangerate": 1,
        }),
        ("organization", {
            "organizationid": organization_id(), "name": "emulator", "basecurrencyid": BASE_CURRENCY,
            "languagecode": 1033, "expirechangetrackingindays": 7, "pricingdecimalprecision": 4,
        }),
        ("systemuser", {
            "systemuserid": SYSTEM_USER, "fullname": "SYSTEM", "lastname": "SYSTEM", "businessunitid": unit,
        }),
        ("team", {
            "teamid": str(uuid5(NAMESPACE, "team")), "name": "emulator", "businessunitid": unit, "isdefault": True,
        }),
    ]  # fmt: skip


def _message_rows(database: Database) -> list[Row]:
    """The messages of each table; UpsertMultiple follows from the others and has no filter (bulk-operations page)."""
    messages = ("Create", "Retrieve", "RetrieveMultiple", "Update", "Delete")
    bulk = ("CreateMultiple", "UpdateMultiple", "DeleteMultiple")
    ids = {name: str(uuid5(NAMESPACE, f"message {name}")) for name in (*messages, *bulk, "UpsertMultiple")}
    rows: list[Row] = [("sdkmessage", {"sdkmessageid": message_id, "name": name}) for name, message_id in ids.items()]
    for table in database.schema.tables.values():
        if table.intersect:
            continue  # no message works with an intersect table
        own = messages if table.writable else tuple(name for name in messages if name.startswith("Retrieve"))
        for message in (*own, *(name for name in bulk if name in table.bulk_messages)):
            filter_id = str(uuid5(NAMESPACE, f"filter {table.logical_name} {message}"))
            rows.append(
                (
                    "sdkmessagefilter",
                    {
                        "sdkmessagefilterid": filter_id,
                        "primaryobjecttypecode": table.logical_name,
                        "sdkmessageid": ids[message],
                    },
                )
            )
    return rows


def add_system_rows(database: Database, now: str) -> None:
    """Adds those rows that are missing; `now` is the time of creation."""
    with database.transaction():
        for logical_name, values in (*_organisation_rows(), *_message_rows(database)):
            table = database.schema.tables[logical_name]
            rows = database.rows(table)
            if rows.by_id(values[table.primary_id]) is None:
                stamps = {"createdon": now, "modifiedon": now, "versionnumber": database.next_version()}
                rows.insert([{**values, **stamps}])
