"""`Schema`: columns that are read, calculated columns, and the names by which mappings know them."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from shared.definitions.models.base import LONGEST_SCRIPT
from shared.drafts.batch_config.elements import ConfigElement
from shared.drafts.batch_config.notes import Notes, logical_name
from shared.errors import DefinitionError
from shared.transform.notation.dates import read_format
from shared.workspace import Trial, literal, parsed

__all__ = ["DraftColumns", "expression", "read_columns"]

_TYPES: Final[Mapping[str, str]] = {"text": "text", "number": "number", "date": "date", "bool": "bool"}
_SHAPES: Final = frozenset({"geometry", "geography"})
_BRACKETED: Final = re.compile(r"'[^']*'|\[([^\[\]]+)\]")
_GROUP: Final = re.compile(r"\$(\d)")
_PATH: Final = "$."
_NO_VALUE: Final = "CAST(NULL AS VARCHAR)"
_PARTS: Final = ("Column", "CalculatedColumn")
_SCRIPT: Final = (
    "the script is kept as it is: check that it uses only columns that are read, no clock and no random numbers; it "
    "needs the extra javascript"
)


@dataclass(slots=True)
class DraftColumns:
    """The columns of a source.

    Attributes:
        items: Each as a mapping for YAML.
        labels: What a mapping may call a column, in lower case -> its name in the definition.
        empty: Names of columns whose formula could not be taken over.
    """

    items: list[dict[str, Any]] = field(default_factory=list)
    labels: dict[str, str] = field(default_factory=dict)
    empty: set[str] = field(default_factory=set)

    def label(self, name: str) -> str | None:
        """The name in the definition for a name in the XML; None where there is no such column."""
        return self.labels.get(name.strip().lower())


def read_columns(source: ConfigElement, notes: Notes, *, paths: bool, widths: bool) -> DraftColumns:
    """Read the `Schema` of a source.

    Args:
        source: The element of the source.
        notes: Gets what needs a person.
        paths: Whether names are JSONPaths, which need an alias.
        widths: Whether columns have a place in a line.
    """
    columns, schema = DraftColumns(), source.child("Schema")
    if schema is None:
        notes.add(source, "there is no Schema: write the columns of the source")
        return columns
    for part in sorted(schema.children(*_PARTS), key=_ordinal):
        item = _column(part, notes, columns, paths=paths)
        if widths and part.name == "Column":
            item |= _place(part, notes)
        columns.items.append(item)
    for part, item in zip(sorted(schema.children(*_PARTS), key=_ordinal), columns.items, strict=True):
        if part.name == "CalculatedColumn":
            item.update(_calculated(part, columns, notes))
            if item.get("formula") == _NO_VALUE:
                columns.empty.add(item.get("alias", item["name"]))
    return columns


def _ordinal(part: ConfigElement) -> tuple[bool, int]:
    """Columns that are read in the order of their `ordinal`, calculated ones behind them."""
    text = part.get("ordinal") or ""
    return part.name != "Column", int(text) if text.isdecimal() else 0


def _column(part: ConfigElement, notes: Notes, columns: DraftColumns, *, paths: bool) -> dict[str, Any]:
    name = part.get("name") or ""
    if not name:
        notes.add(part, "the column has no name; one was made up")
        name = f"column{len(columns.items) + 1}"
    label = _label(part, name, columns, notes, paths=paths)
    item: dict[str, Any] = {"name": name} | ({"alias": label} if label != name else {})
    if (ordinal := part.get("ordinal")) is not None and not ordinal.isdecimal():
        notes.add(part, "this is not a number; check the order of the columns", "ordinal")
    item |= _type(part, notes)
    for key, attribute in (("mandatory", "isMandatory"), ("validate", "validateData"), ("trim", "trimWhitespace")):
        if part.flag(attribute):
            item[key] = True
    if (longest := part.get("maxLength")) is not None:
        if longest.isdecimal() and int(longest) > 0:
            item["max_length"] = int(longest)
        elif longest != "0":
            notes.add(part, "this is not a number of characters; no limit was written", "maxLength")
    item |= _input_format(part, notes, item.get("type", "text"))
    item |= {"description": text} if (text := part.get("description")) else {}
    item |= _replacements(part, notes)
    return item


def _label(part: ConfigElement, name: str, columns: DraftColumns, notes: Notes, *, paths: bool) -> str:
    """The column's name for expressions and mappings; the XML may call it by its name or by its label."""
    given = part.get("label")
    label = given or (logical_name(name.removeprefix(_PATH)) if paths and name.startswith("$") else name)
    if label.lower() in (each.lower() for each in columns.labels.values()):
        label = f"{label} {len(columns.items) + 1}"
        notes.add(part, f"another column has this name; this one is called {label}, check the mappings")
    columns.labels.setdefault(name.lower(), label)
    columns.labels.setdefault(label.lower(), label)
    return label


