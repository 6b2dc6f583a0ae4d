"""Errors of the storage SDKs as what to do next."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from azure.core.exceptions import (
    AzureError,
    HttpResponseError,
    ResourceExistsError,
    ResourceModifiedError,
    ResourceNotFoundError,
)
from azure.data.tables import TableTransactionError

from shared.errors import AbortRun, RetryLater, SyncError
from shared.http.azure_tokens import is_refused

__all__ = ["explained"]

REFUSED = frozenset({401, 403})
# A row exists, does not exist, or was changed in the meantime.
CONDITION_FAILED = frozenset({404, 409, 412})
PASSING = frozenset({408, 429})
SERVER_ERROR = 500


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
        return AbortRun(
            f"The state store refuses this identity: {said}. It needs the roles 'Storage Table Data Contributor', "
            "'Storage Queue Data Contributor' and 'Storage Blob Data Owner' on the account of AzureWebJobsStorage. The "
            "AccountKey, if it has one, may have been regenerated: enter the new one, and restart the program"
        )
    if status is None or status in PASSING or status >= SERVER_ERROR:
        return RetryLater(f"The state store is not available: {said}", retry_after=10)
    return AbortRun(f"The state store refused a request ({status}): {said}")
