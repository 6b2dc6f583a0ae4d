"""The actions that close opportunities, cases, quotes and orders, and those that lock the prices of a sale.

Each closing action creates an activity that describes the closing, completed, and sets state and status of the row:
`POST WinOpportunity {"Status": 3, "OpportunityClose": {"opportunityid@odata.bind": "/opportunities(...)", ...}}`.
"""

from collections.abc import Mapping
from typing import Any, Final

from emulator.environment import Environment
from emulator.errors import invalid_argument, no_resource
from emulator.messages import Planned, Request, Response, answer
from emulator.odata import RowKey
from emulator.operations.changes import Changes, written
from emulator.operations.references import existing_row
from emulator.operations.rules.refusals import already_closed, open_activities, open_quotes, wrong_state
from emulator.operations.rules.states import States
from emulator.schema import Table
from emulator.schema.activities import ACTIVITIES
from emulator.schema.closing import CLOSING, PRICING, ClosingAction
from emulator.store import Values
from emulator.store.values import guid_text

__all__ = ["CLOSING_ACTIONS", "Closing"]


CLOSING_ACTIONS: Final = frozenset({*CLOSING, *PRICING})
_COMPLETED: Final = {"statecode": 1, "statuscode": 2}  # of each closing activity
_OPEN_ACTIVITIES: Final = "(0, 3)"  # the states Open and Scheduled
_OPEN_QUOTES: Final = "(0, 1)"  # the states Draft and Active


class Closing:
    """These actions, on the rows of one environment."""

    def __init__(self, environment: Environment, changes: Changes) -> None:
        """Works on the rows of `environment`."""
        self._environment = environment
        self._changes = changes

    def plan(self, request: Request, name: str) -> Planned:
        """Plans `POST WinOpportunity` and the like.

        Raises:
            ServiceError: A parameter is missing or not valid, or there is no such row.
        """
        if request.method != "POST":
            raise no_resource(request.url)
        if name in PRICING:
            return self._prices(request, name)
        action = CLOSING[name]
        names = ("Status", action.parameter)
        body = request.parameters(name, names, required=names)
        status, described = body["Status"], body[action.parameter]
        if type(status) is not int or not isinstance(described, dict):
            raise invalid_argument(f"A parameter of the operation '{name}' has the wrong type.")
        work = self._changes.of(self._environment.schema.tables[action.activity])
        entity_set = self._environment.schema.tables[action.table].entity_set
        values = work.bodies.created(_bound(described, action.lookup, entity_set))
        record_id = values.get(action.lookup)
        if record_id is None:
            raise invalid_argument(f"Required field '{action.lookup}' is missing")
        return Planned(
            rows={"create": 1, "update": 1}, act=lambda: self._close(request, action, str(record_id), status, values)
        )

    def _close(self, request: Request, action: ClosingAction, record_id: str, status: int, values: Values) -> Response:
        table = self._environment.schema.tables[action.table]
        activity = self._changes.of(self._environment.schema.tables[action.activity])
        closed = self._changes.of(table)
        with self._environment.database.transaction():
            row = existing_row(self._environment, table, RowKey(id=record_id))
            self._check_state(action, row, record_id)
            pair = {"statecode": action.after, "statuscode": States(table).status_for(action.after, status, record_id)}
            changed = {**pair, **_known(table, self._results(action, row, values))}
            if request.row_check is not None:
                request.row_check({table.primary_id: record_id, **changed})
            closed.update([(row, changed)], request.caller, by_message=True)
            activity_id = activity.create([self._activity(action, pair, row, values)], request.caller)
        return answer(
            effects=(
                *written(activity.table, "create", activity_id),
                *written(table, "update", (record_id,)),
            )
        )

    def _check_state(self, action: ClosingAction, row: int, record_id: str) -> None:
        table = self._environment.schema.tables[action.table]
        (state,) = self._environment.rows(table).fetch(row, ("statecode",)) or (None,)
        if state != action.before:
            raise already_closed(action.table) if action.before == 0 else wrong_state()
        if action.table == "incident" and self._exists(ACTIVITIES, "regardingobjectid", record_id, _OPEN_ACTIVITIES):
            raise open_activities()
        if action.table == "opportunity" and self._exists("quote", "opportunityid", record_id, _OPEN_QUOTES):
            raise open_quotes()

    def _exists(self, table: str, lookup: str, record_id: str, states: str) -> bool:
        statement = f'SELECT 1 FROM "{table}" WHERE "{lookup}" = ? AND "statecode" IN {states} LIMIT 1'
        return self._environment.database.scalar(statement, (record_id,)) is not None

    def _results(self, action: ClosingAction, row: int, values: Values) -> Values:
        """What the closed row takes from the activity: the day of the closing, and the revenue of an opportunity."""
        day = str(values.get("actualend") or self._environment.now())[:10]
        match action.table:
            case "opportunity":
                return {"actualclosedate": day, **self._revenue(action, row, values)}
            case "quote":
                return {"closedon": day}
            case "salesorder" if action.after == CLOSING["FulfillSalesOrder"].after:
                return {"datefulfilled": day}
            case _:
                return {}

    def _revenue(self, action: ClosingAction, row: int, values: Values) -> Values:
        """The actual revenue; that of an opportunity that is won is by default the estimated one."""
        if values.get("actualrevenue") is not None:
            return {"actualvalue": values["actualrevenue"]}
        if action.after != CLOSING["WinOpportunity"].after:
            return {}
        table = self._environment.schema.tables[action.table]
        (estimated,) = self._environment.rows(table).fetch(row, ("estimatedvalue",)) or (None,)
        return {} if estimated is None else {"actualvalue": estimated}

    def _activity(self, action: ClosingAction, pair: Mapping[str, int], row: int, values: Values) -> Values:
        """The activity that describes the closing."""
        table = self._environment.schema.tables[action.table]
        made: Values = {"actualend": self._environment.now(), **values, **_COMPLETED}
        activity = self._environment.schema.tables[action.activity]
        made |= {"regardingobjectid": values[action.lookup], "regardingobjectid__type": action.table}
        if action.table == "opportunity":
            states = {"opportunitystatecode": pair["statecode"], "opportunitystatuscode": pair["statuscode"]}
            made |= _known(activity, states)
            (currency,) = self._environment.rows(table).fetch(row, ("transactioncurrencyid",)) or (None,)
            if currency is not None:
                made.setdefault("transactioncurrencyid", currency)
        return made

    def _prices(self, request: Request, name: str) -> Planned:
        table_name, parameter, locked = PRICING[name]
        body = request.parameters(name, (parameter,), required=(parameter,))
        record_id = guid_text(body[parameter])
        table = self._environment.schema.tables[table_name]
        row = existing_row(self._environment, table, RowKey(id=record_id))

        def act() -> Response:
            with self._environment.database.transaction():
                self._changes.of(table).update([(row, {"ispricelocked": locked})], request.caller, by_message=True)
            return answer(effects=written(table, "update", (record_id,)))

        return Planned(rows={"update": 1}, act=act)


def _known(table: Table, values: Values) -> Values:
    """The values of columns that the table has: the tables of a real environment can lack some."""
    return {name: value for name, value in values.items() if name in table.columns}


def _bound(described: Mapping[str, Any], lookup: str, entity_set: str) -> dict[str, Any]:
    """Returns the activity with the closed row as a reference, which a client can also state as an object."""
    body = dict(described)
    row = body.get(lookup)
    if isinstance(row, dict):
        del body[lookup]
        body[f"{lookup}@odata.bind"] = row.get("@odata.id") or f"/{entity_set}({guid_text(row.get(lookup))})"
    return body
