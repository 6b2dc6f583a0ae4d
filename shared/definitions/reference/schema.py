"""The JSON Schema of a definition, for editors."""

from __future__ import annotations

import json
from typing import Any, Final

from shared.definitions.models import SyncDefinition

__all__ = ["export_schema", "schema_text"]

_DIALECT: Final = "https://json-schema.org/draft/2020-12/schema"


def export_schema() -> dict[str, Any]:
    """The JSON Schema (draft 2020-12) that every well-formed definition satisfies.

    Rules between keys are not in it; `validate` checks those.
    """
    schema = SyncDefinition.model_json_schema(by_alias=True, mode="validation")
    return {"$schema": _DIALECT, "title": "Sync definition", **_untitled(schema)}


def _untitled(part: Any, *, names: bool = False) -> Any:
    """Remove the titles that pydantic makes from field names: editors show them, but they add no information."""
    if isinstance(part, list):
        return [_untitled(each) for each in part]
    if not isinstance(part, dict):
        return part
    return {
        key: _untitled(value, names=key in {"properties", "$defs"} and not names)
        for key, value in part.items()
        if names or key != "title"
    }


def schema_text() -> str:
    """The schema as the file holds it."""
    return json.dumps(export_schema(), indent=2, ensure_ascii=False) + "\n"
