"""Conditions of a change: the version that was read, so that nobody overwrites what another one has saved."""

from __future__ import annotations

from console.web.refusals import Refusal
from console.web.visit import Visit
from shared.app.definition_files import DefinitionChangedError

__all__ = ["changed_meanwhile", "expected_version"]


def expected_version(visit: Visit) -> str:
    """The version of a definition that a program has read, from the header If-Match.

    Raises:
        Refusal: The request names none.
    """
    given = visit.request.headers.get("if-match", "").strip()
    if not given:
        raise Refusal(428, "Without a condition", "Send the ETag of the definition that you have read as If-Match.")
    return given.removeprefix("W/").strip('"')


def changed_meanwhile(error: DefinitionChangedError) -> Refusal:
    """The refusal of a change to another version than the one that is there, with the ETag of that one."""
    headers = {"etag": f'"{error.now.version}"'} if error.now else {}
    return Refusal(412, "Changed meanwhile", f"{error.message}. Read it again.", headers=headers)
