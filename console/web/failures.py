"""Errors as answers: a page for people, problem details (RFC 9457) for programs. No answer has a traceback."""

from __future__ import annotations

import json
import logging
import math
import uuid
from dataclasses import asdict
from typing import Any, Final

from starlette.requests import Request
from starlette.responses import Response

from console.web.refusals import Refusal
from console.web.rendering import render
from shared.errors import DefinitionError, RetryLater, SyncError, UserError
from shared.redaction import cleaned
from shared.visible import in_json

__all__ = ["answer_to", "problem"]

log = logging.getLogger(__name__)

API: Final = "/api/"
_NOT_PROCESSABLE, _BAD_GATEWAY, _AWAY, _FAULT = 422, 502, 503, 500


def answer_to(error: Exception, request: Request) -> Response:
    """The answer to an error: one that the program does not handle is in its log, with a mark that the answer has too.

    Args:
        error: Any.
        request: What was asked. If its state has `draft`, this gives a text that would be lost, with `file`, `text` and
            `sent` (in base64), or None; the page shows it.
    """
    mark = uuid.uuid4().hex
    refusal, more = _refusal(error, mark)
    if refusal.status == _FAULT:
        log.error("%s %s failed (%s)", request.method, request.url.path, mark, exc_info=error)
    if request.url.path.startswith(API):
        return problem(refusal, **more)
    person = getattr(request.state, "person", None)
    about = {"person": person, "path": request.url.path} if person else {}
    draft = getattr(request.state, "draft", lambda: None)()
    html = render("refused.html", refusal=refusal, problems=more.get("problems", ()), draft=draft, **about)
    return Response(html, refusal.status, headers=refusal.headers, media_type="text/html")


def problem(refusal: Refusal, **more: Any) -> Response:
    """Problem details of a refusal."""
    content = {"type": "about:blank", "title": refusal.title, "status": refusal.status, "detail": refusal.detail}
    text = in_json(json.dumps(content | more, ensure_ascii=False))
    return Response(text, refusal.status, headers=refusal.headers, media_type="application/problem+json")


def _refusal(error: Exception, mark: str) -> tuple[Refusal, dict[str, Any]]:
    match error:
        case Refusal():
            return error, {}
        case DefinitionError():
            found = [asdict(each) for each in error.problems]
            return Refusal(_NOT_PROCESSABLE, "The definition has mistakes", cleaned(error.message)), {"problems": found}
        case UserError():
            return Refusal(_NOT_PROCESSABLE, "That is not possible", cleaned(error.message)), {}
        case RetryLater():
            wait = {"retry-after": str(max(1, math.ceil(error.retry_after or 10)))}
            return Refusal(_AWAY, "Not available now", cleaned(error.message), headers=wait), {}
        case SyncError():
            return Refusal(_BAD_GATEWAY, "Another system refused this", cleaned(error.message)), {}
        case _:
            detail = f"The program does not handle this. Its log has the reason: look for {mark}."
            return Refusal(_FAULT, "Unforeseen error", detail), {}
