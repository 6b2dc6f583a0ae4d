"""Real time and activity parties: an event that creates an activity also creates its parties."""

from __future__ import annotations

from typing import Any

import requests

from tests.integration.jobs.real_time.conftest import Make
from tests.integration.jobs.real_time.world import World

EMAILS: dict[str, Any] = {
    "columns": [{"name": "subject"}, {"name": "to"}, {"name": "category"}],
    "mappings": [
        {"source": "subject", "target": "subject"},
        {"source": "category", "target": "category"},
        {"source": "to", "target": "to", "lookup": {"entity": "account", "match": "accountnumber"}},
    ],
    "destination": {"entity": "email", "id_column": "activityid"},
    "behaviour": {"sync_key": ["subject"]},
}


def recipients(world: World) -> dict[str, tuple[str | None, int]]:
    """Subject -> category and number of recipients."""
    url = f"{world.emulator.service_url}emails?$expand=email_activity_parties($select=participationtypemask)"
    headers = {"Authorization": f"Bearer {world.emulator.token()}"}
    emails = requests.get(url, headers=headers, timeout=10).json()["value"]
    return {
        each["subject"]: (
            each["category"],
            sum(party["participationtypemask"] == 2 for party in each["email_activity_parties"]),
        )
        for each in emails
    }


def test_an_event_gives_parties_to_a_new_activity_only(make: Make) -> None:
    world = make(**EMAILS)
    for number in ("1", "2"):
        world.put(accountnumber=number)

    world.run({"op": "c", "subject": "one", "to": "1;2"}, {"op": "c", "subject": "two", "category": "x"})
    world.run({"op": "u", "subject": "one", "category": "y", "to": "1"})

    assert (recipients(world), world.letters) == ({"one": ("y", 2), "two": ("x", 0)}, [])


def test_an_event_with_a_party_that_is_not_found_is_a_dead_letter(make: Make) -> None:
    world = make(**EMAILS)
    world.put(accountnumber="1")

    world.run({"op": "c", "subject": "one", "to": "1;nobody"}, {"op": "c", "subject": "two", "to": "1"})

    assert (recipients(world), world.reasons) == ({"two": (None, 1)}, {0: "Unresolved Link"})
