"""A check of Bicep files that needs no Bicep: names, and what modules are given.

It knows the language as far as infra/ uses it. Types of resources and of values are not looked at.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Final

import tree_sitter
import tree_sitter_bicep
from tree_sitter import Node

__all__ = ["findings"]

_FUNCTIONS: Final = frozenset(
    """
    any array base64 base64ToJson base64ToString bool cidrHost cidrSubnet coalesce concat contains createArray
    createObject dataUri dataUriToString dateTimeAdd dateTimeFromEpoch dateTimeToEpoch deployer deployment empty endsWith
    environment extensionResourceId filter first flatten format getSecret groupBy guid indexOf int intersection items join
    json last lastIndexOf length list listAccountSas listKeys listServiceSas loadFileAsBase64 loadJsonContent
    loadTextContent loadYamlContent managementGroup managementGroupResourceId map mapValues max min newGuid
    objectKeys padLeft parseCidr pickZones providers range readEnvironmentVariable reduce reference replace resourceGroup
    resourceId shallowMerge skip sort split startsWith string subscription subscriptionResourceId substring take tenant
    tenantResourceId toLogicalZone toLower toObject toPhysicalZone toUpper trim tryGet union uniqueString uri uriComponent
    uriComponentToString utcNow
    """.split()  # noqa: SIM905 - eighty words, not eighty lines
)
_DECORATORS: Final = frozenset(
    """
    allowed batchSize description discriminator export maxLength maxValue metadata minLength minValue sealed secure
    """.split()  # noqa: SIM905 - as above
)
_DECLARATIONS: Final = {
    "parameter_declaration": "param",
    "variable_declaration": "var",
    "resource_declaration": "resource",
    "module_declaration": "module",
}


@dataclass(frozen=True)
class BicepFile:
    """One file and its syntax tree."""

    path: Path

    @cached_property
    def root(self) -> Node:
        """The tree."""
        parser = tree_sitter.Parser(tree_sitter.Language(tree_sitter_bicep.language()))
        return parser.parse(self.path.read_bytes()).root_node

    @cached_property
    def declared(self) -> dict[str, str]:
        """Kinds of the declared names; resources within resources are among them."""
        return {_name(node): _DECLARATIONS[node.type] for node in _walk(self.root) if node.type in _DECLARATIONS}

    @cached_property
    def params(self) -> dict[str, bool]:
        """The parameters, and whether each has to be given."""
        found = (node for node in self.root.children if node.type == "parameter_declaration")
        return {_name(node): not any(child.type == "=" for child in node.children) for node in found}

    @cached_property
    def outputs(self) -> set[str]:
        """The names of the outputs."""
        return {_name(node) for node in self.root.children if node.type == "output_declaration"}

    @cached_property
    def modules(self) -> dict[str, tuple[Node, Path]]:
        """The calls of modules, with the file that each names."""
        found = (node for node in self.root.children if node.type == "module_declaration")
        return {_name(node): (node, self.path.parent / _string(node)) for node in found}


def findings(folder: Path) -> list[str]:
    """Return the mistakes in a folder's files, one line each, as `file:line: what`."""
    files = {path.resolve(): BicepFile(path) for path in sorted(folder.rglob("*.bicep"))}
    return [
        f"{file.path.relative_to(folder)}:{line}: {text}"
        for file in files.values()
        for line, text in sorted({*_names(file), *_calls(file, files), *_outputs(file, files)})
    ]


# -- Names -------------------------------------------------------------------------------------------------------------


def _names(file: BicepFile) -> Iterator[tuple[int, str]]:
    """Names that are not declared, functions that there are not, and what is declared and not used."""
    used: set[str] = set()
    for statement in file.root.children:
        local = _local_names(statement)
        for node, kind in _references(statement):
            name = _text(node)
            known = {"function": _FUNCTIONS, "decorator": _DECORATORS}.get(kind, {*file.declared, *local})
            used |= {name} if kind == "name" and name not in local else set()
            if name not in known:
                yield _line(node), f"there is no {kind} {name}"
    for node in file.root.children:
        if node.type in {"parameter_declaration", "variable_declaration"} and _name(node) not in used:
            yield _line(node), f"{_DECLARATIONS[node.type]} {_name(node)} is not used"


