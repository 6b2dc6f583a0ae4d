"""The header `Link` of an answer (RFC 8288). Pure."""

from __future__ import annotations

import re
from typing import Final

from shared.errors import UserError

__all__ = ["next_link"]

_TARGET: Final = re.compile(r"[\s,]*<([^>]*)>")
# A parameter with a quoted value, with another one, or without one; the last is none of them.
_PARAMETER: Final = re.compile(r'\s*;\s*([^\s=;,"<>]*)\s*(?:=\s*(?:"((?:[^"\\]|\\.)*)"|([^;,"]*)))?')
_ESCAPED: Final = re.compile(r"\\(.)")
_END: Final = re.compile(r"[\s,]*\Z|\s*(?=,)")


def next_link(header: str, place: str) -> str:
    """The target of the link `rel="next"`; empty without one.

    Args:
        header: The value; several headers joined with commas.
        place: Whose answer it is, for the message.

    Raises:
        UserError: The header cannot be read, and seems to have such a link: rows would be missing without it.
    """
    at = 0
    while found := _TARGET.match(header, at):
        relations, at = _relations(header, found.end())
        if "next" in relations:
            return found[1]
        if not _END.match(header, at):
            break
    if "next" in header[at:].lower():
        raise UserError(f"{place} answered with a header Link that cannot be read; its end seems to have the next page")
    return ""


def _relations(header: str, at: int) -> tuple[list[str], int]:
    """The relations of the link whose parameters begin here, and where they end."""
    relations: list[str] | None = None
    while found := _PARAMETER.match(header, at):
        at = found.end()
        if found[1].lower() == "rel" and relations is None:  # later ones do not count
            value = found[3] or "" if found[2] is None else _ESCAPED.sub(r"\1", found[2])
            relations = value.lower().split()
    return relations or [], at
