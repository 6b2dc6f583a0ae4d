"""Errors of drivers in sentences: which mean that a storage of files does not answer, or takes no requests now."""

from __future__ import annotations

import socket
import ssl
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from http import HTTPStatus
from typing import Final

from shared.errors import SourceUnavailableError, UserError
from shared.remote import shown_url

__all__ = ["reaching", "reason", "refuse_unanswered"]

_BUSY: Final = frozenset({HTTPStatus.REQUEST_TIMEOUT, HTTPStatus.TOO_MANY_REQUESTS})
# The names of such errors in aiohttp, the SDK of Azure, requests and botocore, which do not raise those of Python; and
# what a server of FTP calls an error that passes.
_NO_CONNECTION: Final = frozenset(
    {"ClientConnectionError", "ServiceRequestError", "ServiceResponseError"}
    | {"ConnectionError", "Timeout", "HTTPClientError", "error_temp"}
)
_REFUSED: Final = frozenset({"ClientResponseError", "HTTPError"})
# A connection that is lost while a file comes.
_BROKEN_OFF: Final = frozenset(
    {"ClientPayloadError", "IncompleteReadError", "ChunkedEncodingError", "ResponseStreamingError"}
)
# Their texts have the path with its query, which may hold a token, or names of classes.
_WORDY: Final = frozenset({"RequestException"})
# A host of this name is not known: as a rule a mistake in the URL.
_NO_HOST: Final = frozenset({"ClientConnectorDNSError"})
_GONE: Final = frozenset({HTTPStatus.NOT_FOUND, HTTPStatus.GONE})
_MOST_CAUSES: Final = 10  # that led to an error
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


def reason(error: BaseException) -> str:
    """What a driver or the operating system says, without secrets of a URL."""
    if _NO_PARTS in str(error):
        return "the server sends only whole files, and this kind of file is read in parts; copy it to a storage account"
    return shown_url(getattr(error, "strerror", None) or str(error) or type(error).__name__)


def _said(error: Exception) -> str:
    """What has happened; the texts of these errors have the whole address, or a status that no host has sent."""
    kinds = _kinds(error)
    if kinds & _REFUSED and (status := _status(error)) is not None:
        return f"the host answers with status {status}"
    if kinds & _BROKEN_OFF:
        return "the connection broke off before all of the file had come"
    if kinds & _WORDY:
        causes = [each for each in _chain(error) if getattr(each, "strerror", None)]
        return reason(causes[-1]) if causes else "its host does not answer, or ends the connection"
    return reason(error)


def _unreachable(message: str, error: BaseException) -> UserError:
    """The error to raise where a driver failed: `SourceUnavailableError` where that may pass by itself."""
    return (SourceUnavailableError if _may_pass(error) else UserError)(message)


def _may_pass(error: BaseException) -> bool:
    """Whether the first error that tells, of this one and those that led to it, tells of an outage."""
    causes = [*_chain(error)]
    for each in causes:
        kinds = _kinds(each)
        if kinds & _BROKEN_OFF:  # also where the answer has begun with a good status
            return True
        if isinstance(each, TimeoutError | ConnectionError | EOFError) or kinds & (_NO_CONNECTION | _NO_HOST):
            return not any(_is_lasting(cause) for cause in causes)
        if (status := _status(each)) is not None:
            return status in _BUSY or status >= HTTPStatus.INTERNAL_SERVER_ERROR
    return False


def _is_lasting(error: BaseException) -> bool:
    """Whether an error is why there will be no connection: an unknown host, or a certificate that is not trusted."""
    return isinstance(error, socket.gaierror | ssl.SSLCertVerificationError) or bool(_kinds(error) & _NO_HOST)


def _status(error: BaseException) -> int | None:
    """The status that a host has answered with, as drivers keep it."""
    answer = getattr(error, "response", None)
    if isinstance(answer, Mapping):
        told = answer.get("ResponseMetadata", {}).get("HTTPStatusCode")
    else:
        places = ((error, "status_code"), (error, "status"), (answer, "status_code"), (error, "code"))
        told = next((found for place, name in places if (found := getattr(place, name, None))), None)
    return told if isinstance(told, int) else None


def _chain(error: BaseException) -> Iterator[BaseException]:
    """An error and those that led to it."""
    seen: BaseException | None = error
    for _ in range(_MOST_CAUSES):
        if seen is None:
            return
        yield seen
        seen = seen.__cause__ or (None if seen.__suppress_context__ else seen.__context__)


def _kinds(error: BaseException) -> frozenset[str]:
    """The names of the classes of an error: those of the drivers are not loaded for a comparison."""
    return frozenset(kind.__name__ for kind in type(error).__mro__)
