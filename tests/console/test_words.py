"""What a definition says, in words."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest

from console.editor.filters import FILTERS
from console.syncs.words import behaviour_words, schedule_words, source_words
from shared.definitions import SyncDefinition, load_definition
from shared.definitions.reference.example import EXAMPLE

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)
DEFINITION = load_definition(EXAMPLE)


def defined(**changes: Any) -> SyncDefinition:
    return DEFINITION.model_copy(update=changes)


def behaving(**changes: Any) -> tuple[str, ...]:
    known = DEFINITION.sync_behaviour.model_dump(by_alias=True) | changes
    return behaviour_words(defined(sync_behaviour=type(DEFINITION.sync_behaviour).model_validate(known)))


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"new": "ignore"}, "New rows are ignored."),
        ({"changed": {"when": "source.a > 1"}}, "Changed records are updated where source.a > 1."),
        ({"changed": "ignore"}, "Changed records are left as they are."),
        ({"dropped": "delete", "dropped_scope": "own"}, "have are deleted, but only those of this sync."),
        ({"dropped": {"expire": "enddate"}}, "Records that the source does not have get a date in enddate."),
        ({"dropped": "ignore"}, "Records that the source does not have are left as they are."),
        ({"dropped": "deactivate", "returned": "reactivate"}, "Records that come back are made active again."),
        ({"strategy": "upsert", "dropped": "ignore"}, "Dataverse decides between insert and update."),
    ],
)
def test_what_happens_to_records_is_said_in_sentences(changes: dict[str, Any], said: str) -> None:
    """Each choice of the behaviour has its words."""
    assert said in " ".join(behaving(**changes))


def test_a_sync_that_drops_nothing_says_nothing_of_dropped_records() -> None:
    """Only the strategy that compares knows them."""
    assert "does not have" not in " ".join(behaving(strategy="upsert", dropped="ignore"))


@pytest.mark.parametrize(
    ("path", "said"),
    [
        ("data/customers-?.csv", "Text files: data/customers-?.csv"),
        ("https://x.blob.core.windows.net/c/a.csv?sv=1&sig=abcdefghijklmnop", "Text files: https://x.blob.core.windows.net/c/a.csv"),
    ],
)  # fmt: skip
def test_a_source_is_said_without_what_may_be_a_key(path: str, said: str) -> None:
    """A pattern of a path keeps its question mark."""
    source = DEFINITION.source.model_copy(update={"path": path})
    assert source_words(defined(source=source)) == said


def test_a_schedule_has_its_next_starts_outside_the_quiet_hours() -> None:
    """In its own time zone; one that is off has none."""
    known = {"schedule": "0 */6 * * *", "time_zone": "Europe/Berlin", "quiet": "17:00-19:00"}
    words = schedule_words(defined(**known), NOW)
    assert [start.strftime("%H:%M %Z") for start in words.starts] == ["19:00 CET", "00:00 CET", "06:00 CET"]
    assert words.said == "By the clock of Europe/Berlin, and not within 17:00-19:00."
    assert schedule_words(defined(**known, enabled=False), NOW).starts == ()
    assert schedule_words(defined(schedule=None), NOW).said == "It starts on request only."


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        (
            "Condition over `source.*` and `target.*`.",
            "Condition over <code>source.*</code> and <code>target.*</code>.",
        ),
        ("ends as *Refused*; `a *b* c` <b>", "ends as <em>Refused</em>; <code>a *b* c</code> &lt;b&gt;"),
    ],
)
def test_prose_keeps_what_is_code(text: str, shown: str) -> None:
    """Stars in it are stars, and no emphasis."""
    assert FILTERS["prose"](text) == shown
