"""What keeps strangers, other sites and other hosts out."""

from __future__ import annotations

import http.client
from urllib.parse import urlsplit

import pytest
import requests

from tests.console.conftest import Served, World, principal


def test_every_answer_has_the_safe_headers(served: Served) -> None:
    """Also those of errors and of files."""
    for path in ("/", "/none", "/api/none", "/static/style.css"):
        headers = requests.get(f"{served.url}{path}", timeout=10).headers
        assert "default-src 'none'" in headers["content-security-policy"]
        assert headers["x-content-type-options"] == "nosniff"


def test_another_host_is_not_answered(served: Served) -> None:
    """A page elsewhere may point its own name to this machine."""
    answer = requests.get(served.url, headers={"host": "attacker.example"}, timeout=10)
    assert answer.status_code == 421


@pytest.mark.parametrize("host", ["[", "a]b", "[v1.x]", "[::1", "evil.example#127.0.0.1", ""])
@pytest.mark.parametrize("path", ["/", "/api/status", "/api/none"])
def test_what_is_no_host_is_not_answered_either(
    served: Served, host: str, path: str, caplog: pytest.LogCaptureFixture
) -> None:
    """As any other host, and no error of the program."""
    connection = http.client.HTTPConnection(urlsplit(served.url).netloc, timeout=30)
    connection.putrequest("GET", path, skip_host=True)
    connection.putheader("Host", host)
    connection.endheaders()
    answer = connection.getresponse()
    answer.read()
    connection.close()
    assert answer.status == (404 if path == "/api/none" else 421)
    assert caplog.records == []


@pytest.mark.parametrize("enabled", ["", "False"])
def test_a_header_is_not_trusted_where_the_platform_does_not_check(
    served_to_many: Served, world: World, enabled: str
) -> None:
    """A stranger can send it: then nobody gets in, whatever they say."""
    from console.access.person import SignIn
    from console.web.refusals import Refusal

    with pytest.raises(Refusal) as refused:
        SignIn({"WEBSITE_AUTH_ENABLED": enabled}).person({"x-ms-client-principal": principal("Sync.Admin")})
    assert refused.value.status == 503


@pytest.mark.parametrize("text", ["", "%%%", "bm90IGpzb24=", "W10=", "eyJjbGFpbXMiOiAxfQ=="])
def test_without_a_readable_sign_in_nobody_gets_in(served_to_many: Served, text: str) -> None:
    """The answer says to sign in."""
    answer = requests.get(f"{served_to_many.url}/api/status", headers={"X-MS-CLIENT-PRINCIPAL": text}, timeout=10)
    assert (answer.status_code, answer.headers["content-type"]) == (401, "application/problem+json")


def test_a_sync_without_an_entry_does_not_exist_for_a_person(served_to_many: Served, world: World) -> None:
    """One with an entry does; `Sync.Admin` sees all."""
    world.define("ours", more="permissions: {read: [Sales]}\n")
    world.define("theirs")

    def seen(*roles: str) -> list[str]:
        answer = served_to_many.as_person(*roles).get(f"{served_to_many.url}/api/status", timeout=10)
        return [sync["sync"] for sync in answer.json()["syncs"]]

    assert (seen("sales"), seen("Other"), seen("Sync.Admin")) == (["ours"], [], ["ours", "theirs"])
