"""The OpenAPI document: made from the routes, and kept by them under requests that nobody foresaw."""

from __future__ import annotations

import ast
import inspect
import re
import textwrap
from collections.abc import Iterator
from types import FunctionType
from typing import Any

import pytest
import requests
import schemathesis

from console.application import ROUTES
from console.web.needs import Need
from console.web.routing import Path
from tests.console.conftest import Served, World

API = [path for path in ROUTES if path.path.startswith("/api/")]


def test_every_route_of_the_api_is_described(served: Served) -> None:
    """With a summary in plain words, a name of its own, and its parameters."""
    document = requests.get(f"{served.url}/api/openapi.json", timeout=10).json()
    operations = [each for path in document["paths"].values() for each in path.values()]
    assert len(operations) == len(API)
    assert len({each["operationId"] for each in operations}) == len(API)
    assert [path.path for path in API if not path.summary.endswith(".")] == []
    schemathesis.openapi.from_dict(document).validate()


def test_routes_that_take_a_body_say_how_it_may_be_packed(served: Served) -> None:
    """And no other route does."""
    document = requests.get(f"{served.url}/api/openapi.json", timeout=10).json()
    packed = {
        method
        for path in document["paths"].values()
        for method, operation in path.items()
        if any(each["name"] == "Content-Encoding" for each in operation.get("parameters", ()))
    }
    assert packed == {"post", "put"}


def test_the_document_has_the_body_of_every_route_that_writes(served: Served) -> None:
    """With its media type; what a route reads itself is no JSON of a model."""
    document = requests.get(f"{served.url}/api/openapi.json", timeout=10).json()
    bodies = {
        (method.upper(), path): (*body["content"], body["required"])
        for path, operations in document["paths"].items()
        for method, operation in operations.items()
        if (body := operation.get("requestBody"))
    }
    routes = {(path.method, path.path) for path in API if path.method in {"POST", "PUT"}}
    assert {(method, re.sub(r":\w+", "", path)) for method, path in routes} - set(bodies) == WITHOUT_BODY
    assert bodies["PUT", "/api/syncs/{sync}/definition"] == ("application/yaml", True)
    assert bodies["POST", "/api/runs/{run}/retry"] == ("text/csv", False)
    assert bodies["POST", "/api/events/{listener}"] == ("application/json", True)
    assert {route for route, (*_, required) in bodies.items() if not required} == WITH_BODY_THAT_MAY_BE_LEFT_OUT


WITHOUT_BODY = {
    ("POST", "/api/jobs/{job}/cancel"),
    ("POST", "/api/runs/{run}/cancel"),
    ("POST", "/api/syncs/{sync}/check"),
    ("POST", "/api/syncs/{sync}/resume"),
}
WITH_BODY_THAT_MAY_BE_LEFT_OUT = {
    ("POST", "/api/plans/{job}/apply"),
    ("POST", "/api/runs/{run}/retry"),
    ("POST", "/api/runs/{run}/undo"),
    ("POST", "/api/runs/{run}/undo-plan"),
    ("POST", "/api/syncs/{sync}/preview"),
    ("POST", "/api/syncs/{sync}/test"),
}
READ = {
    ("GET", "/api/audit"): {("sync", "query", False), ("before", "query", False)},
    ("GET", "/api/dead-letters/unclaimed"): {("limit", "query", False)},
    ("GET", "/api/jobs"): {("state", "query", False), ("sync", "query", False), ("page", "query", False)},
    ("GET", "/api/syncs"): {("q", "query", False), ("show", "query", False)},
    ("GET", "/api/syncs/{sync}/dead-letters"): {("limit", "query", False)},
    ("GET", "/api/syncs/{sync}/history"): {("key", "query", True)},
    ("GET", "/api/syncs/{sync}/versions"): {("limit", "query", False), ("before", "query", False)},
    ("DELETE", "/api/syncs/{sync}/definition"): {("If-Match", "header", True)},
    ("PUT", "/api/syncs/{sync}/definition"): {("If-Match", "header", True)},
    ("PUT", "/api/syncs/{sync}/listener"): {("If-Match", "header", True)},
    ("POST", "/api/runs/{run}/retry"): {("upload", "query", False)},
}


def _described(served: Served) -> dict[tuple[str, str], set[tuple[str, str, bool]]]:
    """What the document says that each route reads, beside its path and how a body is packed."""
    document = requests.get(f"{served.url}/api/openapi.json", timeout=10).json()
    found = {
        (method.upper(), path): {
            (each["name"], each["in"], each["required"])
            for each in operation.get("parameters", ())
            if each["in"] != "path" and each["name"] != "Content-Encoding"
        }
        for path, operations in document["paths"].items()
        for method, operation in operations.items()
    }
    return {route: parameters for route, parameters in found.items() if parameters}


def test_the_document_has_what_the_routes_read(served: Served) -> None:
    """The query and the headers, and what a request must have."""
    assert _described(served) == READ


@pytest.mark.parametrize("path", API, ids=lambda path: f"{path.method} {path.path}")
def test_a_route_names_everything_that_it_reads(path: Path) -> None:
    """A parameter that the code of a route begins to read must be in the document."""
    assert {(each.place, each.name.lower()) for each in path.reads} == set(_read_by(path.answer, set()))


def _read_by(function: Any, seen: set[Any]) -> Iterator[tuple[str, str]]:
    """What a function of the console and those that it names read of a query or of headers."""
    if not isinstance(function, FunctionType) or function in seen or not function.__module__.startswith("console."):
        return
    seen.add(function)
    for node in ast.walk(ast.parse(textwrap.dedent(inspect.getsource(function)))):
        if isinstance(node, ast.Name):
            yield from _read_by(function.__globals__.get(node.id), seen)
        elif isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name):
            yield from _read_by(getattr(function.__globals__.get(node.value.id), node.attr, None), seen)
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute):
            place = _place(node.func)
            if place:
                assert isinstance(node.args[0], ast.Constant), f"{function.__name__} must name what it reads"
                yield place, str(node.args[0].value).lower()


def _place(called: ast.Attribute) -> str:
    holder = called.value.attr if isinstance(called.value, ast.Attribute) else ""
    if called.attr == "query" or holder == "query_params":
        return "query"
    return "header" if holder == "headers" and called.attr in {"get", "getlist"} else ""


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("PUT", "/api/syncs/customers/definition", 428),
        ("DELETE", "/api/syncs/customers/definition", 428),
        ("PUT", "/api/syncs/customers/listener", 428),
        ("GET", "/api/syncs/customers/history", 422),
    ],
)
def test_what_a_request_must_have_is_asked_for(
    served: Served, world: World, method: str, path: str, status: int
) -> None:
    """As the document says."""
    world.define("customers")
    body = {"enabled": True} if path.endswith("listener") else None
    origin = {"origin": served.url}
    assert requests.request(method, served.url + path, json=body, headers=origin, timeout=10).status_code == status


def test_every_route_has_a_rule() -> None:
    """What needs nothing is the style, the script and the icon alone; what names a sync asks for a right to it."""
    assert {path.path for path in ROUTES if path.need is Need.NOTHING} == {"/static/{name}"}
    named = {path.path: path.need for path in ROUTES if re.search(r"\{(sync|run|job)\}", path.path)}
    assert [path for path, need in named.items() if not need.is_about_a_sync] == []
