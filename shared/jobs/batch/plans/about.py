"""What a person who approves a plan must know besides its changes: where, from what, by whom, how near the limits."""

from __future__ import annotations

import getpass
import platform
from collections.abc import Iterable, Iterator, Mapping, Sequence
from decimal import Decimal
from typing import Any, Final
from urllib.parse import urlsplit

from shared.definitions import ParameterValue, in_text
from shared.definitions.models import Source
from shared.definitions.parameters.values import shown
from shared.entities import EntityMetadata
from shared.errors import UserError
from shared.jobs.batch.job import BatchJob, Tools
from shared.reconcile import Limit, Plan
from shared.reconcile.decisions import why_kept_query
from shared.redaction import cleaned
from shared.remote import shown_url
from shared.run_ids import SHORT_ID
from shared.transform import TargetColumn
from shared.workspace import Table, Workspace

__all__ = ["about_plan", "environment_of", "other_place", "refuse_other_environment"]

_MOST_OPTIONS: Final = 1000  # of the mapped columns together
_IGNORED: Final = """
SELECT count(*) FILTER (_id IS NULL), count(*) FILTER (_row IS NOT NULL AND _id IS NOT NULL),
       count(*) FILTER (_row IS NULL)
FROM decisions WHERE action = 'ignored'"""


def about_plan(
    job: BatchJob,
    tools: Tools,
    entity: EntityMetadata,
    columns: Sequence[TargetColumn],
    plan: Plan,
    workspace: Workspace,
) -> dict[str, Any]:
    """What `plan --json` has under `about`, as JSON values.

    Args:
        job: Names the sync, with the value of every parameter; no parameter is a secret.
        tools: For the moment.
        entity: The table.
        columns: The target columns.
        plan: The plan.
        workspace: Has `decisions`.
    """
    return {
        "environment": environment_of(job),
        "table": {"name": entity.logical_name, "label": entity.display_name},
        "source": {"type": str(job.definition.source.type), "path": _path(job.definition.source, job.parameters)},
        "parameters": {name: cleaned(shown(value)) for name, value in job.parameters.items()},
        "at": tools.clock.now().isoformat(timespec="seconds"),
        "by": _user(),
        "limits": [*_limits(plan)],
        "ignored": [*_ignored(job, columns, workspace)],
        "filter": job.definition.source.filter or "",
        "columns": {name: _column(name, entity) for name in _mapped(job)},
    }


def environment_of(job: BatchJob) -> str:
    """The host of the environment that a job writes to."""
    url = in_text(job.definition.destination.service_url or "", job.parameters)
    return urlsplit(url).netloc.rpartition("@")[2]


def refuse_other_environment(job: BatchJob, run_id: str, environment: str | None, to_do: str) -> None:
    """Refuse to go on with an earlier run where the sync writes to another environment now.

    Args:
        job: What is to go on.
        run_id: The earlier run.
        environment: The host that it wrote to; None where that is not known.
        to_do: What the address of the environment is changed back for.

    Raises:
        UserError: It is another one.
    """
    if environment != (now := environment_of(job)):
        raise other_place(job, run_id, "service_url", str(environment), now, to_do)


def other_place(job: BatchJob, run_id: str, key: str, was: str, now: str, to_do: str) -> UserError:
    """The error about a sync that writes to another place than an earlier run did.

    Args:
        job: What is to go on.
        run_id: The earlier run.
        key: The key of the destination that names the place.
        was: Where the run wrote to.
        now: Where the sync writes to.
        to_do: What the key is changed back for.
    """
    return UserError(
        f"run {run_id[:SHORT_ID]} wrote to {was}, and {job.definition.name} writes to {now} now: change "
        f"destination.{key} back to {to_do}"
    )


def _path(source: Source, values: Mapping[str, ParameterValue]) -> str:
    """The files of a source, without what is secret in a URL; empty for a source that has none."""
    path = getattr(source, "path", "")
    try:
        return cleaned(shown_url(in_text(path, values))) if isinstance(path, str) else ""
    except UserError:
        return ""


def _user() -> str:
    """Who makes the plan: the account and the machine."""
    try:
        return f"{getpass.getuser()} on {platform.node()}"
    except (KeyError, OSError):  # a container may have an account without a name
        return platform.node()


def _limits(plan: Plan) -> Iterator[dict[str, Any]]:
    """Each safety limit with the number of the plan, and how many rows it allows; None where it allows any number."""
    counts, limits = plan.counts, plan.limits
    of = counts.target_rows
    yield _limit("max_delete", counts.dropped, limits.max_delete, of)
    yield _limit("max_update", counts.update + counts.reactivate, limits.max_update, of)
    if counts.created_references:
        most = Limit(amount=Decimal(limits.max_created_references), is_share=False)
        yield _limit("max_created_references", counts.created_references, most, of)
    if plan.forecast is not None:
        costs = (
            ("max_requests", plan.forecast.requests, limits.max_requests),
            ("max_minutes", plan.forecast.minutes, limits.max_minutes),
        )
        for name, planned, allowed in costs:
            if allowed is not None:
                yield _limit(name, planned, Limit(amount=Decimal(allowed), is_share=False), of)


def _limit(name: str, planned: int, limit: Limit, of: int) -> dict[str, Any]:
    return {"name": name, "planned": planned, "limit": str(limit), "most": limit.most(of), "of": of}


def _ignored(job: BatchJob, columns: Sequence[TargetColumn], workspace: Workspace) -> Iterator[dict[str, Any]]:
    """Why keys are ignored, with the number of each reason."""
    behaviour = job.definition.sync_behaviour
    ((new, changed, dropped),) = workspace.query(_IGNORED)
    condition = getattr(behaviour.changed, "when", "")
    why_changed = f"the condition of changed is not true: {condition}" if condition else "changed is ignore"
    reasons = [
        (new, "rows of the source that have no record: new is ignore"),
        (changed, f"rows that differ from their record: {why_changed}"),
    ]
    if dropped:
        query = why_kept_query(job.definition, columns, with_parents=workspace.has_table(Table.KEPT_PARENTS))
        kept = workspace.query(query)
        reasons += [(count, f"records without a valid row of the source: {why}") for why, count in kept]
    yield from ({"count": count, "why": why} for count, why in reasons if count)


def _mapped(job: BatchJob) -> Iterable[str]:
    return dict.fromkeys([each.target for each in job.definition.destination.mappings] + ["statecode", "statuscode"])


def _column(name: str, entity: EntityMetadata) -> dict[str, Any]:
    """A column's label, and the labels of its options."""
    attribute = entity.attributes.get(name)
    if attribute is None:
        return {"label": "", "options": {}}
    options = {str(each.value): each.labels[0] for each in attribute.choices[:_MOST_OPTIONS] if each.labels}
    return {"label": attribute.display_name, "options": options}
