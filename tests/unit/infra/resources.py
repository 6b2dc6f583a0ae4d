"""The properties that Bicep files set, by type of resource."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from tree_sitter import Node

from tests.unit.infra.bicep import BicepFile

__all__ = ["Property", "properties", "table"]


@dataclass(frozen=True, order=True)
class Property:
    """A property that is set.

    Attributes:
        path: As in `properties.rules.*.name`.
        value: A text that is written out; empty for every other value.
    """

    path: str
    value: str = ""


def properties(folder: Path) -> dict[str, set[Property]]:
    """The properties of each resource that is made, by its type and version, as in `Microsoft.Web/sites@2024-04-01`.

    The name follows where it decides which properties there are: `Microsoft.Web/sites/config@2024-04-01 appsettings`.
    """
    found: dict[str, set[Property]] = {}
    for path in sorted(folder.rglob("*.bicep")):
        for kind, body in _resources(BicepFile(path).root):
            given = {*_below(body, "")}
            name = next((f" {each.value}" for each in given if each.path == "name" and "/config@" in kind), "")
            found.setdefault(kind + name, set()).update(given)
    return found


def table(folder: Path) -> dict[str, list[str]]:
    """The paths of these properties; those that only hold others are left out."""
    return {
        kind: sorted({each.path for each in given} - {each.path.rpartition(".")[0] for each in given})
        for kind, given in sorted(properties(folder).items())
    }


def _resources(node: Node, above: str = "") -> Iterator[tuple[str, Node]]:
    """The types and bodies of the resources below a node; one in another one has the version of that one."""
    for child in node.named_children:
        if child.type != "resource_declaration":
            yield from _resources(child, above)
            continue
        named = _text(next(each for each in child.named_children if each.type == "string"))
        parent, _, version = above.partition("@")
        kind = named if "@" in named else f"{parent}/{named}@{version}"
        body = _body(child)
        if body is not None and not any(each.type == "existing" for each in child.children):
            yield kind, body
        yield from _resources(child, kind)


def _body(node: Node) -> Node | None:
    """The object of a declaration, also behind a condition or in a loop."""
    for child in reversed(node.named_children):
        found = child if child.type == "object" else _body(child)
        if found is not None:
            return found
    return None


def _below(node: Node, path: str) -> Iterator[Property]:
    if node.type == "object":
        for child in node.named_children:
            if child.type == "object_property" and len(child.named_children) > 1:
                key, value = child.named_children[:2]
                inner = f"{path}.{_text(key)}".removeprefix(".")
                if inner not in {"parent", "scope", "dependsOn"}:
                    yield Property(inner, _literal(value))
                    yield from _below(value, inner)
    elif node.type == "array":
        for child in node.named_children:
            yield Property(f"{path}.*", _literal(child))
            yield from _below(child, f"{path}.*")
    elif node.type == "for_statement":
        yield from _below(node.named_children[-1], f"{path}.*")
    elif node.type == "ternary_expression":
        for child in node.named_children[1:]:
            yield from _below(child, path)


def _literal(node: Node) -> str:
    return _text(node) if node.type == "string" and b"${" not in (node.text or b"") else ""


def _text(node: Node) -> str:
    return (node.text or b"").decode().strip("'")
