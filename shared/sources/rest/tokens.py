"""Tokens by OAuth2 client credentials (RFC 6749, 4.4): fetched when they are needed, kept while they are valid."""

from __future__ import annotations

import base64
import json
import re
from collections.abc import Mapping
from typing import Any, Final
from urllib.parse import quote_plus, urlencode

from shared.definitions.models.connections.api import ClientPlace, OAuth2Client
from shared.errors import UserError
from shared.http.transport import HttpTransport, Request, Response
from shared.redaction import cleaned, register_secret
from shared.sources.context import SourceContext
from shared.sources.rest.addresses import shown_request
from shared.sources.rest.endpoint import known_secret, own_text
from shared.sources.rest.retries import Retries

__all__ = ["ClientTokens"]

_TIMEOUT: Final = 30.0
_MOST_BYTES: Final = 1 << 20
_EARLY: Final = 60.0  # seconds: a token is renewed this long before it ends, so none ends under way
_LASTS: Final = 3600.0  # seconds, if the endpoint does not give it
_LONGEST: Final = 86_400.0
_TOKEN: Final = re.compile(r"[!-~]{1,65536}")
_GOOD: Final = 200
_REFUSED: Final = frozenset({400, 401, 403})
_MOST_SHOWN: Final = 200  # characters


class ClientTokens:
    """The tokens of one client.

    Args:
        auth: Endpoint and client.
        context: Gives parameters, secrets and the time.
        retries: Sends the requests.
    """

    def __init__(self, auth: OAuth2Client, context: SourceContext, retries: Retries) -> None:
        self._auth = auth
        self._context = context
        self._retries = retries
        self._url = context.url(auth.token_url)
        self._transport = HttpTransport(connections=1, most_bytes=_MOST_BYTES, check_address=context.reach.guard)
        self._token, self._until = "", 0.0

    def token(self) -> str:
        """A token that is still valid for some time.

        Raises:
            UserError: The client is refused, or the answer has no token.
            RetryLater: The endpoint is not available.
        """
        clock = self._context.clock
        if not self._token or clock.monotonic() >= self._until:
            asked_at = clock.monotonic()
            answer = self._granted()
            self._token = self._checked(answer.get("access_token"))
            register_secret(self._token)
            lasts = _seconds(answer.get("expires_in"))
            self._until = asked_at + max(lasts - _EARLY, lasts / 2)
        return self._token

    def forget(self) -> None:
        """Drop the token: the service refused it."""
        self._token = ""

    def close(self) -> None:
        """Close the connections."""
        self._transport.close()

    def _granted(self) -> Mapping[str, Any]:
        """The endpoint's answer; a secret that is refused may have been replaced since it was read."""
        self._context.reach.check(self._url)
        secret = known_secret(self._auth.client_secret, self._context)
        response = self._asked(secret)
        if response.status in _REFUSED:
            self._context.renew_secret(self._auth.client_secret)
            fresh = known_secret(self._auth.client_secret, self._context)
            response = self._asked(fresh) if fresh != secret else response
        try:
            answer = json.loads(response.body)
        except (ValueError, RecursionError):
            answer = None
        if response.status != _GOOD or not isinstance(answer, dict):
            raise UserError(self._refusal(response.status, answer))
        return answer

    def _asked(self, secret: str) -> Response:
        auth, context = self._auth, self._context
        client = own_text(auth.client_id, context)
        form = {"grant_type": "client_credentials"}
        headers = {"Accept": "application/json", "Content-Type": "application/x-www-form-urlencoded"}
        if auth.credentials is ClientPlace.BODY:
            form |= {"client_id": client, "client_secret": secret}
        else:  # RFC 6749, 2.3.1: both are form-encoded first
            pair = base64.b64encode(f"{quote_plus(client)}:{quote_plus(secret)}".encode()).decode()
            register_secret(pair)
            headers["Authorization"] = f"Basic {pair}"
        for name, text in (("scope", auth.scope), ("audience", auth.audience)):
            if text is not None:
                form[name] = context.text(text)
        request = Request(
            method="POST", url=self._url, headers=headers, body=urlencode(form).encode(), timeout=_TIMEOUT
        )
        return self._retries.answer(lambda: self._transport.send(request), self._place)

    @property
    def _place(self) -> str:
        return shown_request("POST", self._url)

    def _checked(self, token: object) -> str:
        if isinstance(token, str) and _TOKEN.fullmatch(token):
            return token
        raise UserError(f"{self._place} gave no token that a request can carry: check token_url")

    def _refusal(self, status: int, answer: object) -> str:
        """The endpoint's reason in one sentence; descriptions name ids and times, never the secret."""
        said = ""
        if isinstance(answer, dict):
            parts = [str(answer[name]) for name in ("error", "error_description") if answer.get(name)]
            said = " ".join(cleaned(": ".join(parts)).split())[:_MOST_SHOWN]
        return (
            f"{self._place} gave no token, but {status}{f' ({said})' if said else ''}: check token_url, client_id, "
            f"client_secret and scope"
        )


def _seconds(value: object) -> float:
    """How long a token is valid; some endpoints write the number as text."""
    if isinstance(value, str) and re.fullmatch(r"[0-9]{1,9}", value):
        return min(float(value), _LONGEST)
    if isinstance(value, int | float) and not isinstance(value, bool) and 0 <= value <= _LONGEST:
        return float(value)
    return _LASTS
