"""Whether everything that a sync needs is there: secrets, sign-in, table, privileges, key, source."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager
from dataclasses import asdict, dataclass
from enum import StrEnum
from functools import partial
from typing import Any, Final

from shared.clock import Clock
from shared.counted import counted
from shared.dataverse import Dataverse
from shared.dataverse.http.service import Service
from shared.dataverse.metadata.privileges import table_facts, who_am_i
from shared.definitions import (
    EnvironmentSecret,
    EventsSource,
    KeyVaultSecret,
    SecretReference,
    Strategy,
    SyncDefinition,
)
from shared.definitions.models.base import Model
from shared.entities import EntityMetadata
from shared.errors import SyncError
from shared.jobs.privileges import access_of
from shared.sources import Source, completed, first_lines
from shared.transform import SOURCE_ERRORS, SOURCE_PLACES, check
from shared.workspace import OutOfTimeError, Workspace

__all__ = ["Check", "CheckResult", "CheckTools", "connection_checks", "secrets_in"]

SOURCE_SECONDS: Final = 30.0


class CheckResult(StrEnum):
    """What a check has found."""

    OK = "ok"
    MISSING = "missing"
    NOTE = "note"
    """Nothing is wrong; a person may want to know it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Check:
    """One check.

    Attributes:
        area: `secrets`, `sign-in`, `table`, `privileges`, `key`, `change tracking` or `source`.
        subject: What was looked at.
        found: The result.
        message: What was found, or what to do.
    """

    area: str
    subject: str
    found: CheckResult
    message: str = ""

    def to_json(self) -> dict[str, Any]:
        """The check as `test-connection --json` has it."""
        return asdict(self) | {"found": str(self.found)}


@dataclass(frozen=True, slots=True, kw_only=True)
class CheckTools:
    """What the checks work with.

    Attributes:
        secret: The value behind a reference, read anew.
        secrets: The references of the definition and of the connections that its source names, with their places.
        dataverse: A client for the environment.
        source: Opens the source.
        throttled: How many requests the service of the source has throttled so far.
        open_workspace: Opens a workspace that may read some local files.
        clock: The time.
    """

    secret: Callable[[SecretReference], str]
    secrets: Sequence[tuple[str, SecretReference]]
    dataverse: Callable[[], AbstractContextManager[Dataverse]]
    source: Callable[[], Source]
    throttled: Callable[[], int]
    open_workspace: Callable[[Sequence[str]], Workspace]
    clock: Clock


def secrets_in(model: Model, path: str) -> Iterator[tuple[str, SecretReference]]:
    """The references to secrets in a part of a definition, with their places."""
    for name in type(model).model_fields:
        yield from _secrets(getattr(model, name), f"{path}.{name}")


def _secrets(value: object, path: str) -> Iterator[tuple[str, SecretReference]]:
    match value:
        case KeyVaultSecret() | EnvironmentSecret():
            yield path, value
        case Model():
            yield from secrets_in(value, path)
        case tuple() | list():
            for number, each in enumerate(value):
                yield from _secrets(each, f"{path}[{number}]")
        case dict():
            for key, each in value.items():
                yield from _secrets(each, f"{path}.{key}")


def connection_checks(definition: SyncDefinition, parts: CheckTools) -> Iterator[Check]:
    """Check one thing after the other; what depends on something that is missing is left out.

    Args:
        definition: A definition with the keys of its connections.
        parts: What the checks work with.
    """
    for path, reference in parts.secrets:
        yield _attempted("secrets", path, partial(_check_secret, parts, reference))
    try:
        with parts.dataverse() as dataverse:
            yield from _of_environment(definition, dataverse)
    except SyncError as error:
        yield Check(area="sign-in", subject="destination", found=CheckResult.MISSING, message=error.message)
    yield from _of_source(definition, parts)


def _check_secret(parts: CheckTools, reference: SecretReference) -> str:
    parts.secret(reference)
    match reference:
        case KeyVaultSecret(key_vault=name):
            return f"Key Vault has {name}"
        case EnvironmentSecret(env=name):
            return f"{name} is set"


def _check_user(service: Service, user: int) -> str:
    return f"user {who_am_i(service, user)}"


def _attempted(area: str, subject: str, act: Callable[[], str]) -> Check:
    try:
        return Check(area=area, subject=subject, found=CheckResult.OK, message=act())
    except SyncError as error:
        return Check(area=area, subject=subject, found=CheckResult.MISSING, message=error.message)


