"""YAML read into plain values, with the position of every key and every value.

Plain scalars follow YAML 1.2's core schema, as editors do, and not PyYAML's 1.1: `NO` is a country and `12:30` a time
of day, both text. Two things go further, for the sake of data: numbers with leading zeros stay text, and a plain ISO
date is a date.
"""

from __future__ import annotations

import datetime as dt
import math
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Final

from yaml.error import Mark, MarkedYAMLError, YAMLError
from yaml.nodes import MappingNode, Node, ScalarNode, SequenceNode
from yaml.reader import ReaderError

from shared.definitions.loading.large_texts import keeps_large_texts
from shared.definitions.loading.yaml_nodes import TooManyNodesError, nodes_of
from shared.definitions.loading.yaml_syntax import explained_syntax

__all__ = [
    "Document",
    "Path",
    "TextPosition",
    "YamlProblem",
    "both_lines",
    "compose_yaml",
    "read_yaml",
    "shown_path",
]

Path = tuple[str | int, ...]

# Ten times what a definition of 3,000 columns has; aliases can repeat a node, so that ten lines can become a billion
# values.
_MOST_NODES: Final = 100_000


@dataclass(frozen=True, slots=True, kw_only=True)
class TextPosition:
    """1-based line and column, in characters."""

    line: int
    column: int


@dataclass(frozen=True, slots=True, kw_only=True)
class YamlProblem:
    """A problem in the YAML itself."""

    message: str
    position: TextPosition
    path: Path = ()


@dataclass(slots=True, kw_only=True)
class Document:
    """A parsed text.

    Attributes:
        value: Dictionaries with text keys, lists, text, numbers, booleans, dates, None.
        values: Where each value starts.
        keys: Where each key of a mapping, or item of a list, starts.
        problems: Mistakes in the YAML; with a syntax error `value` is None.
        has_anchors: Whether there is an anchor or an alias.
    """

    value: object = None
    values: dict[Path, TextPosition] = field(default_factory=dict)
    keys: dict[Path, TextPosition] = field(default_factory=dict)
    problems: list[YamlProblem] = field(default_factory=list)
    has_anchors: bool = False

    def key_position(self, path: Path) -> TextPosition:
        """The position of a key or item, or of the nearest thing around it that the text holds."""
        while path and path not in self.keys:
            path = path[:-1]
        return self.keys.get(path) or self.values.get(()) or TextPosition(line=1, column=1)

    def value_position(self, path: Path) -> TextPosition:
        """The position of a value, or of the nearest thing around it that the text holds."""
        return self.values.get(path) or self.key_position(path)


def both_lines(first: TextPosition, second: TextPosition) -> str:
    """Where two things are that must not both be there."""
    if first.line == second.line:
        return f"both on line {first.line}"
    return f"on lines {first.line} and {second.line}"


def shown_path(path: Path) -> str:
    """Write a path as ``destination.mappings[3].target``; list positions count from 0."""
    text = ""
    for part in path:
        text += f"[{part}]" if isinstance(part, int) else f".{part}" if text else part
    return text


def compose_yaml(text: str) -> Node | None:
    """The nodes of a text that `read_yaml` reads without a problem, with their places; None for an empty text."""
    return nodes_of(text, most=_MOST_NODES).root


@keeps_large_texts
def read_yaml(text: str) -> Document:
    """Parse one YAML document; problems are in `Document.problems`, never raised.

    The results for large texts are kept, so what is returned must not be changed.
    """
    text = text.removeprefix("\ufeff")
    document = Document()
    try:
        nodes = nodes_of(text, most=_MOST_NODES)
        document.has_anchors = nodes.has_anchors
        if nodes.root is None:
            _report(document, "the file is empty; a definition has the keys name, source, destination, sync_behaviour")
        else:
            document.value = _Builder(document).build(nodes.root, ())
    except ReaderError as error:
        document.problems.append(
            YamlProblem(message="a control character is not allowed here", position=_at(text, error.position))
        )
    except MarkedYAMLError as error:
        message, (line, column) = explained_syntax(text, error)
        document.problems.append(YamlProblem(message=message, position=TextPosition(line=line, column=column)))
    except (YAMLError, ValueError):
        _report(document, "this is not YAML")
    except (RecursionError, TooManyNodesError):
        _report(document, "this is nested too deeply, repeats aliases too often or has too many values")
    if document.problems and document.value is None:
        document.values.clear()
    return document


def _report(document: Document, message: str) -> None:
    document.problems.append(YamlProblem(message=message, position=TextPosition(line=1, column=1)))


