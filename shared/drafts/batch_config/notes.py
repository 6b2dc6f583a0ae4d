"""What a person has to look at after an import, and the small rules about names."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import Final

from shared.drafts.batch_config.elements import ConfigElement

__all__ = ["Notes", "logical_name", "slug"]

_NOT_IN_NAMES: Final = re.compile(r"[^a-z0-9]+")
_NOT_LOGICAL: Final = re.compile(r"[^a-z0-9_]+")


@dataclass(slots=True)
class Notes:
    """The lines about what needs a person, in the order of the file."""

    lines: list[str] = field(default_factory=list)

    def add(self, part: ConfigElement, text: str, attribute: str = "") -> None:
        """Add a line about an element, or about one of its attributes."""
        place = f"{part.place}/@{attribute}" if attribute else part.place
        self.lines.append(f"{place}: {text}")


def slug(name: str) -> str:
    """A name as definitions have it: `New Hires` is `new-hires`."""
    return _NOT_IN_NAMES.sub("-", name.lower()).strip("-")[:100] or "imported"


def logical_name(name: str) -> str:
    """A name as tables and columns have it: `Last Name` is `last_name`."""
    return _NOT_LOGICAL.sub("_", name.strip().lower()).strip("_") or "unnamed"
