"""Signing in: when tokens are asked for, what happens when they are refused, and what is never said."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Mapping
from typing import Any
from urllib.parse import parse_qs

import pytest

from shared.dataverse.http.proofs import ClientSecret
from shared.dataverse.http.tokens import ClientCredentials, CredentialTokens, resource_of
from shared.errors import AbortRun, RetryLater
from shared.http.transport import Request, Response
from tests.unit.dataverse.simulation import SimulatedClock

RESOURCE = "http://127.0.0.1:5080"
CHALLENGE = f"Bearer authorization_uri={RESOURCE}/tenant/oauth2/authorize, resource_id={RESOURCE}/"


class Endpoint:
    """A token endpoint and a service that names it."""

    def __init__(self, valid: str = "right", lasts: int = 3600, given: Response | None = None) -> None:
        self.valid, self.lasts, self.given = valid, lasts, given
        self.asked: list[Mapping[str, str]] = []
        self.challenge = CHALLENGE
        self.unchallenged = 401
        self.broken = False

    def send(self, request: Request) -> Response:
        if request.method == "GET":
            named = {"www-authenticate": self.challenge} if self.challenge else {}
            return Response(status=self.unchallenged, headers=named)
        form = {name: values[0] for name, values in parse_qs((request.body or b"").decode()).items()}
        self.asked.append({"url": request.url, **form})
        if self.broken:
            return Response(status=503, body=b"<html>")
        if form["client_secret"] != self.valid:
            return self.answer(
                401, {"error": "invalid_client", "error_description": "AADSTS7000215: Invalid secret.\r\nTrace"}
            )
        return self.answer(200, {"access_token": f"token-{len(self.asked)}", "expires_in": self.lasts})

    def answer(self, status: int, value: Any) -> Response:
        return self.given or Response(status=status, body=json.dumps(value).encode())

    def close(self) -> None:
        pass


def credentials(
    endpoint: Endpoint,
    secret: Callable[[], str] = lambda: "right",
    read_anew: Callable[[], None] = lambda: None,
    **options: Any,
) -> ClientCredentials:
    return ClientCredentials("app-1", ClientSecret(secret, read_anew), transport=endpoint, **options)


def test_the_authority_is_read_from_the_services_challenge() -> None:
    """Without a tenant the service itself says where to sign in, once."""
    endpoint = Endpoint()
    tokens = credentials(endpoint)
    assert tokens.token(RESOURCE) == "token-1"
    assert endpoint.asked[0]["url"] == f"{RESOURCE}/tenant/oauth2/v2.0/token"
    assert endpoint.asked[0]["scope"] == f"{RESOURCE}/.default"


def test_a_url_without_a_challenge_is_refused() -> None:
    """The message says what to check."""
    endpoint = Endpoint()
    endpoint.challenge = ""
    with pytest.raises(AbortRun, match="service_url"):
        credentials(endpoint).token(RESOURCE)


@pytest.mark.parametrize("authority", ["https://evil.example.org/tenant", "http://login.microsoftonline.com/t"])
def test_the_secret_only_goes_to_known_authorities(authority: str) -> None:
    """A service cannot have the secret sent to a host of its choice."""
    endpoint = Endpoint()
    endpoint.challenge = f"Bearer authorization_uri={authority}/oauth2/authorize"
    with pytest.raises(AbortRun, match="refused"):
        credentials(endpoint).token(RESOURCE)
    assert not endpoint.asked


def test_a_remote_service_cannot_name_this_machine_as_authority() -> None:
    """Loopback authorities are for loopback services."""
    with pytest.raises(AbortRun, match="this machine"):
        credentials(Endpoint(), authority=f"{RESOURCE}/tenant").token("https://org.crm.dynamics.com")


def test_a_token_is_kept_until_five_minutes_before_its_end() -> None:
    """One request for all calls meanwhile, then a new one."""
    endpoint, clock = Endpoint(lasts=3600), SimulatedClock()
    tokens = credentials(endpoint, clock=clock)
    assert {tokens.token(RESOURCE) for _ in range(5)} == {"token-1"}
    clock.sleep(3299)
    assert tokens.token(RESOURCE) == "token-1"
    clock.sleep(2)
    assert tokens.token(RESOURCE) == "token-2"


def test_a_short_token_is_used_for_half_its_life() -> None:
    """A margin longer than the token's life must not mean one request for each call."""
    endpoint, clock = Endpoint(lasts=60), SimulatedClock()
    tokens = credentials(endpoint, clock=clock)
    tokens.token(RESOURCE)
    clock.sleep(29)
    assert tokens.token(RESOURCE) == "token-1"


