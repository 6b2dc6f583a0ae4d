"""Text in OData, as the filters and key predicates of Dataverse and of Azure Table Storage take it."""

from __future__ import annotations

import re
from typing import Final

__all__ = ["column_of_member", "odata_text"]

_LOOKUP: Final = re.compile(r"_(.+)_value", re.DOTALL)


def odata_text(text: str) -> str:
    """Quote a text as an OData literal; not percent-encoded."""
    return "'" + text.replace("'", "''") + "'"


def column_of_member(name: str) -> str:
    """The logical name of the column that a member of a record, or a name in a filter, stands for.

    `_parentaccountid_value` stands for the lookup `parentaccountid`; `new_contract_value` is a column itself.
    Microsoft: "Lookup properties" (power-apps/developer/data-platform/webapi/web-api-properties).
    """
    found = _LOOKUP.fullmatch(name)
    return found[1] if found else name
