"""The OpenAPI document of the API, made from its routes."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from importlib.metadata import PackageNotFoundError, version
from typing import Any, Final

from pydantic import BaseModel
from pydantic.json_schema import models_json_schema

from console.web.needs import Need
from console.web.routing import Content, Parameter, Path
from console.web.unpacking import ENCODING

__all__ = ["API", "openapi"]

API: Final = "/api/"
_PARAMETER: Final = re.compile(r"\{(\w+)(?::\w+)?\}")
_REFERENCE: Final = "#/components/schemas/{model}"
_MEANINGS: Final = {
    "sync": "Name of a sync.",
    "run": "Id of a run, or of its job.",
    "job": "Id of a job.",
}
_PROBLEM: Final = {
    "type": "object",
    "description": "Problem details, RFC 9457.",
    "required": ["type", "title", "status"],
    "properties": {
        "type": {"type": "string"},
        "title": {"type": "string"},
        "status": {"type": "integer"},
        "detail": {"type": "string"},
        "problems": {"type": "array", "items": {"type": "object"}},
    },
}
_WITH_BODY: Final = frozenset({"POST", "PUT"})
_PACKED: Final = {
    "name": "Content-Encoding",
    "in": "header",
    "description": "How the body is packed. The bounds of a body count unpacked too.",
    "schema": {"type": "string", "enum": [ENCODING, "identity"]},
}
# Status -> why. Each route may answer with those that fit its rule.
_REFUSALS: Final[Mapping[str, str]] = {
    "400": "The request cannot be read.",
    "401": "Nobody is signed in.",
    "403": "The rights of the person are not enough.",
    "404": "It does not exist, or not for this person.",
    "409": "It is there already, or it has changed since it was read.",
    "412": "It has changed since it was read.",
    "413": "The body is too large, as it was sent or unpacked.",
    "415": "The body is of another type, or packed in another way than with gzip.",
    "422": "What was asked for is not possible; the detail says why.",
    "428": "The request must say which version it changes.",
    "502": "Another system refused what was asked of it.",
    "503": "A service is away, or sign-in is not set up.",
}


def openapi(paths: Sequence[Path]) -> dict[str, Any]:
    """The OpenAPI 3.1 document of all routes below `/api`.

    Args:
        paths: Every route of the console.
    """
    ours = [path for path in paths if path.path.startswith(API)]
    found: dict[str, dict[str, Any]] = {}
    for path in ours:
        found.setdefault(_PARAMETER.sub(r"{\1}", path.path), {})[path.method.lower()] = _operation(path)
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "Dynamics Sync",
            "version": _version(),
            "description": "Everything that the console does. Sign-in is that of App Service Authentication.",
        },
        "paths": found,
        "components": {"schemas": _schemas(ours) | {"Problem": _PROBLEM}},
    }


def _operation(path: Path) -> dict[str, Any]:
    problem = {"application/problem+json": {"schema": {"$ref": _REFERENCE.format(model="Problem")}}}
    refusals = {status: {"description": why, "content": problem} for status, why in _refusals(path)}
    operation: dict[str, Any] = {
        "operationId": _name(path),
        "summary": path.summary,
        "responses": {status: _answer(path) for status in _successes(path)} | refusals,
    }
    parameters = [_parameter(name) for name in _PARAMETER.findall(path.path)]
    parameters += [_read(each) for each in path.reads]
    if path.method in _WITH_BODY:
        parameters.append(_PACKED)
    if parameters:
        operation["parameters"] = parameters
    if path.takes is not None:
        described = {"description": path.takes.about} if isinstance(path.takes, Content) else {}
        operation["requestBody"] = {**described, "required": path.needs_body, "content": _content(path.takes)}
    return operation


def _successes(path: Path) -> Sequence[str]:
    if path.gives is None:
        return ("204",)
    return ("200", "201", "202") if path.method == "POST" else ("200",)


def _answer(path: Path) -> dict[str, Any]:
    if path.gives is None:
        return {"description": "It is done."}
    about = path.gives.about if isinstance(path.gives, Content) else "The answer."
    return {"description": about, "content": _content(path.gives)}


def _content(body: type[BaseModel] | Content) -> dict[str, Any]:
    if isinstance(body, Content):
        return {body.media: {"schema": dict(body.schema)}}
    return {"application/json": {"schema": {"$ref": _REFERENCE.format(model=body.__name__)}}}


def _refusals(path: Path) -> Iterator[tuple[str, str]]:
    yield from _REFUSALS.items() if path.need is not Need.NOTHING else ()


def _parameter(name: str) -> dict[str, Any]:
    described = {"description": _MEANINGS[name]} if name in _MEANINGS else {}
    return {"name": name, "in": "path", "required": True, "schema": {"type": "string"}, **described}


def _read(parameter: Parameter) -> dict[str, Any]:
    return {
        "name": parameter.name,
        "in": parameter.place,
        "required": parameter.is_required,
        "description": parameter.about,
        "schema": dict(parameter.schema),
    }


def _name(path: Path) -> str:
    words = _PARAMETER.sub(r"by_\1", path.path.removeprefix(API)).replace("/", "_").replace("-", "_")
    return f"{path.method.lower()}_{words}"


def _schemas(paths: Sequence[Path]) -> dict[str, Any]:
    models: dict[type[BaseModel], Any] = {}
    for path in paths:
        models |= {path.takes: "validation"} if isinstance(path.takes, type) else {}
        models |= {path.gives: "serialization"} if isinstance(path.gives, type) else {}
    _, made = models_json_schema([*models.items()], ref_template=_REFERENCE)
    return dict(made.get("$defs", {}))


def _version() -> str:
    try:
        return version("dynamics-sync")
    except PackageNotFoundError:  # the deployed app is a folder, and no package
        return "deployed"
