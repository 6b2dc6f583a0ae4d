"""What the templates of the editor need to show values."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping, Sequence
from functools import lru_cache
from typing import Any, Final

from markupsafe import Markup, escape

from console.editor.mapping import about_column

__all__ = ["FILTERS"]

_CODE: Final = re.compile(r"`([^`]+)`")
_LINK: Final = re.compile(r"\[([^\]]+)\]\([^)]+\)")
_STRONG: Final = re.compile(r"\*([^*\s][^*]*)\*")
_MOST: Final = 200  # characters of a value
_NAME_ENDS: Final = {"ies": "y", "sses": "ss", "s": ""}


@lru_cache(maxsize=1000)  # the help of a key is in each row of a list
def _prose(text: str) -> Markup:
    """A text of the documentation: words in backticks are code, links are their words."""
    parts = _CODE.split(str(escape(_LINK.sub(r"\1", text))))  # every second one is code: a star in it is a star
    marked = (f"<code>{part}</code>" if at % 2 else _STRONG.sub(r"<em>\1</em>", part) for at, part in enumerate(parts))
    return Markup("".join(marked))  # noqa: S704 - it was escaped before


@lru_cache(maxsize=1000)
def _plain(text: str) -> str:
    return _LINK.sub(r"\1", text).replace("`", "")


def _field_id(path: str) -> str:
    """The id of the field of a path as problems show it."""
    return path.replace("[", "-").replace("]", "").replace(".", "-")


def _singular(label: str) -> str:
    """`Columns` is "column": for the button that adds one."""
    word = label.lower()
    ending = next((end for end in _NAME_ENDS if word.endswith(end)), "")
    return word.removesuffix(ending) + _NAME_ENDS.get(ending, "") if ending else word


def _shown(value: Any, visible: bool) -> str:  # noqa: FBT001 - the filter of a template
    """A value of a row, for people who may see it."""
    if not visible:
        return "•••"
    text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False, default=str)
    return text if len(text) <= _MOST else f"{text[:_MOST]}… ({len(text):,} characters)"


def _changed_lines(lines: Sequence[str]) -> int:
    return sum(line.startswith(("+", "-")) for line in lines)


FILTERS: Final[Mapping[str, Callable[..., Any]]] = {
    "prose": _prose,
    "plain": _plain,
    "field_id": _field_id,
    "singular": _singular,
    "shown": _shown,
    "changed_lines": _changed_lines,
    "about": about_column,
}
