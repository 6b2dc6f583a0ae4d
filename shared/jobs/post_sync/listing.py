"""What the steps of a definition do, for people: in a plan and in `explain`. Nothing is carried out."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping

from shared.definitions import SyncDefinition
from shared.definitions.models import PostSyncStep
from shared.entities import EntityMetadata
from shared.reconcile.marks import update_changes_query
from shared.transform.set_columns.updates import update_columns, update_layout
from shared.workspace import Step, Table

__all__ = ["explained_steps", "listed_steps"]

_SECRET = "(an address that is a secret)"  # noqa: S105 - what stands in its place


def listed_steps(definition: SyncDefinition) -> tuple[Mapping[str, str], ...]:
    """Name, kind, `run_on` and deed of each step, as JSON values; parameters are not filled in."""
    return tuple(
        {"name": step.name, "kind": step.kind, "run_on": step.run_on.value, "does": _deed(step)}
        for step in definition.post_sync
    )


def _deed(step: PostSyncStep) -> str:
    if step.update is not None:
        return f"update {step.update.entity} where {step.update.filter}"
    if step.sql is not None:
        name = step.sql.connection
        return f"one statement of {f'the connection {name}' if isinstance(name, str) else 'a database'}"
    if step.http is not None:
        url = step.http.url if isinstance(step.http.url, str | None) else _SECRET
        at = f"{url or ''} of the connection {step.http.connection}" if step.http.connection else url
        return f"{step.http.method} {str(at).strip()}"
    bound = step.bound_to
    on = "" if bound is None else f" on {bound.entity}" if bound.id is None else f" on {bound.entity}({bound.id})"
    return f"call {step.action}{on}"


def explained_steps(definition: SyncDefinition, tables: Mapping[str, EntityMetadata]) -> Iterator[Step]:
    """The steps with their SQL; what is sent elsewhere is a comment.

    Args:
        definition: The sync.
        tables: The tables of its updates, by the name that the definition has for them.

    Raises:
        DefinitionError: An update does not fit its table.
    """
    for number, step in enumerate(definition.post_sync):
        place = f"post_sync[{number}]"
        title = f"After the sync, on {step.run_on}: {step.name}"
        yield Step(title=title, sql=_sql(step, place, tables), origin=place)


def _sql(step: PostSyncStep, place: str, tables: Mapping[str, EntityMetadata]) -> str:
    if step.update is not None:
        origin = f"{place}.update"
        entity = tables[step.update.entity]
        layout = update_layout(step.update, entity, origin)
        query = update_changes_query(update_columns(step.update, layout, origin), layout, entity.primary_id)
        return f"-- {Table.UPDATE_RECORDS}: {step.update.entity} where {step.update.filter}\n{query}"
    if step.sql is not None:
        return step.sql.statement.strip().rstrip(";")
    body = step.body if step.http is None else step.http.body
    said = [_deed(step), *([json.dumps(body, ensure_ascii=False)] if body else [])]
    return "\n".join(f"-- {line}" for line in said)