def _type(part: ConfigElement, notes: Notes) -> dict[str, Any]:
    given = (part.get("dataType") or "Text").lower()
    if given in _SHAPES:
        notes.add(part, "Dataverse has no columns of this type; the column is read as text", "dataType")
    elif given not in _TYPES:
        notes.add(part, "this type is not known; the column is read as text", "dataType")
    kind = _TYPES.get(given, "text")
    return {} if kind == "text" else {"type": kind}


def _input_format(part: ConfigElement, notes: Notes, kind: str) -> dict[str, Any]:
    if (written := part.get("inputFormat")) is None:
        return {}
    if kind != "date":
        notes.add(part, "a format is for columns of type date; it was left out", "inputFormat")
        return {}
    try:
        read_format(written)
    except ValueError as error:
        notes.add(part, f"this format cannot be used: {error}", "inputFormat")
        return {}
    return {"input_format": written}


def _replacements(part: ConfigElement, notes: Notes) -> dict[str, Any]:
    found = []
    for transformations in part.children("Transformations"):
        for each in transformations.children("StringReplacement"):
            pattern, by = each.verbatim("pattern"), _GROUP.sub(r"\\\1", each.verbatim("replacement") or "")
            if not pattern:
                notes.add(each, "the replacement has no pattern; it was left out")
            elif Trial({}).problem(f"regexp_replace('', {literal(pattern)}, {literal(by)}, 'g')", "") is not None:
                notes.add(each, "this regular expression is not RE2 syntax; write it anew in `replace`")
            else:
                found.append({"pattern": pattern} | ({"with": by} if by else {}))
    return {"replace": found} if found else {}


def _place(part: ConfigElement, notes: Notes) -> dict[str, Any]:
    """The place of a column of fixed width; its attributes are not published, so the usual names are tried."""
    start, width = (part.get(*names) for names in (("start", "startPosition"), ("width", "length", "columnWidth")))
    known = [each for each in (start, width) if each and each.isdecimal() and int(each) > 0]
    if len(known) < 2:  # noqa: PLR2004 - start and width
        notes.add(part, "write `start` and `width` of the column: both are 1 now")
        return {"start": 1, "width": 1}
    return {"start": int(known[0]), "width": int(known[1])}


def _calculated(part: ConfigElement, columns: DraftColumns, notes: Notes) -> dict[str, str]:
    """The script or the expression of a calculated column."""
    if (script := part.child("Script")) is not None:
        if 0 < len(script.text) <= LONGEST_SCRIPT:
            notes.add(script, _SCRIPT)
            return {"script": _script(script.text)}
        notes.add(script, f"a script has 1 to {LONGEST_SCRIPT:,} characters; it was left out")
    return {"formula": _formula(part, columns, notes)}


def _script(text: str) -> str:
    """The script without blanks at the ends of lines; one with texts of several lines as it is."""
    if "`" in text:
        return text
    return "\n".join(line.rstrip(" \t") for line in text.split("\n"))


def _formula(part: ConfigElement, columns: DraftColumns, notes: Notes) -> str:
    """The expression of a calculated column; an empty one where it cannot be taken over."""
    written = part.get("formula")
    if written is None:
        notes.add(part, "there is no formula that is known here: write one; the column is empty now")
        return _NO_VALUE
    sql = expression(written, columns)
    if sql is None:
        notes.add(
            part, "this formula cannot be used: write it as an SQL expression; the column is empty now", "formula"
        )
        return _NO_VALUE
    return sql


def expression(written: str, columns: DraftColumns) -> str | None:
    """A formula or condition as an SQL expression over the columns of a definition; None where it is none."""
    names = set(columns.labels.values())
    for sql in _written_ways(written, columns):
        try:
            parsed(sql, names=names, origin="formula")
        except DefinitionError:
            continue
        return sql
    return None


def _written_ways(written: str, columns: DraftColumns) -> Iterator[str]:
    """The formula with names in brackets as quoted names, and with bare names of several words quoted."""

    def quoted(name: str) -> str:
        label = (columns.label(name) or name).replace('"', '""')
        return f'"{label}"'

    text = _BRACKETED.sub(lambda found: quoted(found[1]) if found[1] else found[0], written)
    yield text
    names = sorted(columns.labels, key=len, reverse=True)
    if names:
        any_name = re.compile(rf"'[^']*'|(?<![\w@\"$])({'|'.join(map(re.escape, names))})(?![\w\"(])", re.IGNORECASE)
        yield any_name.sub(lambda found: quoted(found[1]) if found[1] else found[0], text)
