"""The page of a plan, created by a real plan and rendered by a real browser."""

from __future__ import annotations

import re
import shutil
import struct
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from shared.views.plan_page import plan_page
from tests.acceptance.world import World, accounts, world

_CHROMIUM = next(
    (path for name in ("chromium", "chromium-browser", "google-chrome") if (path := shutil.which(name))), ""
)
needs_browser = pytest.mark.skipif(not _CHROMIUM, reason="Chromium is not installed")


@pytest.fixture(scope="module")
def report(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, Any]]:
    """A plan with changes of every common kind, of 40 records."""
    with world(tmp_path_factory.mktemp("world"), in_thread=True) as here:
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
    here.csv([*changed, *rows[20:], *new])
    return here.plan(sample=2).to_json()


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
@pytest.mark.parametrize("width", [1200, 500, 360])
@pytest.mark.parametrize("dark", [False, True], ids=["light", "dark"])
def test_the_page_is_rendered(report: dict[str, Any], tmp_path: Path, width: int, dark: bool) -> None:  # noqa: FBT001 - a parameter of the test
    """At the widths of a desktop, a small window and a phone; the pictures are in the folder of the test."""
    page, picture = tmp_path / "plan.html", tmp_path / "plan.png"
    page.write_text(plan_page(report), "utf-8")
    scheme = ["--force-dark-mode", "--blink-settings=preferredColorScheme=0"] if dark else []
    _browse(page, f"--window-size={width},1600", f"--screenshot={picture}", *scheme)
    assert struct.unpack(">II", picture.read_bytes()[16:24]) == (width, 1600)


@needs_browser
@pytest.mark.parametrize("width", [1200, 500, 360])
def test_nothing_is_wider_than_the_page(report: dict[str, Any], tmp_path: Path, width: int) -> None:
    """No horizontal scrolling, at any width, with words of any length."""
    page = tmp_path / "plan.html"
    # Headless windows are at least 500 px wide: the frame has the width that is tested.
    (tmp_path / "inner.html").write_text(plan_page(report), "utf-8")
    page.write_text(
        f"<iframe id=f src=inner.html style='width:{width}px;height:900px;border:0'></iframe><p id=out></p><script>"
        "f.onload = () => out.textContent = 'wider by ' + "
        "(f.contentDocument.documentElement.scrollWidth - f.contentDocument.documentElement.clientWidth)</script>",
        "utf-8",
    )
    dom = _browse(page, "--allow-file-access-from-files", "--virtual-time-budget=3000", "--dump-dom")
    assert "wider by 0<" in dom


@needs_browser
def test_the_page_is_printed_on_a4(report: dict[str, Any], tmp_path: Path) -> None:
    """The pages of the PDF have the size of A4 paper, 595 by 842 points."""
    page, printed = tmp_path / "plan.html", tmp_path / "plan.pdf"
    page.write_text(plan_page(report), "utf-8")
    _browse(page, "--no-pdf-header-footer", f"--print-to-pdf={printed}")
    boxes = re.findall(rb"/MediaBox\s*\[0 0 (\d+)\S* (\d+)\S*\]", printed.read_bytes())
    assert boxes
    assert {(round(int(width), -1), round(int(height), -1)) for width, height in boxes} == {(590, 840)}


def _browse(page: Path, *options: str) -> str:
    command = [
        _CHROMIUM,
        "--headless=new",
        "--no-sandbox",
        "--disable-gpu",
        "--hide-scrollbars",
        *options,
        page.as_uri(),
    ]
    return subprocess.run(command, capture_output=True, text=True, check=True, timeout=60).stdout
