"""Events of files, where a person stops the command: it says how far the files were read."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from shared.cli import real_time
from shared.cli.boundary import run as type_in
from shared.jobs.real_time.events import run_events
from shared.jobs.real_time.record import EventsSummary
from tests.acceptance.world import World, accounts, world


def test_a_stopped_command_says_how_far_it_came(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    with world(tmp_path) as here:
        definition = accounts(listener={"name": "accounts", "topic": {"format": "json", "action": "$.op"}})
        definition["source"] = {"type": "events", "columns": definition["source"]["columns"]}
        here.define(definition)
        file = tmp_path / "events.ndjson"
        events = [{"op": "u", "number": f"A{n}", "name": f"N{n}"} for n in range(5)]
        file.write_text("".join(json.dumps(event) + "\n" for event in events), "utf-8")
        _stop_in_the_second_batch(here, monkeypatch)
        assert type_in(["events", "accounts", str(file)], open_app=lambda: here.app) == 130
        said = " ".join(capsys.readouterr().err.split())
        assert "Stopped: the first 2 events of the files were processed; the 2 after them may have been" in said
        assert "their events from number 3 on" in said
        assert len(here.records("accounts?$select=accountnumber")) == 2


def _stop_in_the_second_batch(here: World, monkeypatch: pytest.MonkeyPatch) -> None:
    work, batches = run_events, list[int]()
    for name, value in here.environment.items():
        monkeypatch.setenv(name, value)

    def stopped(batch, *given, **more) -> EventsSummary:  # type: ignore[no-untyped-def]  # noqa: ANN001, ANN002, ANN003 - as the original
        batches.append(len(batch))
        if len(batches) > 1:
            raise KeyboardInterrupt
        return work(batch, *given, **more)

    monkeypatch.setattr(real_time, "BATCH", 2)
    monkeypatch.setattr(real_time, "run_events", stopped)
