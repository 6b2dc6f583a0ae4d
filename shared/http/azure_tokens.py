"""Tokens of azure-identity's credentials; an endpoint that gives no token now is told from a refusal.

azure-identity raises the same error for both: a chain of credentials keeps only texts, and msal repeats an old answer
for a minute. So what the endpoints answer is noted where the requests are sent.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from functools import partial
from http import HTTPStatus
from typing import TYPE_CHECKING, Any, Final, Self
from urllib.parse import urlsplit

from azure.core.exceptions import AzureError, ClientAuthenticationError

from shared.errors import SDK_MISREADS, first_line

if TYPE_CHECKING:
    from azure.core.credentials import AccessToken, AccessTokenInfo
    from azure.core.pipeline import PipelineRequest, PipelineResponse

__all__ = ["TokensUnavailableError", "WatchedCredential", "app_credential", "is_refused", "managed_identity"]

# 410: the endpoint of virtual machines is being updated.
# https://learn.microsoft.com/entra/identity/managed-identities-azure-resources/how-to-use-vm-token#error-handling
_PASSING: Final = frozenset({HTTPStatus.REQUEST_TIMEOUT, HTTPStatus.GONE, HTTPStatus.TOO_MANY_REQUESTS})
_NO_ANSWER: Final = 0
# The endpoint of virtual machines. Every machine asks there whether it is one, so no answer may also mean that it is
# not. The other endpoints are asked only where the environment names them.
_OF_MACHINES: Final = "169.254.169.254"


class TokensUnavailableError(ClientAuthenticationError):
    """An endpoint gives no token now: it is throttled, out of order or out of reach; the message says which.

    A `ClientAuthenticationError`, because the SDKs do not send a request again whose sign-in has failed: the
    credential has tried several times already.
    """


class WatchedCredential:
    """A credential of azure-identity; may be used from any thread.

    Args:
        make: Makes it; gets the hooks of its HTTP pipeline as keywords.
    """

    def __init__(self, make: Callable[..., Any]) -> None:
        self._inner = make(raw_request_hook=self._sent, raw_response_hook=self._answered)
        self._waiting = threading.local()
        self._has_worked = False
        # Host -> the status of its last answer.
        self._said: dict[str, int] = {}

    def get_token(self, *scopes: str, **options: Any) -> AccessToken:
        """A token; see `TokenCredential` of azure-core.

        Raises:
            TokensUnavailableError: No endpoint gives one now.
            ClientAuthenticationError: There is no identity, or it is refused.
        """
        token: AccessToken = self._watched(partial(self._inner.get_token, *scopes, **options))
        return token

    def get_token_info(self, *scopes: str, options: Any = None) -> AccessTokenInfo:
        """The same with more about the token; see `SupportsTokenInfo` of azure-core."""
        token: AccessTokenInfo = self._watched(partial(self._inner.get_token_info, *scopes, options=options))
        return token

    def close(self) -> None:
        """Close the connections."""
        self._inner.close()

    def __enter__(self) -> Self:
        """Open the connections."""
        self._inner.__enter__()
        return self

    def __exit__(self, *failure: object) -> None:
        """See `close`."""
        self._inner.__exit__(*failure)

    def _watched(self, ask: Callable[[], Any]) -> Any:
        self._waiting.host = ""
        try:
            token = ask()
        except (AzureError, *SDK_MISREADS) as error:
            if host := self._waiting.host:
                self._said[host] = _NO_ANSWER
            if cause := self._cause():
                raise TokensUnavailableError(cause) from error
            if isinstance(error, ClientAuthenticationError) and (refusal := self._refusal()):
                raise ClientAuthenticationError(f"{first_line(error)}: {refusal}") from error
            raise
        self._said.clear()
        self._has_worked = True
        return token

    def _sent(self, request: PipelineRequest[Any]) -> None:
        self._waiting.host = urlsplit(request.http_request.url).hostname or ""

    def _answered(self, response: PipelineResponse[Any, Any]) -> None:
        if host := self._waiting.host:
            self._said[host] = response.http_response.status_code
        self._waiting.host = ""

    def _cause(self) -> str:
        """Which endpoint gives no token now, and why; empty where none of them is the reason."""
        for host, status in tuple(self._said.items()):
            if status == _NO_ANSWER and (self._has_worked or host != _OF_MACHINES):
                return f"{host}, which gives out the tokens, does not answer"
            if status in _PASSING or status >= HTTPStatus.INTERNAL_SERVER_ERROR:
                return f"{host}, which gives out the tokens, answered {status}"
        return ""

    def _refusal(self) -> str:
        """What the endpoints answered; the text of a chain of credentials has it below its first line."""
        return ", ".join(f"{host} answered {status}" for host, status in tuple(self._said.items()) if status)


def is_refused(error: Exception) -> bool:
    """Whether a sign-in has failed for another reason than an endpoint that gives no token now."""
    return isinstance(error, ClientAuthenticationError) and not isinstance(error, TokensUnavailableError)


def app_credential(client_id: str | None) -> WatchedCredential:
    """Who the app is in Azure: its managed identity, or the developer who signed in.

    Args:
        client_id: Of the user-assigned identity; None for the default one.
    """
    from azure.identity import DefaultAzureCredential  # noqa: PLC0415 - takes half a second to load

    return WatchedCredential(partial(DefaultAzureCredential, managed_identity_client_id=client_id))


def managed_identity(client_id: str | None) -> WatchedCredential:
    """A managed identity alone; see `app_credential`."""
    from azure.identity import ManagedIdentityCredential  # noqa: PLC0415 - takes half a second to load

    return WatchedCredential(partial(ManagedIdentityCredential, client_id=client_id))
