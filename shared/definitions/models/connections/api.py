"""What requests to an API have in common, in a connection and in a source: addresses, headers, sign-in, pace."""

from __future__ import annotations

import re
from enum import StrEnum
from typing import Annotated, Final, Literal, Self
from urllib.parse import urlsplit

from pydantic import AfterValidator, Discriminator, Field, model_validator

from shared.definitions.models.base import NUMBER, Model, Text
from shared.definitions.models.names import names_in
from shared.definitions.models.secrets import SecretReference, TextOrSecret

__all__ = [
    "ApiAuth",
    "ApiKey",
    "ApiUrl",
    "BasicAuth",
    "BearerToken",
    "ClientPlace",
    "Headers",
    "OAuth2Client",
    "RateLimit",
    "checked_api_url",
]

_LOOPBACK: Final = frozenset({"localhost", "127.0.0.1", "::1"})
_ABSOLUTE: Final = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*://")


def checked_api_url(url: str) -> str:
    """Check the address of an API as far as it is known; one that begins with a parameter is checked in the run.

    Raises:
        ValueError: It is not such an address; the message does not repeat it, because it may contain a password.
    """
    if re.match(r"@(?:\w|\{)", url):
        return url
    try:
        parts = urlsplit(url)
        host, _ = parts.hostname, parts.port
    except ValueError:
        raise ValueError("this is not a URL; write one such as https://api.example.com/v1") from None
    if not _ABSOLUTE.match(url) or parts.scheme not in {"https", "http"} or not host:
        raise ValueError("an address of an API starts with https:// and a host")
    if parts.scheme == "http" and host not in _LOOPBACK and not names_in(parts.netloc):
        raise ValueError("an address of an API starts with https://; http:// is only for this machine")
    if parts.username is not None and not names_in(parts.netloc):
        raise ValueError("an address of an API must not contain a user or password; write auth instead")
    if parts.fragment:
        raise ValueError("an address of an API has no part behind #")
    return url


ApiUrl = Annotated[Text, AfterValidator(checked_api_url)]
Headers = dict[str, TextOrSecret]


class ClientPlace(StrEnum):
    """Where a token request has the client's id and secret."""

    BODY = "body"
    HEADER = "header"


class BasicAuth(Model):
    """A user and a password with every request."""

    type: Literal["basic"] = Field(description="HTTP Basic.")
    user: TextOrSecret = Field(description="The user's name, or a reference to a secret.")
    password: SecretReference = Field(description="Reference to the password.")


class BearerToken(Model):
    """A token that does not change."""

    type: Literal["bearer"] = Field(description="A bearer token.")
    token: SecretReference = Field(description="Reference to the token.")


class OAuth2Client(Model):
    """Tokens by OAuth2 client credentials (RFC 6749, 4.4); a token that ends or is refused is replaced by a new one."""

    type: Literal["oauth2"] = Field(description="OAuth2 client credentials.")
    token_url: ApiUrl = Field(description="The token endpoint. Its host must be allowed too.")
    client_id: TextOrSecret = Field(description="The client's id, or a reference to a secret.")
    client_secret: SecretReference = Field(description="Reference to the client's secret.")
    scope: Text | None = Field(default=None, description="Scopes, separated by blanks.")
    audience: Text | None = Field(default=None, description="The `audience` that some services want.")
    credentials: ClientPlace = Field(
        default=ClientPlace.BODY, description="Where the token request has id and secret: in its `body` or `header`."
    )


class ApiKey(Model):
    """A key in a header or in the query; exactly one of `header` and `query` is given."""

    type: Literal["api_key"] = Field(description="An API key.")
    header: str | None = Field(default=None, min_length=1, max_length=100, description="Name of the header.")
    query: str | None = Field(default=None, min_length=1, max_length=100, description="Name of the query parameter.")
    value: SecretReference = Field(description="Reference to the key.")

    @model_validator(mode="after")
    def _has_one_place(self) -> Self:
        if (self.header is None) == (self.query is None):
            raise ValueError("an API key needs exactly one of header and query")
        return self


ApiAuth = Annotated[BasicAuth | BearerToken | OAuth2Client | ApiKey, Discriminator("type")]


class RateLimit(Model):
    """How many requests are sent at most; exactly one key is given."""

    per_second: Annotated[float, Field(gt=0, le=1000), NUMBER] | None = Field(
        default=None, description="Requests in a second."
    )
    per_minute: Annotated[float, Field(gt=0, le=60_000), NUMBER] | None = Field(
        default=None, description="Requests in a minute."
    )

    @model_validator(mode="after")
    def _has_one_pace(self) -> Self:
        if (self.per_second is None) == (self.per_minute is None):
            raise ValueError("a rate limit needs exactly one of per_second and per_minute")
        return self

    @property
    def interval(self) -> float:
        """Seconds from the start of one request to the start of the next."""
        return 1 / self.per_second if self.per_second else 60 / self.per_minute if self.per_minute else 0.0
