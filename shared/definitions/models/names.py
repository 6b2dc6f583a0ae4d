"""Where `@name` refers to a parameter.

* In SQL: everywhere outside text, quoted identifiers and comments. `<@` and `@>` are DuckDB's operators.
* In SQL of a database: the same; `@@name` is a variable of the server, and backticks are quotes too.
* In an OData filter: everywhere outside text.
* In JSON of a definition: in its texts, as in other text.
* In other text: `@name`, or `@{name}` where a letter, digit or underscore follows. Behind a letter, digit or underscore
  (`abfs://container@account.dfs.core.windows.net`) a bare `@name` counts only when a parameter of this name is defined;
  `@@` is the sign itself.

`@run.created` and its like (`RUN_FIGURES`) are one name: figures of a run, which steps after the sync know.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Iterator
from dataclasses import dataclass
from typing import Final

from shared.definitions.models.base import Language
from shared.entities import CHANGE_COUNTS

__all__ = [
    "DATABASE_SQL",
    "PARAMETER",
    "RUN_FIGURES",
    "ParameterReference",
    "names_in",
    "references",
    "replaced",
    "replaced_parts",
]

_COUNTED: Final = (*CHANGE_COUNTS, "unchanged", "ignored", "adopted", "edited", "failed", "rejected", "processed")
RUN_FIGURES: Final = tuple(f"run.{name}" for name in ("id", "sync", "state", "started", "seconds", *_COUNTED))
"""The names by which steps after the sync know the run."""
_FIGURE: Final = "|".join(re.escape(name) for name in RUN_FIGURES)
_NAME: Final = rf"(?:(?:{_FIGURE})(?![A-Za-z0-9_])|[A-Za-z_][A-Za-z0-9_]*)"
_TEXT: Final = re.compile(rf"@@|@\{{(?P<braced>{_NAME})\}}|(?P<glued>(?<=\w))?@(?P<name>{_NAME})")
_ODATA: Final = re.compile(rf"'[^']*'?|@(?P<name>{_NAME})")
PARAMETER: Final = rf"@(?P<name>{_NAME})"
"""A regular expression: a parameter in SQL."""
_SQL_PARTS: Final = rf"""
      \b[eE]'(?:[^'\\]|\\.|'')*'?            # text with backslash escapes
    | '[^']*'?                               # text; a doubled quote reads as two texts
    | "[^"]*"?                               # quoted identifier
    | --[^\n]*
    | /\*.*?(?:\*/|\Z)
    | (?<![\w$])\$(?P<tag>(?:[^\W\d]\w*)?)\$.*?(?:\$(?P=tag)\$|\Z)
    | <@ | @>
    | {PARAMETER}
    """
_SQL: Final = re.compile(_SQL_PARTS, re.VERBOSE | re.DOTALL)
DATABASE_SQL: Final = re.compile(rf"`[^`]*`? | @@\w* | {_SQL_PARTS}", re.VERBOSE | re.DOTALL)
"""The parts of the SQL of any database that are not code, and its parameters (`name`)."""

_PATTERNS: Final = {Language.SQL: _SQL, Language.DATABASE: DATABASE_SQL, Language.ODATA: _ODATA}


@dataclass(frozen=True, slots=True, kw_only=True)
class ParameterReference:
    """One `@name`: `text[start:end]`. For the escape `@@` the name is empty."""

    name: str
    start: int
    end: int


def references(
    text: str, language: Language = Language.TEXT, defined: Collection[str] = ()
) -> Iterator[ParameterReference]:
    """Find every reference to a parameter, in order, and in plain text every `@@`.

    Args:
        text: An expression, filter or text of a definition.
        language: What it is written in.
        defined: Names of the parameters there are; decides about `a@b` in plain text.
    """
    pattern = _PATTERNS.get(language, _TEXT)
    for found in pattern.finditer(text):
        groups = found.groupdict()
        name = groups.get("braced") or groups["name"]
        glued = groups.get("glued") is not None and name not in defined
        if (name or (found[0] == "@@" and pattern is _TEXT)) and not glued:
            yield ParameterReference(name=name or "", start=found.start(), end=found.end())


def names_in(text: str, language: Language = Language.TEXT, defined: Collection[str] = ()) -> tuple[str, ...]:
    """The names of the parameters that a text refers to, each once, in order."""
    return tuple(dict.fromkeys(found.name for found in references(text, language, defined) if found.name))


def replaced(
    text: str,
    by: Callable[[ParameterReference], str],
    language: Language = Language.TEXT,
    defined: Collection[str] = (),
) -> str:
    """Write a text with something else in the place of each reference that `references` finds.

    Args:
        text: An expression, filter or text of a definition.
        by: Gives the new text for a reference.
        language: What it is written in.
        defined: Names of the parameters there are; decides about `a@b` in plain text.
    """
    parts, position = [], 0
    for found in references(text, language, defined):
        parts += [text[position : found.start], by(found)]
        position = found.end
    return "".join([*parts, text[position:]])


def replaced_parts(text: str, language: Language, by: Callable[[str], str]) -> str:
    """Write a text with something else in the place of each part that is not code: texts, quoted names, comments."""

    def kept(found: re.Match[str]) -> str:
        return found[0] if found["name"] or "@" in found[0][:2] else by(found[0])

    return _PATTERNS.get(language, _TEXT).sub(kept, text)
