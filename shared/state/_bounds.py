"""The limits for one record in a store: larger values are cut, and the record shows it.

The bounds are those of the narrowest store, Azure Tables (1 MiB a row, two bytes a character), so that a state can be
moved from one store to another. Usual values are much smaller.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, replace
from typing import Any, Final

from shared.state.event_records import DeadLetter
from shared.state.records import AuditEntry, ErrorRecord, RunRecord

__all__ = ["fitting_entry", "fitting_error", "fitting_letter", "fitting_run", "json_text"]

# Two rows a run in Azure Tables, and `runs` reads many at once: a fifth of what a row may hold.
MOST_OF_A_RUN: Final = 100_000  # characters of JSON
# A message of a run or a letter is read by a person.
MOST_OF_A_MESSAGE: Final = 16_384  # characters
MOST_OF_A_NAME: Final = 1_024  # characters
MOST_OF_EXAMPLES: Final = 16_384  # characters of JSON
# Before and after of one entry of the audit log: definitions of people have a few thousand characters. A letter that is
# not ASCII takes six characters of JSON or more.
MOST_OF_A_CHANGE: Final = 100_000  # characters
# An event hub takes events of 1 MB, the dedicated tier of 20 MB, properties included.
MOST_OF_A_BODY: Final = 32 * 1024 * 1024  # bytes
MOST_OF_PROPERTIES: Final = 32 * 1024 * 1024  # characters of JSON
CUT: Final = " … (cut)"


def json_text(value: Any) -> str:
    """A value as ASCII JSON; other values become text."""
    return json.dumps(value, default=str)


def fitting_run(run: RunRecord) -> RunRecord:
    """The row of a run within the limits."""
    if _size(run) <= MOST_OF_A_RUN:
        return run
    # The errors are rows of their own, read by the run's id.
    errors = run.counts.get("errors")
    kinds = {"error_kinds": len(errors)} if isinstance(errors, list | Mapping) else {}
    counts = {name: value for name, value in run.counts.items() if name != "errors"} | kinds
    run = replace(run, counts=counts, message=_cut(run.message, MOST_OF_A_MESSAGE))
    if _size(run) <= MOST_OF_A_RUN:
        return run
    run = replace(run, parameters={"cut": f"{len(run.parameters):,} parameters are too large to be kept"}, given={})
    if _size(run) <= MOST_OF_A_RUN:
        return run
    numbers = {name[:MOST_OF_A_NAME]: value for name, value in run.counts.items() if isinstance(value, int | float)}
    run = replace(run, counts=numbers)
    return run if _size(run) <= MOST_OF_A_RUN else replace(run, counts={"cut": "too large to be kept"})


def fitting_error(error: ErrorRecord) -> ErrorRecord:
    """The row of an error within the limits."""
    if _size_of(error.examples) > MOST_OF_EXAMPLES:
        error = replace(error, examples=())
    if max(len(error.column), len(error.error_class), len(error.error_type)) <= MOST_OF_A_NAME and (
        len(error.message) <= MOST_OF_A_MESSAGE
    ):
        return error
    return replace(
        error,
        error_class=_cut(error.error_class, MOST_OF_A_NAME),
        error_type=_cut(error.error_type, MOST_OF_A_NAME),
        column=_cut(error.column, MOST_OF_A_NAME),
        message=_cut(error.message, MOST_OF_A_MESSAGE),
    )


def fitting_letter(letter: DeadLetter) -> DeadLetter:
    """A dead letter within the limits; its message names what is missing."""
    missing = []
    if len(letter.body) > MOST_OF_A_BODY:
        missing.append(f"its body after the first {MOST_OF_A_BODY:,} of {len(letter.body):,} bytes")
        letter = replace(letter, body=letter.body[:MOST_OF_A_BODY])
    if _size_of(letter.properties) > MOST_OF_PROPERTIES:
        missing.append("its properties")
        letter = replace(letter, properties={})
    if _size_of(letter.system) > MOST_OF_PROPERTIES:
        missing.append("its system properties")
        letter = replace(letter, system={})
    said = f"; the event is too large, so it is kept without {' and '.join(missing)}"
    return replace(
        letter,
        message=_cut(_encodable(letter.message), MOST_OF_A_MESSAGE) + (said if missing else ""),
        error=_cut(_encodable(letter.error), MOST_OF_A_NAME),
        code=_cut(_encodable(letter.code), MOST_OF_A_NAME),
        offset=_cut(_encodable(letter.offset), MOST_OF_A_NAME),
        partition=_cut(_encodable(letter.partition), MOST_OF_A_NAME),
    )


def fitting_entry(entry: AuditEntry) -> AuditEntry:
    """An entry of the audit log within the limits."""
    return replace(
        entry,
        by=_cut(_encodable(entry.by), MOST_OF_A_NAME),
        name=_cut(_encodable(entry.name), MOST_OF_A_NAME),
        action=_cut(_encodable(entry.action), MOST_OF_A_NAME),
        before=_cut_in_json(_encodable(entry.before), MOST_OF_A_CHANGE),
        after=_cut_in_json(_encodable(entry.after), MOST_OF_A_CHANGE),
    )


def _size(run: RunRecord) -> int:
    return _size_of(asdict(run))


def _size_of(value: Any) -> int:
    try:
        return len(json_text(value))
    except (RecursionError, TypeError, ValueError):
        return MOST_OF_PROPERTIES + 1  # not possible as JSON: nested too deeply, or with keys that are not text


def _cut(text: str, most: int) -> str:
    return text if len(text) <= most else text[: most - len(CUT)] + CUT


def _cut_in_json(text: str, most: int) -> str:
    """A text of at most so many characters, which take at most twice as many in JSON."""
    cut = _cut(text, most)
    while (size := len(json_text(cut))) > 2 * most:
        cut = _cut(text, min(len(cut) - 1, len(cut) * 2 * most // size))
    return cut


def _encodable(text: str) -> str:
    """Text that UTF-8 can write: half of a character becomes a question mark."""
    return text.encode("utf-8", "replace").decode()
