"""Sign-in: the authority's endpoints, and the tokens that the service accepts."""

import base64
from urllib.parse import urlencode

import pytest

from emulator.errors import ServiceError
from emulator.policies.auth import Authority, Credentials

TENANT = "11111111-2222-3333-4444-555555555555"
CLIENT = "99999999-0000-0000-0000-000000000001"
BASE = "http://127.0.0.1:5080"


class Clock:
    """Seconds since 1970; only the test moves them forward."""

    def __init__(self) -> None:
        self.now = 1_800_000_000.0

    def __call__(self) -> float:
        return self.now


def authority(clock: Clock | None = None, *, any_token: bool = False) -> Authority:
    credentials = Credentials(client_id=CLIENT, client_secret="secret")
    return Authority(tenant_id=TENANT, credentials=(credentials,), any_token=any_token, clock=clock or Clock())


def form(**changed: str) -> bytes:
    fields = {
        "grant_type": "client_credentials",
        "client_id": CLIENT,
        "client_secret": "secret",
        "scope": f"{BASE}/.default",
    }
    return urlencode({name: value for name, value in {**fields, **changed}.items() if value}).encode()


def test_a_token_of_the_second_version_is_accepted() -> None:
    """Client credentials with a scope give a bearer token for an hour."""
    one = authority()
    status, body = one.answer(f"/{TENANT}/oauth2/v2.0/token", BASE, form())
    assert (status, body["token_type"], body["expires_in"]) == (200, "Bearer", 3599)
    caller = one.verify(f"Bearer {body['access_token']}", BASE)
    assert caller.application_id == CLIENT


def test_a_token_of_the_first_version_has_numbers_as_text() -> None:
    """The older endpoint takes a resource, and has another format of answers."""
    one = authority()
    status, body = one.answer(f"/{TENANT}/oauth2/token", BASE, form(scope="", resource=BASE))
    assert (status, body["expires_in"], body["resource"]) == (200, "3599", BASE)
    assert int(body["expires_on"]) - int(body["not_before"]) == 3599
    assert one.verify(f"bearer {body['access_token']}", BASE).application_id == CLIENT


def test_the_secret_may_come_as_basic_authentication() -> None:
    """Both ways of OAuth to send a secret work."""
    header = "Basic " + base64.b64encode(f"{CLIENT}:secret".encode()).decode()
    status, _ = authority().answer(f"/{TENANT}/oauth2/v2.0/token", BASE, form(client_id="", client_secret=""), header)
    assert status == 200


@pytest.mark.parametrize(
    ("path", "changed", "status", "error", "number"),
    [
        (f"/{TENANT}/oauth2/v2.0/token", {"client_secret": "wrong"}, 401, "invalid_client", 7000215),
        (f"/{TENANT}/oauth2/v2.0/token", {"client_id": "someone"}, 400, "unauthorized_client", 700016),
        (f"/{TENANT}/oauth2/v2.0/token", {"grant_type": "password"}, 400, "unsupported_grant_type", 70003),
        (f"/{TENANT}/oauth2/v2.0/token", {"scope": ""}, 400, "invalid_request", 900144),
        (f"/{TENANT}/oauth2/v2.0/token", {"scope": BASE}, 400, "invalid_scope", 1002012),
        (f"/{TENANT}/oauth2/v2.0/token", {"scope": f"{BASE}/user_impersonation"}, 400, "invalid_scope", 1002012),
        (f"/{TENANT}/oauth2/v2.0/token", {"scope": "openid profile"}, 400, "invalid_scope", 1002012),
        (f"/{TENANT}/oauth2/v2.0/token", {"scope": "/.default"}, 400, "invalid_scope", 1002012),
        (f"/{TENANT}/oauth2/v2.0/token", {"scope": f"{BASE}/.default a/.default"}, 400, "invalid_scope", 1002012),
        ("/other/oauth2/v2.0/token", {}, 400, "invalid_request", 90002),
    ],
)
def test_sign_in_is_refused_as_entra_does(
    path: str, changed: dict[str, str], status: int, error: str, number: int
) -> None:
    """Each mistake has its own error and AADSTS number."""
    answered, body = authority().answer(path, BASE, form(**changed))
    assert (answered, body["error"], body["error_codes"]) == (status, error, [number])
    assert body["error_description"].startswith(f"AADSTS{number}: ")


