"""`BulkDelete`: a job that deletes the rows of queries after the answer to the request."""

import asyncio
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any, Final

from emulator.environment import Environment
from emulator.errors import ServiceError, invalid_argument, not_implemented
from emulator.messages import Caller, Effect, Planned, Request, Response, answer
from emulator.odata import Sql
from emulator.odata.nodes import Call, Comparison, Expression, Literal, Logical, Membership, Negation
from emulator.odata.nodes import Property as PropertyNode
from emulator.odata.types import edm_type, stored_text
from emulator.operations.changes import Changes, TableChanges
from emulator.operations.rules.refusals import unsupported_message
from emulator.schema import Column, Table
from emulator.store import sql_name

__all__ = ["BulkDeletes"]

_SOONEST: Final = 0.05  # seconds: a job always ends after the answer to its request
_OPERATORS: Final = {
    "Equal": "eq",
    "NotEqual": "ne",
    "GreaterThan": "gt",
    "GreaterEqual": "ge",
    "LessThan": "lt",
    "LessEqual": "le",
}
_PATTERNS: Final = {"BeginsWith": "startswith", "EndsWith": "endswith", "Contains": "contains"}
_PARAMETERS: Final = frozenset(
    {
        *("QuerySet", "JobName", "SendEmailNotification", "ToRecipients", "CCRecipients", "RecurrencePattern"),
        *("StartDateTime", "SourceImportId", "RunNow"),
    }
)
_COMPLETED: Final = {"statecode": 3, "statuscode": 30}
_CANCELED: Final = {"statecode": 3, "statuscode": 32}


class BulkDeletes:
    """The bulk delete jobs of one environment; each is a row in `asyncoperations` and `bulkdeleteoperations`."""

    def __init__(self, environment: Environment, changes: Changes) -> None:
        """Starts with no jobs.

        `report` is called with the rows that a job deleted, `execution` returns the seconds that a job takes for its
        rows by operation; the server sets both.
        """
        self._environment = environment
        self._changes = changes
        self.report: Callable[[Effect], None] = lambda _: None
        self.execution: Callable[[Mapping[str, int]], float] = lambda _: 0.0
        self._pending: dict[str, asyncio.TimerHandle] = {}

    def cancel(self) -> None:
        """Removes the jobs that have not run yet."""
        for timer in self._pending.values():
            timer.cancel()
        self._pending.clear()

    def plan(self, request: Request) -> Planned:
        """Plans `POST BulkDelete`.

        Raises:
            ServiceError: A query is missing or not valid, has a condition that is not emulated, or the user may not
                delete rows of its table (403).
        """
        body = request.parameters("BulkDelete", _PARAMETERS)
        queries = body.get("QuerySet")
        if not isinstance(queries, list) or not queries:
            raise invalid_argument("Required field 'QuerySet' is missing")
        if body.get("RecurrencePattern"):
            raise not_implemented("The parameter 'RecurrencePattern' of BulkDelete is not emulated.")
        try:
            wanted = [self._query(request, query) for query in queries]
        except (AttributeError, TypeError, ValueError, OverflowError) as error:
            raise invalid_argument(
                "A query of 'QuerySet' is not valid: one of its values has the wrong type."
            ) from error
        return Planned(act=lambda: self._start(request, str(body.get("JobName") or "Bulk deletion"), wanted))

    def _query(self, request: Request, query: Mapping[str, Any]) -> tuple[Table, Sql]:
        table = self._environment.schema.tables.get(str(query.get("EntityName")))
        if table is None:
            raise invalid_argument(f"The entity with a name = '{query.get('EntityName')}' was not found.")
        if not table.writable:
            raise unsupported_message("Delete", table.logical_name)
        self._environment.permit(request.caller, table, "read", "delete")
        compiler = self._environment.compiler(request.caller)
        expression = _criteria(query.get("Criteria") or {}, table)
        return table, compiler.filter(expression, table) if expression else Sql(text="1")

    def _start(self, request: Request, name: str, wanted: Sequence[tuple[Table, Sql]]) -> Response:
        jobs = self._changes.of(self._environment.schema.tables["asyncoperation"])
        operations = self._changes.of(self._environment.schema.tables["bulkdeleteoperation"])
        with self._environment.database.transaction():
            job = jobs.create([{"name": name, "statecode": 0, "statuscode": 0}], request.caller)[0]
            operation = operations.create(
                [{"name": name, "asyncoperationid": job, "statecode": 0, "statuscode": 0}], request.caller
            )[0]
        rows = sum(len(self._matching(table, condition)) for table, condition in wanted)
        delay = max(self.execution({"delete": rows}), _SOONEST)
        loop = asyncio.get_running_loop()
        self._pending[job] = loop.call_later(delay, self._run, job, operation, request.caller, wanted)
        context = request.context("Microsoft.Dynamics.CRM.BulkDeleteResponse")
        return answer({"@odata.context": context, "JobId": job})

    def _matching(self, table: Table, condition: Sql) -> list[tuple[int, str]]:
        name = sql_name(table.logical_name)
        return self._environment.database.connection.execute(
            f'SELECT "row_", {sql_name(table.primary_id)} FROM {name} WHERE {condition.text}', condition.parameters
        ).fetchall()

    def _run(self, job: str, operation: str, caller: Caller, wanted: Sequence[tuple[Table, Sql]]) -> None:
        """Deletes the rows and completes the job in one transaction, unless the job was canceled."""
        del self._pending[job]
        if self._is_completed(job):
            self._complete("bulkdeleteoperation", operation, {**_CANCELED, "successcount": 0})
            return
        effects: list[Effect] = []
        deleted = failed = 0
        with self._environment.database.transaction():
            for table, condition in wanted:
                rows = self._matching(table, condition)
                done, failures = self._delete(self._changes.of(table), rows, caller)
                effects += done
                failed += failures
                deleted += len(rows) - failures
            self._complete("asyncoperation", job, {"completedon": self._environment.now()})
            counts = {"successcount": deleted, "failurecount": failed}
            self._complete("bulkdeleteoperation", operation, counts)
        for effect in effects:
            self.report(effect)

    def _delete(
        self, work: TableChanges, rows: Sequence[tuple[int, str]], caller: Caller
    ) -> tuple[tuple[Effect, ...], int]:
        """Deletes rows, those that can be: returns the effects, and the number of rows that were refused."""
        try:
            with self._environment.database.transaction():
                return work.delete(rows, caller), 0
        except ServiceError:
            if len(rows) == 1:
                return (), 1
        middle = len(rows) // 2
        first, refused = self._delete(work, rows[:middle], caller)
        second, more = self._delete(work, rows[middle:], caller)
        return (*first, *second), refused + more

    def _is_completed(self, job: str) -> bool:
        """Whether a client has set the job to completed: this cancels a job that has not run."""
        rows = self._environment.rows(self._environment.schema.tables["asyncoperation"])
        row = rows.by_id(job)
        return row is not None and rows.fetch_many([row], ("statecode",))[row][0] == _COMPLETED["statecode"]

    def _complete(self, table_name: str, record_id: str, values: Mapping[str, Any]) -> None:
        work = self._changes.of(self._environment.schema.tables[table_name])
        row = work.rows.by_id(record_id)
        if row is not None:  # a client can have deleted it
            work.update([(row, {**_COMPLETED, **values})], self._environment.system)


