"""Dataverse's query functions, such as ``Microsoft.Dynamics.CRM.In``, as SQLite conditions."""

from collections.abc import Sequence
from datetime import date, datetime, timedelta
from typing import Final, Protocol

from emulator.errors import NAMESPACE, ODataError, not_implemented
from emulator.odata.dates import COUNTED, NAMED, Span
from emulator.odata.hierarchies import HIERARCHY, TEAMS, hierarchy_condition, team_condition
from emulator.odata.nodes import Property, QueryFunction
from emulator.odata.scopes import Place, Scope
from emulator.odata.types import Stored, edm_type, instant_text, stored_text
from emulator.schema.model import Column, ColumnType

__all__ = ["NOT_EMULATED", "function_condition"]

_DAY: Final = timedelta(days=1)
_COUNT_DIGITS: Final = 10
_IDENTITIES: Final = frozenset({"EqualUserId", "NotEqualUserId", "EqualBusinessId", "NotEqualBusinessId"})
_DATES: Final = frozenset({"On", "NotOn", "OnOrAfter", "OnOrBefore"}) | NAMED.keys() | COUNTED.keys()
NOT_EMULATED: Final = frozenset(
    {
        *("InFiscalPeriod", "InFiscalPeriodAndYear", "InFiscalYear", "InOrAfterFiscalPeriodAndYear"),
        *("InOrBeforeFiscalPeriodAndYear", "LastFiscalPeriod", "LastFiscalYear", "LastXFiscalPeriods"),
        *("LastXFiscalYears", "NextFiscalPeriod", "NextFiscalYear", "NextXFiscalPeriods", "NextXFiscalYears"),
        *("ThisFiscalPeriod", "ThisFiscalYear", "Contains", "EqualRoleBusinessId", "EqualUserLanguage"),
        *("EqualUserOrUserHierarchy", "EqualUserOrUserHierarchyAndTeams"),
    }
)
"""The other functions of the QueryFunctionIndex page."""
_LISTS: Final = frozenset({"In", "NotIn", "ContainValues", "DoesNotContainValues", "Between", "NotBetween"})


class _Request(Protocol):
    """What a function reads of the request: the time, the user and the user's business unit."""

    @property
    def now(self) -> datetime: ...
    @property
    def user_id(self) -> str: ...
    @property
    def business_unit_id(self) -> str: ...


class _Work(Protocol):
    """What a function needs of the compilation."""

    @property
    def compiler(self) -> _Request: ...
    @property
    def parameters(self) -> list[Stored]: ...

    def place(self, operand: Property, scope: Scope) -> Place: ...
    def comparable(self, place: Place) -> str: ...
    def bound(self, value: Stored, column: Column) -> str: ...
    def among(self, place: Place, values: Sequence[Stored], *, negated: bool) -> str: ...


def function_condition(node: QueryFunction, scope: Scope, work: _Work) -> str:
    """Return the SQL for a query function; null is not in a list or period, and is not equal to a user.

    Raises:
        ODataError: The function is unknown or not emulated, or its parameters do not fit the function or column.
    """
    if node.name in NOT_EMULATED:
        raise not_implemented(f"The query function '{node.name}' is not emulated.")
    if node.name not in _LISTS | _DATES | _IDENTITIES | HIERARCHY | TEAMS:
        raise ODataError(
            f"An unknown function with name '{NAMESPACE}.{node.name}' was found. This may also be a function import "
            "or a key lookup on a navigation property, which is not allowed.",
            position=node.position,
        )
    place = _place(node, scope, work)
    if node.name in _LISTS:
        return _list_condition(node, place, work)
    if node.name in _IDENTITIES:
        return _identity_condition(node, place, work)
    if node.name in HIERARCHY:
        return _hierarchy_condition(node, place, work)
    if node.name in TEAMS:
        return _repeated(team_condition(node.name, place), work.compiler.user_id, work)
    return _date_condition(node, place, work)


def _place(node: QueryFunction, scope: Scope, work: _Work) -> Place:
    """The column of a function, by its logical name: a lookup has no underscores here."""
    name = _single(node, "PropertyName")
    _, entered = scope.entered((*node.subject, name))
    column = entered.table.columns.get(name)
    path = (*node.subject, column.property_name if column else name)
    place = work.place(Property(path=path, position=node.position), scope)
    if place.is_navigation:
        raise ODataError(f"'{name}' is not a column that {node.name} can compare.", position=node.position)
    return place


def _single(node: QueryFunction, name: str) -> str:
    value = node.parameters.get(name)
    if not isinstance(value, str):
        raise ODataError(
            f"The function '{NAMESPACE}.{node.name}' needs the parameter '{name}'.", position=node.position
        )
    return value