def _references(node: Node) -> Iterator[tuple[Node, str]]:
    """The identifiers below a node that refer to something: a name, a function or a decorator."""
    if node.type == "decorator":
        called = next(child for child in _walk(node) if child.type == "identifier")
        yield called, "decorator"
        return
    for index, child in enumerate(node.named_children):
        if child.type == "identifier":
            if not _is_introduced(node, index):
                yield child, "function" if node.type == "call_expression" and index == 0 else "name"
        elif child.type != "type":
            yield from _references(child)


def _is_introduced(parent: Node, index: int) -> bool:
    """Whether an identifier is a name that its parent introduces, or a key, and not a reference."""
    if parent.type in {"object_property", *_DECLARATIONS, "output_declaration", "lambda_expression"}:
        return index == 0
    above = parent.parent
    return parent.type == "parenthesized_expression" and above is not None and _is_lambda_head(above, parent)


def _is_lambda_head(node: Node, child: Node) -> bool:
    return node.type == "lambda_expression" and node.named_children[0] == child


def _local_names(statement: Node) -> set[str]:
    """Variables of loops and lambdas in a statement; they are known in the whole of it."""
    names: set[str] = set()
    for node in _walk(statement):
        if node.type in {"loop_variable", "loop_enumerator"}:
            names.add(_text(node))
        elif node.type == "lambda_expression":
            names |= {_text(each) for each in _walk(node.named_children[0]) if each.type == "identifier"}
        elif node.type == "for_statement" and node.named_children[0].type == "identifier":
            names.add(_text(node.named_children[0]))
    return names


# -- Modules -----------------------------------------------------------------------------------------------------------


def _calls(file: BicepFile, files: dict[Path, BicepFile]) -> Iterator[tuple[int, str]]:
    """Modules that are not there, parameters that a module has not, and those that it lacks."""
    for name, (node, path) in file.modules.items():
        module = files.get(path.resolve())
        if module is None:
            yield _line(node), f"module {name}: there is no file {_string(node)}"
            continue
        given = _given(node)
        for parameter in sorted(given - module.params.keys()):
            yield _line(node), f"module {name} has no param {parameter}"
        for parameter in sorted(key for key, required in module.params.items() if required and key not in given):
            yield _line(node), f"module {name} needs param {parameter}"


def _given(call: Node) -> set[str]:
    body = next(node for node in _walk(call) if node.type == "object")
    params = next((each for each in body.named_children if _key(each) == "params"), None)
    return {_key(each) for each in params.named_children[-1].named_children} if params else set()


def _outputs(file: BicepFile, files: dict[Path, BicepFile]) -> Iterator[tuple[int, str]]:
    """Outputs that are read and that the module has not."""
    for node in _walk(file.root):
        if node.type != "member_expression" or not _text(node.named_children[0]).endswith(".outputs"):
            continue
        name = _text(node.named_children[0]).removesuffix(".outputs").rstrip("!?")
        output = _text(node.named_children[-1])
        module = files.get(file.modules[name][1].resolve()) if name in file.modules else None
        if module is not None and output not in module.outputs:
            yield _line(node), f"module {name} has no output {output}"


# -- The tree ----------------------------------------------------------------------------------------------------------


def _walk(node: Node) -> Iterator[Node]:
    yield node
    for child in node.children:
        yield from _walk(child)


def _text(node: Node) -> str:
    return (node.text or b"").decode()


def _name(declaration: Node) -> str:
    return _text(next(child for child in declaration.named_children if child.type == "identifier"))


def _string(declaration: Node) -> str:
    """The text of the first string in a declaration: the file of a module."""
    return _text(next(child for child in declaration.named_children if child.type == "string")).strip("'")


def _key(item: Node) -> str:
    return _text(item.named_children[0]).strip("'") if item.type == "object_property" else ""


def _line(node: Node) -> int:
    return node.start_point[0] + 1
