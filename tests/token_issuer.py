"""An issuer of tokens for workloads, on loopback: its description, its keys, and the places that give tokens out.

GitHub Actions gives a job a token at `/github`, a function app its managed identity at `/identity`.
"""

from __future__ import annotations

import base64
import time
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import jwt
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey

from tests.api_server import ApiServer, Received, Reply, serving
from tests.certificates import rsa_key

__all__ = ["EXCHANGE", "Issuer", "issuing"]

EXCHANGE = "api://AzureADTokenExchange"
_BEARER = "request-token-of-this-job"
_HEADER = "identity-header"


@dataclass(kw_only=True)
class Issuer:
    """What it says of itself, and whom it gives tokens to.

    Attributes:
        subject: The workload.
        key: Signs the tokens; another one than that in the description makes them invalid.
        broken: The status of every answer, if not 200.
    """

    subject: str = "repo:contoso/syncs:environment:production"
    key: RSAPrivateKey = field(default_factory=lambda: rsa_key("issuer"))
    lasts: float = 300
    broken: int = 200
    server: ApiServer = field(init=False)

    @property
    def url(self) -> str:
        return self.server.url

    def token(self, audience: str = EXCHANGE, **claims: Any) -> str:
        """A new token."""
        now = time.time()
        known = {"iss": self.url, "sub": self.subject, "aud": audience, "jti": str(uuid.uuid4())}
        times = {"iat": now, "nbf": now - 5, "exp": now + self.lasts}
        return jwt.encode(known | times | claims, self.key, algorithm="RS256", headers={"kid": "first"})

    def credential(self, **changed: Any) -> dict[str, Any]:
        """The federated credential that trusts it."""
        return {"name": "tests", "issuer": self.url, "subject": self.subject, "audiences": [EXCHANGE], **changed}

    def github(self) -> dict[str, str]:
        """The variables of a job in GitHub Actions."""
        return {
            "ACTIONS_ID_TOKEN_REQUEST_URL": f"{self.url}/github?api-version=2.0",
            "ACTIONS_ID_TOKEN_REQUEST_TOKEN": _BEARER,
        }

    def identity(self) -> dict[str, str]:
        """The variables of a function app with a managed identity."""
        return {"IDENTITY_ENDPOINT": f"{self.url}/identity", "IDENTITY_HEADER": _HEADER}

    def answer(self, asked: Received) -> Reply:
        if self.broken != 200:
            return Reply(status=self.broken)
        if asked.path == "/.well-known/openid-configuration":
            return Reply(body={"issuer": self.url, "jwks_uri": f"{self.url}/keys"})
        if asked.path == "/keys":
            return Reply(body={"keys": [_public(rsa_key("issuer"))]})
        if asked.path == "/github" and asked.headers.get("authorization") == f"Bearer {_BEARER}":
            return Reply(body={"value": self.token(asked.query["audience"])})
        if asked.path == "/identity" and asked.headers.get("x-identity-header") == _HEADER:
            resource, ends = asked.query["resource"], str(int(time.time() + 3600))
            body = {"access_token": self.token(resource), "expires_on": ends, "resource": resource}
            return Reply(body=body | {"token_type": "Bearer"})
        return Reply(status=401, body={"message": "not known here"})


def _public(key: RSAPrivateKey) -> dict[str, str]:
    numbers = key.public_key().public_numbers()
    values = {"n": numbers.n, "e": numbers.e}
    sized = {name: value.to_bytes((value.bit_length() + 7) // 8, "big") for name, value in values.items()}
    encoded = {name: base64.urlsafe_b64encode(value).rstrip(b"=").decode() for name, value in sized.items()}
    return {"kty": "RSA", "kid": "first", "use": "sig", "alg": "RS256", **encoded}


@contextmanager
def issuing(**parts: Any) -> Iterator[Issuer]:
    """An issuer for the length of a `with` block."""
    issuer = Issuer(**parts)
    with serving(issuer.answer) as issuer.server:
        yield issuer