def test_a_dropped_token_is_asked_for_again() -> None:
    """After a 401 the token is not used again."""
    endpoint = Endpoint()
    tokens = credentials(endpoint)
    tokens.token(RESOURCE)
    tokens.forget()
    assert tokens.token(RESOURCE) == "token-2"


def test_many_threads_ask_once() -> None:
    """The first fetches while the others wait."""
    endpoint = Endpoint()
    tokens = credentials(endpoint)
    threads = [threading.Thread(target=tokens.token, args=(RESOURCE,)) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(endpoint.asked) == 1


def test_a_rotated_secret_is_fetched_anew_once() -> None:
    """After invalid_client the secret is read again, and the new one signs in."""
    store = {"secret": "old"}
    endpoint = Endpoint(valid="new")
    tokens = credentials(endpoint, lambda: store["secret"], lambda: store.update(secret="new"))
    assert tokens.token(RESOURCE) == "token-2"


def test_a_wrong_secret_ends_the_run_without_showing_it() -> None:
    """The message holds Entra ID's reason and the application, nothing else."""
    endpoint = Endpoint()
    with pytest.raises(AbortRun) as caught:
        credentials(endpoint, lambda: "hunter2-secret").token(RESOURCE)
    assert "AADSTS7000215: Invalid secret." in caught.value.message
    assert "app-1" in caught.value.message
    assert "hunter2-secret" not in caught.value.message
    assert "Trace" not in caught.value.message
    assert len(endpoint.asked) == 2


def test_a_token_endpoint_that_is_unavailable_is_tried_later() -> None:
    """No JSON from a gateway is no refusal of the credentials."""
    endpoint = Endpoint()
    endpoint.broken = True
    with pytest.raises(RetryLater):
        credentials(endpoint).token(RESOURCE)


def test_a_managed_identity_gives_tokens_through_azure_identity() -> None:
    """Any credential with `get_token` will do; its expiry is obeyed."""
    clock = SimulatedClock()

    class Answer:
        def __init__(self, number: int) -> None:
            self.token, self.expires_on = f"mi-{number}", int(clock.now().timestamp()) + 3600

    class Credential:
        scopes: list[str] = []  # noqa: RUF012 - shared on purpose: the test reads it

        def get_token(self, scope: str) -> Answer:
            self.scopes.append(scope)
            return Answer(len(self.scopes))

    tokens = CredentialTokens(Credential(), clock=clock)
    assert tokens.token("https://org.crm.dynamics.com") == tokens.token("https://org.crm.dynamics.com") == "mi-1"
    assert Credential.scopes == ["https://org.crm.dynamics.com/.default"]
    clock.sleep(3400)
    assert tokens.token("https://org.crm.dynamics.com") == "mi-2"


def test_the_resource_is_scheme_and_host() -> None:
    """Tokens are for an environment, not for a path."""
    assert resource_of("https://org.crm.dynamics.com/api/data/v9.2/") == "https://org.crm.dynamics.com"


@pytest.mark.parametrize(
    "body",
    [
        b'{"access_token":"abc","expires_in":"soon"}',
        b'{"access_token":"abc","expires_in":[1]}',
        b'{"access_token":"abc","expires_in":1e400}',
        '{"access_token":"t\u20acn"}'.encode(),
        b'{"access_token":"a\\r\\nX-Other: 1"}',
        b'{"access_token":5}',
        b'{"access_token":""}',
        b'{"access_token":["abc"]}',
        b'{"error":{"code":"0x0"}}',
        b"[]",
        b"null",
        b"5",
        b"[" * 100_000,
    ],
)
def test_a_token_answer_of_another_shape_is_an_error_of_its_own(body: bytes) -> None:
    """No token that cannot be sent is kept, and no time that is none is reckoned with."""
    endpoint = Endpoint(given=Response(status=200, body=body))
    with pytest.raises((AbortRun, RetryLater)):
        credentials(endpoint).token(RESOURCE)


@pytest.mark.parametrize(("lasts", "used_for"), [("3600", 3200), (10**12, 80_000), (-5, 0)])
def test_how_long_a_token_lasts_is_read_within_reason(lasts: Any, used_for: float) -> None:
    """Some endpoints write the seconds as text; a token is renewed after a day at the latest."""
    endpoint, clock = Endpoint(lasts=lasts), SimulatedClock()
    tokens = credentials(endpoint, clock=clock)
    tokens.token(RESOURCE)
    clock.sleep(used_for)
    assert tokens.token(RESOURCE) == ("token-1" if used_for else "token-2")
    clock.sleep(86_400)
    assert tokens.token(RESOURCE) != "token-1"


def test_a_secret_that_the_endpoint_repeats_is_replaced() -> None:
    """As a form writes it."""
    body = b'{"error":"invalid_client","error_description":"client_id=1 wrong%2Fsecret+of+this+test"}'
    endpoint = Endpoint(given=Response(status=400, body=body))
    with pytest.raises(AbortRun) as caught:
        credentials(endpoint, lambda: "wrong/secret of this test").token(RESOURCE)
    assert "of+this+test" not in caught.value.message
    assert "[hidden]" in caught.value.message


@pytest.mark.parametrize(
    "challenge", ["Bearer authorization_uri=http://[::1/x", "Bearer authorization_uri=x", "Bearer"]
)
def test_a_challenge_that_names_no_address_is_an_error_of_its_own(challenge: str) -> None:
    """The secret is sent nowhere."""
    endpoint = Endpoint()
    endpoint.challenge = challenge
    with pytest.raises(AbortRun):
        credentials(endpoint).token(RESOURCE)
    assert not endpoint.asked


class Authority:
    """Entra ID's description of itself and its token endpoint, as msal asks for them."""

    def __init__(
        self,
        *,
        token_endpoint: Any = None,
        token: bytes = b"",
        status: int = 200,
        described: Any = None,
        instead: Response | None = None,
    ) -> None:
        place = "https://login.microsoftonline.com/tenant"
        self.described = described or {
            "authorization_endpoint": f"{place}/oauth2/v2.0/authorize",
            "token_endpoint": token_endpoint or f"{place}/oauth2/v2.0/token",
            "issuer": f"{place}/v2.0",
        }
        self.token, self.status, self.instead = token, status, instead
        self.asked: list[Request] = []

    def send(self, request: Request) -> Response:
        self.asked.append(request)
        if request.method == "GET":
            return self.instead or Response(status=200, body=json.dumps(self.described).encode())
        return Response(status=self.status, body=self.token)

    def close(self) -> None:
        pass


def by_msal(authority: Authority) -> str:
    tokens = ClientCredentials(
        "app-1",
        ClientSecret(lambda: "a-secret-for-msal"),
        transport=authority,
        authority="https://login.microsoftonline.com/tenant",
    )
    return tokens.token("https://org.crm.dynamics.com")


def test_msal_goes_through_the_same_transport() -> None:
    """So its answers have the same bounds, and its requests pass the same hosts."""
    authority = Authority(token=b'{"access_token":"abc","expires_in":3600,"token_type":"Bearer"}')
    assert by_msal(authority) == "abc"
    assert b"a-secret-for-msal" in (authority.asked[-1].body or b"")


def test_msal_sends_the_secret_to_a_known_authority_only() -> None:
    """The authority's own description names the address."""
    authority = Authority(token_endpoint="https://evil.example.org/token", token=b"{}")
    with pytest.raises(AbortRun, match=r"evil\.example\.org"):
        by_msal(authority)
    assert not [request for request in authority.asked if request.body]


@pytest.mark.parametrize(
    "authority",
    [
        Authority(described=[1]),
        Authority(described={"token_endpoint": 5}),
        Authority(token_endpoint="http://[::1"),
        Authority(token=b'{"access_token":"abc","expires_in":"soon"}'),
        Authority(token=b"[1]"),
        Authority(token=b"<html>"),
        Authority(token=b"null", status=503),
        Authority(token=b'{"error":"invalid_client","error_description":["a-secret-for-msal"]}', status=400),
    ],
)
def test_msal_meets_answers_of_another_shape(authority: Authority) -> None:
    """Each is an error of its own."""
    with pytest.raises((AbortRun, RetryLater)) as caught:
        by_msal(authority)
    assert "a-secret-for-msal" not in caught.value.message


TOO_BUSY = b'{"error":"temporarily_unavailable","error_description":"AADSTS90033: A transient error.\\r\\nTrace ID: 1"}'


@pytest.mark.parametrize(
    "authority",
    [
        Authority(instead=Response(status=503, body=b"<html>", headers={"retry-after": "17"})),
        Authority(instead=Response(status=500, body=b"", headers={"retry-after": "17"})),
        Authority(instead=Response(status=429, body=b'{"error":"many"}', headers={"retry-after": "17"})),
        Authority(instead=Response(status=408, body=b"<html>", headers={"retry-after": "17"})),
    ],
)
def test_an_outage_of_the_authority_is_no_wrong_tenant(authority: Authority) -> None:
    """It is asked at each renewal of a token; the wait that it asks for is passed on."""
    with pytest.raises(RetryLater, match=r"sign-in authority answered \d+$") as caught:
        by_msal(authority)
    assert caught.value.retry_after == 17


@pytest.mark.parametrize("status", [302, 400, 404])
def test_a_refusal_of_the_authority_ends_the_run(status: int) -> None:
    """Whatever msal raises about it."""
    with pytest.raises(AbortRun, match="does not know this tenant"):
        by_msal(Authority(instead=Response(status=status, body=b"{}")))


@pytest.mark.parametrize(("status", "body"), [(408, b"{}"), (429, b""), (400, TOO_BUSY), (401, TOO_BUSY)])
def test_an_outage_of_the_token_endpoint_is_no_refusal(status: int, body: bytes) -> None:
    """The endpoint may tell it by its status or by the name of the error; both ways of asking know both."""
    with pytest.raises(RetryLater, match=rf"^the token endpoint answered {status}( \(AADSTS90033.+\))?$"):
        by_msal(Authority(token=body, status=status))
    with pytest.raises(RetryLater):
        credentials(Endpoint(valid="other", given=Response(status=status, body=body))).token(RESOURCE)


@pytest.mark.parametrize("status", [408, 429, 500, 502, 503])
def test_an_outage_of_the_service_is_no_wrong_url(status: int) -> None:
    """Without a tenant the service is asked for its authority."""
    endpoint = Endpoint()
    endpoint.challenge, endpoint.unchallenged = "", status
    with pytest.raises(RetryLater, match=rf"127\.0\.0\.1:5080, asked for its sign-in authority, answered {status}"):
        credentials(endpoint).token(RESOURCE)


@pytest.mark.parametrize(
    "trouble", [ValueError("soon"), KeyError("expires_in"), TypeError("None"), AttributeError("x")]
)
def test_an_identity_endpoint_of_another_shape_is_an_error_of_its_own(trouble: Exception) -> None:
    """What the library raises over it is not what a user reads."""

    class Credential:
        def get_token(self, scope: str) -> Any:
            raise trouble

    with pytest.raises(AbortRun, match="managed identity"):
        CredentialTokens(Credential()).token("https://org.crm.dynamics.com")


def test_an_identity_that_is_refused_or_not_available_is_an_error() -> None:
    """The library has a tree of its own."""
    from azure.core.exceptions import ClientAuthenticationError, ServiceRequestError

    from shared.http.azure_tokens import TokensUnavailableError

    class Credential:
        def __init__(self, trouble: Exception) -> None:
            self.trouble = trouble

        def get_token(self, scope: str) -> Any:
            raise self.trouble

    with pytest.raises(AbortRun, match="Identity not found"):
        CredentialTokens(Credential(ClientAuthenticationError("Identity not found"))).token(
            "https://o.crm.dynamics.com"
        )
    with pytest.raises(RetryLater):
        CredentialTokens(Credential(ServiceRequestError("no route"))).token("https://o.crm.dynamics.com")
    with pytest.raises(RetryLater, match="answered 503"):
        CredentialTokens(Credential(TokensUnavailableError("a.example answered 503"))).token(
            "https://o.crm.dynamics.com"
        )
