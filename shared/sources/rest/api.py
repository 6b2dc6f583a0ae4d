"""The requests of one API: with sign-in and retries; each answer is stored in a file until it is complete."""

from __future__ import annotations

from collections.abc import Mapping
from http import HTTPStatus
from pathlib import Path
from typing import Final
from urllib.parse import urljoin

from requests.utils import requote_uri

from shared.errors import UserError
from shared.http.hosts import origin_of
from shared.http.transport import HttpTransport, Request, Response
from shared.sources.context import SourceContext
from shared.sources.rest.addresses import shown_request
from shared.sources.rest.endpoint import PLAIN_HEADERS, Endpoint
from shared.sources.rest.paging import PageRequest
from shared.sources.rest.retries import Retries
from shared.sources.rest.sign_in import sign_in
from shared.workspace import writing

__all__ = ["Api"]

_REDIRECTS: Final = frozenset({301, 302, 303, 307, 308})
_KEEP_METHOD: Final = frozenset({307, 308})
_MOST_REDIRECTS: Final = 5
_REMEDY: Final = "ask for smaller pages with size and size_parameter of pagination, or for fewer records"


class Api:
    """Sends the requests of a source.

    Args:
        endpoint: What is asked.
        context: Gives secrets, time, and the hosts that may be reached.
        file: Where the body of each answer is kept.
        retries: Sends requests again.
    """

    def __init__(self, endpoint: Endpoint, context: SourceContext, file: Path, retries: Retries) -> None:
        self._endpoint = endpoint
        self._headers = endpoint.headers
        self._reach = context.reach
        self._file = file
        self._retries = retries
        self._sign_in = sign_in(endpoint.auth, context, retries)
        self._transport = HttpTransport(connections=1, remedy=_REMEDY, check_address=context.reach.guard)

    def close(self) -> None:
        """Close the connections."""
        self._sign_in.close()
        self._transport.close()

    def place(self, asked: PageRequest) -> str:
        """A request as messages show it."""
        return shown_request(self._endpoint.method, asked.url)

    def answer(self, asked: PageRequest) -> tuple[Response, str]:
        """The answer to a request, and the URL that it came from; its body is in the file.

        Raises:
            UserError: Its host may not be reached, or the credentials cannot be used.
            RetryLater: The service throttles, is not available, or does not answer.
            AbortRun: The answer is too large.
        """
        url = asked.url
        for _ in range(_MOST_REDIRECTS + 1):
            answer = self._final_answer(asked, url)
            if answer.status not in _REDIRECTS:
                return answer, url
            url = self._redirected(url, answer)
        raise UserError(f"{self.place(asked)}: more than {_MOST_REDIRECTS} redirects; write the URL that they lead to")

    def _final_answer(self, asked: PageRequest, url: str) -> Response:
        """The answer of one URL; credentials that are refused are renewed once."""
        own = self._is_own(url)
        answer = self._sent(asked, url, own=own)
        if own and answer.status == HTTPStatus.UNAUTHORIZED and self._renewed():
            answer = self._sent(asked, url, own=own)
        return answer

    def _renewed(self) -> bool:
        """Get the credentials again, those in headers too; return whether they may have changed."""
        before, self._headers = self._headers, self._endpoint.renewed_headers()
        return self._sign_in.renewed() or self._headers != before

    def _is_own(self, url: str) -> bool:
        """Whether a URL leads to the API itself, which alone gets the credentials.

        Raises:
            UserError: It leads to a host that may not be reached; a service may name only those that are listed.
        """
        self._reach.check(url)
        if origin_of(url) == self._endpoint.origin:
            return True
        host = origin_of(url)[1]
        if not self._reach.lists(host):
            raise UserError(
                f"{origin_of(self._endpoint.url)[1]} names a next page on another host, {host}. If that is right, add "
                f"it to SOURCE_HOSTS; credentials are not sent there"
            )
        return False

    def _sent(self, asked: PageRequest, url: str, *, own: bool) -> Response:
        signed, credentials = self._sign_in.signed(url) if own else (url, {})
        headers = _merged(self._headers if own else PLAIN_HEADERS, credentials)
        request = Request(
            method=self._endpoint.method,
            url=signed,
            headers=headers,
            body=None if asked.body is None else asked.body.encode(),
            timeout=self._endpoint.timeout,
        )
        return self._retries.answer(lambda: self._received(request), shown_request(request.method, url))

    def _received(self, request: Request) -> Response:
        with writing(self._file.parent), self._file.open("wb") as file:
            return self._transport.receive(request, file.write)

    def _redirected(self, url: str, answer: Response) -> str:
        place = shown_request(self._endpoint.method, url)
        try:
            target = requote_uri(urljoin(url, answer.headers.get("location", "")))
        except ValueError:
            target = ""
        if not target or target == url or origin_of(target) != origin_of(url):
            raise UserError(f"{place} redirects to another host, or nowhere; write the URL that answers")
        if self._endpoint.method != "GET" and answer.status not in _KEEP_METHOD:
            raise UserError(f"{place} redirects, and the body would be lost; write the URL that answers")
        return target.partition("#")[0]


def _merged(headers: Mapping[str, str], credentials: Mapping[str, str]) -> dict[str, str]:
    names = {name.lower() for name in credentials}
    return {**{name: value for name, value in headers.items() if name.lower() not in names}, **credentials}
