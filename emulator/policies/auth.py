"""OAuth as clients of Dataverse use it: the authority's endpoints, tokens, and the challenge of a refused request.

The authority has the same address as the service. Tokens have the form of a JWT and are signed with a secret of this
process; clients treat them as opaque.
"""

import base64
import hashlib
import hmac
import secrets
import time
import uuid
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, Final
from urllib.parse import unquote_plus, urlsplit

import orjson

from emulator.errors import ServiceError, unauthorized
from emulator.policies.assertions import Assertions, RefusedAssertionError

__all__ = ["Authority", "Caller", "Credentials"]

_LIFETIME: Final = 3599
_HEADER: Final = base64.urlsafe_b64encode(b'{"typ":"JWT","alg":"HS256"}').rstrip(b"=").decode()
_DEFAULT: Final = "/.default"
# Scopes of OpenID Connect, which some libraries send beside that of the resource.
_OPENID: Final = frozenset({"openid", "profile", "email", "offline_access"})
_LONGEST_SHOWN: Final = 200
_LOOPBACK: Final = frozenset({"localhost", "127.0.0.1", "::1"})
_PORTS: Final = {"http": 80, "https": 443}
_USERS: Final = uuid.UUID("5b1b8f0a-2c7e-4b35-9d4e-6f1f0b7d2a11")


@dataclass(frozen=True, slots=True, kw_only=True)
class Credentials:
    """The registration of an application.

    Attributes:
        client_id: The identifier of the application.
        client_secret: The secret of the application.
    """

    client_id: str
    client_secret: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Caller:
    """The application that sent a request.

    Attributes:
        application_id: The client identifier in the token.
        user_id: The ``systemuserid`` of its application user.
        token_id: The identifier of the token.
    """

    application_id: str
    user_id: str
    token_id: str = ""


def user_of(application_id: str) -> str:
    """Return the ``systemuserid`` of an application's user, the same in every run."""
    return str(uuid.uuid5(_USERS, application_id.lower()))


