"""Routes with their rules: nothing is answered that has none."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Final

from pydantic import BaseModel
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from console.console import Console
from console.web.bodies import MOST_BYTES, Body, read_body
from console.web.needs import Need, check
from console.web.refusals import Refusal
from console.web.safety import check_host, check_origin
from console.web.subjects import subject_of
from console.web.visit import Visit

__all__ = ["Answering", "Content", "Parameter", "Path", "starlette_routes"]

Answering = Callable[[Visit], Response]
Refusing = Callable[[Visit, Refusal], Response]
_MOST_OF_REFUSED: Final = 4_000_000  # bytes: a definition of the greatest size, twice, as the editor sends it
_WRITES: Final = frozenset({"POST", "PUT", "PATCH", "DELETE"})


def _text() -> Mapping[str, Any]:
    return {"type": "string"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Parameter:
    """Something that a route reads beside its path and its body, for the API document.

    Attributes:
        name: As the request has it.
        about: What it means.
        place: `query` or `header`.
        is_required: Whether the route refuses a request without it.
        schema: JSON Schema of its value; a list is given as the same name several times.
    """

    name: str
    about: str
    place: str = "query"
    is_required: bool = False
    schema: Mapping[str, Any] = field(default_factory=_text)


@dataclass(frozen=True, slots=True, kw_only=True)
class Content:
    """A body that has no model, for the API document.

    Attributes:
        media: Its media type.
        about: What it is.
        schema: JSON Schema of it.
    """

    media: str
    about: str
    schema: Mapping[str, Any] = field(default_factory=_text)


@dataclass(frozen=True, slots=True, kw_only=True)
class Path:
    """One route: a path with a method, what it needs, and who answers.

    Attributes:
        path: As Starlette writes it; `{sync}`, `{run}` and `{job}` name what the rights are asked for.
        answer: Gets the visit; runs in a thread.
        need: What a person needs.
        method: The HTTP method; GET also answers HEAD.
        most_bytes: Bytes of the body.
        summary: One line for the API document; only paths below `/api` need it.
        reads: Parameters of the query and headers, for the API document; only paths below `/api` name them.
        takes: The body, for the API document; a model is one of JSON.
        needs_body: Whether the route refuses a request without a body, for the API document.
        gives: The answer, for the API document; a model is one of JSON, and without it the answer has no body.
        refused: Answers instead where the person may not, for forms that hold work of the person; raises the refusal
            where it has nothing better. The visit has a subject only if the person has some right to it.
    """

    path: str
    answer: Answering
    need: Need
    method: str = "GET"
    most_bytes: int = MOST_BYTES
    summary: str = ""
    reads: Sequence[Parameter] = ()
    takes: type[BaseModel] | Content | None = None
    needs_body: bool = True
    gives: type[BaseModel] | Content | None = None
    refused: Refusing | None = None


def starlette_routes(paths: Sequence[Path], console: Console) -> list[Route]:
    """The routes for Starlette."""
    return [Route(each.path, _endpoint(each, console), methods=[each.method]) for each in paths]


def _endpoint(path: Path, console: Console) -> Callable[[Request], Any]:
    async def endpoint(request: Request) -> Response:
        return await _answered(path, console, request)

    return endpoint


async def _answered(path: Path, console: Console, request: Request) -> Response:
    check_host(request.headers, console.hosts)
    check_origin(request.method, request.headers, _origin(request))
    if path.need is Need.NOTHING:
        return await run_in_threadpool(path.answer, Visit(console=console, request=request))
    person = request.state.person = console.sign_in.person(request.headers)
    console.app.wiring.repository.look_again_if_local()
    is_about = path.need.is_about_a_sync
    subject = await run_in_threadpool(subject_of, request.path_params, person, console) if is_about else None
    visit = Visit(console=console, request=request, known_person=person, known_subject=subject)
    try:
        check(path.need, person, subject.levels if subject else frozenset())
    except Refusal as refusal:
        return await _refused(path, visit, refusal)
    body = await read_body(request, path.most_bytes) if request.method in _WRITES else Body()
    return await run_in_threadpool(path.answer, replace(visit, body=body))


async def _refused(path: Path, visit: Visit, refusal: Refusal) -> Response:
    if path.refused is None:
        raise refusal
    try:
        body = await read_body(visit.request, min(path.most_bytes, _MOST_OF_REFUSED))
    except Refusal:  # what is wrong with it does not matter to somebody who may not send it
        raise refusal from None
    return await run_in_threadpool(path.refused, replace(visit, body=body), refusal)


def _origin(request: Request) -> str:
    return f"{request.url.scheme}://{request.headers.get('host', '')}"
