"""Dead letters as JSON values."""

from __future__ import annotations

from typing import Any

from shared.state import DeadLetter

__all__ = ["dead_letter_json"]


def dead_letter_json(letter: DeadLetter) -> dict[str, Any]:
    """A dead letter as JSON values; in a body that is not UTF-8 the invalid bytes are replaced."""
    return {
        "id": letter.id,
        "sync": letter.sync,
        "error": letter.error,
        "code": letter.code,
        "message": letter.message,
        "partition": letter.partition,
        "sequence": letter.sequence,
        "offset": letter.offset,
        "tries": letter.tries,
        "kept": letter.kept.isoformat(),
        "enqueued": letter.enqueued.isoformat() if letter.enqueued else None,
        "body": letter.body.decode("utf-8", "replace"),
    }
