"""Writes of blobs on a condition: the SDK's second try must not take its own first try for somebody else's write."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final, TypeVar

__all__ = ["CHANGED", "written_once"]

T = TypeVar("T")

CHANGED: Final = frozenset({404, 409, 412})
"""Answers to a write whose condition does not hold."""


def written_once(write: Callable[..., T], there: Callable[[], T | None]) -> T:
    """Write on a condition; a write that took effect and whose answer was lost counts as done.

    The SDK sends a request again where the connection breaks. If the first try took effect, its condition does not hold
    for the second one.

    Args:
        write: Sends the request with the options that it gets, and gives its result.
        there: Looks whether the blob is as the write leaves it, and gives the result; None where it is not.

    Returns:
        The result.

    Raises:
        HttpResponseError: With a status of `CHANGED`, somebody else has changed the blob; otherwise as the SDK says.
    """
    from azure.core.exceptions import HttpResponseError  # noqa: PLC0415 - the SDKs load slowly

    again: list[object] = []
    try:
        return write(retry_hook=lambda **_: again.append(None))
    except HttpResponseError as error:
        if error.status_code in CHANGED and again and (found := there()) is not None:
            return found
        raise
