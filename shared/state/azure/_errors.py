"""Errors of the storage SDKs as what to do next."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Any, Final

from azure.core.exceptions import (
    AzureError,
    HttpResponseError,
    ResourceExistsError,
    ResourceModifiedError,
    ResourceNotFoundError,
    ResponseNotReadError,
)
from azure.data.tables import TableTransactionError

from shared.errors import AbortRun, RetryLater, StoreRefusedError, SyncError
from shared.http.azure_tokens import is_refused

__all__ = ["LostParts", "explained"]

REFUSED = frozenset({401, 403})
# A row exists, does not exist, or was changed in the meantime.
CONDITION_FAILED = frozenset({404, 409, 412})
PASSING = frozenset({408, 429})
SERVER_ERROR = 500
# Codes of the table and the blob service: no row or blob is missing, but what holds it.
_LOST: Final = frozenset({"TableNotFound", "TableBeingDeleted", "ContainerNotFound", "ContainerBeingDeleted"})


class LostParts:
    """Notices in the answers of an account that a table or container is gone that was there.

    The answer has the status of a row that is not there. Without the difference, a free lease would look taken.

    Attributes:
        count: How often that was noticed; what was opened before has to be opened again.
    """

    def __init__(self) -> None:
        self.count = 0

    def look(self, response: Any) -> None:
        """Look at one answer; the `raw_response_hook` of a client.

        Raises:
            RetryLater: A table or container is gone.
        """
        answer = response.http_response
        if answer.status_code in CONDITION_FAILED and not _asks_for_container(answer.request.url):
            try:
                self.refuse(answer.headers.get("x-ms-error-code") or _code_in(answer))
            except RetryLater:
                answer.close()  # nobody else will: the answer to a download is not read yet
                raise

    def refuse(self, code: Any) -> None:
        """Look at the code of an error (a text, or an enumeration of texts), as of one part of a transaction.

        Raises:
            RetryLater: A table or container is gone.
        """
        if (named := getattr(code, "value", code)) in _LOST:
            self.count += 1
            raise RetryLater(
                f"The state store has lost a table or a container ({named}). It is made again at the next try; what it "
                "held is gone: see the part Restore of the runbook",
                retry_after=10,
            )


def _asks_for_container(url: str) -> bool:
    """Whether a request asks for nothing but whether a container is there."""
    return url.endswith("?restype=container")


def _code_in(answer: Any) -> str | None:
    """The code in the body of an answer of the table service, which may send no header with it."""
    with suppress(ResponseNotReadError, ValueError, LookupError, TypeError):
        return str(json.loads(answer.text())["odata.error"]["code"])
    return None


@contextmanager
def explained() -> Iterator[None]:
    """Errors of the storage SDKs as what to do next; those that callers decide on go through."""
    try:
        yield
    except (ResourceExistsError, ResourceModifiedError, ResourceNotFoundError):
        raise
    except TableTransactionError as error:
        if error.status_code in CONDITION_FAILED:
            raise
        raise _explained(error) from error
    except AzureError as error:
        raise _explained(error) from error


def _explained(error: AzureError) -> SyncError:
    status = error.status_code if isinstance(error, HttpResponseError) else None
    said = (str(error.message).strip().splitlines() or [type(error).__name__])[0]
    if is_refused(error) or status in REFUSED:
        return StoreRefusedError(
            f"The state store refuses this identity: {said}. It needs the roles 'Storage Table Data Contributor', "
            "'Storage Queue Data Contributor' and 'Storage Blob Data Owner' on the account of AzureWebJobsStorage. The "
            "AccountKey, if it has one, may have been regenerated: enter the new one, and restart the program"
        )
    if status is None or status in PASSING or status >= SERVER_ERROR:
        return RetryLater(f"The state store is not available: {said}", retry_after=10)
    return AbortRun(f"The state store refused a request ({status}): {said}")
