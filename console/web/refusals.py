"""Why a request is refused: shown as a page, or as problem details (RFC 9457)."""

from __future__ import annotations

__all__ = ["Refusal", "not_found"]


class Refusal(Exception):  # noqa: N818 - it is an answer, and not a fault
    """An answer other than the one that was asked for.

    Attributes:
        status: HTTP status.
        title: What it is, in a few words.
        detail: What to do.
        headers: Headers of the answer.
    """

    def __init__(self, status: int, title: str, detail: str = "", *, headers: dict[str, str] | None = None) -> None:
        super().__init__(title)
        self.status = status
        self.title = title
        self.detail = detail
        self.headers = headers or {}


def not_found() -> Refusal:
    """The same answer for what is not there and for what a person may not see."""
    return Refusal(404, "Not found", "There is no such page, or you have no rights to it.")
