"""What somebody says of a file before it is sent. In a module of its own: pages need it, and load no SDK for it."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

__all__ = ["FOLDER", "AnnouncedFile", "numbered_names", "safe_name"]

FOLDER: Final = "data"
"""Where files of sources are kept beside the definitions."""
_MOST: Final = 100  # characters of a name
_MOST_NAMES: Final = 1000
_UNSAFE: Final = re.compile(r"[^A-Za-z0-9._-]+")


def safe_name(name: str) -> str:
    """A name of a file without its folders, in characters that every storage takes; never empty."""
    last = name.replace("\\", "/").rpartition("/")[2]
    made = _UNSAFE.sub("_", last).rstrip(".")
    begun = made.lstrip("._")
    if begun and made.removesuffix(begun).endswith("."):  # only an ending is left, as of a name in other letters
        begun = f"file.{begun}"
    return begun[-_MOST:].lstrip("._") or "file"


def numbered_names(name: str) -> Iterator[str]:
    """The names that a file may get where names are taken, in their order: its own, and then with numbers."""
    stem, dot, ending = name.partition(".")
    yield name
    yield from (f"{stem}-{number}{dot}{ending}" for number in range(2, _MOST_NAMES))


@dataclass(frozen=True, slots=True, kw_only=True)
class AnnouncedFile:
    """A file that somebody wants to send.

    Attributes:
        name: Of the file; see `safe_name`.
        size: Its bytes.
        by: Who sends it.
        about: What it is for; it can be used for nothing else.
    """

    name: str
    size: int
    by: str
    about: str