def _criteria(criteria: Mapping[str, Any], table: Table) -> Expression | None:
    """A FilterExpression of the organization service as an OData expression."""
    parts: list[Expression] = [_condition(one, table) for one in criteria.get("Conditions") or []]
    for inner in criteria.get("Filters") or []:
        expression = _criteria(inner, table)
        if expression is not None:
            parts.append(expression)
    if len(parts) < 2:  # noqa: PLR2004 - the smallest number of parts to join
        return parts[0] if parts else None
    return Logical(operator="or" if criteria.get("FilterOperator") == "Or" else "and", operands=tuple(parts))


def _literal(value: object, column: Column) -> Literal:
    """A value as a literal of a filter; values of all types can come as text."""
    edm = edm_type(column)
    if isinstance(value, str) and edm == "Edm.DateTimeOffset":
        moment = datetime.fromisoformat(value)
        return Literal(value=moment if moment.tzinfo else moment.replace(tzinfo=UTC), edm=edm, text=value)
    stored = stored_text(value, column) if isinstance(value, str) else value
    if not isinstance(stored, str | int | float):
        raise TypeError(type(stored))
    return Literal(value=Decimal(str(stored)) if isinstance(stored, float) else stored, edm=edm, text=str(value))


def _condition(condition: Mapping[str, Any], table: Table) -> Expression:
    name = str(condition.get("AttributeName"))
    column = table.columns.get(name)
    if column is None:
        raise invalid_argument(f"'{table.logical_name}' entity doesn't contain attribute with Name = '{name}'.")
    operand = PropertyNode(path=(column.property_name,))
    operator = str(condition.get("Operator"))
    values = [one.get("Value") if isinstance(one, Mapping) else one for one in condition.get("Values") or []]
    literals = [_literal(value, column) for value in values]
    match operator:
        case "Null" | "NotNull":
            null = Literal(value=None, edm="null", text="null")
            return Comparison(operator="eq" if operator == "Null" else "ne", left=operand, right=null)
        case "In":
            return Membership(operand=operand, values=tuple(literals))
        case "NotIn":
            return Negation(operand=Membership(operand=operand, values=tuple(literals)))
        case _ if operator in _OPERATORS and len(literals) == 1:
            return Comparison(operator=_OPERATORS[operator], left=operand, right=literals[0])
        case _ if operator in _PATTERNS and len(values) == 1:
            return Call(name=_PATTERNS[operator], operand=operand, text=str(values[0]))
        case _:
            raise invalid_argument(f"The condition operator '{operator}' is not emulated.")
