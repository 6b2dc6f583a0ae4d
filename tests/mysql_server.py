"""A server that speaks the protocol of MySQL and answers as a test says: no MySQL is installed for the tests.

Only what PyMySQL and SQLAlchemy need is there: every user is let in, and the answer to a statement is the first one
whose pattern is found in it; without one, it is OK.
https://dev.mysql.com/doc/dev/mysql-server/latest/PAGE_PROTOCOL.html
"""

from __future__ import annotations

import re
import socketserver
import struct
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, Final

__all__ = ["Answer", "Described", "MysqlServer", "mysql_server"]

_OK: Final = b"\x00\x00\x00\x02\x00\x00\x00"
_EOF: Final = b"\xfe\x00\x00\x02\x00"
_CAPABILITIES: Final = 0x000FA207  # protocol 4.1, secure connection, transactions, plug-in names, long passwords
_QUIT, _QUERY = 1, 3
_NULL: Final = b"\xfb"
_NO_DECIMALS: Final = 31


@dataclass(frozen=True, slots=True)
class Described:
    """A column of an answer: its name, the number of its type, and its decimals."""

    name: str
    kind: int = 253
    decimals: int = _NO_DECIMALS


@dataclass(frozen=True, slots=True)
class Answer:
    """What a statement gives.

    Attributes:
        columns: Of the result.
        rows: As the text that MySQL writes; None for NULL.
        cut: The connection is closed before the end of the result.
        error: The number and the message of a refusal instead.
    """

    columns: Sequence[Described] = ()
    rows: Sequence[Sequence[str | None]] = ()
    cut: bool = False
    error: tuple[int, str] | None = None


@dataclass(slots=True)
class MysqlServer:
    """A server that runs.

    Attributes:
        port: On this machine.
        answers: Pattern -> answer; the first one that is found in a statement counts.
        statements: All that came, in order.
    """

    port: int = 0
    answers: dict[str, Answer] = field(default_factory=dict)
    statements: list[str] = field(default_factory=list)

    @property
    def url(self) -> str:
        return f"mysql://app:n0t-checked@127.0.0.1:{self.port}/erp"

    def answer(self, statement: str) -> Answer:
        self.statements.append(statement)
        return next((each for pattern, each in self.answers.items() if re.search(pattern, statement)), Answer())


# What SQLAlchemy asks of every server.
_ALWAYS: Final = {
    r"SELECT VERSION\(\)": Answer([Described("v")], [["10.11.6-MariaDB"]]),
    r"SELECT DATABASE\(\)": Answer([Described("d")], [["erp"]]),
    "@@lower_case_table_names": Answer([Described("n", 8)], [["0"]]),
    "@@sql_mode": Answer([Described("m")], [[""]]),
    r"connection_id\(\)": Answer([Described("id", 8)], [["7"]]),
    "_isolation": Answer([Described("i")], [["REPEATABLE-READ"]]),
}


@contextmanager
def mysql_server(answers: dict[str, Answer]) -> Iterator[MysqlServer]:
    """Run a server with these answers."""
    known = MysqlServer(answers={**answers, **_ALWAYS})

    class Talking(socketserver.BaseRequestHandler):
        def handle(self) -> None:
            _talk(self.request, known)

    class Listening(socketserver.ThreadingTCPServer):
        daemon_threads = True
        allow_reuse_address = True

    with Listening(("127.0.0.1", 0), Talking) as listening:
        known.port = listening.server_address[1]
        thread = threading.Thread(target=listening.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True)
        thread.start()
        try:
            yield known
        finally:
            listening.shutdown()
            thread.join()


def _talk(connection: Any, server: MysqlServer) -> None:
    _send(connection, 0, [_greeting()])
    number, _ = _received(connection)
    _send(connection, number + 1, [_OK])
    while packet := _received(connection)[1]:
        if packet[0] == _QUIT:
            return
        answer = server.answer(packet[1:].decode()) if packet[0] == _QUERY else Answer()
        _send(connection, 1, _packets(answer))
        if answer.cut:
            return


def _greeting() -> bytes:
    low, high = struct.pack("<I", _CAPABILITIES)[:2], struct.pack("<I", _CAPABILITIES)[2:]
    salt = b"12345678", b"123456789012\0"
    head = b"\x0a8.0.36\0" + struct.pack("<I", 7) + salt[0] + b"\0" + low + b"\x2d\x02\x00" + high
    return head + b"\x15" + b"\0" * 10 + salt[1] + b"mysql_native_password\0"


def _packets(answer: Answer) -> Iterator[bytes]:
    if answer.error:
        number, message = answer.error
        yield b"\xff" + struct.pack("<H", number) + b"#HY000" + message.encode()
        return
    if not answer.columns:
        yield _OK
        return
    yield bytes([len(answer.columns)])
    for each in answer.columns:
        names = b"".join(map(_text, ("def", "", "", "", each.name, each.name)))
        yield names + b"\x0c" + struct.pack("<HIBHB", 45, 255, each.kind, 0, each.decimals) + b"\0\0"
    yield _EOF
    for row in answer.rows:
        yield b"".join(map(_text, row))
    if not answer.cut:
        yield _EOF


def _text(text: str | None) -> bytes:
    if text is None:
        return _NULL
    data = text.encode()
    return (bytes([len(data)]) if len(data) < 251 else b"\xfc" + struct.pack("<H", len(data))) + data


def _send(connection: Any, number: int, packets: Sequence[bytes] | Iterator[bytes]) -> None:
    """Send packets, each with its length and its number."""
    parts = []
    for place, packet in enumerate(packets, start=number):
        parts.append(struct.pack("<I", len(packet))[:3] + bytes([place % 256]) + packet)
    connection.sendall(b"".join(parts))


def _received(connection: Any) -> tuple[int, bytes]:
    head = _exactly(connection, 4)
    if not head:
        return 0, b""
    return head[3], _exactly(connection, int.from_bytes(head[:3], "little"))


def _exactly(connection: Any, size: int) -> bytes:
    data = b""
    while len(data) < size:
        part = connection.recv(size - len(data))
        if not part:
            return b""
        data += part
    return data