def _many(node: QueryFunction) -> tuple[str, ...]:
    value = node.parameters.get("PropertyValues")
    if not isinstance(value, tuple) or not value:
        raise ODataError(
            f"The function '{NAMESPACE}.{node.name}' needs the parameter 'PropertyValues'.", position=node.position
        )
    return value


def _list_condition(node: QueryFunction, place: Place, work: _Work) -> str:
    negated = node.name.startswith(("Not", "DoesNot"))
    texts = _many(node)
    if node.name.endswith("ContainValues"):
        return _choices(texts, place, work, negated=negated)
    values = [stored_text(text, place.column) for text in texts]
    if node.name.endswith("In"):
        return work.among(place, values, negated=negated)
    if len(values) != 2:  # noqa: PLR2004 - a period has two ends
        raise ODataError(f"The function '{NAMESPACE}.{node.name}' needs two values.", position=node.position)
    ends = " AND ".join(work.bound(value, place.column) for value in values)
    between = f"coalesce({work.comparable(place)} BETWEEN {ends}, 0)"
    return f"NOT {between}" if negated else between


def _choices(texts: Sequence[str], place: Place, work: _Work, *, negated: bool) -> str:
    """Whether one of the options is selected; the stored text is the sorted list of options, ``"1,9"``."""
    if place.column.type is not ColumnType.MULTI_PICKLIST:
        raise ODataError("The column of ContainValues must be a multi-select choice.")
    tests: list[str] = []
    for text in texts:
        option = text.strip()
        if not option.lstrip("-").isdecimal():
            raise ODataError(f"Cannot convert the literal '{text}' to the expected type 'Edm.Int32'.")
        work.parameters.append(f"*,{option},*")
        tests.append(f"',' || {place.sql()} || ',' GLOB ?")
    contains = f"coalesce({' OR '.join(tests)}, 0)"
    return f"NOT {contains}" if negated else contains


def _identity_condition(node: QueryFunction, place: Place, work: _Work) -> str:
    compiler = work.compiler
    identity = compiler.user_id if node.name.endswith("UserId") else compiler.business_unit_id
    work.parameters.append(identity)
    return f"{place.sql()} {'IS NOT' if node.name.startswith('Not') else 'IS'} ?"


def _hierarchy_condition(node: QueryFunction, place: Place, work: _Work) -> str:
    condition = hierarchy_condition(node.name, place)
    return _repeated(condition, stored_text(_single(node, "PropertyValue"), place.column), work)


def _repeated(condition: str, value: Stored, work: _Work) -> str:
    """The condition with the same value for each of its question marks."""
    work.parameters.extend([value] * condition.count("?"))
    return f"coalesce({condition}, 0)"


def _date_condition(node: QueryFunction, place: Place, work: _Work) -> str:
    edm = edm_type(place.column)
    if edm not in {"Edm.Date", "Edm.DateTimeOffset"}:
        raise ODataError(f"The function '{NAMESPACE}.{node.name}' needs a date column.", position=node.position)
    start, end = _span(node, place, work.compiler.now)
    tests = [] if start or end else [f"{place.sql()} IS NOT NULL"]
    for moment, operator in ((start, ">="), (end, "<")):
        if moment is not None:
            work.parameters.append(instant_text(moment)[: 10 if edm == "Edm.Date" else 20])
            # A date-only column compares by days: the last day of the period is part of it.
            inclusive = operator == "<" and edm == "Edm.Date" and moment.time() != moment.min.time()
            tests.append(f"{place.sql()} {'<=' if inclusive else operator} ?")
    condition = f"coalesce({' AND '.join(tests)}, 0)"
    return f"NOT {condition}" if node.name == "NotOn" else condition


def _span(node: QueryFunction, place: Place, now: datetime) -> Span:
    if node.name in NAMED:
        return NAMED[node.name](now)
    value = _single(node, "PropertyValue")
    if node.name in COUNTED:
        if not value.isdecimal() or len(value) > _COUNT_DIGITS or int(value) < 1:
            raise ODataError(f"'{value}' is not a count for '{NAMESPACE}.{node.name}'.", position=node.position)
        try:
            return COUNTED[node.name](now, int(value))
        except (OverflowError, ValueError) as error:
            raise ODataError(f"'{value}' is too large for a date.", position=node.position) from error
    text = stored_text(value, place.column)
    day = datetime.combine(date.fromisoformat(str(text)[:10]), datetime.min.time(), tzinfo=now.tzinfo)
    match node.name:
        case "OnOrAfter":
            return day, None
        case "OnOrBefore":
            return None, _next(day)
        case _:
            return day, _next(day)


def _next(day: datetime) -> datetime | None:
    """The day after; None after the last one that a date can be."""
    return None if day.date() == date.max else day + _DAY
