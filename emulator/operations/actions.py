"""Actions and functions: those of a schema file, which answer from the file, custom APIs, and those that close rows.

Declared ones and custom APIs check their parameters, and their calls are recorded.
"""

from collections import deque
from collections.abc import Collection, Mapping
from dataclasses import asdict, dataclass
from decimal import Decimal
from typing import Any, Final

from emulator.environment import Environment
from emulator.errors import ODataError, no_resource, unknown_segment
from emulator.messages import Planned, Request, answer, check_parameters
from emulator.odata import Segment
from emulator.odata.nodes import Literal, LiteralValue
from emulator.odata.types import fits
from emulator.operations.closing import CLOSING_ACTIONS, Closing
from emulator.operations.custom_apis import custom_api
from emulator.schema import Action, Table
from emulator.schema.documented import check_emulated
from emulator.store.parameters import check_value, is_checked

__all__ = ["Actions", "Call"]

_KEPT: Final = 10_000  # the latest calls
_SHOWN: Final = 100  # characters of a refused literal
_JSON: Final = "json"  # of a parameter alias
# The literals that are whole numbers of a type: a comparison takes other numbers too, a parameter does not.
_WHOLE: Final[Mapping[str, tuple[str, ...]]] = {"Edm.Int32": ("Edm.Int32",), "Edm.Int64": ("Edm.Int32", "Edm.Int64")}


@dataclass(frozen=True, slots=True, kw_only=True)
class Call:
    """One call: `target` is the row or entity set of a bound action, empty for an unbound one."""

    action: str
    target: str
    parameters: Mapping[str, Any]


class Actions:
    """The declared actions and functions of one environment."""

    def __init__(self, environment: Environment, closing: Closing) -> None:
        """Starts with no calls recorded; `closing` carries out WinOpportunity and the like."""
        self._environment = environment
        self._closing = closing
        self._calls: deque[Call] = deque(maxlen=_KEPT)

    def calls(self) -> list[dict[str, Any]]:
        """Returns the recorded calls, oldest first."""
        return [asdict(call) for call in self._calls]

    def clear(self) -> None:
        """Forgets the recorded calls."""
        self._calls.clear()

    def unbound(self, request: Request, segment: Segment) -> Planned:
        """Plans `POST Name` or `GET Name(p=@p)`.

        Raises:
            ServiceError: There is no such action, or a parameter is missing, unknown or of another type.
        """
        action = self._declared(segment.name)
        if action is None and segment.name in CLOSING_ACTIONS:
            return self._closing.plan(request, segment.name)
        if action is None or action.bound_to is not None:
            check_emulated(segment.name)
            raise unknown_segment(segment.name)
        return self._call(request, action, segment, "")

    def bound(self, request: Request, table: Table, segment: Segment, *, to_row: bool) -> Planned:
        """Plans `POST accounts(...)/Microsoft.Dynamics.CRM.Name`, or a call on the collection."""
        name = segment.name.removeprefix("Microsoft.Dynamics.CRM.")
        action = self._declared(name)
        if action is None or action.bound_to != table.logical_name or action.bound_to_collection is to_row:
            check_emulated(name)
            raise unknown_segment(segment.name)
        return self._call(request, action, segment, request.path.rpartition("/")[0])

    def _declared(self, name: str) -> Action | None:
        return self._environment.schema.actions.get(name) or custom_api(self._environment, name)

    def _call(self, request: Request, action: Action, segment: Segment, target: str) -> Planned:
        if request.method != ("GET" if action.is_function else "POST"):
            raise no_resource(request.url)
        parameters = self._parameters(request, action, segment)
        content = None
        if action.response is not None:
            context = request.context(f"Microsoft.Dynamics.CRM.{action.name}Response")
            content = {"@odata.context": context, **action.response}

        def act() -> Any:
            self._calls.append(Call(action=action.name, target=target, parameters=parameters))
            return answer(content)

        return Planned(act=act)

    def _parameters(self, request: Request, action: Action, segment: Segment) -> dict[str, Any]:
        named = segment.arguments.named if action.is_function and segment.arguments else {}
        if action.is_function:
            given: dict[str, Any] = {name: _plain(literal.value) for name, literal in named.items()}
        else:
            given = request.json() if request.body.strip() else {}
        known = {parameter.name for parameter in action.parameters}
        check_parameters(given, action.name, known, (one.name for one in action.parameters if one.required))
        tables = self._environment.schema.tables
        for parameter in action.parameters:
            if parameter.name in named and named[parameter.name].edm != _JSON:
                _check_literal(named[parameter.name], parameter.type, tables)
            else:
                check_value(given.get(parameter.name), parameter.type, tables)
        return given


def _check_literal(literal: Literal, kind: str, tables: Collection[str]) -> None:
    """Refuses a literal in the address of a function that is not of the parameter's type."""
    fitting = fits(literal, kind) and literal.edm in _WHOLE.get(kind, (literal.edm,))
    if is_checked(kind, tables) and not fitting and literal.value is not None:
        raise ODataError(f"Cannot convert the literal '{literal.text[:_SHOWN]}' to the expected type '{kind}'.")


def _plain(value: LiteralValue) -> Any:
    """The JSON value of a literal."""
    return float(value) if isinstance(value, Decimal) else value
