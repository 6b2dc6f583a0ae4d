"""What the errors of an event hub mean, for every use of its client."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Final

from shared.errors import RetryLater, SyncError

__all__ = ["SIGN_IN", "hub_errors"]

SIGN_IN: Final = "the identity of the app cannot sign in to Azure: check the identity that is assigned to the app"
_NO_HUB: Final = "the namespace has no event hub of this name: check EVENT_HUB_NAME"
_RETRY_AFTER: Final = 10.0  # seconds


@contextmanager
def hub_errors(role: str, right: str, refused: Callable[[str], SyncError]) -> Iterator[None]:
    """Say what the hub means; the texts of the library may name hosts and keys.

    Args:
        role: The role of Azure that the work needs.
        right: The right of a key that it needs.
        refused: Makes the error for what does not pass by itself.

    Raises:
        SyncError: The error of `refused`: the identity cannot sign in, lacks the role, or there is no such hub.
        RetryLater: The hub or the endpoint for tokens is unavailable.
    """
    from azure.core.exceptions import ClientAuthenticationError  # noqa: PLC0415 - the Azure SDKs load slowly
    from azure.eventhub.exceptions import AuthenticationError, EventHubError  # noqa: PLC0415

    from shared.http.azure_tokens import TokensUnavailableError  # noqa: PLC0415 - as above

    try:
        yield
    except TokensUnavailableError as error:
        raise RetryLater(f"no token for the event hub: {error}", retry_after=_RETRY_AFTER) from error
    except ClientAuthenticationError as error:
        raise refused(SIGN_IN) from error
    except EventHubError as error:
        # The library has its class for a refused sign-in also for an answer that did not come: `internal-error`.
        is_refused = isinstance(error, AuthenticationError) and error.error != "internal-error"
        if is_refused or error.error == "unauthorized-access":
            needed = f"give its identity the role {role}, or the key of EventHubConnection the right {right}"
            raise refused(f"the event hub refuses the app: {needed}") from error
        if error.error == "not-found":
            raise refused(_NO_HUB) from error
        message = f"the event hub is not available: {type(error).__name__}"
        raise RetryLater(message, retry_after=_RETRY_AFTER) from error
