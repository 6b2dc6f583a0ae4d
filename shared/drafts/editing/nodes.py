"""Where the values of a YAML text stand."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from yaml.nodes import MappingNode, Node, ScalarNode, SequenceNode

from shared.definitions.loading.yaml_loader import Path

__all__ = ["Entry", "Text", "children", "entry_of", "is_flow"]


@dataclass(frozen=True, slots=True)
class Text:
    """A text in which places are looked for."""

    text: str

    @property
    def line_break(self) -> str:
        """How its lines end."""
        return "\r\n" if "\r\n" in self.text else "\n"

    def line_start(self, place: int) -> int:
        """Where the line of a place begins."""
        return self.text.rfind("\n", 0, place) + 1

    def line_end(self, place: int) -> int:
        """Where the line of a place ends, before its line break."""
        end = self.text.find("\n", place)
        if end < 0:
            return len(self.text)
        return end - 1 if end > place and self.text[end - 1] == "\r" else end

    def next_line(self, place: int) -> int:
        """Where the next line begins."""
        end = self.text.find("\n", place)
        return len(self.text) if end < 0 else end + 1

    def begins_line(self, place: int) -> bool:
        """Whether only blanks stand before a place in its line."""
        return not self.text[self.line_start(place) : place].strip()

    def end_of(self, node: Node) -> int:
        """Where the last character of a value is behind; comments and blank lines that follow do not belong to it."""
        last = node.value[-1] if isinstance(node.value, list) and node.value and not is_flow(node) else None
        if last is not None:
            return self.end_of(last[1] if isinstance(last, tuple) else last)
        end = int(node.end_mark.index)
        if isinstance(node, ScalarNode) and node.style in {"|", ">"}:
            return max(len(self.text[:end].rstrip()), int(node.start_mark.index) + 1)
        return end

    def has_comment(self, start: int, end: int) -> bool:
        """Whether there is a comment between two values."""
        return "#" in self.text[start:end]


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """One entry of a mapping, or one item of a list.

    Attributes:
        holder: The mapping or list.
        index: Its place in it.
        start: Where its key or its value begins.
        value: Its value.
    """

    holder: Node
    index: int
    start: int
    value: Node


def is_flow(node: Node) -> bool:
    """Whether a mapping or list is written with brackets."""
    return bool(getattr(node, "flow_style", False))


def children(node: Node) -> list[Entry]:
    """The entries of a mapping or the items of a list."""
    found: list[Any] = node.value if isinstance(node, MappingNode | SequenceNode) else []
    pairs = [each if isinstance(each, tuple) else (each, each) for each in found]
    return [
        Entry(holder=node, index=index, start=int(key.start_mark.index), value=value)
        for index, (key, value) in enumerate(pairs)
    ]


def entry_of(root: Node, path: Path) -> Entry | None:
    """The entry at a path; None where there is none."""
    found: Entry | None = None
    node = root
    for part in path:
        found = _child(node, part)
        if found is None:
            return None
        node = found.value
    return found


def _child(node: Node, part: str | int) -> Entry | None:
    entries = children(node)
    if isinstance(node, MappingNode):
        names = [str(key.value) for key, _ in node.value]
        return entries[names.index(str(part))] if part in names else None
    return entries[part] if isinstance(part, int) and 0 <= part < len(entries) else None
