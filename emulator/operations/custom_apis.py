"""Custom APIs: rows of `customapi` with their parameters, which define actions and functions.

Microsoft: "Create and use custom APIs" and "CustomAPI tables". There are no plug-ins here, so a custom API does
nothing: its parameters are checked as those of declared actions, and its calls are recorded.
"""

import json
from collections.abc import Mapping
from typing import Any, Final

from emulator.environment import Environment
from emulator.schema import Action, ActionParameter

__all__ = ["custom_api", "public_apis"]

_RECORD: Final = "mscrm.crmbaseentity"
# The values of `type`, in their order.
_TYPES: Final = (
    "Edm.Boolean", "Edm.DateTimeOffset", "Edm.Decimal", _RECORD, f"Collection({_RECORD})", _RECORD, "Edm.Double",
    "Edm.Int32", "Edm.Decimal", "Edm.Int32", "Edm.String", "Collection(Edm.String)", "Edm.Guid",
)  # fmt: skip
_COLLECTION: Final = 2
_APIS: Final = """
SELECT json_group_array(json_object('id', customapiid, 'name', uniquename, 'function', isfunction,
  'binding', bindingtype, 'table', boundentitylogicalname))
FROM customapi WHERE {}"""
_PARAMETERS: Final = """
SELECT json_group_array(json_object('name', uniquename, 'type', type, 'optional', isoptional))
FROM customapirequestparameter WHERE customapiid = ?"""


def custom_api(environment: Environment, name: str) -> Action | None:
    """Returns the custom API of a name; None if there is none."""
    found = _found(environment, "uniquename = ?", (name,))
    return found[0] if found else None


def public_apis(environment: Environment) -> Mapping[str, Action]:
    """Returns those that `$metadata` shows, by name: private ones are left out."""
    return {action.name: action for action in _found(environment, "isprivate IS NOT 1", ())}


def _found(environment: Environment, condition: str, values: tuple[str, ...]) -> list[Action]:
    if "customapi" not in environment.schema.tables:
        return []
    rows = json.loads(environment.database.scalar(_APIS.format(condition), values))
    return [_action(environment, row) for row in rows]


def _action(environment: Environment, row: Mapping[str, Any]) -> Action:
    given = json.loads(environment.database.scalar(_PARAMETERS, (row["id"],)))
    return Action(
        name=row["name"],
        bound_to=row["table"] if row["binding"] else None,
        bound_to_collection=row["binding"] == _COLLECTION,
        is_function=bool(row["function"]),
        parameters=tuple(
            ActionParameter(name=each["name"], type=_TYPES[each["type"]], required=not each["optional"])
            for each in given
        ),
        response={} if row["function"] else None,
    )