def _of_environment(definition: SyncDefinition, dataverse: Dataverse) -> Iterator[Check]:
    service = dataverse.service
    users = range(len(service.users))
    signed = [
        _attempted("sign-in", f"application user {user + 1}", partial(_check_user, service, user)) for user in users
    ]
    yield from signed
    if any(each.found is CheckResult.MISSING for each in signed):
        return
    try:
        entity = dataverse.tables_of(definition)
    except SyncError as error:
        yield Check(
            area="table", subject=definition.destination.entity, found=CheckResult.MISSING, message=error.message
        )
        return
    told = f"{len(entity.attributes)} columns, {len(definition.destination.mappings)} are mapped"
    yield Check(area="table", subject=entity.logical_name, found=CheckResult.OK, message=told)
    yield from _of_privileges(definition, entity, dataverse)
    yield from _of_key(definition, entity)
    yield _of_tracking(entity, dataverse)


def _of_privileges(definition: SyncDefinition, entity: EntityMetadata, dataverse: Dataverse) -> Iterator[Check]:
    try:
        accesses = access_of(definition, entity, dataverse)
    except SyncError as error:
        message = f"the privileges cannot be asked for: {error.message}"
        yield Check(area="privileges", subject=entity.logical_name, found=CheckResult.NOTE, message=message)
        return
    for access in accesses:
        subject = f"{access.need.kind} on {access.need.table}" if access.need.table else access.need.kind
        if access.lacking:
            message = f"{access}; {access.need.path} needs it"
            yield Check(area="privileges", subject=subject, found=CheckResult.MISSING, message=message)
        else:
            yield Check(area="privileges", subject=subject, found=CheckResult.OK, message=access.name)


def _of_key(definition: SyncDefinition, entity: EntityMetadata) -> Iterator[Check]:
    columns = definition.sync_behaviour.sync_key
    listed, key = ", ".join(columns), entity.key_over(frozenset(columns))
    if columns == (entity.primary_id,) or entity.intersect:
        yield Check(area="key", subject=listed, found=CheckResult.OK, message="the primary key is unique")
        return
    if key is not None and key.active:
        yield Check(area="key", subject=listed, found=CheckResult.OK, message=f"the alternate key {key.name} guards it")
        return
    needed = any(problem.path == "sync_behaviour.sync_key" for problem in check(definition, entity))
    state = f"the index of the alternate key {key.name} is not active" if key else "no alternate key guards it"
    remedy = f"`dynamics-sync keys {definition.name} --create` makes it"
    full = definition.sync_behaviour.strategy is Strategy.FULL
    why = ", so other users can make a second record with the same key" if full else ""
    found = CheckResult.MISSING if needed else CheckResult.NOTE
    yield Check(area="key", subject=listed, found=found, message=f"{state}{why}; {remedy}")


def _of_tracking(entity: EntityMetadata, dataverse: Dataverse) -> Check:
    try:
        tracked = table_facts(dataverse.service, entity.logical_name).change_tracking
    except SyncError as error:
        return Check(area="change tracking", subject=entity.logical_name, found=CheckResult.NOTE, message=error.message)
    said = "on" if tracked else "off; a sync does not need it"
    found = CheckResult.OK if tracked else CheckResult.NOTE
    return Check(area="change tracking", subject=entity.logical_name, found=found, message=said)


def _of_source(definition: SyncDefinition, parts: CheckTools) -> Iterator[Check]:
    subject = definition.source.type
    if isinstance(definition.source, EventsSource):
        yield Check(
            area="source", subject=subject, found=CheckResult.NOTE, message="its rows come from the listener's events"
        )
        return
    yield _attempted("source", subject, lambda: _check_rows(definition, parts) + _throttled(parts.throttled()))


def _throttled(requests: int) -> str:
    return f"; the service of the source throttled {counted(requests, 'request', 'requests')}" if requests else ""


def _check_rows(definition: SyncDefinition, parts: CheckTools) -> str:
    """Read the source, for a limited time: what is read is not kept."""
    source = parts.source()
    for problem in first_lines(source)[0]:
        raise SyncError(problem.message)
    end = parts.clock.monotonic() + SOURCE_SECONDS
    with parts.open_workspace(source.readable) as workspace, workspace.until(lambda: end - parts.clock.monotonic()):
        try:
            return _loaded(definition, source, workspace)
        except OutOfTimeError:
            return f"it can be read; the test ended after {SOURCE_SECONDS:.0f} s, before its last row"


def _loaded(definition: SyncDefinition, source: Source, workspace: Workspace) -> str:
    completed(definition, source, workspace)
    for step in (SOURCE_ERRORS, SOURCE_PLACES):
        workspace.run(step)
    source.load(workspace)
    rows = int(workspace.query("SELECT count(*) FROM source_raw")[0][0])
    broken = int(workspace.query("SELECT count(*) FROM source_errors")[0][0])
    return f"{rows:,} rows were read" + (f", and {broken:,} rows cannot be read" if broken else "")
