"""Tokens for Dataverse: who the program is, and how long that holds.

A `TokenProvider` stands for one application user. `ClientCredentials` asks Entra ID through msal; on loopback, where
msal refuses plain http, it asks the same endpoint itself. `CredentialTokens` takes any azure-identity credential, which
is how a managed identity comes in.
"""

from __future__ import annotations

import re
import threading
from collections.abc import Callable, Mapping
from typing import Any, Protocol
from urllib.parse import urlencode, urlsplit

from shared.dataverse.clock import Clock, SystemClock
from shared.dataverse.hosts import LOGIN_AUTHORITIES, AllowedHosts, is_loopback
from shared.dataverse.transport import Request, Transport
from shared.errors import AbortRun, RetryLater

__all__ = ["ClientCredentials", "CredentialTokens", "TokenProvider", "resource_of"]

EARLY_SECONDS = 300.0  # a token is renewed this long before it ends, so none ends under way

_CHALLENGE_AUTHORITY = re.compile(r'authorization_uri="?([^",\s]+)"?')


class TokenProvider(Protocol):
    """One application user's tokens."""

    def token(self, resource_url: str) -> str:
        """A token that holds for a while yet; safe to call from several threads.

        Args:
            resource_url: ``https://org.crm.dynamics.com``, without a path.

        Raises:
            AbortRun: The credentials are refused.
            RetryLater: The token endpoint is away.
        """
        ...

    def forget(self) -> None:
        """Drop the token that was handed out: the service refused it."""
        ...


def resource_of(service_url: str) -> str:
    """Scheme and host of a service URL: the resource that a token is for."""
    parts = urlsplit(service_url)
    return f"{parts.scheme}://{parts.netloc}"


class _Kept:
    """One token for as long as it holds, fetched by one thread while the others wait."""

    def __init__(self, fetch: Callable[[str], tuple[str, float]], clock: Clock) -> None:
        self._fetch = fetch
        self._clock = clock
        self._lock = threading.Lock()
        self._token = ""
        self._until = 0.0
        self._resource = ""

    def token(self, resource_url: str) -> str:
        with self._lock:
            if not self._token or self._resource != resource_url or self._clock.monotonic() >= self._until:
                asked_at = self._clock.monotonic()
                self._token, lasts = self._fetch(resource_url)
                self._resource = resource_url
                # A token that lasts less than the margin is still used for half its life.
                self._until = asked_at + max(lasts - EARLY_SECONDS, lasts / 2)
            return self._token

    def forget(self) -> None:
        with self._lock:
            self._token = ""


class CredentialTokens:
    """Tokens of an azure-identity credential, such as a managed identity.

    Args:
        credential: Anything with azure-identity's ``get_token(scope)``.
        clock: Tells how long a token still holds.
    """

    def __init__(self, credential: Any, *, clock: Clock | None = None) -> None:
        self._credential = credential
        self._clock = clock or SystemClock()
        self._kept = _Kept(self._fetch, self._clock)

    def token(self, resource_url: str) -> str:
        """A token; see `TokenProvider.token`."""
        return self._kept.token(resource_url)

    def forget(self) -> None:
        """Drop the token."""
        self._kept.forget()

    def _fetch(self, resource_url: str) -> tuple[str, float]:
        answer = self._credential.get_token(f"{resource_url}/.default")
        return answer.token, answer.expires_on - self._clock.now().timestamp()


class ClientCredentials:
    """The OAuth client-credentials flow with a secret, or with a certificate and its private key in PEM.

    Args:
        client_id: The application's id.
        secret: Gives the secret; called whenever one is needed, so a rotated secret needs no restart.
        transport: Sends the requests that msal does not: discovery, and tokens on loopback.
        authority: ``https://login.microsoftonline.com/<tenant>``; read from the service's own challenge when None.
        forget_secret: Makes the next call of `secret` fetch it anew; called once when it is refused.
        clock: Tells how long a token still holds.
    """

    def __init__(
        self,
        client_id: str,
        secret: Callable[[], str],
        *,
        transport: Transport,
        authority: str | None = None,
        forget_secret: Callable[[], None] = lambda: None,
        clock: Clock | None = None,
    ) -> None:
        self._client_id = client_id
        self._secret = secret
        self._transport = transport
        self._authority = authority
        self._forget_secret = forget_secret
        self._kept = _Kept(self._fetch, clock or SystemClock())

    def token(self, resource_url: str) -> str:
        """A token; see `TokenProvider.token`."""
        return self._kept.token(resource_url)

    def forget(self) -> None:
        """Drop the token."""
        self._kept.forget()

    def _fetch(self, resource_url: str) -> tuple[str, float]:
        authority = self._checked_authority(resource_url)
        answer = self._ask(authority, resource_url)
        if answer.get("error") in {"invalid_client", "unauthorized_client"}:
            self._forget_secret()
            answer = self._ask(authority, resource_url)
        if "access_token" not in answer:
            raise AbortRun(_why_refused(answer, self._client_id))
        return str(answer["access_token"]), float(answer.get("expires_in", 3600))

    def _checked_authority(self, resource_url: str) -> str:
        """The authority, found and allowed: the secret is sent there, so the service may not name just anyone."""
        if self._authority is None:
            self._authority = discovered_authority(self._transport, resource_url)
        service_is_local = is_loopback(urlsplit(resource_url).hostname or "")
        if is_loopback(urlsplit(self._authority).hostname or "") and not service_is_local:
            raise AbortRun("the service names this machine as its sign-in authority; refused")
        AllowedHosts(LOGIN_AUTHORITIES).check(self._authority)
        return self._authority

    def _ask(self, authority: str, resource_url: str) -> Mapping[str, Any]:
        scope = f"{resource_url}/.default"
        if urlsplit(authority).scheme == "http":
            return self._ask_plainly(authority, scope)
        return _ask_msal(self._client_id, self._secret(), authority, scope)

    def _ask_plainly(self, authority: str, scope: str) -> Mapping[str, Any]:
        form = {
            "grant_type": "client_credentials",
            "client_id": self._client_id,
            "client_secret": self._secret(),
            "scope": scope,
        }
        response = self._transport.send(
            Request(
                method="POST",
                url=f"{authority.rstrip('/')}/oauth2/v2.0/token",
                headers={"Content-Type": "application/x-www-form-urlencoded", "Accept": "application/json"},
                body=urlencode(form).encode(),
                timeout=30,
            )
        )
        try:
            answer = response.json()
        except ValueError:
            answer = None
        if not isinstance(answer, dict):
            raise RetryLater(f"the token endpoint answered {response.status}", retry_after=5)
        return answer


