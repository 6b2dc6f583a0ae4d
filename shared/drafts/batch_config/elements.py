"""The XML of a `BatchDataSyncConfig`: read with bounds, and each part of it accounted for."""

from __future__ import annotations

import codecs
import re
from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Final

from shared.errors import UserError

if TYPE_CHECKING:
    from xml.etree.ElementTree import Element  # the parser is loaded only where there is a file

__all__ = ["MOST_BYTES", "ConfigElement", "read_parts"]

MOST_BYTES: Final = 1_000_000
_MOST_PARTS: Final = 20_000  # elements; a thousand columns with their mappings are some thousand
_DEEPEST: Final = 50
_UNKNOWN: Final = "this attribute is not known"
_NO_FLAG: Final = "this is neither true nor false"
_FLAGS: Final[Mapping[str, bool]] = {"true": True, "1": True, "false": False, "0": False}
_DECLARATION: Final = re.compile(r"^\s*<\?xml[^>]*\?>")
_SLIPS: Final = (  # what printed samples of such files have, and what is meant
    (re.compile(r'\b(\w+):"'), 'an attribute is written with =, not with a colon: write {0}="…"'),
    (re.compile(r'=""[^"\s/>]'), "quotes are doubled: write one quote before and one after each value"),
    (re.compile("=[\u201c\u201d]"), "these are typographic quotes: write straight ones"),
    (re.compile(r"</\w+\s*$"), "the last end tag is not closed: write > at the end"),
)


class ConfigElement:
    """One element; what is taken from it is remembered, so that what nobody takes can be told.

    Attributes:
        name: The element's name without its namespace.
        place: Its path in the file, such as `BatchDataSyncConfig/DynamicsTarget/SyncKey`.
    """

    def __init__(self, element: Element, place: str) -> None:
        self.name = _local(element.tag)
        self.place = place
        self._attributes = {_local(name): value for name, value in element.attrib.items()}
        self._text = (element.text or "").strip()
        self._tails = any((child.tail or "").strip() for child in element)
        self._untaken = dict.fromkeys(self._attributes, _UNKNOWN)
        self._text_taken = self._seen = False
        names = [_local(child.tag) for child in element]
        self._children = [
            ConfigElement(child, f"{place}/{_numbered(names, number)}") for number, child in enumerate(element)
        ]

    def get(self, *names: str) -> str | None:
        """The value of an attribute under one of its names, in any case; None where it is missing or empty.

        Blanks around it are left out. Where the element has several of the names, the others are not taken.
        """
        for name in self._named(names):
            self._untaken.pop(name, None)
            if value := self._attributes[name].strip():
                return value
        return None

    def verbatim(self, name: str) -> str | None:
        """The value of an attribute in which blanks have a meaning, also alone; None where it is missing."""
        found = next(self._named([name]), None)
        if found is None:
            return None
        self._untaken.pop(found, None)
        return self._attributes[found]

    def flag(self, name: str, *, missing: bool = False, other: bool = False) -> bool:
        """Whether an attribute is true, as XML or C# write it.

        Args:
            name: The attribute, in any case.
            missing: The answer where it is missing or empty.
            other: The answer for a value that is neither true nor false; a line tells of it.
        """
        text = self.get(name)
        if text is None:
            return missing
        if text.lower() not in _FLAGS:
            self._untaken[next(self._named([name]))] = _NO_FLAG
        return _FLAGS.get(text.lower(), other)

    def take(self, *names: str) -> None:
        """Take attributes of which nothing is made: a line about the element tells of them."""
        for name in self._named(names):
            self._untaken.pop(name, None)

    def _named(self, names: Sequence[str]) -> Iterator[str]:
        """The names of the attributes that have one of some names in any case, in the order of the file."""
        wanted = {name.lower() for name in names}
        return (name for name in self._attributes if name.lower() in wanted)

    @property
    def text(self) -> str:
        """The text of the element."""
        self._text_taken = True
        return self._text

    def children(self, *names: str) -> list[ConfigElement]:
        """The elements in it of some names; of all names without one."""
        found = [child for child in self._children if not names or child.name in names]
        for child in found:
            child._seen = True  # noqa: SLF001 - of the same class
        return found

    def child(self, name: str) -> ConfigElement | None:
        """The first element of a name; further ones are not taken."""
        return self.ending(name, whole=True)

    def ending(self, end: str, *, whole: bool = False) -> ConfigElement | None:
        """The first element whose name ends so, or is so as a whole."""
        for child in self._children:
            if child.name == end or (child.name.endswith(end) and not whole):
                child._seen = True  # noqa: SLF001 - of the same class
                return child
        return None

    def skip(self) -> None:
        """Take the whole element with everything in it: one line tells of it."""
        self._untaken, self._text_taken, self._tails = {}, True, False
        for child in self.children():
            child.skip()

    def skip_attributes(self) -> None:
        """Take all attributes: one line tells of the element."""
        self._untaken.clear()

    def untaken(self) -> Iterator[str]:
        """A line for each attribute, text and element that nothing was made of; values are not repeated."""
        for name, why in sorted(self._untaken.items()):
            yield f"{self.place}/@{name}: {why}; nothing was made of it"
        if (self._text and not self._text_taken) or self._tails:
            yield f"{self.place}: the text in this element is not known; nothing was made of it"
        for child in self._children:
            if child._seen:  # noqa: SLF001 - of the same class
                yield from child.untaken()
            else:
                yield f"{child.place}: this element is not known here; nothing was made of it"


