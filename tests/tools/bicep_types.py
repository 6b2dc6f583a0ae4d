"""Compare the properties that infra/ sets with Microsoft's types, and write down which ones were compared.

The types are those that Bicep itself has: https://github.com/Azure/bicep-types-az. CONTRIBUTING.md says how to run this.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

import yaml

from tests.unit.infra.resources import Property, properties, table

_REQUIRED, _READ_ONLY = 1, 2  # bits of a property's flags


class Types:
    """The types of one file."""

    def __init__(self, file: Path) -> None:
        self._all: list[dict[str, Any]] = json.loads(file.read_text("utf-8"))

    def resource(self, kind: str) -> dict[str, Any] | None:
        """The body of a resource, or None where the file has no such type and version."""
        kind, _, name = kind.partition(" ")
        found = (each for each in self._all if each["$type"] == "ResourceType" and each["name"].lower() == kind.lower())
        body = next((self._get(each["body"]) for each in found), None)
        if body is None or "discriminator" not in body:
            return body
        form = self._get(body["elements"][name])
        return {**form, "properties": body["baseProperties"] | form["properties"]}

    def below(self, kind: dict[str, Any], name: str) -> tuple[dict[str, Any] | None, int]:
        """The type of a property or, for `*`, of an item, with its flags; None where there is none."""
        if kind["$type"] == "AnyType":
            return kind, 0
        if name == "*":
            return (self._get(kind["itemType"]), 0) if "itemType" in kind else (None, 0)
        member = kind.get("properties", {}).get(name)
        if member is None:
            more = kind.get("additionalProperties")
            return (self._get(more), 0) if more else (None, 0)
        return self._get(member["type"]), member["flags"]

    def values(self, kind: dict[str, Any]) -> set[str]:
        """The texts of a type that has no others."""
        parts = [self._get(each) for each in kind["elements"]] if kind["$type"] == "UnionType" else [kind]
        only = all(each["$type"] == "StringLiteralType" for each in parts)
        return {each["value"] for each in parts} if only else set()

    def _get(self, reference: dict[str, str]) -> dict[str, Any]:
        return self._all[int(reference["$ref"].removeprefix("#/"))]


@cache
def _types(file: Path) -> Types:
    return Types(file)


def mistakes(checkout: Path, kind: str, given: set[Property]) -> Iterator[str]:
    """What Microsoft's types do not allow of a resource."""
    name, _, version = kind.partition(" ")[0].partition("@")
    files = checkout.glob(f"generated/*/{name.partition('/')[0].lower()}/{version}/types.json")
    found = ((types, body) for file in files if (body := (types := _types(file)).resource(kind)))
    first = next(found, None)
    if first is None:
        yield "there is no such type and version"
        return
    types, body = first
    for each in sorted(given):
        inner: dict[str, Any] | None = body
        flags = 0
        for part in each.path.split("."):
            inner, flags = types.below(inner, part) if inner else (None, 0)
        if inner is None:
            yield f"there is no {each.path}"
        elif flags & _READ_ONLY:
            yield f"{each.path} is read-only"
        elif each.value and types.values(inner) and each.value not in types.values(inner):
            yield f"{each.path} cannot be {each.value}"
    needed = {
        name for name, member in body["properties"].items() if member["flags"] & (_REQUIRED | _READ_ONLY) == _REQUIRED
    }
    yield from (f"{name} is needed" for name in sorted(needed - {each.path for each in given}))


def main() -> int:
    """Print the table, or the mistakes."""
    checkout = Path(sys.argv[1])
    used = properties(Path("infra"))
    found = [f"{kind}: {text}" for kind, given in used.items() for text in mistakes(checkout, kind, given)]
    if found:
        sys.stderr.write("\n".join(found) + "\n")
        return 1
    sys.stdout.write("# Made by tests/tools/bicep_types.py; CONTRIBUTING.md says how.\n")
    sys.stdout.write(yaml.safe_dump(table(Path("infra")), sort_keys=False, width=120, default_flow_style=None))
    return 0


if __name__ == "__main__":
    sys.exit(main())
