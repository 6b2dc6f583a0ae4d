"""Events while the disk of the instance has no room: they come again, because none of them is the cause."""

from __future__ import annotations

import json
import resource
from collections.abc import Callable
from pathlib import Path

import pytest

from shared.cli.real_time import feed
from shared.errors import RetryLater
from tests.acceptance.world import accounts, world


def longest_file(size: int) -> Callable[..., None]:
    """Let no file of this process become longer, as on a full disk."""
    _, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    return lambda *_, **__: resource.setrlimit(resource.RLIMIT_FSIZE, (size, hard))


def test_events_wait_until_the_ledger_s_files_can_be_fetched(tmp_path: Path) -> None:
    """They take effect once there is room again."""
    usual, _ = resource.getrlimit(resource.RLIMIT_FSIZE)
    definition = accounts(listener={"name": "live", "topic": {"action": "$.op"}})
    definition["destination"]["mappings"][2]["write"] = "unless_edited"
    rows = [{"number": f"A{number}", "name": "Name", "city": "Ulm", "revenue": "1"} for number in range(3)]
    events = tmp_path / "events.ndjson"
    events.write_text("".join(json.dumps({"op": "u", "number": row["number"], "city": "Bern"}) + "\n" for row in rows))
    with world(tmp_path, in_thread=True) as here:
        here.define(definition)
        here.csv(rows)
        here.run()
        with here.store_in_front() as store:
            store.after["ledger_part"] = longest_file(16)
            try:
                with pytest.raises(RetryLater, match="free disk space there, or set WORKSPACE_TEMP"):
                    feed(here.app, "accounts", str(events))
            finally:
                longest_file(usual)()
        assert here.app.state.dead_letters("accounts") == ()
        assert {record["address1_city"] for record in here.records("accounts")} == {"Ulm"}
        assert feed(here.app, "accounts", str(events)).dead_letters == 0
        assert {record["address1_city"] for record in here.records("accounts")} == {"Bern"}
