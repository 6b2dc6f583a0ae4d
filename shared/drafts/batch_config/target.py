"""`DynamicsTarget`: destination and behaviour."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any, Final
from uuid import UUID

from shared.definitions.models.names import names_in
from shared.definitions.models.service_url import checked_service_url
from shared.drafts.batch_config.columns import DraftColumns
from shared.drafts.batch_config.elements import ConfigElement
from shared.drafts.batch_config.notes import Notes, logical_name

__all__ = ["read_behaviour", "read_destination", "target_part", "uses_service_url"]

_PARTS: Final = (
    *("ColumnMappings", "Filter", "SyncKey", "NewRecordBehaviour", "ChangedRecordBehaviour"),
    *("DroppedRecordBehaviour", "PostSyncScripts"),
)
_CHANGED: Final[Mapping[str, str]] = {"UPDATE": "update", "IGNORE": "ignore"}
_NEW: Final[Mapping[str, str]] = {"INSERT": "insert", "IGNORE": "ignore"}
_DROPPED: Final[Mapping[str, str]] = {"DELETE": "delete", "IGNORE": "ignore"}
_SECRETS_NOTE: Final = (
    "client id and secret are encrypted in such files: put those of your app registration into the variables "
    "DYNAMICS_CLIENT_ID and DYNAMICS_CLIENT_SECRET, or write references to Key Vault"
)
_LOGICAL: Final = re.compile(r"[a-z0-9_]+")


def target_part(root: ConfigElement) -> ConfigElement | None:
    """The element of the target: the first one whose name ends in `Target`."""
    return root.ending("Target")


def read_destination(part: ConfigElement, columns: DraftColumns, notes: Notes) -> dict[str, Any]:
    """The mapping `destination`, and notes about what the target has besides."""
    entity, id_column = part.get("entity"), part.get("idColumn")
    if entity is None:
        notes.add(part, "there is no entity: write the table", "entity")
    if id_column is None:
        notes.add(part, "there is no id column: write the table's primary key", "idColumn")
    own_id = logical_name(id_column or f"{entity or 'account'}id")
    item: dict[str, Any] = {
        "type": "dynamics",
        "entity": entity or "account",
        "service_url": _service_url(part, notes),
        **_sign_in(part, notes),
        **_timeout(part, notes),
        "id_column": own_id,
    }
    mappings = [*_mappings(part, columns, notes)]
    if not mappings:
        notes.add(part, "there is no mapping that can be used: write the mappings; the id alone is mapped now")
        mappings = [{"value": "CAST(NULL AS VARCHAR)", "target": own_id}]
    if part.flag("idColumnInsert"):
        if any(each["target"] == own_id for each in mappings):
            item["id_column_insert"] = True
        else:
            notes.add(part, "the id is not mapped, so inserts cannot contain it", "idColumnInsert")
    item["mappings"] = mappings
    if (condition := _filter(part, notes)) is not None:
        item["filter"] = condition
    _scripts(part, notes)
    return item


def _service_url(part: ConfigElement, notes: Notes) -> str:
    written = part.get("serviceUrl")
    try:
        return checked_service_url(written) if written else "@service_url"
    except ValueError as error:
        notes.add(part, f"{error}; the parameter service_url reads it from DYNAMICS_URL now", "serviceUrl")
        return "@service_url"


def _sign_in(part: ConfigElement, notes: Notes) -> dict[str, Any]:
    notes.add(part, _SECRETS_NOTE, "clientSecret")
    part.get("clientSecret")
    client = part.get("clientId") or ""
    try:
        own: Any = str(UUID(client))
    except ValueError:
        own = {"env": "DYNAMICS_CLIENT_ID"}
    return {"client_id": own, "client_secret": {"env": "DYNAMICS_CLIENT_SECRET"}}


def _timeout(part: ConfigElement, notes: Notes) -> dict[str, Any]:
    if (text := part.get("timeout")) is None:
        return {}
    if not text.lstrip("-").isdecimal():
        notes.add(part, "this is not a number of seconds; 100 are used", "timeout")
        return {}
    return {"timeout": int(text)} if int(text) > 0 else {}


def _mappings(part: ConfigElement, columns: DraftColumns, notes: Notes) -> Iterator[dict[str, Any]]:
    targets: set[str] = set()
    for group in part.children("ColumnMappings"):
        for each in group.children("ColumnMapping"):
            made = _mapping(each, columns, notes)
            if made is None:
                continue
            if made["target"] in targets:
                notes.add(each, f"{made['target']} is mapped twice; this mapping was left out")
                continue
            targets.add(made["target"])
            yield made


def _mapping(part: ConfigElement, columns: DraftColumns, notes: Notes) -> dict[str, Any] | None:
    source, target, link = part.get("sourceColumn"), part.get("targetColumn"), part.get("linkColumn")
    if source is None or target is None:
        notes.add(part, "a mapping needs sourceColumn and targetColumn; it was left out")
        return None
    label = columns.label(source)
    if label is None:
        notes.add(part, "the schema has no such source column; the mapping was left out", "sourceColumn")
        return None
    if label in columns.empty:
        notes.add(part, "its source column is empty now, which would clear the target; the mapping was left out")
        return None
    name = logical_name(target)
    if not _LOGICAL.fullmatch(target):
        notes.add(part, f"this is not a logical name; {name} was written, check it", "targetColumn")
    made: dict[str, Any] = {"source": label, "target": name}
    if link is not None:
        made["lookup"] = {"match": logical_name(link)}
        notes.add(part, f"a lookup that matches {logical_name(link)} was written; check it", "linkColumn")
    return made


def _filter(part: ConfigElement, notes: Notes) -> str | None:
    filters = part.children("Filter")
    for each in filters[1:]:
        notes.add(each, "a target has one filter: join the conditions with and")
        each.skip()
    return filters[0].text or None if filters else None


def _scripts(part: ConfigElement, notes: Notes) -> None:
    for group in part.children("PostSyncScripts"):
        for script in group.children("PostSyncScript"):
            notes.add(script, "the script is in a language of the platform: do the same with a step of post_sync")
            script.skip()


def read_behaviour(
    part: ConfigElement, destination: Mapping[str, Any], notes: Notes, *, events: bool
) -> dict[str, Any]:
    """The mapping `sync_behaviour`."""
    item: dict[str, Any] = {}
    if not part.flag("reconcileData", missing=True, other=True):
        item["strategy"] = "delta"
        notes.add(part, "delta inserts all rows; write strategy full to compare with the table", "reconcileData")
    item["sync_key"] = _sync_key(part, destination, notes)
    item["new"] = _choice(part, "NewRecordBehaviour", _NEW, "insert", notes)
    item["changed"] = _choice(part, "ChangedRecordBehaviour", _CHANGED, "update", notes)
    item["dropped"] = _dropped(part, notes)
    if item["dropped"] != "ignore" and events:
        item["dropped"] = "ignore"
        notes.lines.append(f"{part.place}: events do not tell which records are dropped; dropped: ignore was written")
    return item


def _sync_key(part: ConfigElement, destination: Mapping[str, Any], notes: Notes) -> list[str]:
    targets = [each["target"] for each in destination["mappings"]]
    found: list[str] = []
    for key in part.children("SyncKey"):
        if key.get("readonly"):
            notes.add(key, "this has no meaning here", "readonly")
        for each in key.children("SyncKeyColumnReference"):
            name = logical_name(each.get("name") or "")
            if name not in targets:
                notes.add(each, "no mapping has this column, so it cannot be in the key", "name")
            elif name not in found:
                found.append(name)
    if not found:
        id_column = destination["id_column"]
        found = [id_column if id_column in targets else targets[0]]
        notes.add(part, f"there is no sync key that can be used: {found[0]} was written, choose one")
    return found


def _choice(part: ConfigElement, name: str, known: Mapping[str, str], usual: str, notes: Notes) -> str:
    """What a behaviour says; `ignore` where it says what cannot be taken over."""
    behaviour = part.child(name)
    if behaviour is None:
        notes.add(part, f"there is no {name}: {usual} was written")
        return usual
    kind = behaviour.get("type") or ""
    if kind not in known:
        notes.add(behaviour, "this behaviour cannot be taken over: ignore was written, choose one")
        behaviour.skip()
        return "ignore"
    return known[kind]


def _dropped(part: ConfigElement, notes: Notes) -> Any:
    behaviour = part.child("DroppedRecordBehaviour")
    if behaviour is None or behaviour.get("type") != "EXPIRE":
        if behaviour is not None:
            behaviour.get("expirationTimestampField")  # only EXPIRE uses it
        return _choice(part, "DroppedRecordBehaviour", _DROPPED, "ignore", notes)
    if (column := behaviour.get("expirationTimestampField")) is None:
        notes.add(behaviour, "EXPIRE needs a column: ignore was written", "expirationTimestampField")
        return "ignore"
    return {"expire": logical_name(column)}


def uses_service_url(destination: Mapping[str, Any]) -> bool:
    """Whether the address comes from the parameter that the import adds."""
    return "service_url" in names_in(str(destination["service_url"]))
