"""DuckDB has the time zones of the tz database and converts their times to moments."""

from __future__ import annotations

import random
from datetime import UTC, datetime, timedelta
from importlib.resources import files
from zoneinfo import ZoneInfo

import pytest

from shared.transform.notation.moments import clock_in
from shared.workspace import Workspace, literal

ZONES = sorted(set((files("tzdata") / "zones").read_text("utf-8").split()) - {"Factory"})
FIRST, SECONDS = datetime(1970, 1, 1, tzinfo=UTC), 130 * 365 * 86_400


def zone_of(name: str) -> ZoneInfo:
    """A zone from the package, which is newer than that of some machines."""
    with (files("tzdata") / "zoneinfo" / name).open("rb") as file:
        return ZoneInfo.from_file(file, key=name)


def test_duckdb_has_every_zone_with_its_rules_of_now_and_of_the_future(workspace: Workspace) -> None:
    """From 1970 to 2100. If this fails, the tz database has new rules, and DuckDB needs an update."""
    chosen = random.Random(20260301)
    moments = sorted(FIRST + timedelta(seconds=chosen.randrange(SECONDS)) for _ in range(120))
    listed = ", ".join(f"TIMESTAMP {literal(moment.strftime('%Y-%m-%d %H:%M:%S'))}" for moment in moments)
    workspace.execute(f"CREATE TABLE moments AS SELECT unnest([{listed}]) AS moment")
    for name in ZONES:
        zone = zone_of(name)
        found = [
            shown for (shown,) in workspace.query(f"SELECT {clock_in('moment', name)} FROM moments ORDER BY moment")
        ]
        assert found == [moment.astimezone(zone).replace(tzinfo=None) for moment in moments], name


@pytest.mark.parametrize("name", ["Europe/Berlin", "America/New_York", "Africa/Casablanca", "Pacific/Apia"])
def test_changes_of_a_zone_are_at_least_32_hours_apart(workspace: Workspace, name: str) -> None:
    """Two changes within this time could cancel each other."""
    offset = f"epoch_us({clock_in('moment', name)}) - epoch_us(moment)"
    ((nearest,),) = workspace.query(f"""
        SELECT min(moment - before) FROM (
          SELECT moment, lag(moment) OVER (ORDER BY moment) AS before FROM (
            SELECT moment, lag(offset_) OVER (ORDER BY moment) IS DISTINCT FROM offset_ AS changes FROM (
              SELECT moment, {offset} AS offset_
              FROM range(TIMESTAMP '1900-01-01', TIMESTAMP '2100-01-01', INTERVAL 8 HOUR) AS hours(moment)))
          WHERE changes)""")
    assert nearest > timedelta(hours=32)
