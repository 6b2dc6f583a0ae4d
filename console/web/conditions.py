"""Conditions of a change: the version that was read, so that nobody overwrites what another one has saved."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

from console.web.refusals import Refusal
from console.web.routing import Parameter
from console.web.visit import Visit
from shared.app.definition_files import DefinitionChangedError
from shared.app.editing.renaming import RenameRefusedError

__all__ = ["IF_MATCH", "expected_version", "refusing_changed"]

IF_MATCH: Final = Parameter(
    name="If-Match",
    about="The ETag of the definition that was read: the change is refused if the definition has another one by now.",
    place="header",
    is_required=True,
)
"""What a route reads that asks for `expected_version`."""


def expected_version(visit: Visit) -> str:
    """The version of a definition that a program has read, from the header If-Match.

    `*` and several ETags, which RFC 9110 allows too, would let a change replace what was never read.

    Raises:
        Refusal: The request names none, or not exactly one.
    """
    given = visit.request.headers.get("if-match", "").strip()
    if not given:
        raise Refusal(428, "Without a condition", "Send the ETag of the definition that you have read as If-Match.")
    if given == "*" or "," in given:
        raise Refusal(
            400, "Not one ETag", "If-Match takes one ETag here, of the definition that you have read; no * and no list."
        )
    return given.removeprefix("W/").strip('"')


@contextmanager
def refusing_changed() -> Iterator[None]:
    """Refuse a change to another version than the one that is there.

    Raises:
        Refusal: Somebody else has changed it; with the ETag of what is there now. Or it would get another name while a
            run of it works.
    """
    try:
        yield
    except RenameRefusedError as error:
        raise Refusal(409, "Not renamed", f"{error.message}.") from error
    except DefinitionChangedError as error:
        headers = {"etag": f'"{error.now.version}"'} if error.now else {}
        what, todo = ("Changed", "Read it again") if error.now else ("Deleted", "POST /api/syncs makes it again")
        raise Refusal(412, f"{what} meanwhile", f"{error.message}. {todo}.", headers=headers) from error
