"""The routes that are for programs alone."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import cache

from starlette.responses import Response

from console.api.document import openapi
from console.web.needs import Need
from console.web.routing import Content, Path
from console.web.visit import Visit

__all__ = ["document_of"]


def document_of(every: Callable[[], Sequence[Path]]) -> Path:
    """The route of the OpenAPI document.

    Args:
        every: Gives every route of the console, this one included.
    """

    @cache
    def made() -> dict[str, object]:
        return openapi(every())

    def answer(visit: Visit) -> Response:
        return visit.json(made())

    return Path(
        path="/api/openapi.json",
        answer=answer,
        need=Need.SIGNED_IN,
        summary="This document.",
        gives=Content(media="application/json", about="OpenAPI 3.1.", schema={"type": "object"}),
    )
