"""Secrets over the API."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from starlette.responses import Response

from console.editor.secrets.models import SecretValue, WrittenSecret
from console.editor.secrets.writing import Wanted, vault_of, write_secret
from console.web.needs import Need
from console.web.routing import Path
from console.web.sent import sent
from console.web.visit import Visit

__all__ = ["ROUTES"]

_MOST_BYTES: Final = 200_000  # of a body: JSON may write a byte of the value with six characters


def _write(visit: Visit) -> Response:
    vault_of(visit)
    given = sent(visit, SecretValue)
    name = str(visit.request.path_params["name"])
    wanted = Wanted(name=name, value=given.value, replace=given.replace, sync=visit.sync)
    written = write_secret(visit, wanted)
    return visit.json({"reference": {"key_vault": written.reference}, "created": written.is_new})


ROUTES: Final[Sequence[Path]] = (
    Path(
        path="/api/syncs/{sync}/secrets/{name}",
        answer=_write,
        need=Need.ADMIN,
        method="PUT",
        most_bytes=_MOST_BYTES,
        summary="Write a secret for a sync into the vault; 404 where the app has no vault for that.",
        takes=SecretValue,
        gives=WrittenSecret,
    ),
)
