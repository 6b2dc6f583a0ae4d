"""One edit as replacements of parts of the text."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from yaml.nodes import MappingNode, Node, ScalarNode, SequenceNode

from shared.definitions.loading.yaml_loader import Path
from shared.drafts.editing.edits import Edit, Insert, Move, Remove, Rename, Set
from shared.drafts.editing.nodes import Entry, Text, children, entry_of, is_flow
from shared.drafts.yaml_text import entry_lines, item_lines, scalar_text

__all__ = ["NotPossibleError", "Replacement", "replacements"]


class NotPossibleError(Exception):
    """The text is written in a way that this edit does not know."""


@dataclass(frozen=True, slots=True)
class Replacement:
    """What stands in place of `text[start:end]`."""

    start: int
    end: int
    by: str


def replacements(text: Text, root: Node, edit: Edit) -> list[Replacement]:
    """What an edit does to a text.

    Args:
        text: The text.
        root: Its nodes.
        edit: One that fits the values of the text.

    Raises:
        NotPossibleError: It cannot be done.
    """
    match edit:
        case Set(path=path, value=value, after=after):
            return _set(text, root, path, value, after)
        case Remove(path=path):
            return _remove(text, root, path)
        case Rename(path=path, name=name):
            return _rename(root, path, name)
        case Insert(path=path, index=index, values=values):
            return _insert(text, root, path, index, values)
        case Move(path=path, index=index, to=to):
            return _move(text, _node(root, path), index, to)


def inline(value: Any) -> str:
    """A value on one line."""
    if isinstance(value, dict):
        return f"{{{', '.join(f'{scalar_text(key)}: {inline(each)}' for key, each in value.items())}}}"
    if isinstance(value, list):
        return f"[{', '.join(map(inline, value))}]"
    return scalar_text(value)


def _node(root: Node, path: Path) -> Node:
    if not path:
        return root
    if (entry := entry_of(root, path)) is None:
        raise NotPossibleError
    return entry.value


# -- Set -------------------------------------------------------------------------------------------------------------


def _set(text: Text, root: Node, path: Path, value: Any, after: Sequence[str] | Any) -> list[Replacement]:
    entry = entry_of(root, path)
    if entry is not None:
        return [_replaced(text, entry, path[-1], value)]
    if not path:
        raise NotPossibleError
    holder = _node(root, path[:-1])
    if isinstance(holder, ScalarNode) or not holder.value:  # nothing, or `{}`
        return _set(text, root, path[:-1], {path[-1]: value}, ())
    if not isinstance(holder, MappingNode):
        raise NotPossibleError
    return [_added(text, holder, str(path[-1]), value, after)]


def _replaced(text: Text, entry: Entry, key: str | int, value: Any) -> Replacement:
    old, end = entry.value, text.end_of(entry.value)
    start = int(old.start_mark.index)
    flow = is_flow(entry.holder)
    lines = [inline(value)] if flow else _lines(text, entry, key, value)
    if not flow and isinstance(old, MappingNode | SequenceNode) and not is_flow(old) and isinstance(key, str):
        start = _behind_colon(text, entry)
    if isinstance(old, ScalarNode) and len(lines) == 1 and isinstance(value, str):
        lines = [_in_style_of(old, value) or lines[0]]
    begin = "" if text.text[start - 1 : start] in {" ", "\n", ""} or not lines[0] else " "
    if start == 0:
        begin = ""
    by = begin + lines[0]
    if len(lines) > 1:
        line_end = text.line_end(end)
        tail = text.text[end:line_end]  # a comment stays on the line of the key
        by = (by if lines[0] else by.rstrip()) + tail + text.line_break + text.line_break.join(lines[1:])
        end = line_end
        if not lines[0]:
            start = len(text.text[:start].rstrip(" "))
    return Replacement(start, end, by)


def _behind_colon(text: Text, entry: Entry) -> int:
    key = entry.holder.value[entry.index][0]
    return text.text.index(":", int(key.end_mark.index)) + 1


def _lines(text: Text, entry: Entry, key: str | int, value: Any) -> list[str]:
    """The lines of a value behind its key or dash; the first one may be empty."""
    if isinstance(key, str):
        indent = " " * int(entry.holder.start_mark.column)
        first, *more = [*entry_lines(key, value, indent)]
        return [first[len(indent) + len(scalar_text(key)) + 1 :].lstrip(), *more]
    indent = " " * int(entry.holder.start_mark.column)
    if not text.begins_line(int(entry.holder.start_mark.index)):
        return [inline(value)]
    first, *more = [*item_lines(value, indent)]
    return [first[len(indent) + 2 :], *more]


def _in_style_of(old: ScalarNode, value: str) -> str:
    """A text in the quotes that the text before it has; empty where that is not possible."""
    if old.style not in {"'", '"'} or not value.isprintable() or old.style in value or "\\" in value:
        return ""
    return f"{old.style}{value}{old.style}"


def _added(text: Text, holder: MappingNode, key: str, value: Any, after: Sequence[str]) -> Replacement:
    entries = children(holder)
    behind = [entry for entry, (name, _) in zip(entries, holder.value, strict=True) if name.value in after]
    place = text.end_of((behind or entries)[-1].value)
    if is_flow(holder):
        return Replacement(place, place, f", {scalar_text(key)}: {inline(value)}")
    indent = " " * int(holder.start_mark.column)
    place = text.line_end(place)
    return Replacement(place, place, "".join(text.line_break + line for line in entry_lines(key, value, indent)))


# -- Remove ----------------------------------------------------------------------------------------------------------


def _remove(text: Text, root: Node, path: Path) -> list[Replacement]:
    entry = entry_of(root, path)
    if entry is None:
        raise NotPossibleError
    entries = children(entry.holder)
    if len(entries) == 1:
        holder = entry_of(root, path[:-1])
        if holder is None:
            raise NotPossibleError
        return [_replaced(text, holder, path[-2], {} if isinstance(entry.holder, MappingNode) else [])]
    if is_flow(entry.holder):
        return [_without_comma(text, entries, entry.index)]
    begin = _begin(text, entries, entry.index)
    if text.begins_line(begin):
        return [_without_lines(text, begin, text.end_of(entry.value))]
    if isinstance(entry.holder, SequenceNode):
        raise NotPossibleError
    return [_without_first(text, entry, entries[1])]


def _begin(text: Text, entries: Sequence[Entry], index: int) -> int:
    """Where a key, or the dash of an item, stands."""
    entry = entries[index]
    if isinstance(entry.holder, MappingNode):
        return entry.start
    if index == 0:
        return int(entry.holder.start_mark.index)
    column = int(entry.holder.start_mark.column)
    place = text.next_line(text.end_of(entries[index - 1].value))
    while place < len(text.text) and (
        text.text[place + column : place + column + 1] != "-" or text.text[place : place + column].strip()
    ):
        place = text.next_line(place)
    if place >= len(text.text):
        raise NotPossibleError
    return place + column


def _without_lines(text: Text, begin: int, end: int) -> Replacement:
    start, following = text.line_start(begin), text.next_line(end)
    if following == len(text.text) and not text.text.endswith("\n") and start:
        start = text.line_end(text.line_start(start - 1))  # the line before becomes the last one
    return Replacement(start, following, "")


def _without_comma(text: Text, entries: Sequence[Entry], index: int) -> Replacement:
    entry, end = entries[index], text.end_of(entries[index].value)
    if index + 1 < len(entries):
        following = entries[index + 1].start
        if not text.has_comment(end, following):
            return Replacement(entry.start, following, "")
        return Replacement(entry.start, text.text.index(",", end) + 1, "")
    before = text.end_of(entries[index - 1].value)
    return Replacement(entry.start if text.has_comment(before, entry.start) else before, end, "")


def _without_first(text: Text, entry: Entry, following: Entry) -> Replacement:
    """The first key of an item, which stands beside the dash: the next key takes its place."""
    line_end = text.line_end(text.end_of(entry.value))
    if text.has_comment(line_end, following.start):
        return Replacement(entry.start, line_end, "")
    return Replacement(entry.start, following.start, "")


# -- Rename ----------------------------------------------------------------------------------------------------------


def _rename(root: Node, path: Path, name: str) -> list[Replacement]:
    entry = entry_of(root, path)
    if entry is None or not isinstance(entry.holder, MappingNode):
        raise NotPossibleError
    key = entry.holder.value[entry.index][0]
    by = _in_style_of(key, name) or scalar_text(name)
    return [Replacement(int(key.start_mark.index), int(key.end_mark.index), by)]


# -- Items of lists --------------------------------------------------------------------------------------------------


def _insert(text: Text, root: Node, path: Path, index: int, values: Sequence[Any]) -> list[Replacement]:
    holder = _node(root, path)
    if not isinstance(holder, SequenceNode):
        raise NotPossibleError
    items = children(holder)
    if not items:
        return _set(text, root, path, [*values], ())
    if is_flow(holder):
        written = ", ".join(map(inline, values))
        if index < len(items):
            return [Replacement(items[index].start, items[index].start, f"{written}, ")]
        place = text.end_of(items[-1].value)
        return [Replacement(place, place, f", {written}")]
    begin = int(holder.start_mark.index)
    if not text.begins_line(begin):
        raise NotPossibleError
    indent = " " * int(holder.start_mark.column)
    lines = [line for value in values for line in item_lines(value, indent)]
    if index == 0:
        place = text.line_start(begin)
        return [Replacement(place, place, "".join(line + text.line_break for line in lines))]
    place = text.line_end(text.end_of(items[index - 1].value))
    return [Replacement(place, place, "".join(text.line_break + line for line in lines))]


def _move(text: Text, holder: Node, index: int, to: int) -> list[Replacement]:
    items = children(holder)
    if not isinstance(holder, SequenceNode) or not (0 <= index < len(items) and 0 <= to < len(items)):
        raise NotPossibleError
    if index == to:
        return []
    spans = [(item.start, text.end_of(item.value)) for item in items]
    if not is_flow(holder):
        spans = [_chunk(text, items, number) for number in range(len(items))]
    first, last = min(index, to), max(index, to)
    order = [*range(len(items))]
    order.insert(to, order.pop(index))
    return [Replacement(*spans[number], text.text[slice(*spans[order[number]])]) for number in range(first, last + 1)]


def _chunk(text: Text, items: Sequence[Entry], index: int) -> tuple[int, int]:
    """The lines of an item, with the comments directly above it."""
    begin = _begin(text, items, index)
    if not text.begins_line(begin):
        raise NotPossibleError
    start = text.line_start(begin)
    least = text.next_line(text.end_of(items[index - 1].value)) if index else start
    while start > least and text.text[text.line_start(start - 1) : start].lstrip().startswith("#"):
        start = text.line_start(start - 1)
    return start, text.line_end(text.end_of(items[index].value))
