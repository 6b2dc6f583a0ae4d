"""Client assertions: by certificate as Microsoft documents their form, and of other issuers by federated credentials."""

import base64
import json
import time
import uuid
from collections.abc import Callable, Iterator, Mapping
from datetime import UTC, datetime
from typing import Any
from urllib.parse import urlencode

import jwt
import pytest
from cryptography.hazmat.primitives.hashes import SHA1, SHA256, HashAlgorithm
from hypothesis import given
from hypothesis import strategies as st

from emulator.policies.assertions import ASSERTION_TYPE, Assertions
from emulator.policies.auth import Authority, Credentials
from tests.certificates import Made, elliptic_key, made, rsa_key
from tests.token_issuer import Issuer, issuing

TENANT = "11111111-2222-3333-4444-555555555555"
CLIENT = "99999999-0000-0000-0000-000000000001"
BASE = "http://127.0.0.1:5080"
PATH = f"/{TENANT}/oauth2/v2.0/token"
ONE = made("one")


@pytest.fixture(scope="module")
def issuer() -> Iterator[Issuer]:
    with issuing() as one:
        yield one


def authority(clock: Callable[[], float] = time.time, **registered: Any) -> Authority:
    assertions = Assertions(clock=clock)
    assertions.register(registered.get("certificates", [ONE.public]), registered.get("federated", []))
    known = (Credentials(client_id=CLIENT, client_secret="secret"),)
    return Authority(tenant_id=TENANT, credentials=known, assertions=assertions, clock=clock)


def thumbprint(one: Made, kind: HashAlgorithm) -> str:
    return base64.urlsafe_b64encode(one.certificate.fingerprint(kind)).rstrip(b"=").decode()


def assertion(
    *, by: Made = ONE, headers: Mapping[str, str] | None = None, algorithm: str = "PS256", **changed: Any
) -> str:
    """An assertion as the page on certificate credentials shows it, with other claims; None leaves one out."""
    now = time.time()
    claims = {"aud": BASE + PATH, "iss": CLIENT, "sub": CLIENT, "jti": str(uuid.uuid4())}
    claims |= {"nbf": now - 1, "iat": now, "exp": now + 300} | changed
    kept = {name: value for name, value in claims.items() if value is not None}
    named = {"x5t#S256": thumbprint(by, SHA256())} if headers is None else dict(headers)
    return jwt.encode(kept, by.key, algorithm=algorithm, headers=named)


def asked(one: Authority, token: str | None, **changed: str) -> tuple[int, str, list[int], str]:
    """Status, error, AADSTS numbers and description of a token request; no error and no number for a token."""
    fields = {"grant_type": "client_credentials", "client_id": CLIENT, "scope": f"{BASE}/.default"}
    fields |= {} if token is None else {"client_assertion_type": ASSERTION_TYPE, "client_assertion": token}
    status, body = one.answer(PATH, BASE, urlencode(fields | changed).encode())
    return status, body.get("error", ""), body.get("error_codes", []), body.get("error_description", "")


@pytest.mark.parametrize(
    "token",
    [
        assertion,
        lambda: assertion(iss=CLIENT.upper(), sub=CLIENT.upper()),
        lambda: assertion(aud=f"{BASE}/{TENANT}/v2.0"),
        lambda: assertion(headers={"x5t": thumbprint(ONE, SHA1())}, algorithm="RS256"),  # noqa: S303 - a name
    ],
)
def test_an_assertion_of_a_registered_certificate_is_accepted(token: Callable[[], str]) -> None:
    """By either thumbprint, with PSS padding or the older one."""
    assert asked(authority(), token())[0] == 200


@pytest.mark.parametrize(
    ("token", "number", "said"),
    [
        (lambda: assertion(by=made("two")), 700027, "The key was not found"),
        (lambda: assertion(headers={}), 700027, "The key was not found"),
        (
            lambda: assertion(by=made("two"), headers={"x5t#S256": thumbprint(ONE, SHA256())}),
            700027,
            "failed signature validation",
        ),
        (lambda: assertion(iss="someone", sub="someone"), 700021, "doesn't match 'client_id'"),
        (lambda: assertion(sub="someone"), 700021, "doesn't match 'client_id'"),
        (lambda: assertion(aud="https://login.microsoftonline.com/other/oauth2/v2.0/token"), 700023, "audience"),
        (lambda: assertion(aud=None), 700023, "audience"),
        (lambda: assertion(exp=time.time() - 1), 700024, "not within its valid time range"),
        (lambda: assertion(nbf=time.time() + 100), 700024, "not within its valid time range"),
        (lambda: assertion(exp=None), 50027, "times are not numbers"),
        (lambda: assertion(jti=None), 50027, "no claim 'jti'"),
        (lambda: "no.jwt", 50027, "malformed"),
        (lambda: "", 50027, "malformed"),
        (lambda: "x" * 70_000, 50027, "too long"),
    ],
)
def test_each_mistake_of_an_assertion_has_its_number(token: Callable[[], str], number: int, said: str) -> None:
    """As Entra ID's error page and the troubleshooting pages of Azure Identity list them."""
    status, error, numbers, description = asked(authority(), token())
    assert (status, error, numbers) == (401, "invalid_client", [number])
    assert description.startswith(f"AADSTS{number}: ")
    assert said in description


