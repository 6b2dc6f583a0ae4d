"""Tokens for Dataverse: who the program is, and how long that holds.

A `TokenProvider` represents one application user. `ClientCredentials` asks Entra ID through msal; on loopback, where
msal refuses plain http, it asks the same endpoint itself. `CredentialTokens` takes any azure-identity credential, which
is how a managed identity and the sign-in of a developer come in.
"""

from __future__ import annotations

import re
import threading
from collections.abc import Callable, Mapping
from typing import Any, Protocol
from urllib.parse import urlsplit

from shared.clock import Clock, SystemClock
from shared.dataverse.http.identities import MANAGED_IDENTITY, CredentialName, token_of
from shared.dataverse.http.proofs import ClientProof
from shared.dataverse.http.token_endpoint import (
    TOKEN_SECONDS,
    answered,
    ask_msal,
    ask_plainly,
    check_available,
    first_sentence,
)
from shared.errors import AbortRun
from shared.http.hosts import LOGIN_AUTHORITIES, AllowedHosts, is_loopback, origin_of
from shared.http.transport import Request, Transport
from shared.redaction import register_secret

__all__ = ["ClientCredentials", "CredentialTokens", "TokenProvider", "resource_of"]

EARLY_SECONDS = 300.0  # a token is renewed this long before it ends, so none ends under way

# Entra ID's answers that a proof which was changed in the meantime can be the reason of.
_REFUSED = frozenset({"invalid_client", "unauthorized_client"})

_CHALLENGE_AUTHORITY = re.compile(r'authorization_uri="?([^",\s]+)"?')


class TokenProvider(Protocol):
    """One application user's tokens."""

    def token(self, resource_url: str) -> str:
        """A token that holds for a while yet; safe to call from several threads.

        Args:
            resource_url: ``https://org.crm.dynamics.com``, without a path.

        Raises:
            AbortRun: The credentials are refused.
            RetryLater: The token endpoint is unavailable.
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
                register_secret(self._token)
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
        named: Whose it is, for messages.
        clock: Gives the time, to know how long a token is valid.
    """

    def __init__(
        self, credential: Any, *, named: CredentialName = MANAGED_IDENTITY, clock: Clock | None = None
    ) -> None:
        self._credential = credential
        self._named = named
        self._clock = clock or SystemClock()
        self._kept = _Kept(self._fetch, self._clock)

    def token(self, resource_url: str) -> str:
        """A token; see `TokenProvider.token`."""
        return self._kept.token(resource_url)

    def forget(self) -> None:
        """Drop the token."""
        self._kept.forget()

    def _fetch(self, resource_url: str) -> tuple[str, float]:
        token, ends = token_of(self._credential, f"{resource_url}/.default", self._named)
        return token, ends - self._clock.now().timestamp()


class ClientCredentials:
    """The OAuth client-credentials flow.

    Args:
        client_id: The application's id.
        proof: A secret, a certificate, or a token of another issuer.
        transport: Sends the requests that msal does not: discovery, and tokens on loopback.
        authority: ``https://login.microsoftonline.com/<tenant>``; read from the service's own challenge when None.
        clock: Gives the time, to know how long a token is valid.
    """

    def __init__(
        self,
        client_id: str,
        proof: ClientProof,
        *,
        transport: Transport,
        authority: str | None = None,
        clock: Clock | None = None,
    ) -> None:
        self._client_id = client_id
        self._proof = proof
        self._transport = transport
        self._authority = authority
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
        if answer.get("error") in _REFUSED:
            self._proof.renew()
            answer = self._ask(authority, resource_url)
        if "access_token" not in answer:
            raise AbortRun(_why_refused(answer, self._client_id, self._proof.remedy))
        return answer["access_token"], answer.get("expires_in", TOKEN_SECONDS)

    def _checked_authority(self, resource_url: str) -> str:
        """The authority, found and allowed: the secret is sent there, so the service may not name just anyone."""
        if self._authority is None:
            self._authority = discovered_authority(self._transport, resource_url)
        service_is_local = is_loopback(urlsplit(resource_url).hostname or "")
        if is_loopback(origin_of(self._authority)[1]) and not service_is_local:
            raise AbortRun("the service returned this machine as its sign-in authority; this is refused")
        AllowedHosts(LOGIN_AUTHORITIES).check(self._authority)
        return self._authority

    def _ask(self, authority: str, resource_url: str) -> Mapping[str, Any]:
        scope = f"{resource_url}/.default"
        if urlsplit(authority).scheme == "http":
            return ask_plainly(self._client_id, self._proof, authority, scope, self._transport)
        return ask_msal(self._client_id, self._proof, authority, scope, self._transport)


def discovered_authority(transport: Transport, resource_url: str) -> str:
    """The authority that a service names when it is asked without a token.

    Raises:
        RetryLater: The service throttles or is unavailable.
        AbortRun: The service returns none: probably this is not a Dataverse URL.
    """
    response = answered(transport, Request(method="GET", url=f"{resource_url}/api/data/v9.2/", timeout=30))
    found = _CHALLENGE_AUTHORITY.search(response.headers.get("www-authenticate", ""))
    if found is None:
        check_available(response, f"{urlsplit(resource_url).netloc}, asked for its sign-in authority,")
        raise AbortRun(
            f"{urlsplit(resource_url).netloc} returned no sign-in authority (status {response.status}): check that "
            f"service_url is the URL of a Dataverse environment. If it is, set tenant_id"
        )
    return re.sub(r"/oauth2(/v2\.0)?/authorize/?$", "", found[1])


def _why_refused(answer: Mapping[str, Any], client_id: str, remedy: str) -> str:
    """Entra ID's reason in one sentence; its descriptions name ids and times, never the secret."""
    described = str(answer.get("error_description") or answer.get("error") or "no reason given")
    return f"signing in as application {client_id} was refused ({remedy}): {first_sentence(described)}"