class Authority:
    """Issues and verifies tokens, and answers the endpoints that a sign-in library calls.

    The application sends paths for which `is_endpoint` is true to `answer`; for every other request it calls `verify`
    with the ``Authorization`` header.
    """

    def __init__(
        self,
        *,
        tenant_id: str,
        credentials: tuple[Credentials, ...],
        assertions: Assertions | None = None,
        any_token: bool = False,
        lifetime: int = _LIFETIME,
        clock: Callable[[], float] = time.time,
    ) -> None:
        """Start with no tokens.

        Args:
            tenant_id: The directory (tenant) of the authority.
            credentials: The applications that can sign in.
            assertions: What they can sign in with instead of their secret.
            any_token: Accept any bearer token, for clients that cannot use this authority.
            lifetime: Seconds for which a token is valid.
            clock: Seconds since 1970.
        """
        self.tenant_id = tenant_id
        self._secrets = {one.client_id.lower(): one.client_secret for one in credentials}
        self.assertions = assertions or Assertions(clock=clock)
        self._any_token = any_token
        self._lifetime = lifetime
        self._clock = clock
        self._key = secrets.token_bytes(32)
        self._verified: dict[str, tuple[float, str, Caller]] = {}

    # Tokens

    def issue(self, application_id: str, audience: str) -> str:
        """Return a new token for an application; `audience` is the resource it is for."""
        now = self._clock()
        claims = {
            "aud": audience,
            "iss": f"https://sts.windows.net/{self.tenant_id}/",
            "iat": now,
            "nbf": now,
            "exp": now + self._lifetime,
            "appid": application_id,
            "appidacr": "1",
            "oid": user_of(application_id),
            "tid": self.tenant_id,
            "uti": secrets.token_urlsafe(16),
            "ver": "1.0",
        }
        signed = f"{_HEADER}.{_encoded(orjson.dumps(claims))}"
        return f"{signed}.{self._signature(signed)}"

    def verify(self, authorization: str | None, base_url: str) -> Caller:
        """Return the application that sent a request.

        Args:
            authorization: The ``Authorization`` header, or None.
            base_url: The address of the service, ``http://127.0.0.1:5080``.

        Raises:
            ServiceError: 401 with the challenge: the header is missing, or its token is not valid, has expired or is
                for another resource.
        """
        scheme, _, token = (authorization or "").partition(" ")
        if scheme.lower() != "bearer" or not token.strip():
            raise unauthorized(self.challenge(base_url))
        token = token.strip()
        if self._any_token:
            name = hashlib.sha256(token.encode()).hexdigest()
            return Caller(
                application_id=next(iter(self._secrets), name), user_id=user_of(next(iter(self._secrets), name))
            )
        expires, audience, caller = self._verified.get(token) or self._read(token, base_url)
        if expires <= self._clock():
            self._verified.pop(token, None)
            raise unauthorized(self.challenge(base_url, "The token has expired."))
        if not _organisation(audience) or _organisation(audience) != _organisation(base_url):
            raise unauthorized(
                self.challenge(base_url, "The audience of the token is not the address of this service.")
            )
        return caller

    def challenge(self, base_url: str, problem: str = "") -> str:
        """Return the value of ``WWW-Authenticate``, which tells a client the authority."""
        text = f"Bearer authorization_uri={base_url}/{self.tenant_id}/oauth2/authorize, resource_id={base_url}/"
        return f'{text}, error=invalid_token, error_description="{problem}"' if problem else text

    def _read(self, token: str, base_url: str) -> tuple[float, str, Caller]:
        signed, _, signature = token.rpartition(".")
        if not signed.isascii() or not hmac.compare_digest(self._signature(signed).encode(), signature.encode()):
            raise unauthorized(self.challenge(base_url, "The token is not one of this authority's."))
        claims = orjson.loads(base64.urlsafe_b64decode(signed.partition(".")[2] + "=="))
        caller = Caller(application_id=claims["appid"], user_id=claims["oid"], token_id=claims["uti"])
        self._verified[token] = found = (claims["exp"], claims["aud"], caller)
        return found

    def _signature(self, text: str) -> str:
        return _encoded(hmac.digest(self._key, text.encode(), "sha256"))

    # Endpoints

    def is_endpoint(self, path: str) -> bool:
        """Whether a path belongs to the authority and not to the service."""
        return path.endswith(("/oauth2/token", "/oauth2/v2.0/token", "/.well-known/openid-configuration")) or path in {
            "/common/discovery/instance",
            f"/{self.tenant_id}/discovery/v2.0/keys",
        }

    def answer(
        self, path: str, base_url: str, body: bytes = b"", authorization: str | None = None
    ) -> tuple[int, dict[str, Any]]:
        """Answer one of the paths that `is_endpoint` names.

        Args:
            path: The request's path.
            base_url: The address of the authority.
            body: The form of a token request.
            authorization: The ``Authorization`` header, which can hold the secret of the client.

        Returns:
            HTTP status and JSON body.
        """
        if path.endswith("/token"):
            return self._token(path, base_url, _form(body, authorization))
        if path == "/common/discovery/instance":
            return 200, self._discovery(base_url)
        if path.endswith("/keys"):
            return 200, {"keys": []}
        return 200, self._configuration(base_url)

    def _token(self, path: str, base_url: str, form: Mapping[str, str]) -> tuple[int, dict[str, Any]]:
        refusal = self._refusal(path, base_url, form)
        if refusal is not None:
            return refusal
        second = path.endswith("/v2.0/token")
        audience = _scopes(form)[0].removesuffix(_DEFAULT) if second else form.get("resource", "")
        token = self.issue(form["client_id"].lower(), audience)
        if second:
            lasts = self._lifetime
            return 200, {"token_type": "Bearer", "expires_in": lasts, "ext_expires_in": lasts, "access_token": token}
        now = int(self._clock())
        return 200, {
            "token_type": "Bearer",
            "expires_in": str(self._lifetime),
            "ext_expires_in": str(self._lifetime),
            "expires_on": str(now + self._lifetime),
            "not_before": str(now),
            "resource": audience,
            "access_token": token,
        }

    def _refusal(self, path: str, base_url: str, form: Mapping[str, str]) -> tuple[int, dict[str, Any]] | None:
        """The error answer to a token request, with the numbers of Entra's error page (AADSTS codes), or None."""
        tenant = path.split("/")[1]
        client = form.get("client_id", "").lower()
        needed = "scope" if path.endswith("/v2.0/token") else "resource"
        if tenant != self.tenant_id:
            return _refused(400, "invalid_request", 90002, f"Tenant '{tenant}' not found.")
        if form.get("grant_type") != "client_credentials":
            return _refused(400, "unsupported_grant_type", 70003, "The app requested an unsupported grant type.")
        if not form.get(needed):
            return _refused(400, "invalid_request", 900144, f"The request body must contain the parameter: '{needed}'.")
        if client not in self._secrets:
            return _refused(
                400, "unauthorized_client", 700016, f"Application with identifier '{client}' was not found."
            )
        if needed == "scope" and not _is_default(_scopes(form)):
            said = (
                f"The provided value for scope {form[needed][:_LONGEST_SHOWN]} is not valid. Client credential flows "
                "must have a scope value with /.default suffixed to the resource identifier (application ID URI)."
            )
            return _refused(400, "invalid_scope", 1002012, said)
        return self._unproven(client, f"{base_url}{path}", form)

    def _unproven(self, client: str, endpoint: str, form: Mapping[str, str]) -> tuple[int, dict[str, Any]] | None:
        """The error answer to a request whose secret or assertion is not right."""
        if "client_assertion" in form:
            try:
                self.assertions.check(client, form, endpoint)
            except RefusedAssertionError as error:
                return _refused(401, "invalid_client", error.number, str(error))
            return None
        if "client_secret" not in form:
            said = "The request body must contain the following parameter: 'client_assertion' or 'client_secret'."
            return _refused(401, "invalid_client", 7000218, said)
        if not hmac.compare_digest(self._secrets[client].encode(), form["client_secret"].encode()):
            return _refused(401, "invalid_client", 7000215, "Invalid client secret provided.")
        return None

    def _configuration(self, base_url: str) -> dict[str, Any]:
        """The OpenID metadata that MSAL reads before it requests a token."""
        tenant = f"{base_url}/{self.tenant_id}"
        return {
            "token_endpoint": f"{tenant}/oauth2/v2.0/token",
            "authorization_endpoint": f"{tenant}/oauth2/v2.0/authorize",
            "device_authorization_endpoint": f"{tenant}/oauth2/v2.0/devicecode",
            "jwks_uri": f"{tenant}/discovery/v2.0/keys",
            "issuer": f"{tenant}/v2.0",
            "token_endpoint_auth_methods_supported": ["client_secret_post", "private_key_jwt", "client_secret_basic"],
            "response_types_supported": ["code", "id_token", "token"],
            "subject_types_supported": ["pairwise"],
            "id_token_signing_alg_values_supported": ["RS256"],
            "scopes_supported": ["openid"],
        }

    def _discovery(self, base_url: str) -> dict[str, Any]:
        host = base_url.partition("://")[2]
        return {
            "tenant_discovery_endpoint": f"{base_url}/{self.tenant_id}/v2.0/.well-known/openid-configuration",
            "api-version": "1.1",
            "metadata": [{"preferred_network": host, "preferred_cache": host, "aliases": [host]}],
        }


