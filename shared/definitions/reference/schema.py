"""The JSON Schema of a file in the folder of definitions, for editors."""

from __future__ import annotations

import json
from typing import Any, Final

from pydantic.json_schema import models_json_schema

from shared.definitions.models import Model, SyncDefinition
from shared.definitions.models.connections import CONNECTION_KINDS

__all__ = ["export_schema", "schema_text"]

_DIALECT: Final = "https://json-schema.org/draft/2020-12/schema"


def export_schema() -> dict[str, Any]:
    """The JSON Schema (draft 2020-12) that every well-formed definition and connection satisfies.

    Rules between keys are not in it; `validate` checks those.
    """
    models: list[type[Model]] = [SyncDefinition, *CONNECTION_KINDS.values()]
    _, schema = models_json_schema([(model, "validation") for model in models], by_alias=True)
    connections = [{"$ref": f"#/$defs/{model.__name__}"} for model in CONNECTION_KINDS.values()]
    return {
        "$schema": _DIALECT,
        "title": "Sync definition or connection",
        "if": {"required": ["kind"]},
        "then": {"oneOf": connections},
        "else": {"$ref": f"#/$defs/{SyncDefinition.__name__}"},
        **_untitled(schema),
    }


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
