"""Tokens of azure-identity's credentials from an endpoint on loopback that is in trouble."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial
from types import SimpleNamespace
from typing import Any

import pytest
from azure.core.credentials import AccessToken
from azure.core.exceptions import ClientAuthenticationError, HttpResponseError
from azure.identity import CredentialUnavailableError, DefaultAzureCredential, ManagedIdentityCredential

from shared.http.azure_tokens import TokensUnavailableError, WatchedCredential, managed_identity
from tests.api_server import ApiServer, Reply, serving

SCOPE = "https://vault.azure.net/.default"
TOKEN = Reply(body={"access_token": "a-token", "expires_on": "4102444800", "token_type": "Bearer"})
KINDS = [DefaultAzureCredential, ManagedIdentityCredential]


@pytest.fixture
def replies() -> list[Reply]:
    """What the endpoint answers, one after the other; the last one for good."""
    return [TOKEN]


@pytest.fixture(autouse=True)
def endpoint(replies: list[Reply], monkeypatch: pytest.MonkeyPatch) -> Iterator[ApiServer]:
    """The identity endpoint of a function app, on a machine without Microsoft's tools."""
    monkeypatch.setenv("PATH", "")
    monkeypatch.setenv("IDENTITY_HEADER", "header")
    with serving(lambda _: replies.pop(0) if len(replies) > 1 else replies[0]) as server:
        monkeypatch.setenv("IDENTITY_ENDPOINT", f"{server.url}/token")
        yield server


def watched(kind: Callable[..., Any]) -> WatchedCredential:
    return WatchedCredential(partial(kind, retry_total=0))


@pytest.mark.parametrize("kind", KINDS)
class TestEndpoint:
    def test_a_token_is_passed_on(self, kind: Callable[..., Any]) -> None:
        """By both ways in which the SDKs ask."""
        with watched(kind) as credential:
            assert credential.get_token(SCOPE).token == "a-token"
            assert credential.get_token_info(SCOPE).token == "a-token"

    @pytest.mark.parametrize("status", [408, 410, 429, 500, 502, 503, 504])
    @pytest.mark.parametrize("body", [{"message": "busy"}, {"error": "busy"}, "<html>Bad gateway</html>"])
    def test_trouble_that_passes_is_told_by_its_status(
        self, kind: Callable[..., Any], replies: list[Reply], status: int, body: object
    ) -> None:
        """Whatever the body is; msal repeats the answer for a minute without a request, which is the same trouble."""
        replies[:] = [Reply(status=status, body=body)]
        credential = watched(kind)
        for ask in (credential.get_token, credential.get_token_info):
            with pytest.raises(TokensUnavailableError, match=f"127.0.0.1, .* answered {status}"):
                ask(SCOPE)

    def test_an_endpoint_out_of_reach_is_trouble_that_passes(
        self, kind: Callable[..., Any], monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """The environment names it, so this is Azure."""
        monkeypatch.setenv("IDENTITY_ENDPOINT", "http://127.0.0.1:9/token")
        with pytest.raises(TokensUnavailableError, match=r"127\.0\.0\.1, .* does not answer"):
            watched(kind).get_token(SCOPE)

    @pytest.mark.parametrize("status", [400, 401, 403, 404])
    def test_a_refusal_stays_one(self, kind: Callable[..., Any], replies: list[Reply], status: int) -> None:
        """A person must give the app an identity; the status is in the first line."""
        replies[:] = [Reply(status=status, body={"statusCode": status, "message": "No identity found"})]
        with pytest.raises(ClientAuthenticationError, match=f"^[^\n]*answered {status}") as caught:
            watched(kind).get_token(SCOPE)
        assert not isinstance(caught.value, TokensUnavailableError)

    def test_what_was_before_counts_no_more(self, kind: Callable[..., Any], replies: list[Reply]) -> None:
        """A refusal after an outage is a refusal."""
        replies[:] = [Reply(status=503, body={}), Reply(status=400, body={"statusCode": 400, "message": "none"})]
        credential = watched(kind)
        with pytest.raises(TokensUnavailableError):
            credential.get_token(SCOPE)
        with pytest.raises(ClientAuthenticationError) as caught:
            credential.get_token("https://storage.azure.com/.default")
        assert not isinstance(caught.value, TokensUnavailableError)


def test_a_managed_identity_has_its_name(endpoint: ApiServer) -> None:
    """As the settings say it."""
    assert managed_identity("the-app").get_token(SCOPE).token == "a-token"
    assert endpoint.received[0].query["client_id"] == "the-app"


class Machine:
    """A credential that asks the endpoint of virtual machines: it answers with a token, or not at all."""

    def __init__(self, raw_request_hook: Callable[..., None], raw_response_hook: Callable[..., None]) -> None:
        self.is_there = False
        self.sent, self.answered = raw_request_hook, raw_response_hook

    def get_token(self, scope: str, **_: object) -> AccessToken:
        self.sent(SimpleNamespace(http_request=SimpleNamespace(url="http://169.254.169.254/metadata/identity")))
        if not self.is_there:
            raise CredentialUnavailableError("no response from the IMDS endpoint")
        self.answered(SimpleNamespace(http_response=SimpleNamespace(status_code=200)))
        return AccessToken(f"token for {scope}", 4_102_444_800)


def test_a_laptop_is_no_machine_in_azure() -> None:
    """Nobody answers there, and nobody is signed in; where it has answered before, it is trouble that passes."""
    made: list[Machine] = []

    def make(**hooks: Any) -> Machine:
        made.append(Machine(**hooks))
        return made[-1]

    credential = WatchedCredential(make)
    with pytest.raises(CredentialUnavailableError, match="IMDS"):
        credential.get_token(SCOPE)
    made[0].is_there = True
    assert credential.get_token(SCOPE).token == f"token for {SCOPE}"
    made[0].is_there = False
    with pytest.raises(TokensUnavailableError, match=r"169\.254\.169\.254, .* does not answer"):
        credential.get_token(SCOPE)


def test_nobody_asks_where_nobody_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    """The error of Microsoft's tools on a laptop stays as it is."""
    error = HttpResponseError("no account")

    class Tools:
        def __init__(self, **_: object) -> None:
            pass

        def get_token(self, *_: str) -> str:
            raise error

    with pytest.raises(HttpResponseError) as caught:
        WatchedCredential(Tools).get_token(SCOPE)
    assert caught.value is error
