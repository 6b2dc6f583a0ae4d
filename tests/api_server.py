"""A real HTTP server that answers as a test says: also wrongly, half, or not at all."""

from __future__ import annotations

import json
import ssl
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cache
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from itertools import islice
from pathlib import Path
from typing import Any, Final
from urllib.parse import parse_qsl, urlsplit

__all__ = ["ApiServer", "Received", "Reply", "file_server", "page_of", "serving"]

LINES: Final = 5000  # of a page of `file_server`


@dataclass(frozen=True, slots=True, kw_only=True)
class Received:
    """One request; names of headers are in lower case."""

    method: str
    path: str
    query: Mapping[str, str]
    headers: Mapping[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        return json.loads(self.body)


@dataclass(frozen=True, slots=True, kw_only=True)
class Reply:
    """One answer.

    Attributes:
        body: Bytes as they are; anything else as JSON.
        cut: So many bytes of the body are sent, and then the connection is closed.
        dropped: The connection is closed without an answer.
        without_length: The end of the connection is the end of the body.
    """

    status: int = 200
    body: Any = b""
    headers: Mapping[str, str] = field(default_factory=dict)
    cut: int | None = None
    dropped: bool = False
    without_length: bool = False

    @property
    def content(self) -> bytes:
        return self.body if isinstance(self.body, bytes) else json.dumps(self.body).encode()


class ApiServer:
    """A server on this machine.

    Args:
        tls: Certificate and key; without it, plain http is spoken.

    Attributes:
        answer: Answers each request.
        received: The requests so far.
    """

    def __init__(self, answer: Callable[[Received], Reply], tls: ssl.SSLContext | None = None) -> None:
        self.answer = answer
        self.received: list[Received] = []
        self._server = _Server(("127.0.0.1", 0), _handler(self))
        if tls is not None:
            self._server.socket = tls.wrap_socket(self._server.socket, server_side=True)
        self._thread = threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True)
        self._thread.start()

    @property
    def port(self) -> int:
        return int(self._server.server_address[1])

    @property
    def url(self) -> str:
        """Without a slash at its end."""
        return f"http://127.0.0.1:{self.port}"

    def asked(self, name: str) -> list[str | None]:
        """The values of a query parameter, over all requests."""
        return [request.query.get(name) for request in self.received]

    def close(self) -> None:
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()


class _Server(ThreadingHTTPServer):
    daemon_threads = True

    def handle_error(self, *_: object) -> None:
        """Clients that hang up are part of the tests."""


def _handler(server: ApiServer) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def handle_request(self) -> None:
            parts = urlsplit(self.path)
            received = Received(
                method=self.command,
                path=parts.path,
                query=dict(parse_qsl(parts.query, keep_blank_values=True)),
                headers={name.lower(): value for name, value in self.headers.items()},
                body=self.rfile.read(int(self.headers.get("Content-Length") or 0)),
            )
            server.received.append(received)
            self.reply(server.answer(received))

        do_GET = do_POST = do_HEAD = do_PUT = do_DELETE = handle_request  # noqa: N815 - the names of the base class

        def reply(self, reply: Reply) -> None:
            self.close_connection = reply.dropped or reply.without_length or reply.cut is not None
            if reply.dropped:
                return
            content = reply.content
            self.send_response(reply.status)
            for name, value in reply.headers.items():
                self.send_header(name, value)
            if reply.without_length:
                self.send_header("Connection", "close")
            elif reply.status != 204 and "Content-Length" not in reply.headers:
                self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            if self.command != "HEAD" and reply.status != 204:
                self.wfile.write(content[: reply.cut])

        def log_message(self, *_: object) -> None:
            pass

    return Handler


@contextmanager
def serving(answer: Callable[[Received], Reply], tls: ssl.SSLContext | None = None) -> Iterator[ApiServer]:
    """A server for the time of a block; see `ApiServer`."""
    server = ApiServer(answer, tls)
    try:
        yield server
    finally:
        server.close()


def page_of(rows: list[Any], received: Received, size: int = 10) -> list[Any]:
    """The rows behind the `offset` of a request, as many as its `limit` says."""
    begin = int(received.query.get("offset", 0))
    return rows[begin : begin + int(received.query.get("limit", size))]


@cache
def file_server() -> ApiServer:
    """A server of the files of this machine, for as long as the process lives: their lines in pages, by `offset`."""

    def answer(received: Received) -> Reply:
        path, begin = Path(received.path), int(received.query.get("offset", 0))
        if not path.is_file():
            return Reply(status=404, body={"message": "no such file"})
        with path.open("rb") as file:
            lines = b"".join(islice(file, begin, begin + LINES))
        return Reply(body=lines) if lines else Reply(status=204)

    return ApiServer(answer)