@pytest.mark.parametrize("header", [None, "", "Bearer", "Bearer  ", "Basic abc", "Bearer made.up.token", "Bearer é"])
def test_a_missing_or_wrong_token_is_challenged(header: str | None) -> None:
    """401 with the address of the authority."""
    with pytest.raises(ServiceError) as caught:
        authority().verify(header, BASE)
    assert caught.value.status == 401
    challenge = caught.value.headers["WWW-Authenticate"]
    assert challenge.startswith(f"Bearer authorization_uri={BASE}/{TENANT}/oauth2/authorize, resource_id={BASE}/")


def test_a_token_expires_after_its_hour() -> None:
    """An expired token is refused, a new one is accepted."""
    clock = Clock()
    one = authority(clock)
    token = f"Bearer {one.issue(CLIENT, BASE)}"
    clock.now += 3598
    one.verify(token, BASE)
    clock.now += 2
    with pytest.raises(ServiceError) as caught:
        one.verify(token, BASE)
    assert "expired" in caught.value.headers["WWW-Authenticate"]
    one.verify(f"Bearer {one.issue(CLIENT, BASE)}", BASE)


def test_a_token_of_another_authority_is_refused() -> None:
    """Tokens are signed by the process that issued them."""
    token = authority().issue(CLIENT, BASE)
    with pytest.raises(ServiceError):
        authority().verify(f"Bearer {token}", BASE)
    assert authority(any_token=True).verify(f"Bearer {token}", BASE).application_id == CLIENT


def token_for(one: Authority, resource: str, *, first_version: bool = False) -> str:
    """The header with a token for a resource."""
    if first_version:
        status, body = one.answer(f"/{TENANT}/oauth2/token", BASE, form(scope="", resource=resource))
    else:
        scope = f"openid {resource}/.default offline_access"
        status, body = one.answer(f"/{TENANT}/oauth2/v2.0/token", BASE, form(scope=scope))
    assert status == 200
    return f"Bearer {body['access_token']}"


@pytest.mark.parametrize("first_version", [False, True])
@pytest.mark.parametrize("resource", [BASE, f"{BASE}/", "http://LOCALHOST:5080", "http://[::1]:5080"])
def test_a_token_for_this_service_is_accepted(resource: str, *, first_version: bool) -> None:
    """With or without a slash at the end, and by any name of this machine."""
    one = authority()
    assert one.verify(token_for(one, resource, first_version=first_version), BASE).application_id == CLIENT


@pytest.mark.parametrize("first_version", [False, True])
@pytest.mark.parametrize(
    "resource",
    [
        "https://graph.microsoft.com",
        "https://other.crm.dynamics.com",
        "http://127.0.0.1:5081",
        "http://127.0.0.1",
        f"{BASE}/api/data/v9.2",
        "127.0.0.1:5080",
        "http://[:5080",
        "00000007-0000-0000-c000-000000000000",
    ],
)
def test_a_token_for_another_resource_is_refused(resource: str, *, first_version: bool) -> None:
    """The authority issues it, and the service says why it is not accepted; twice, as tokens are kept."""
    one = authority()
    token = token_for(one, resource, first_version=first_version)
    for _ in range(2):
        with pytest.raises(ServiceError) as caught:
            one.verify(token, BASE)
        assert caught.value.status == 401
        assert "The audience of the token" in caught.value.headers["WWW-Authenticate"]
    lenient = authority(any_token=True)
    assert lenient.verify(token, BASE).application_id == CLIENT


def test_a_service_without_a_port_has_that_of_its_scheme() -> None:
    one = authority()
    for resource, address in (("https://org.example", "https://org.example:443"), ("http://a:80/", "http://a")):
        assert one.verify(token_for(one, resource), address).application_id == CLIENT


def test_openid_metadata_has_the_token_endpoint() -> None:
    """MSAL reads it before it requests a token."""
    one = authority()
    path = f"/{TENANT}/v2.0/.well-known/openid-configuration"
    assert one.is_endpoint(path)
    _, found = one.answer("/common/discovery/instance", BASE)
    assert found["tenant_discovery_endpoint"] == BASE + path
    _, metadata = one.answer(path, BASE)
    assert metadata["token_endpoint"] == f"{BASE}/{TENANT}/oauth2/v2.0/token"
    assert metadata["issuer"] == f"{BASE}/{TENANT}/v2.0"
    assert one.answer(f"/{TENANT}/discovery/v2.0/keys", BASE) == (200, {"keys": []})
    assert not one.is_endpoint("/api/data/v9.2/accounts")
