"""Client assertions: a JWT that takes the place of a secret, signed with a certificate or issued by a trusted issuer.

The form of an assertion by certificate is that of Microsoft's page "Microsoft identity platform application
authentication certificate credentials"; federated credentials are those of "Workload identity federation". The codes
are those of Entra ID's error page.
"""

import base64
import json
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, Final, Self
from urllib.parse import urlsplit

import jwt
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey
from cryptography.hazmat.primitives.hashes import SHA1, SHA256

__all__ = ["Assertions", "FederatedCredential", "RefusedAssertionError"]

ASSERTION_TYPE: Final = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"
EXCHANGE: Final = "api://AzureADTokenExchange"
_ISSUER_SECONDS: Final = 5  # to wait for an answer of an issuer
_LARGEST_ANSWER: Final = 1024 * 1024  # bytes of an answer of an issuer
_LONGEST: Final = 65_536  # characters of an assertion
_MOST: Final = 20  # federated credentials of an application, as Entra ID allows


class RefusedAssertionError(Exception):
    """An assertion is not accepted; `number` is the AADSTS code."""

    def __init__(self, number: int, text: str) -> None:
        super().__init__(text)
        self.number = number


@dataclass(frozen=True, slots=True, kw_only=True)
class FederatedCredential:
    """The tokens of another issuer that an application trusts; all three are compared exactly.

    Attributes:
        issuer: The issuer's URL, below which its keys are described.
        subject: The workload.
        audience: What the token is for.
    """

    issuer: str
    subject: str
    audience: str = EXCHANGE

    @classmethod
    def read(cls, given: object) -> Self:
        """Read the JSON that `az ad app federated-credential create --parameters` takes.

        Raises:
            ValueError: A part is missing, or the issuer is no URL.
        """
        if not isinstance(given, Mapping):
            raise ValueError("a federated credential is an object with issuer, subject and audiences")  # noqa: TRY004 - what is wrong is the value in a file
        issuer, subject = given.get("issuer"), given.get("subject")
        audiences = given.get("audiences", [EXCHANGE])
        if not (isinstance(issuer, str) and isinstance(subject, str) and issuer and subject):
            raise ValueError("a federated credential needs issuer and subject")
        if not (isinstance(audiences, list) and len(audiences) == 1 and isinstance(audiences[0], str)):
            raise ValueError("Federated identity credentials must have exactly one audience.")
        parts = urlsplit(issuer)
        if parts.scheme != "https" and not (parts.scheme == "http" and parts.hostname in {"127.0.0.1", "localhost"}):
            raise ValueError("the issuer of a federated credential is a URL with https://, or http:// on this machine")
        return cls(issuer=issuer, subject=subject, audience=audiences[0])


@dataclass(slots=True, kw_only=True)
class Assertions:
    """What the applications of the emulator have registered: certificates and federated credentials.

    Attributes:
        clock: Seconds since 1970.
    """

    clock: Callable[[], float] = time.time
    _certificates: dict[str, x509.Certificate] = field(default_factory=dict)
    _federated: tuple[FederatedCredential, ...] = ()

    def register(self, certificates: Sequence[str], federated: Sequence[object]) -> None:
        """Replace everything that is registered.

        Args:
            certificates: Certificates in PEM, without keys.
            federated: Federated credentials as JSON; see `FederatedCredential.read`.

        Raises:
            ValueError: One of them is not valid.
        """
        if len(federated) > _MOST:
            raise ValueError(f"an application has at most {_MOST} federated credentials")
        credentials = tuple(FederatedCredential.read(each) for each in federated)
        found: dict[str, x509.Certificate] = {}
        for text in certificates:
            for each in x509.load_pem_x509_certificates(text.encode()):
                # Both names that the header of an assertion can use.
                found[_encoded(each.fingerprint(SHA256()))] = found[_encoded(each.fingerprint(SHA1()))] = each  # noqa: S303 - a name, not a signature
        self._certificates, self._federated = found, credentials

    def check(self, client: str, form: Mapping[str, str], endpoint: str) -> None:
        """Verify the assertion of a token request.

        Args:
            client: The application of the request.
            form: The fields of the request.
            endpoint: The address of the token endpoint.

        Raises:
            RefusedAssertionError: It is not accepted.
        """
        if form.get("client_assertion_type") != ASSERTION_TYPE:
            raise RefusedAssertionError(50027, "JWT token is invalid or malformed. client_assertion_type is not valid.")
        token = form.get("client_assertion", "")
        header, claims = _unverified(token)
        thumbprint = header.get("x5t#S256") or header.get("x5t")
        if thumbprint is not None or str(claims.get("iss", "")).lower() == client:
            self._check_certificate(token, str(thumbprint or ""), client, endpoint)
        else:
            self._check_federated(token, header, claims)

    def _check_certificate(self, token: str, thumbprint: str, client: str, endpoint: str) -> None:
        claims = self._signed_with_certificate(token, thumbprint, client)
        if not (str(claims.get("iss", "")).lower() == str(claims.get("sub", "")).lower() == client):
            raise RefusedAssertionError(
                700021, "Client assertion application identifier doesn't match 'client_id' parameter."
            )
        if not _is_for(claims.get("aud"), endpoint):
            raise RefusedAssertionError(700023, "Client assertion audience claim does not match Realm issuer.")
        self._check_times(claims)
        if not isinstance(claims.get("jti"), str) or not claims["jti"]:
            raise RefusedAssertionError(50027, "JWT token is invalid or malformed. It has no claim 'jti'.")

    def _signed_with_certificate(self, token: str, thumbprint: str, client: str) -> Mapping[str, Any]:
        certificate = self._certificates.get(thumbprint.rstrip("="))
        if certificate is None:
            raise RefusedAssertionError(
                700027,
                "The certificate with identifier used to sign the client assertion is not registered on application. "
                f"[Reason - The key was not found., Thumbprint of key used by client: '{_shown(thumbprint)}', "
                f"configured keys are those of app Id '{client}']",
            )
        if certificate.not_valid_after_utc <= datetime.fromtimestamp(self.clock(), UTC):
            raise RefusedAssertionError(
                700027,
                f"Client assertion contains an invalid signature. [Reason - The key used is expired., Thumbprint of "
                f"key used by client: '{_shown(thumbprint)}']",
            )
        key = certificate.public_key()
        if not isinstance(key, RSAPublicKey):
            raise RefusedAssertionError(700027, "Client assertion failed signature validation.")
        return _verified(token, key, ["PS256", "RS256"])

    def _check_federated(self, token: str, header: Mapping[str, Any], claims: Mapping[str, Any]) -> None:
        found: list[FederatedCredential] = list(self._federated)
        for number, name, claim in ((700211, "issuer", "iss"), (700213, "subject", "sub"), (700212, "audience", "aud")):
            value = claims.get(claim)
            values = value if isinstance(value, list) else [value]
            found = [each for each in found if getattr(each, name) in values]
            if not found:
                raise RefusedAssertionError(
                    number,
                    f"No matching federated identity record found for presented assertion {name} '{_shown(value)}'. "
                    "Check your federated identity credential Subject, Audience and Issuer against the presented "
                    "assertion.",
                )
        self._check_times(_verified(token, _key_of(found[0].issuer, header.get("kid")), ["RS256"]))

    def _check_times(self, claims: Mapping[str, Any]) -> None:
        now = self.clock()
        ends, begins = claims.get("exp"), claims.get("nbf", 0)
        if not isinstance(ends, int | float) or not isinstance(begins, int | float):
            raise RefusedAssertionError(50027, "JWT token is invalid or malformed. Its times are not numbers.")
        if not begins <= now < ends:
            shown = datetime.fromtimestamp(now, UTC).isoformat(timespec="seconds")
            raise RefusedAssertionError(
                700024,
                f"Client assertion is not within its valid time range. Current time: {shown}, assertion valid from "
                f"{_shown(begins)}, expiry time of assertion {_shown(ends)} (seconds since 1970).",
            )