def read_parts(content: bytes, file: str) -> ConfigElement:
    """Read a file.

    Args:
        content: Its bytes; UTF-8, or UTF-16 with a byte order mark. What the declaration says is not used: samples
            declare UTF-16 and are UTF-8.
        file: Its name, for messages.

    Raises:
        UserError: It is not such a file, or breaks a bound.
    """
    from xml.etree.ElementTree import ParseError, fromstring  # noqa: PLC0415 - see above

    if len(content) > MOST_BYTES:
        raise UserError(f"{file} is larger than {MOST_BYTES:,} bytes, the limit for such a file")
    text = _DECLARATION.sub(lambda found: "\n" * found[0].count("\n"), _decoded(content, file))
    if "<!DOCTYPE" in text:  # without one there are no entities to expand or to fetch
        raise UserError(f"{file} has a DOCTYPE, which such a file does not need; remove it")
    try:
        root = fromstring(text)  # noqa: S314 - without a DOCTYPE there are no entities
    except ParseError as error:
        line, column = error.position
        raise UserError(f"{file}:{line}:{column + 1}: this is not XML{_slip(text, line)}") from None
    except ValueError:
        raise UserError(f"{file} is not XML") from None
    if _local(root.tag) != "BatchDataSyncConfig":
        raise UserError(f"{file} is not a BatchDataSyncConfig: its first element must have this name")
    _check_bounds(root, file)
    return ConfigElement(root, _local(root.tag))


def _check_bounds(root: Element, file: str) -> None:
    level, depth, count = [root], 0, 0
    while level:
        depth, count = depth + 1, count + len(level)
        if depth > _DEEPEST or count > _MOST_PARTS:
            raise UserError(f"{file} has more than {_MOST_PARTS:,} elements, or they are nested too deeply")
        level = [child for element in level for child in element]


def _decoded(content: bytes, file: str) -> str:
    wide = content.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE))
    try:
        return content.decode("utf-16" if wide else "utf-8-sig")
    except UnicodeDecodeError:
        raise UserError(f"{file} is not UTF-8 and has no byte order mark of UTF-16; save it as UTF-8") from None


def _slip(text: str, line: int) -> str:
    """What is probably wrong on a line, or at the end of the text; empty where it is not one of the usual slips."""
    lines = text.splitlines()
    near = lines[line - 1] if 0 < line <= len(lines) else ""
    for pattern, meant in _SLIPS:
        if found := pattern.search(near) or pattern.search(text.rstrip()[-80:]):
            return ": " + meant.format(*found.groups())
    return ""


def _local(tag: str) -> str:
    return tag.rpartition("}")[2]


def _numbered(names: list[str], number: int) -> str:
    """The name of an element, with its number where several of the name are side by side."""
    name = names[number]
    return f"{name}[{names[: number + 1].count(name)}]" if names.count(name) > 1 else name