@dataclass(slots=True)
class _Builder:
    """Turns nodes into values and notes their positions."""

    document: Document
    nodes: int = 0
    open: set[int] = field(default_factory=set)

    def build(self, node: Node, path: Path) -> object:
        self.nodes += 1
        if self.nodes > _MOST_NODES:
            raise TooManyNodesError
        self.document.values[path] = _position(node.start_mark)
        if node.tag not in _PLAIN_TAGS:
            self._report("a tag (!) has no meaning here", node, path)
            return None
        if isinstance(node, ScalarNode):
            return self._scalar(node, path)
        if id(node) in self.open:
            self._report("this alias refers to a value that contains the alias", node, path)
            return None
        self.open.add(id(node))
        built = self._mapping(node, path) if isinstance(node, MappingNode) else self._list(node, path)
        self.open.discard(id(node))
        return built

    def _report(self, message: str, node: Node, path: Path) -> None:
        self.document.problems.append(YamlProblem(message=message, position=_position(node.start_mark), path=path))

    def _scalar(self, node: ScalarNode, path: Path) -> object:
        if any("\ud800" <= character <= "\udfff" for character in node.value):
            self._report("half of a surrogate pair is not a character", node, path)
            return None
        if node.style in _BLOCKS and not node.value:
            message = f"{node.style} begins a text on the lines below, and there is none; put the sign itself in quotes"
            self._report(message, node, path)
            return None
        return node.value if node.style is not None else plain_scalar(node.value)

    def _list(self, node: Node, path: Path) -> list[object]:
        items: list[Node] = node.value if isinstance(node, SequenceNode) else []
        for index, item in enumerate(items):
            self.document.keys[*path, index] = _position(item.start_mark)
        return [self.build(item, (*path, index)) for index, item in enumerate(items)]

    def _mapping(self, node: MappingNode, path: Path) -> dict[str, object]:
        built: dict[str, object] = {}
        for key, value in self._entries(node, path):
            name = str(key.value)
            inner = (*path, name)
            if name in built:
                # Not named: where a secret belongs even a key may be one.
                both = both_lines(self.document.keys[inner], _position(key.start_mark))
                self._report(f"this key is given twice, {both}; remove one, because it has one value", key, path)
                continue
            self.document.keys[inner] = _position(key.start_mark)
            built[name] = self.build(value, inner)
        return built

    def _entries(self, node: MappingNode, path: Path) -> Iterator[tuple[ScalarNode, Node]]:
        for key, value in node.value:
            if isinstance(key, ScalarNode) and key.tag in _PLAIN_TAGS:
                yield key, value
            else:
                self._report("a key must be plain text", key, path)


_BLOCKS: Final = frozenset({"|", ">"})
_PLAIN_TAGS: Final = frozenset(f"tag:yaml.org,2002:{kind}" for kind in ("str", "seq", "map"))
# No number of the program has more digits than DuckDB's widest exact one; what is longer is an id and stays text.
_INTEGER: Final = re.compile(r"[-+]?(?:0|[1-9][0-9]{0,37})")
_FLOAT: Final = re.compile(r"[-+]?(?:\.[0-9]+|(?:0|[1-9][0-9]*)(?:\.[0-9]*)?)(?:[eE][-+]?[0-9]+)?")
_DATE: Final = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}")
_TIMESTAMP: Final = re.compile(
    r"[0-9]{4}-[0-9]{2}-[0-9]{2}[Tt ][0-9]{2}:[0-9]{2}:[0-9]{2}(?:\.[0-9]{1,6})?(?:[Zz]|[-+][0-9]{2}:[0-9]{2})?"
)
_WORDS: Final[dict[str, bool | None]] = {
    **dict.fromkeys(("", "~", "null", "Null", "NULL")),
    **dict.fromkeys(("true", "True", "TRUE"), True),
    **dict.fromkeys(("false", "False", "FALSE"), False),
}


def plain_scalar(text: str) -> object:
    """Read a scalar without quotes: null, boolean, number, date or text."""
    if text in _WORDS:
        return _WORDS[text]
    if _INTEGER.fullmatch(text):
        return int(text)
    if _FLOAT.fullmatch(text) and math.isfinite(number := float(text)):
        return number
    try:
        if _DATE.fullmatch(text):
            return dt.date.fromisoformat(text)
        if _TIMESTAMP.fullmatch(text):
            moment = dt.datetime.fromisoformat(text.upper())
            moment.astimezone(dt.UTC)
            return moment
    except (ValueError, OverflowError):
        return text  # 2024-13-45 is not a date, and 0001-01-01T00:00:00+14:00 is outside the calendar
    return text


def _position(mark: Mark) -> TextPosition:
    return TextPosition(line=mark.line + 1, column=mark.column + 1)


def _at(text: str, position: int) -> TextPosition:
    before = text[:position]
    return TextPosition(line=before.count("\n") + 1, column=position - before.rfind("\n"))
