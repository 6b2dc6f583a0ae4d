"""The JSON Schema of a definition, for editors: `python -m shared.definitions.schema` prints it."""

from __future__ import annotations

import json
import sys
from typing import Any, Final

from shared.definitions.models import SyncDefinition

__all__ = ["export_schema", "schema_text"]

_DIALECT: Final = "https://json-schema.org/draft/2020-12/schema"


def export_schema() -> dict[str, Any]:
    """The JSON Schema (draft 2020-12) that every well-formed definition satisfies.

    Rules between keys are not in it; `validate` checks those.
    """
    schema = SyncDefinition.model_json_schema(by_alias=True, mode="validation")
    return {"$schema": _DIALECT, **schema, "title": "Sync definition"}


def schema_text() -> str:
    """The schema as the file holds it."""
    return json.dumps(export_schema(), indent=2, ensure_ascii=False) + "\n"


if __name__ == "__main__":
    sys.stdout.write(schema_text())