def test_an_assertion_needs_its_type_and_a_request_needs_a_proof() -> None:
    """Neither secret nor assertion is an error of its own."""
    assert asked(authority(), assertion(), client_assertion_type="jwt")[2] == [50027]
    assert asked(authority(), None)[:3] == (401, "invalid_client", [7000218])


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=5,
)
NAMES = st.sampled_from(["aud", "iss", "sub", "exp", "nbf", "iat", "jti", "other"])


@given(
    claims=st.dictionaries(NAMES, JSON, max_size=4),
    headers=st.dictionaries(st.sampled_from(["x5t#S256", "x5t", "kid", "x5c", "other"]), JSON, max_size=2),
    registered=st.booleans(),
)
def test_whatever_an_assertion_says_the_answer_is_a_token_or_a_number(
    claims: dict[str, Any],
    headers: dict[str, Any],
    registered: bool,  # noqa: FBT001 - a parameter of the test
) -> None:
    """Values of every type and size, in a token that the application itself has signed."""
    named = {"x5t#S256": thumbprint(ONE, SHA256())} if registered else headers
    text = [json.dumps({"alg": "PS256", "typ": "JWT", **named}), json.dumps({"iss": CLIENT, **claims})]
    signed = ".".join(base64.urlsafe_b64encode(each.encode()).rstrip(b"=").decode() for each in text)
    signature = jwt.get_algorithm_by_name("PS256").sign(signed.encode(), ONE.key)
    token = f"{signed}.{base64.urlsafe_b64encode(signature).rstrip(b'=').decode()}"
    status, _, numbers, _ = asked(authority(), token)
    assert status == 200 or numbers[0] in {50027, 700021, 700023, 700024, 700027, 700211}


def test_an_expired_certificate_is_refused() -> None:
    """Also when the assertion itself is within its time."""
    old = made("one", begins=datetime(2025, 1, 1, tzinfo=UTC), days=30)
    description = asked(authority(certificates=[old.public]), assertion(by=old))[3]
    assert "AADSTS700027" in description
    assert "The key used is expired" in description


def test_a_certificate_without_an_rsa_key_signs_nothing_in() -> None:
    """Entra ID knows PS256 and RS256."""
    curved = made("curved", key=elliptic_key())
    token = assertion(by=curved, algorithm="ES256")
    assert asked(authority(certificates=[curved.public]), token)[2] == [700027]


def test_a_token_that_the_credential_trusts_is_accepted(issuer: Issuer) -> None:
    """Issuer, subject and audience are those of the credential, and the issuer's key signed it."""
    one = authority(federated=[issuer.credential(subject="another"), issuer.credential()])
    assert asked(one, issuer.token())[0] == 200


@pytest.mark.parametrize(
    ("credential", "claims", "number", "said"),
    [
        ({"issuer": "https://token.actions.githubusercontent.com"}, {}, 700211, "presented assertion issuer 'http://"),
        ({"subject": "repo:contoso/other:pull_request"}, {}, 700213, "presented assertion subject 'repo:contoso/syncs"),
        ({"subject": "repo:Contoso/syncs:environment:production"}, {}, 700213, "subject"),
        ({"audiences": ["api://other"]}, {}, 700212, "audience 'api://AzureADTokenExchange'"),
        ({}, {"aud": "https://vault.azure.net"}, 700212, "audience 'https://vault.azure.net'"),
        ({}, {"exp": time.time() - 1}, 700024, "not within its valid time range"),
    ],
)
def test_a_token_that_no_credential_matches_has_its_number(
    issuer: Issuer, credential: dict[str, Any], claims: dict[str, Any], number: int, said: str
) -> None:
    """The first part that does not match is named with what was presented; capital letters count."""
    one = authority(federated=[issuer.credential(**credential)])
    status, error, numbers, description = asked(one, issuer.token(**claims))
    assert (status, error, numbers) == (401, "invalid_client", [number])
    assert said in description


def test_only_the_issuers_own_key_signs_its_tokens(issuer: Issuer) -> None:
    """Whoever writes the right claims with another key is refused, and so is a key that the issuer does not list."""
    one = authority(federated=[issuer.credential()])
    issuer.key = rsa_key("thief")
    assert asked(one, issuer.token())[2] == [700027]
    issuer.key = rsa_key("issuer")
    unknown = jwt.encode(
        jwt.decode(issuer.token(), options={"verify_signature": False}), issuer.key, "RS256", {"kid": "x"}
    )
    assert asked(one, unknown)[2] == [700027]


def test_an_issuer_that_does_not_answer_is_an_error_of_its_own(issuer: Issuer) -> None:
    """Entra ID asks the issuer for its keys."""
    issuer.broken = 500
    assert asked(authority(federated=[issuer.credential()]), issuer.token())[2] == [50166]
    issuer.broken = 200


@pytest.mark.parametrize(
    "federated",
    [
        ["text"],
        [{"issuer": "https://example.com"}],
        [{"issuer": "https://example.com", "subject": "a", "audiences": ["one", "two"]}],
        [{"issuer": "http://example.com", "subject": "a"}],
        [{"issuer": "https://example.com", "subject": str(number)} for number in range(21)],
    ],
)
def test_a_credential_that_entra_would_not_keep_is_refused(federated: list[object]) -> None:
    """One audience, an issuer with https, at most twenty."""
    with pytest.raises(ValueError, match=r"federated|audience"):
        Assertions().register([], federated)
