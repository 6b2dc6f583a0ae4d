"""What elastic tables do otherwise: a bulk request may succeed in part, and says for which rows. Pure.

Microsoft: "Bulk operation messages", on error behaviour with elastic tables. The details come only when they are asked
for, as a JSON list inside a string annotation of the error.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from shared.dataverse.transport import Response

__all__ = ["DETAILS_WANTED", "details_of"]

DETAILS_WANTED = {"Prefer": "odata.include-annotations=Microsoft.PowerApps.CDS.ErrorDetails.*"}

_NAME = "Plugin.BulkApiErrorDetails"


def details_of(response: Response) -> Mapping[int, tuple[int, str]] | None:
    """Index of a row in the request -> its status and the record's id; None where the answer holds no such list."""
    try:
        error = response.json()["error"]
        listed = next(value for name, value in error.items() if name.endswith(_NAME))
        return {int(one["RequestIndex"]): (int(one["StatusCode"]), str(one.get("Id") or "")) for one in _list(listed)}
    except (ValueError, KeyError, TypeError, AttributeError, StopIteration):
        return None


def _list(value: object) -> list[Mapping[str, Any]]:
    """The details are a string that holds JSON; a list as such is taken too."""
    parsed: Any = json.loads(value) if isinstance(value, str) else value
    return list(parsed)
