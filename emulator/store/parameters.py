"""Parameters of actions and functions: which values a type accepts."""

import re
from collections.abc import Collection
from typing import Any, Final

from emulator.body_errors import unexpected_node
from emulator.store.values import READERS

__all__ = ["check_value", "is_checked"]

_LIST: Final = re.compile(r"Collection\((.+)\)")
_ANY_RECORD: Final = "crmbaseentity"
_NAMESPACE: Final = re.compile(r"^(?:mscrm|Microsoft\.Dynamics\.CRM)\.")


def check_value(value: Any, kind: str, tables: Collection[str]) -> None:
    """Checks a JSON value; null fits every type, and types that are none of those below accept every value.

    Args:
        value: The value of a parameter.
        kind: Its type: `Edm.Int32`, `mscrm.crmbaseentity`, the type of a table, or a `Collection(…)` of one of them.
        tables: The logical names of all tables.

    Raises:
        ServiceError: The value is of another type.
    """
    if value is None:
        return
    listed = _LIST.fullmatch(kind)
    if listed is not None:
        if not isinstance(value, list):
            raise unexpected_node(value, "StartArray")
        for item in value:
            check_value(item, listed[1], tables)
    elif kind in READERS:
        READERS[kind](value)
    elif _is_record(kind, tables) and not isinstance(value, dict):
        raise unexpected_node(value, "StartObject")


def is_checked(kind: str, tables: Collection[str]) -> bool:
    """Whether a type is one of those that do not accept every value."""
    listed = _LIST.fullmatch(kind)
    return listed is not None or kind in READERS or _is_record(kind, tables)


def _is_record(kind: str, tables: Collection[str]) -> bool:
    name = _NAMESPACE.sub("", kind)
    return name == _ANY_RECORD or name in tables