def discovered_authority(transport: Transport, resource_url: str) -> str:
    """The authority that a service names when it is asked without a token.

    Raises:
        AbortRun: The service names none: most likely this is no Dataverse URL.
    """
    response = transport.send(Request(method="GET", url=f"{resource_url}/api/data/v9.2/", timeout=30))
    found = _CHALLENGE_AUTHORITY.search(response.headers.get("www-authenticate", ""))
    if found is None:
        raise AbortRun(
            f"{urlsplit(resource_url).netloc} names no sign-in authority (it answered {response.status}): "
            "is service_url the URL of a Dataverse environment? If it is, set tenant_id"
        )
    return re.sub(r"/oauth2(/v2\.0)?/authorize/?$", "", found[1])


def _ask_msal(client_id: str, secret: str, authority: str, scope: str) -> Mapping[str, Any]:
    # Imported where first used: a cold start must not pay for it.
    import msal  # type: ignore[import-untyped]  # noqa: PLC0415 - see above; msal has no type information
    import requests  # noqa: PLC0415 - for the type of what msal lets through

    try:
        application = msal.ConfidentialClientApplication(
            client_id,
            authority=authority,
            client_credential=_credential(secret),
            # Discovery would only tell msal what the allow-list already settles, through one more host.
            instance_discovery=False,
            timeout=30,
        )
        answer: Mapping[str, Any] | None = application.acquire_token_for_client(scopes=[scope])
    except requests.exceptions.SSLError as error:
        raise AbortRun(
            f"no secure connection to {urlsplit(authority).hostname}: its certificate is not trusted"
        ) from error
    except requests.RequestException as error:
        raise RetryLater(f"{urlsplit(authority).hostname} could not be reached for a token", retry_after=5) from error
    except ValueError as error:
        raise AbortRun(
            f"{urlsplit(authority).hostname} does not know this tenant, or the certificate is not usable: "
            "check tenant_id and the credentials"
        ) from error
    return answer or {}


def _credential(secret: str) -> str | dict[str, str]:
    """A secret as it is; PEM text with a private key and a certificate in the form that msal takes."""
    if "-----BEGIN" not in secret:
        return secret
    certificate = re.search(r"-----BEGIN CERTIFICATE-----.+?-----END CERTIFICATE-----", secret, re.DOTALL)
    key = re.search(r"-----BEGIN [A-Z ]*PRIVATE KEY-----.+?-----END [A-Z ]*PRIVATE KEY-----", secret, re.DOTALL)
    if certificate is None or key is None:
        raise AbortRun("the client certificate must hold a private key and a certificate, both in PEM")
    return {"private_key": key[0], "thumbprint": _thumbprint(certificate[0]), "public_certificate": certificate[0]}


def _thumbprint(certificate: str) -> str:
    import hashlib  # noqa: PLC0415 - only certificates need these two
    import ssl  # noqa: PLC0415

    # Entra ID names certificates by their SHA-1 thumbprint; it protects nothing here.
    return hashlib.sha1(ssl.PEM_cert_to_DER_cert(certificate), usedforsecurity=False).hexdigest()


def _why_refused(answer: Mapping[str, Any], client_id: str) -> str:
    """Entra ID's reason in one sentence; its descriptions name ids and times, never the secret."""
    described = str(answer.get("error_description") or answer.get("error") or "no reason given")
    first_line = described.splitlines()[0] if described else ""
    return f"signing in as application {client_id} was refused: {first_line}"