def _unverified(token: str) -> tuple[Mapping[str, Any], Mapping[str, Any]]:
    """Header and claims, before anything is believed."""
    if len(token) > _LONGEST:
        raise RefusedAssertionError(50027, "JWT token is invalid or malformed. It is too long.")
    try:
        header = jwt.get_unverified_header(token)
        claims = jwt.decode(token, options={"verify_signature": False})
    except (jwt.PyJWTError, ValueError, TypeError, RecursionError) as error:
        raise RefusedAssertionError(50027, "JWT token is invalid or malformed.") from error
    return header, claims


def _verified(token: str, key: Any, algorithms: list[str]) -> Mapping[str, Any]:
    """The claims of a token whose signature is right; they are checked by Entra ID's own rules, not here."""
    unchecked = {f"verify_{name}": False for name in ("exp", "nbf", "iat", "aud", "iss", "sub", "jti")}
    try:
        claims: Mapping[str, Any] = jwt.decode(token, key, algorithms=algorithms, options=unchecked)  # type: ignore[arg-type]  # the names are those of the options
    except (jwt.PyJWTError, ValueError, TypeError) as error:
        raise RefusedAssertionError(700027, "Client assertion failed signature validation.") from error
    return claims


def _key_of(issuer: str, key_id: object) -> Any:
    """The key of an issuer, which its description names (OpenID Connect Discovery 1.0)."""
    try:
        described = _fetched(f"{issuer.rstrip('/')}/.well-known/openid-configuration")
        keys = jwt.PyJWKSet.from_dict(_fetched(str(described["jwks_uri"])))
    except (OSError, ValueError, KeyError, TypeError, AttributeError, RecursionError, jwt.PyJWTError) as error:
        raise RefusedAssertionError(50166, "Request to External OIDC endpoint failed.") from error
    for each in keys.keys:
        if each.key_id == key_id:
            return each.key
    raise RefusedAssertionError(700027, "Client assertion failed signature validation. The key was not found.")


def _fetched(url: str) -> dict[str, Any]:
    if urlsplit(url).scheme not in {"https", "http"}:
        raise ValueError(url)
    with urllib.request.urlopen(url, timeout=_ISSUER_SECONDS) as response:  # noqa: S310 - checked above; a registered issuer
        content: dict[str, Any] = json.loads(response.read(_LARGEST_ANSWER))
    return content


def _is_for(audience: object, endpoint: str) -> bool:
    """Whether an audience is this authority: its token endpoint, or the issuer of its second version."""
    tenant = endpoint.partition("/oauth2/")[0]
    return isinstance(audience, str) and audience in {
        f"{tenant}/oauth2/v2.0/token",
        f"{tenant}/oauth2/token",
        f"{tenant}/v2.0",
    }


def _encoded(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def _shown(value: object) -> str:
    return str(value)[:200]
