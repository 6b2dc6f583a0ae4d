"""One request: who sent it, what it is about, and how it is answered."""

from __future__ import annotations

import json
import uuid
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, Final

from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from console.access.person import ADMIN, CREATE, Person
from console.access.rights import Level
from console.console import Console
from console.web.bodies import Body
from console.web.refusals import Refusal, not_found
from console.web.rendering import render
from console.web.subjects import Subject, levels_for
from shared.app import App
from shared.definitions import Loaded
from shared.definitions.loading.loaded import LoadedConnection
from shared.errors import SyncError
from shared.state import AuditEntry
from shared.visible import in_json

__all__ = ["Visit"]

_SEE_OTHER: Final = 303


@dataclass(frozen=True, slots=True, kw_only=True)
class Visit:
    """A request whose sender may do what it asks for.

    Attributes:
        console: The app and its parts.
        request: The request.
        known_person: Who sent it; None on routes that need no sign-in.
        known_subject: The sync that the path is about; None on other routes.
        body: What was sent with it.
    """

    console: Console
    request: Request
    known_person: Person | None = None
    known_subject: Subject | None = None
    body: Body = field(default_factory=Body)

    @property
    def app(self) -> App:
        """The program."""
        return self.console.app

    @property
    def person(self) -> Person:
        """Who sent it."""
        if self.known_person is None:
            raise Refusal(401, "Not signed in", "Sign in with an account of this organisation.")
        return self.known_person

    @property
    def subject(self) -> Subject:
        """The sync that the path is about."""
        if self.known_subject is None:
            raise not_found()
        return self.known_subject

    @property
    def sync(self) -> str:
        """The name of the sync that the path is about."""
        return self.subject.name

    def may(self, level: Level, subject: Subject | None = None) -> bool:
        """Whether the person may do something with the sync of the path, or with another one."""
        return level in (subject or self.subject).levels

    @property
    def may_create(self) -> bool:
        """Whether the person may make new syncs."""
        return self.person.has(CREATE) or self.person.has(ADMIN)

    def query(self, name: str, default: str = "") -> str:
        """A parameter of the query."""
        return str(self.request.query_params.get(name, default))

    @property
    def connections(self) -> tuple[LoadedConnection, ...]:
        """The files of connections, in the order of their names."""
        return self.app.wiring.repository.connections().files

    def visible(self) -> Iterator[tuple[Loaded, frozenset[Level]]]:
        """Yield the syncs that exist for the person, with what they may do, in the order of their names."""
        for loaded in sorted(self.app.definitions(), key=lambda each: each.name):
            if levels := levels_for(self.person, loaded):
                yield loaded, levels

    def page(self, template: str, /, *, http_status: int = 200, **values: Any) -> Response:
        """A page.

        Args:
            template: File in `console/templates`.
            http_status: Status of the answer.
            values: What the template shows.
        """
        about = {"person": self.person, "path": self.request.url.path, "may_create": self.may_create}
        html = render(template, **about, subject=self.known_subject, **values)
        return Response(html, http_status, media_type="text/html")

    def json(self, value: Any, status: int = 200, headers: dict[str, str] | None = None) -> Response:
        """A JSON answer; moments become ISO texts."""
        text = json.dumps(value, default=_as_json, ensure_ascii=False)
        return Response(in_json(text), status, headers=headers, media_type="application/json")

    def to(self, path: str) -> Response:
        """Go to another page after a form was sent."""
        return RedirectResponse(path, _SEE_OTHER)

    @contextmanager
    def noting(self, action: str, *, sync: str | None = None, before: str = "", after: str = "") -> Iterator[None]:
        """Write into the audit log what the person does in the block, before it is done; see `note`.

        What cannot be noted is not done. If the block fails, another entry says so.
        """
        self.note(action, sync=sync, before=before, after=after)
        try:
            yield
        except SyncError as error:
            with suppress(SyncError):
                self.note(f"failed: {action}", sync=sync, before=before, after=error.message)
            raise

    def note(self, action: str, *, sync: str | None = None, before: str = "", after: str = "") -> None:
        """Write into the audit log what the person did.

        Args:
            action: What was done, such as `saved the definition`.
            sync: The sync that it was done to; that of the path where nothing is given.
            before: What was changed, as it was.
            after: What became of it.
        """
        if sync is None:
            sync = self.known_subject.name if self.known_subject else ""
        now, person = datetime.now(UTC), self.person
        entry = AuditEntry(
            id=uuid.uuid4().hex,
            at=now,
            by=person.id,
            name=person.name,
            action=action,
            sync=sync,
            before=before,
            after=after,
        )
        self.app.state.add_audit(entry)


def _as_json(value: Any) -> Any:
    if isinstance(value, datetime):
        return value.isoformat()
    return str(value)
