"""The comparison of the Bicep files with Microsoft's types finds what these do not allow."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from tests.tools.bicep_types import mistakes
from tests.unit.infra.resources import Property

# A file of types, as the repository bicep-types-az has them: types refer to each other by their places.
TYPES: list[dict[str, Any]] = [
    {"$type": "StringType"},
    {"$type": "StringLiteralType", "value": "Allow"},
    {"$type": "StringLiteralType", "value": "Deny"},
    {"$type": "UnionType", "elements": [{"$ref": "#/1"}, {"$ref": "#/2"}]},
    {"$type": "ObjectType", "properties": {"action": {"type": {"$ref": "#/3"}, "flags": 0}}},
    {"$type": "ArrayType", "itemType": {"$ref": "#/4"}},
    {
        "$type": "ObjectType",
        "properties": {
            "name": {"type": {"$ref": "#/0"}, "flags": 9},
            "id": {"type": {"$ref": "#/0"}, "flags": 10},
            "rules": {"type": {"$ref": "#/5"}, "flags": 0},
        },
    },
    {"$type": "ResourceType", "name": "A.B/stores@2024-01-01", "body": {"$ref": "#/6"}},
]


def said(folder: Path, kind: str, *given: Property) -> list[str]:
    file = folder / "generated" / "some" / "a.b" / "2024-01-01" / "types.json"
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(json.dumps(TYPES), "utf-8")
    return [*mistakes(folder, kind, set(given))]


def test_what_the_types_allow_is_accepted(tmp_path: Path) -> None:
    """Also below the items of a list, and a value that only Azure knows."""
    rules = [Property("rules"), Property("rules.*"), Property("rules.*.action", "Deny"), Property("rules.*.action")]
    assert said(tmp_path, "A.B/stores@2024-01-01", Property("name", "one"), *rules) == []


def test_every_mistake_is_named(tmp_path: Path) -> None:
    """Properties and values that there are not, what cannot be set, and what is missing."""
    given = [Property("id", "1"), Property("rules.*.action", "Refuse"), Property("rules.*.kind"), Property("rule")]
    assert said(tmp_path, "A.B/stores@2024-01-01", *given) == [
        "id is read-only",
        "there is no rule",
        "rules.*.action cannot be Refuse",
        "there is no rules.*.kind",
        "name is needed",
    ]


def test_a_type_or_version_that_there_is_not_is_named(tmp_path: Path) -> None:
    """The version is a part of the type."""
    assert said(tmp_path, "A.B/stores@2025-01-01") == ["there is no such type and version"]
    assert said(tmp_path, "A.B/shops@2024-01-01") == ["there is no such type and version"]
