"""Sign-in of requests: the credentials of each, and one retry with new ones after a refusal."""

from __future__ import annotations

import base64
from collections.abc import Mapping
from typing import Protocol

from shared.definitions.models import SecretReference
from shared.definitions.models.connections.api import ApiAuth, ApiKey, BasicAuth, BearerToken, OAuth2Client
from shared.errors import UserError
from shared.redaction import register_secret
from shared.sources.context import SourceContext
from shared.sources.rest.addresses import with_parameter
from shared.sources.rest.endpoint import known_secret, own_text
from shared.sources.rest.retries import Retries
from shared.sources.rest.tokens import ClientTokens

__all__ = ["SignIn", "sign_in"]


class SignIn(Protocol):
    """Adds credentials to requests to one host."""

    def signed(self, url: str) -> tuple[str, Mapping[str, str]]:
        """The URL and the headers with the credentials.

        Raises:
            UserError: There are none.
            RetryLater: The token endpoint is not available.
        """
        ...

    def renewed(self) -> bool:
        """Get the credentials again, because they were refused; return whether they may have changed."""
        ...

    def close(self) -> None:
        """Close the connections."""
        ...


def sign_in(auth: ApiAuth | None, context: SourceContext, retries: Retries) -> SignIn:
    """The sign-in of a definition, ready to be used; nothing is read or sent yet."""
    match auth:
        case None:
            return _Nobody()
        case OAuth2Client():
            return _WithToken(ClientTokens(auth, context, retries))
        case BasicAuth():
            return _Fixed(auth, auth.password, context)
        case BearerToken():
            return _Fixed(auth, auth.token, context)
        case ApiKey():
            return _Fixed(auth, auth.value, context)


class _Nobody:
    def signed(self, url: str) -> tuple[str, Mapping[str, str]]:
        return url, {}

    def renewed(self) -> bool:
        return False

    def close(self) -> None:
        pass


class _Fixed:
    """Credentials that are a secret themselves; one that is refused may have been replaced since it was read."""

    def __init__(
        self, auth: BasicAuth | BearerToken | ApiKey, reference: SecretReference, context: SourceContext
    ) -> None:
        self._auth = auth
        self._reference = reference
        self._context = context
        self._secret = ""

    def signed(self, url: str) -> tuple[str, Mapping[str, str]]:
        self._secret = self._secret or self._read()
        match self._auth:
            case ApiKey(query=str(name)):
                return with_parameter(url, name, self._secret), {}
            case ApiKey(header=str(name)):
                return url, {name: self._secret}
            case BasicAuth(user=user):
                pair = f"{own_text(user, self._context)}:{self._secret}"
                encoded = base64.b64encode(pair.encode()).decode()
                register_secret(encoded)
                return url, {"Authorization": f"Basic {encoded}"}
        return url, {"Authorization": f"Bearer {self._secret}"}

    def _read(self) -> str:
        secret = known_secret(self._reference, self._context)
        encoded = isinstance(self._auth, BasicAuth)  # then it may have any characters
        if not secret or not (encoded or (secret.isascii() and secret.isprintable())):
            raise UserError("a secret of source.auth is empty, or has characters that a request cannot carry")
        return secret

    def renewed(self) -> bool:
        before = self._secret
        self._context.renew_secret(self._reference)
        self._secret = self._read()
        return self._secret != before

    def close(self) -> None:
        pass


class _WithToken:
    def __init__(self, tokens: ClientTokens) -> None:
        self._tokens = tokens

    def signed(self, url: str) -> tuple[str, Mapping[str, str]]:
        return url, {"Authorization": f"Bearer {self._tokens.token()}"}

    def renewed(self) -> bool:
        self._tokens.forget()
        return True

    def close(self) -> None:
        self._tokens.close()
