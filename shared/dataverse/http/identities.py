"""Tokens of azure-identity's credentials: of a managed identity, and of who is signed in on a machine."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from shared.dataverse.http.token_endpoint import checked_token
from shared.errors import SDK_MISREADS, AbortRun, RetryLater, first_line

__all__ = ["DEVELOPER", "MANAGED_IDENTITY", "WORKLOAD", "CredentialName", "token_of"]


@dataclass(frozen=True, slots=True)
class CredentialName:
    """How messages name the holder of a credential.

    Attributes:
        name: The holder.
        remedy: What to check when there is no token.
    """

    name: str
    remedy: str


MANAGED_IDENTITY = CredentialName(
    "the managed identity",
    "Check that the app has this identity, and that the identity is an application user of the environment",
)
WORKLOAD = CredentialName("the managed identity", "Check that the app has this identity")
DEVELOPER = CredentialName(
    "the sign-in of this machine",
    "auth: federated found neither a token file (AZURE_FEDERATED_TOKEN_FILE), nor GitHub Actions, nor a managed "
    "identity. Sign in with 'az login' as a user of the environment",
)


def token_of(credential: Any, scope: str, named: CredentialName) -> tuple[str, float]:
    """A token and the moment of its end, in seconds since 1970.

    Args:
        credential: Anything with azure-identity's ``get_token(scope)``.
        scope: What the token is for, with ``/.default`` at its end.
        named: Whose it is, for messages.

    Raises:
        AbortRun: There is no such identity, or nobody is signed in.
        RetryLater: The endpoint is unavailable.
    """
    from azure.core.exceptions import (  # noqa: PLC0415 - only such credentials need it
        AzureError,
        ServiceRequestError,
        ServiceResponseError,
    )

    from shared.http.azure_tokens import TokensUnavailableError  # noqa: PLC0415 - as above

    try:
        answer = credential.get_token(scope)
        return checked_token(answer.token), float(answer.expires_on)
    except (ServiceRequestError, ServiceResponseError) as error:
        raise RetryLater(f"the endpoint of {named.name} cannot be reached", retry_after=5) from error
    except TokensUnavailableError as error:
        raise RetryLater(
            f"{named.name} has no token now: {error}. If this goes on: {named.remedy}", retry_after=5
        ) from error
    except AzureError as error:
        first = first_line(error)
        raise AbortRun(f"{named.name} returned no token: {first}. {named.remedy}") from error
    except SDK_MISREADS as error:
        raise AbortRun(f"the endpoint of {named.name} did not return a token") from error
