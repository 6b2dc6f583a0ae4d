"""Which errors of a driver mean that a storage of files does not answer, or takes no requests now."""

from __future__ import annotations

import socket
from http import HTTPStatus
from typing import Final

from shared.errors import SourceUnavailableError, UserError

__all__ = ["unreachable"]

_BUSY: Final = frozenset({HTTPStatus.REQUEST_TIMEOUT, HTTPStatus.TOO_MANY_REQUESTS})
# The names of such errors in aiohttp and in the SDK of Azure, which do not raise those of Python.
_NO_CONNECTION: Final = frozenset({"ClientConnectionError", "ServiceRequestError", "ServiceResponseError"})
# A host of this name is not known: as a rule a mistake in the URL.
_NO_HOST: Final = frozenset({"ClientConnectorDNSError"})


def unreachable(message: str, error: BaseException) -> UserError:
    """The error to raise where a driver failed: `SourceUnavailableError` where that may pass by itself."""
    return (SourceUnavailableError if _may_pass(error) else UserError)(message)


def _may_pass(error: BaseException) -> bool:
    status = getattr(error, "status_code", None) or getattr(error, "status", None)
    if isinstance(status, int):
        return status in _BUSY or status >= HTTPStatus.INTERNAL_SERVER_ERROR
    kinds = {kind.__name__ for kind in type(error).__mro__}
    if kinds & _NO_HOST or isinstance(error.__cause__ or error.__context__, socket.gaierror):
        return False
    return isinstance(error, TimeoutError | ConnectionError | EOFError) or bool(kinds & _NO_CONNECTION)
