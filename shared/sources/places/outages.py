"""Errors of drivers in sentences: which mean that a storage of files does not answer, or takes no requests now."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from contextlib import contextmanager
from http import HTTPStatus
from typing import Final

from shared.errors import SourceUnavailableError, UserError
from shared.remote import shown_url

__all__ = ["reaching", "reason", "refuse_unanswered"]

_BUSY: Final = frozenset({HTTPStatus.REQUEST_TIMEOUT, HTTPStatus.TOO_MANY_REQUESTS})
# The names of such errors in aiohttp and in the SDK of Azure, which do not raise those of Python.
_NO_CONNECTION: Final = frozenset({"ClientConnectionError", "ServiceRequestError", "ServiceResponseError"})
_REFUSED: Final = frozenset({"ClientResponseError"})
# A connection that is lost while a file comes, in aiohttp and in the SDK of Azure.
_BROKEN_OFF: Final = frozenset({"ClientPayloadError", "IncompleteReadError"})
# A host of this name is not known: as a rule a mistake in the URL.
_NO_HOST: Final = frozenset({"ClientConnectorDNSError"})
_GONE: Final = frozenset({HTTPStatus.NOT_FOUND, HTTPStatus.GONE})
_NO_PARTS: Final = "support range requests"  # what fsspec says of an HTTP server that sends no parts of a file


@contextmanager
def reaching(url: str) -> Iterator[None]:
    """Explain errors of a driver of fsspec.

    Raises:
        UserError: What is done in the block has failed; `SourceUnavailableError` where that may pass by itself.
    """
    try:
        yield
    except UserError:
        raise
    except ImportError as error:
        raise UserError(f"{shown_url(url)}: the driver for this kind of URL is not installed ({error})") from error
    except Exception as error:  # the boundary to fsspec: every driver raises errors of its own
        what = "read" if _kinds(error) & (_REFUSED | _BROKEN_OFF) else "reached"
        raise _unreachable(f"{shown_url(url)} cannot be {what}: {_said(error)}", error) from error


def refuse_unanswered(error: FileNotFoundError, url: str) -> None:
    """Tell a host that is away, or that refuses, from one that does not have the file: to HTTP, both are not there.

    Args:
        error: What the driver of HTTP has raised; its cause is what the host answered.
        url: The file.

    Raises:
        UserError: The host did not say that there is no such file.
    """
    cause = error.__cause__
    is_gone = isinstance(cause, FileNotFoundError) or getattr(cause, "status", None) in _GONE
    if isinstance(cause, Exception) and not is_gone:
        raise _unreachable(f"{shown_url(url)} cannot be read: {_said(cause)}", cause) from cause


def reason(error: Exception) -> str:
    """What a driver or the operating system says, without secrets of a URL."""
    if _NO_PARTS in str(error):
        return "the server sends only whole files, and this kind of file is read in parts; copy it to a storage account"
    return shown_url(getattr(error, "strerror", None) or str(error) or type(error).__name__)


def _said(error: Exception) -> str:
    """What has happened; the texts of these errors have the whole address, or a status that no host has sent."""
    kinds = _kinds(error)
    if kinds & _REFUSED:
        return f"the host answers with status {getattr(error, 'status', '')}"
    return "the connection broke off before all of the file had come" if kinds & _BROKEN_OFF else reason(error)


def _unreachable(message: str, error: BaseException) -> UserError:
    """The error to raise where a driver failed: `SourceUnavailableError` where that may pass by itself."""
    return (SourceUnavailableError if _may_pass(error) else UserError)(message)


def _may_pass(error: BaseException) -> bool:
    kinds = _kinds(error)
    if kinds & _BROKEN_OFF:  # also where the answer has begun with a good status
        return True
    status = getattr(error, "status_code", None) or getattr(error, "status", None)
    if isinstance(status, int):
        return status in _BUSY or status >= HTTPStatus.INTERNAL_SERVER_ERROR
    if kinds & _NO_HOST or isinstance(error.__cause__ or error.__context__, socket.gaierror):
        return False
    return isinstance(error, TimeoutError | ConnectionError | EOFError) or bool(kinds & _NO_CONNECTION)


def _kinds(error: BaseException) -> frozenset[str]:
    """The names of the classes of an error: those of the drivers are not loaded for a comparison."""
    return frozenset(kind.__name__ for kind in type(error).__mro__)