def _scopes(form: Mapping[str, str]) -> list[str]:
    """The scopes of a token request, without those of OpenID Connect."""
    return [scope for scope in form.get("scope", "").split() if scope not in _OPENID]


def _is_default(scopes: list[str]) -> bool:
    """Whether they are those that client credentials can have: one resource with `/.default` at its end."""
    return len(scopes) == 1 and scopes[0].endswith(_DEFAULT) and scopes[0] != _DEFAULT


@lru_cache(maxsize=64)
def _organisation(url: str) -> str:
    """Host and port of the address of a service, with or without a slash at its end; empty for anything else.

    The names of this machine are one host: the emulator is one organisation at all of them.
    """
    try:
        parts = urlsplit(url)
        port = parts.port or _PORTS[parts.scheme]
    except (ValueError, KeyError):
        return ""
    if not parts.hostname or parts.path not in {"", "/"} or parts.query or parts.fragment:
        return ""
    return f"{'127.0.0.1' if parts.hostname in _LOOPBACK else parts.hostname}:{port}"


def _refused(status: int, error: str, number: int, text: str) -> tuple[int, dict[str, Any]]:
    trace = str(uuid.uuid4())
    return status, {
        "error": error,
        "error_description": f"AADSTS{number}: {text} Trace ID: {trace}",
        "error_codes": [number],
        "trace_id": trace,
        "correlation_id": str(uuid.uuid4()),
    }


def _form(body: bytes, authorization: str | None) -> dict[str, str]:
    """The fields of the form; client and secret can also come by HTTP basic authentication."""
    fields: dict[str, str] = {}
    for pair in body.decode("utf-8", "replace").split("&"):
        name, _, value = pair.partition("=")
        fields[unquote_plus(name)] = unquote_plus(value)
    scheme, _, encoded = (authorization or "").partition(" ")
    if scheme.lower() == "basic":
        try:
            client, _, secret = base64.b64decode(encoded, validate=True).decode().partition(":")
        except ValueError as error:
            raise ServiceError(400, "", "The Authorization header is not well formed.") from error
        fields |= {"client_id": unquote_plus(client), "client_secret": unquote_plus(secret)}
    return fields


def _encoded(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()
