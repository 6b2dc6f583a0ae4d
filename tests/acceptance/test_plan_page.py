"""The page of a plan, created by a real plan and rendered by a real browser."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from shared.views.plan_page import plan_page
from tests.acceptance.browser import FORMS, measured, needs_browser, paper_sizes
from tests.acceptance.world import World, accounts, world


@pytest.fixture(scope="module")
def report(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, Any]]:
    """A plan with changes of every common kind, of 40 records, and a row with an error."""
    with world(tmp_path_factory.mktemp("world")) as here:
        yield _planned(here)


def _planned(here: World) -> dict[str, Any]:
    rows = [{"number": f"A{place}", "name": f"Name {place}", "city": "Ulm", "revenue": place} for place in range(40)]
    definition = accounts(sync_behaviour={"sync_key": ["accountnumber"], "dropped": "delete"})
    definition["source"]["filter"] = "revenue < 1000"
    here.define(definition)
    here.csv(rows)
    here.run()
    changed = [{**row, "city": "Donaudampfschifffahrtsgesellschaftskapitaensmuetze"} for row in rows[8:20]]
    new = [{"number": f"B{place}", "name": "New", "city": "", "revenue": 12345.5} for place in range(3)]
    new[0]["revenue"] = 5
    new.append({"number": "B9", "name": "New", "city": "", "revenue": "n/a"})
    here.csv([*changed, *rows[20:], *new])
    return here.plan(sample=2, values=True).to_json()


def test_a_plan_shows_its_context(report: dict[str, Any]) -> None:
    """Environment, table with label, source, parameters, limits, and the reason for each row that is not synced."""
    about = report["about"]
    assert re.fullmatch(r"127\.0\.0\.1:\d+", about["environment"])
    assert about["table"] == {"name": "account", "label": "Account"}
    assert about["source"]["type"] == "delimited"
    assert about["source"]["path"].endswith("source.csv")
    assert set(about["parameters"]) == {"service_url", "file_path"}
    assert about["limits"][0] == {"name": "max_delete", "planned": 8, "limit": "30%", "most": 12, "of": 40}
    assert about["columns"]["accountnumber"]["label"] == "Account Number"
    assert (about["filter"], report["planned"]["source"]["filtered"]) == ("revenue < 1000", 2)
    assert re.search(r".+ on .+", about["by"])


@needs_browser
@pytest.mark.parametrize(("width", "form"), FORMS)
def test_everything_can_be_read(report: dict[str, Any], tmp_path: Path, width: int, form: str) -> None:
    """No horizontal scrolling, no text over another, and enough contrast, in every form."""
    found = measured(plan_page(report), tmp_path, "plan", width=width, form=form)
    assert found["texts"] > 100
    assert (found["wider"], found["overlaps"], found["pale"]) == (0, [], [])


@needs_browser
def test_the_page_is_printed_on_a4(report: dict[str, Any], tmp_path: Path) -> None:
    """The pages of the PDF have the size of A4 paper, 595 by 842 points."""
    assert paper_sizes(plan_page(report), tmp_path, "plan") == {(590, 840)}
