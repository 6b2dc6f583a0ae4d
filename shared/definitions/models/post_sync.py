"""Steps after the sync: an action of Dataverse, an update of records, a statement of a database, an HTTP request."""

from __future__ import annotations

import json
from enum import StrEnum
from typing import Annotated, Any, Final

from pydantic import AfterValidator, Field

from shared.definitions.models.base import (
    OPERATION_NAME,
    WHOLE,
    DatabaseSql,
    Language,
    Model,
    ODataFilter,
    Seconds,
    Sql,
    Text,
)
from shared.definitions.models.connections.api import ApiAuth, Headers
from shared.definitions.models.secrets import ClientId, TextOrSecret
from shared.definitions.models.sources.sql import connection_name

__all__ = ["STEP_KINDS", "BoundTo", "HttpStep", "PostSyncStep", "RunOn", "SqlStep", "StepMethod", "UpdateStep"]

STEP_KINDS: Final = ("action", "update", "sql", "http")
"""The keys of a step that say what it does; a step has one of them."""
_LONGEST_BODY: Final = 100_000  # characters of JSON
_DEEPEST_BODY: Final = 20


class RunOn(StrEnum):
    """After which runs a step runs."""

    SUCCESS = "success"
    ERRORS = "errors"
    ALWAYS = "always"


class StepMethod(StrEnum):
    """The method of an HTTP request."""

    POST = "POST"
    PUT = "PUT"
    PATCH = "PATCH"
    DELETE = "DELETE"
    GET = "GET"


def _checked_body(value: Any) -> Any:
    """Refuse what is not JSON, or too large."""
    if _depth(value) > _DEEPEST_BODY:
        raise ValueError(f"this is nested more than {_DEEPEST_BODY} deep")
    try:
        text = json.dumps(value, allow_nan=False)
    except (TypeError, ValueError):
        raise ValueError("a body consists of texts, numbers, true, false, null, lists and mappings") from None
    if len(text) > _LONGEST_BODY:
        raise ValueError(f"this body has more than {_LONGEST_BODY:,} characters of JSON")
    return value


def _depth(value: Any) -> int:
    deepest, waiting = 0, [(value, 1)]
    while waiting and deepest <= _DEEPEST_BODY:
        part, depth = waiting.pop()
        inner = part.values() if isinstance(part, dict) else part if isinstance(part, list) else ()
        deepest = max(deepest, depth)
        waiting += [(each, depth + 1) for each in inner]
    return deepest


Body = Annotated[dict[str, Any], Language.JSON, AfterValidator(_checked_body)]
AnyBody = Annotated[dict[str, Any] | list[Any], Language.JSON, AfterValidator(_checked_body)]


class BoundTo(Model):
    """What a bound action or function is called on: a record, or the collection of a table."""

    entity: str = Field(min_length=1, description="Logical name of the table.")
    id: Text | None = Field(default=None, description="Id of the record; without it, the collection.")


class UpdateStep(Model):
    """Give columns of some records of a table other values."""

    entity: str = Field(min_length=1, description="Table: logical name, entity set name or display name.")
    filter: ODataFilter = Field(description="OData filter without `$filter=`: only these records are updated.")
    columns: dict[Annotated[str, Field(min_length=1)], Sql] = Field(
        alias="set",
        min_length=1,
        description="Column -> expression over `target.*` of these columns, parameters and figures of the run. A "
        "column that has its value already is not written again.",
    )
    max_update: Annotated[int, Field(ge=1, le=10_000_000), WHOLE] = Field(
        default=10_000,
        description="Most records that the step updates; if there are more, it writes nothing and fails.",
    )


class SqlStep(Model):
    """One statement of a database, in one transaction."""

    connection: Annotated[ClientId, AfterValidator(connection_name)] = Field(
        description="Name of a connection of type `sql`, or a reference to the URL of the database."
    )
    statement: DatabaseSql = Field(
        max_length=100_000, description="A statement in the SQL of the database; `@name` is always a bound value."
    )


class HttpStep(Model):
    """One HTTP request. An answer with a status from 200 to 299 is a success; no redirect is followed."""

    connection: Text | None = Field(default=None, description="Name of a connection of type `rest`.")
    url: TextOrSecret | None = Field(
        default=None,
        description="The address, or a reference to a secret that has it. With a `connection`, it is relative to the "
        "address there.",
    )
    method: StepMethod = Field(default=StepMethod.POST, description="The method of the request.")
    headers: Headers = Field(
        default_factory=dict,
        description="Headers: texts, or references to secrets. Added to those of the connection.",
    )
    auth: ApiAuth | None = Field(
        default=None, description="How the request is signed in. Replaces `auth` of the connection."
    )
    body: AnyBody | None = Field(
        default=None,
        description="A mapping or a list that is sent as JSON. A text that is one `@name` becomes the value with its "
        "type, and in other texts `@name` becomes text.",
    )
    attempts: Annotated[int, Field(ge=1, le=20), WHOLE] = Field(
        default=4,
        description="Tries of the request, the first included. After a try that the server may have carried out, "
        "`POST` and `PATCH` are not sent again.",
    )


class PostSyncStep(Model):
    """What is done after the writes of a run. A step has one of `action`, `update`, `sql` and `http`."""

    name: str = Field(min_length=1, max_length=100, description="The step's name; unique in the definition.")
    timeout: Seconds = Field(
        default=60, le=3600, description="Most seconds that the step takes; also `90s`, `2m`. Then it fails."
    )
    run_on: RunOn = Field(
        default=RunOn.SUCCESS,
        description="After which runs the step runs: `success` (no errors so far, also none of earlier steps), "
        "`errors`, or `always`.",
    )
    action: str | None = Field(
        default=None,
        pattern=OPERATION_NAME,
        max_length=200,
        description="Name of an action, a function or a custom API of Dataverse.",
    )
    bound_to: BoundTo | None = Field(default=None, description="For a bound action or function: what it is called on.")
    body: Body | None = Field(
        default=None,
        description="Parameter of the action -> value. A text that is one `@name` becomes the value with its type, and "
        "in other texts `@name` becomes text.",
    )
    update: UpdateStep | None = Field(default=None, description="Records of Dataverse that get other values.")
    sql: SqlStep | None = Field(default=None, description="A statement of a database.")
    http: HttpStep | None = Field(default=None, description="An HTTP request.")

    @property
    def kind(self) -> str:
        """Which of `STEP_KINDS` it has."""
        return next(kind for kind in STEP_KINDS if getattr(self, kind) is not None)
