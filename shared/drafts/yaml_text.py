"""Definitions as YAML with comments, as a person would write them.

The text is for `shared.definitions.loading.yaml_loader`, whose plain scalars are read back as they were.
"""

from __future__ import annotations

import datetime as dt
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from shared.definitions.loading.yaml_loader import plain_scalar

__all__ = ["Noted", "Remark", "entry_lines", "flow_text", "item_lines", "scalar_text", "yaml_text"]

_WIDTH: Final = 118  # characters of a line, where it can be broken
_COMMENT_WIDTH: Final = 100
# A text without quotes: it has nothing that YAML could take for something else.
_PLAIN: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9_./+-]*(?: [A-Za-z0-9_./+-]+)*")
_BREAK: Final = "\n"
_MOST_SHOWN: Final = 1000  # characters of a comment


@dataclass(frozen=True, slots=True)
class Noted:
    """A value with a comment on its line."""

    value: Any
    note: str


@dataclass(frozen=True, slots=True)
class Remark:
    """A comment on lines of its own: an item of a list, or a key of a mapping (its value does not matter)."""

    text: str


def yaml_text(document: Mapping[Any, Any]) -> str:
    """A mapping as a YAML document.

    Args:
        document: Keys are texts or `Remark`; values are mappings, lists, texts, numbers, booleans or None, each of
            them possibly `Noted`.
    """
    lines: list[str] = []
    before: Any = None
    for key, value in document.items():
        begins = isinstance(key, Remark) or isinstance(value, (Mapping, list))
        if lines and begins and not isinstance(before, Remark):
            lines.append("")
        lines += entry_lines(key, value, "", top=True)
        before = key
    return "\n".join(lines) + "\n"


def entry_lines(key: Any, value: Any, indent: str, *, top: bool = False) -> Iterator[str]:
    """The lines of one key of a mapping."""
    if isinstance(key, Remark):
        yield from _comment(key.text, indent)
        return
    value, note = _unpacked(value)
    begin = f"{indent}{scalar_text(key)}:"
    if _has_lines(value):
        yield from _with_note(f"{begin} {'|' if value.endswith(_BREAK) else '|-'}", note, indent)
        yield from (f"{indent}  {line}".rstrip(" ") for line in value.removesuffix(_BREAK).split(_BREAK))
        return
    flow = None if (top and isinstance(value, Mapping) and value) or _is_table(value) else flow_text(value)
    if flow is not None and (len(begin) + len(flow) < _WIDTH or not _has_items(value)):
        yield from _with_note(f"{begin} {flow}", note, indent)
        return
    yield from _with_note(begin, note, indent)
    yield from _block(value, indent + "  ")


def _has_items(value: Any) -> bool:
    """Whether a value can stand in several lines."""
    return isinstance(value, (Mapping, list)) and bool(value)


def _block(value: Any, indent: str) -> Iterator[str]:
    if isinstance(value, Mapping):
        for key, each in value.items():
            yield from entry_lines(key, each, indent)
        return
    for item in value:
        if isinstance(item, Remark):
            yield from _comment(item.text, indent)
        else:
            yield from item_lines(item, indent)


def item_lines(item: Any, indent: str) -> Iterator[str]:
    """The lines of one item of a list."""
    value, note = _unpacked(item)
    flow = flow_text(value)
    if flow is not None and (len(indent) + len(flow) + 2 < _WIDTH or not _has_items(value)):
        yield from _with_note(f"{indent}- {flow}", note, indent)
        return
    if note:
        yield from _comment(note, indent)
    lines = list(_block(value, indent + "  "))
    yield f"{indent}- {lines[0].lstrip()}"
    yield from lines[1:]


def _with_note(line: str, note: str, indent: str) -> Iterator[str]:
    if not note:
        yield line
    elif len(line) + len(note) + 4 <= _WIDTH:
        yield f"{line}  # {_cleaned(note)}"
    else:
        yield from _comment(note, indent)
        yield line


def _comment(text: str, indent: str) -> Iterator[str]:
    """A comment in lines of a width that can be read."""
    begin, words = "", list[str]()
    for word in _cleaned(text).split(" "):
        if words and sum(map(len, words)) + len(words) + len(word) >= _COMMENT_WIDTH:
            yield f"{indent}# {begin}{' '.join(words)}"
            begin, words = "  ", []
        words.append(word)
    yield f"{indent}# {begin}{' '.join(words)}"


def _cleaned(text: str) -> str:
    """A text in one line, without characters that YAML refuses."""
    shown = text if len(text) <= _MOST_SHOWN else f"{text[:_MOST_SHOWN]}…"
    return " ".join("".join(each if each.isprintable() else " " for each in shown).split())


def _has_lines(value: Any) -> bool:
    """Whether a value is a text whose lines can stand below one another as they are."""
    if not isinstance(value, str) or "\n" not in value:
        return False
    lines = value.removesuffix(_BREAK).split(_BREAK)
    ends = bool(lines[0].strip()) and bool(lines[-1].strip()) and not lines[0].startswith(" ")
    return ends and all(line.replace("\t", "").isprintable() and not line.endswith(" ") for line in lines)


def _is_table(value: Any) -> bool:
    """Whether a value is a list of mappings, which have a line each."""
    return isinstance(value, list) and any(isinstance(each, Mapping) for each in value)


def _unpacked(value: Any) -> tuple[Any, str]:
    return (value.value, value.note) if isinstance(value, Noted) else (value, "")


def flow_text(value: Any) -> str | None:
    """A value on one line; None where it has comments."""
    if isinstance(value, Mapping):
        if any(isinstance(key, Remark) for key in value):
            return None
        if any(_has_lines(each) for each in value.values()):
            return None
        parts = [(scalar_text(key), flow_text(each)) for key, each in value.items()]
        if any(text is None for _, text in parts):
            return None
        return f"{{{', '.join(f'{key}: {text}' for key, text in parts)}}}"
    if isinstance(value, Sequence) and not isinstance(value, str):
        items = [flow_text(each) for each in value]
        return None if any(each is None for each in items) else f"[{', '.join(map(str, items))}]"
    if isinstance(value, (Noted, Remark)):
        return None
    return scalar_text(value)


def scalar_text(value: Any) -> str:
    """A text, number, boolean, date, time or nothing on one line; also inside brackets."""
    if value is None:
        return "null"
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, (int, float)):
        return str(value)
    if isinstance(value, dt.date):  # also a moment
        return value.isoformat()
    text = str(value)
    if _PLAIN.fullmatch(text) and plain_scalar(text) == text:
        return text
    if "'" not in text and all(each.isprintable() for each in text):
        return f"'{text}'"
    return '"' + "".join(map(_escaped, text)) + '"'


def _escaped(character: str) -> str:
    if character in '"\\':
        return f"\\{character}"
    if character in "\n\t":
        return "\\n" if character == "\n" else "\\t"
    return character if character.isprintable() else f"\\U{ord(character):08X}"
