"""The page of runs, of real runs with errors, rendered by a real browser."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from tests.acceptance.browser import FORMS, measured, needs_browser, paper_sizes
from tests.acceptance.test_behaviours import command
from tests.acceptance.world import World, accounts, world

LONG = "a-sync-with-a-rather-long-name-for-a-phone"


@pytest.fixture(scope="module")
def here(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    """Seven runs of two syncs: new, changed, dropped and rejected rows; one of them is throttled for two seconds."""
    with world(tmp_path_factory.mktemp("world"), in_thread=True) as made:
        rules = {"sync_key": ["accountnumber"], "dropped": "delete"}
        made.define(accounts(sync_behaviour=rules))
        made.define(accounts(sync_behaviour={"sync_key": ["accountnumber"]}), LONG)
        for place in range(6):
            rows = [
                {"number": f"A{number}", "name": f"N{number % (place + 2)}", "city": "Ulm", "revenue": number}
                for number in range(3 * place, 60 + 5 * place)
            ]
            rows += [{"number": f"B{number}", "name": "bad", "city": "", "revenue": "n/a"} for number in range(place)]
            made.csv(rows)
            made.run()
        (made.folder / "source.csv").write_text("number,name,city,revenue\nC1,New,Ulm,1\n", "utf-8")
        made.emulator.faults(
            {"action": "status", "status": 429, "retry_after": 2, "match": {"method": "POST", "path": "CreateMultiple"}}
        )
        made.run(LONG)
        yield made


def course() -> dict[str, list[float]]:
    """60 points: more requests at once, until the service refuses; then fewer."""
    seconds, rows, parallel, throttled = [20.0], [0.0], [8.0], [0.0]
    for place in range(1, 60):
        pause = place in {22, 23, 44}
        seconds.append(seconds[-1] + 20)
        parallel.append(min(52, parallel[-1] + 3) if not pause else parallel[-1] // 2)
        rows.append(rows[-1] + (0 if pause else 500 * parallel[-1] + 37 * (place % 7)))
        throttled.append(throttled[-1] + (parallel[-2] if pause else 0))
    return {"seconds": seconds, "rows": rows, "parallel": parallel, "throttled": throttled}


@pytest.fixture(scope="module")
def page(here: World, tmp_path_factory: pytest.TempPathFactory) -> str:
    """As the command writes it; the longest run has the course of 1.2 million records, with two pauses."""
    latest = here.app.state.runs("accounts", 1)[0]
    here.app.state.finish_run(replace(latest, counts={**latest.counts, "course": course()}))
    file = tmp_path_factory.mktemp("page") / "deep" / "runs.html"
    code, value = command(here, "runs", "--html", file)
    assert (code, len(value["runs"])) == (0, 7)
    return file.read_text("utf-8")


def test_the_page_holds_everything_and_loads_nothing(page: str) -> None:
    """No script, no link, no picture from elsewhere; charts with a bar for each run, and two runs over their time."""
    assert page.startswith("<!doctype html>")
    for part in ("<script", "http:", "https:", "src=", "href=", "@import", "url("):
        assert part not in page
    assert page.count("<figure>") == 3 + 2
    over_time, within, _ = re.split("<h2>(?:Within|Errors)", page)
    assert over_time.count("<g><title>") == 3 * 7
    assert within.count("<rect class=throttled") >= 2
    assert re.search(r"\d to \d+\.\d s: \d+ records a second, \d+ requests? at once, 1 request throttled", within)
    assert "Invalid Format Exception" in page


def test_a_page_of_one_sync_has_its_runs_alone_and_one_run_has_no_page(here: World, tmp_path: Path) -> None:
    """The id of a run is refused with what to do; no file is written then."""
    file = tmp_path / "runs.html"
    assert command(here, "runs", "accounts", "--html", file)[0] == 0
    text = file.read_text("utf-8")
    assert "Runs of accounts" in text
    assert "rather-long" not in text
    code, refused = command(here, "runs", "last", "--html", tmp_path / "one.html")
    assert (code, (tmp_path / "one.html").exists()) == (1, False)
    assert "give the name of a sync" in json.dumps(refused)


@needs_browser
@pytest.mark.parametrize(("width", "form"), FORMS)
def test_everything_can_be_read(page: str, tmp_path: Path, width: int, form: str) -> None:
    """No horizontal scrolling, no text over another, and enough contrast, in every form."""
    found = measured(page, tmp_path, "runs", width=width, form=form)
    assert found["texts"] > 80
    assert (found["wider"], found["overlaps"], found["pale"]) == (0, [], [])


@needs_browser
def test_the_page_is_printed_on_a4(page: str, tmp_path: Path) -> None:
    """The pages of the PDF have the size of A4 paper, 595 by 842 points."""
    assert paper_sizes(page, tmp_path, "runs") == {(590, 840)}
