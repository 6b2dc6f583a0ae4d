"""Connections on which a whole answer has a deadline and a most size, not only the next piece of it.

A timeout of a socket starts again with every byte. So a server that sends one byte now and then, in its headers or in
its body, could hold a thread for days. Here each read from the socket may take no longer than what is left for the
answer. Lines behind a chunked answer have no bound in the libraries above, so the bytes are counted here as well.
"""

from __future__ import annotations

import io
import socket
import time
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from http.client import HTTPResponse
from typing import Any

from requests.adapters import HTTPAdapter
from urllib3 import HTTPConnectionPool, HTTPSConnectionPool, PoolManager
from urllib3.connection import HTTPConnection, HTTPSConnection

from shared.http.addresses import connected

__all__ = ["AnswerTooLargeError", "DeadlineAdapter", "answered_within"]


class AnswerTooLargeError(Exception):
    """More bytes came than an answer may have."""


@dataclass(frozen=True, slots=True)
class _Limits:
    deadline: float  # the moment of `time.monotonic` by which the answer has to be complete
    most: int  # bytes as they travel


_limits: ContextVar[_Limits | None] = ContextVar("answer_limits", default=None)


@contextmanager
def answered_within(seconds: float, most: int) -> Iterator[None]:
    """Give the answer that this thread reads inside the block so many seconds and bytes."""
    token = _limits.set(_Limits(time.monotonic() + seconds, most))
    try:
        yield
    finally:
        _limits.reset(token)


class _LimitedReads(io.RawIOBase):
    """A socket's bytes; a read that would go on beyond the deadline raises `TimeoutError`."""

    def __init__(self, raw: io.RawIOBase, connected: socket.socket, limits: _Limits) -> None:
        self._raw = raw
        self._socket = connected
        self._each = connected.gettimeout()
        self._limits = limits
        self._count = 0

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any, /) -> int | None:
        left = self._limits.deadline - time.monotonic()
        if left <= 0:
            raise TimeoutError("the answer was not complete in time")
        self._socket.settimeout(left if self._each is None else min(left, self._each))
        count = self._raw.readinto(buffer)
        self._count += count or 0
        if self._count > self._limits.most:
            raise AnswerTooLargeError
        return count

    def close(self) -> None:
        self._raw.close()
        super().close()


class _LimitedResponse(HTTPResponse):
    """An answer of the standard library, read under the deadline from its first line on."""

    def __init__(self, sock: socket.socket, *args: Any, **options: Any) -> None:
        super().__init__(sock, *args, **options)
        if (limits := _limits.get()) is not None:
            self.fp = io.BufferedReader(_LimitedReads(self.fp.detach(), sock, limits))


class _LimitedConnection(HTTPConnection):
    response_class = _LimitedResponse

    def _new_conn(self) -> socket.socket:
        return connected(self, super()._new_conn)


class _LimitedSecureConnection(HTTPSConnection):
    response_class = _LimitedResponse

    def _new_conn(self) -> socket.socket:
        return connected(self, super()._new_conn)


class _Pool(HTTPConnectionPool):
    ConnectionCls = _LimitedConnection


class _SecurePool(HTTPSConnectionPool):
    ConnectionCls = _LimitedSecureConnection


class DeadlineAdapter(HTTPAdapter):
    """The adapter of requests over such connections."""

    def init_poolmanager(self, connections: int, maxsize: int, block: bool = False, **options: Any) -> None:  # noqa: FBT001, FBT002 - the signature of requests
        """Make the pools, as requests asks for them."""
        super().init_poolmanager(connections, maxsize, block, **options)
        _limited(self.poolmanager)

    def proxy_manager_for(self, proxy: str, **options: Any) -> Any:
        """Make the pools of a proxy."""
        manager = super().proxy_manager_for(proxy, **options)
        _limited(manager)
        return manager


def _limited(manager: PoolManager) -> None:
    manager.pool_classes_by_scheme = {"http": _Pool, "https": _SecurePool}
