"""The ASGI app: every route of every part, with its rules."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.middleware.exceptions import ExceptionMiddleware
from starlette.requests import Request
from starlette.responses import Response

from console.api import events
from console.api.routes import document_of
from console.audit import routes as audit
from console.console import Console
from console.editor import routes as editor
from console.jobs import routes as jobs
from console.overview import routes as overview
from console.real_time import routes as real_time
from console.real_time import switching
from console.static_files import ROUTES as STATIC_FILES
from console.syncs import routes as syncs
from console.uploads import addresses as uploads
from console.web.failures import answer_to
from console.web.refusals import Refusal, not_found
from console.web.routing import Path, starlette_routes
from console.web.safety import SafeHeaders
from shared.errors import UserError

__all__ = ["ROUTES", "application"]

ROUTES: Final[Sequence[Path]] = (
    *STATIC_FILES,
    *overview.ROUTES,
    *syncs.ROUTES,
    *real_time.ROUTES,
    *switching.ROUTES,
    *audit.ROUTES,
    *jobs.ROUTES,
    *editor.ROUTES,
    *uploads.ROUTES,
    *events.ROUTES,
    document_of(lambda: ROUTES),
)
"""Every route of the console."""


def application(console: Console) -> Starlette:
    """The app of a console."""
    return Starlette(
        routes=starlette_routes(ROUTES, console),
        # The outer one answers to whatever a part raises; Starlette's own would raise it again for the server.
        middleware=[
            Middleware(SafeHeaders, endpoint=_endpoint(console)),
            Middleware(ExceptionMiddleware, handlers={Exception: _failed}),
        ],
        exception_handlers={404: _missing, 405: _no_method},
    )


def _endpoint(console: Console) -> str:
    """Where pages send files, beside the app itself; nowhere where the settings name no storage."""
    try:
        uploads = console.app.wiring.uploads
    except UserError:  # each page that needs the storage says so
        return ""
    return uploads.endpoint if uploads is not None else ""


async def _failed(request: Request, error: Exception) -> Response:
    return answer_to(error, request)


async def _missing(request: Request, _error: Exception) -> Response:
    return answer_to(not_found(), request)


async def _no_method(request: Request, error: Exception) -> Response:
    headers = dict(getattr(error, "headers", None) or {})
    return answer_to(Refusal(405, "Another method", "This address takes no such request.", headers=headers), request)
