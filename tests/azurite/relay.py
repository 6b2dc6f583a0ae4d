"""A server in front of a service: it passes every request on, and loses the first answer to each one that writes."""

from __future__ import annotations

import http.client
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

__all__ = ["Relay", "losing_answers"]


class Relay(ThreadingHTTPServer):
    """Listens on a free loopback port.

    Args:
        port: The service's port on this machine.

    Attributes:
        lost: The requests whose answers were lost: method, path and body.
    """

    daemon_threads = True

    def __init__(self, port: int) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.behind = port
        self.lost: set[tuple[str, str, bytes]] = set()


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: Relay

    def _pass_on(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        service = http.client.HTTPConnection("127.0.0.1", self.server.behind, timeout=30)
        service.request(self.command, self.path, body, dict(self.headers))
        answer = service.getresponse()
        data = answer.read()
        service.close()
        request = (self.command, self.path, body)
        if self.command not in {"GET", "HEAD"} and request not in self.server.lost:
            self.server.lost.add(request)
            self.close_connection = True
            return
        self.send_response(answer.status)
        for name, value in answer.getheaders():
            if name.lower() not in {"transfer-encoding", "content-length", "connection", "date", "server"}:
                self.send_header(name, value)
        whole = answer.getheader("Content-Length") if self.command == "HEAD" else None
        self.send_header("Content-Length", whole or str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    do_GET = do_HEAD = do_PUT = do_POST = do_PATCH = do_DELETE = _pass_on  # noqa: N815  # the names that the server calls

    def log_message(self, *_: object) -> None:
        """Nothing: a test says what went wrong."""


@contextmanager
def losing_answers(port: int) -> Iterator[Relay]:
    """A relay in front of a service of this machine, for the block."""
    with Relay(port) as relay:
        thread = threading.Thread(target=relay.serve_forever, kwargs={"poll_interval": 0.05})
        thread.start()
        try:
            yield relay
        finally:
            relay.shutdown()
            thread.join()
