"""The console in Microsoft's runtime: its HTTP trigger, with and without the header of the sign-in."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest

from console.access.person import HEADER
from console.deployed import middleware
from tests.console.conftest import principal
from tests.functions.conftest import World
from tests.functions.host import FunctionsHost
from tests.functions.payloads import http_request

pytestmark = pytest.mark.runtime


@pytest.fixture(autouse=True)
def _fresh() -> Iterator[None]:
    """The console of the process is made anew for each test."""
    middleware.cache_clear()
    yield
    middleware.cache_clear()


def asked(host: FunctionsHost, path: str, **more: Any) -> tuple[int, dict[str, str], bytes]:
    """Status, headers and body of an answer."""
    done = host.fire("console", http_request(path, **more))
    assert done.succeeded, done.error + done.trace
    answer = done.answer
    return int(answer.status_code), dict(answer.headers), answer.body.bytes or answer.body.string.encode()


def test_the_trigger_takes_every_path_and_method_without_a_key(host: FunctionsHost) -> None:
    """The platform checks the sign-in, and the console the rights."""
    (trigger,) = (each for each in host.bindings("console") if each["type"] == "httpTrigger")
    assert (trigger["route"], trigger["authLevel"].lower()) == ("{*path}", "anonymous")
    assert not trigger.get("methods")


def test_where_the_platform_checks_no_sign_in_nobody_gets_in(host: FunctionsHost, world: World) -> None:
    """Whatever header a stranger sends."""
    world.define("customers")
    for headers in ({}, {HEADER: principal("Sync.Admin")}):
        status, _, body = asked(host, "/api/status", headers=headers)
        assert (status, json.loads(body)["title"]) == (503, "Sign-in is not set up")
        assert b"customers" not in body


def test_with_the_header_a_person_sees_what_is_theirs(
    host: FunctionsHost, world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Pages and API; without it they are asked to sign in."""
    monkeypatch.setenv("WEBSITE_AUTH_ENABLED", "True")
    world.define("ours", more="permissions: {read: [Sales]}\n")
    world.define("theirs")
    status, headers, body = asked(host, "/api/status", headers={HEADER: principal("Sales")})
    assert (status, headers["content-type"]) == (200, "application/json")
    assert [sync["sync"] for sync in json.loads(body)["syncs"]] == ["ours"]
    status, headers, body = asked(host, "/", headers={HEADER: principal("Sync.Admin")})
    assert (status, headers["content-type"]) == (200, "text/html; charset=utf-8")
    assert b"theirs" in body
    assert "default-src 'none'" in headers["content-security-policy"]
    assert asked(host, "/")[0] == 401


def test_the_deployed_console_knows_the_hub_of_the_settings(
    host: FunctionsHost, world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It asks for the checkpoints first: without a storage account the answer says what to set."""
    monkeypatch.setenv("WEBSITE_AUTH_ENABLED", "True")
    monkeypatch.setenv("EventHubConnection__fullyQualifiedNamespace", "not-there.example")
    world.define("customers")
    found = json.loads(asked(host, "/api/listeners", headers={HEADER: principal("Sync.Admin")})[2])["hub"]
    assert (found["state"], "AzureWebJobsStorage" in found["reason"]) == ("not available", True)


def test_a_post_from_another_site_is_refused(
    host: FunctionsHost, world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With the cookies of a person, which the platform turns into the header."""
    monkeypatch.setenv("WEBSITE_AUTH_ENABLED", "True")
    headers = {HEADER: principal("Sync.Admin"), "origin": "https://attacker.example"}
    status, _, _ = asked(host, "/api/status", method="POST", headers=headers)
    assert status in {403, 405}
