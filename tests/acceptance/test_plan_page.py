"""The page of a plan, created by a real plan and rendered by a real browser."""

from __future__ import annotations

import html
import json
import os
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
needs_browser = pytest.mark.skipif(not _CHROMIUM, reason="Chromium is not installed: nothing can render the page")
DARK = ("--force-dark-mode", "--blink-settings=preferredColorScheme=0")
A4 = 680  # px: 210 mm less two margins of 15 mm, at 96 px an inch
MEASURE = """
function measured() {
  const probe = document.body.appendChild(document.createElement('i'));
  probe.style.background = 'Canvas';
  const numbers = text => text.match(/[\\d.]+/g).map(Number);
  const canvas = numbers(getComputedStyle(probe).backgroundColor);
  probe.remove();
  const over = (top, bottom, part) => [0, 1, 2].map(n => top[n] * part + bottom[n] * (1 - part));
  const chain = node => node ? [...chain(node.parentElement), node] : [];
  const ground = node => chain(node).reduce((below, each) => {
    const found = numbers(getComputedStyle(each).backgroundColor);
    return over(found, below, found.length > 3 ? found[3] : 1);
  }, canvas);
  const light = color => [0.2126, 0.7152, 0.0722].reduce((sum, weight, n) => {
    const part = color[n] / 255;
    return sum + weight * (part <= 0.04045 ? part / 12.92 : ((part + 0.055) / 1.055) ** 2.4);
  }, 0);
  const texts = [], walk = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
  while (walk.nextNode()) {
    const node = walk.currentNode, range = document.createRange();
    range.selectNodeContents(node);
    const boxes = [...range.getClientRects()].filter(box => box.width && box.height);
    if (node.textContent.trim() && boxes.length && node.parentElement.tagName !== 'SCRIPT')
      texts.push({node, boxes, said: node.textContent.trim().slice(0, 40)});
  }
  const pale = texts.filter(({node}) => {
    const style = getComputedStyle(node.parentElement), color = numbers(style.color), behind = ground(node.parentElement);
    const seen = chain(node.parentElement).reduce((part, each) => part * getComputedStyle(each).opacity, 1);
    const shown = over(color, behind, seen * (color.length > 3 ? color[3] : 1));
    const [a, b] = [light(shown), light(behind)].sort((x, y) => y - x);
    const size = parseFloat(style.fontSize), bold = style.fontWeight >= 700;
    return (a + 0.05) / (b + 0.05) < (size >= 24 || bold && size >= 18.66 ? 3 : 4.5);
  });
  const cross = (a, b) => Math.min(a.right, b.right) - Math.max(a.left, b.left) > 2
    && Math.min(a.bottom, b.bottom) - Math.max(a.top, b.top) > 4;
  const overlaps = texts.flatMap((one, n) => texts.slice(n + 1).filter(
    two => one.boxes.some(a => two.boxes.some(b => cross(a, b)))).map(two => [one.said, two.said]));
  const root = document.documentElement;
  return {texts: texts.length, wider: root.scrollWidth - root.clientWidth, overlaps, pale: pale.map(each => each.said)};
}
"""


@pytest.fixture(scope="module")
def report(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, Any]]:
    """A plan with changes of every common kind, of 40 records, and a row with an error."""
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


@pytest.fixture
def pictures(tmp_path: Path) -> Path:
    """Where the pictures are written: the folder of the setting PICTURES, for people who want to look at them."""
    folder = Path(os.environ.get("PICTURES") or tmp_path)
    folder.mkdir(parents=True, exist_ok=True)
    return folder


@needs_browser
@pytest.mark.parametrize(
    ("width", "form"), [(1200, "light"), (1200, "dark"), (360, "light"), (360, "dark"), (A4, "print")]
)
def test_everything_can_be_read(report: dict[str, Any], tmp_path: Path, pictures: Path, width: int, form: str) -> None:
    """No horizontal scrolling, no text over another, and the contrast that WCAG 2.2 asks for (1.4.3), in every form.

    A picture of the form is written beside it.
    """
    # Headless windows are at least 500 px wide: the frame has the width that is tested.
    inner, page = tmp_path / "inner.html", tmp_path / "plan.html"
    text = plan_page(report)
    text = text.replace("@media print", "@media all") if form == "print" else text
    inner.write_text(f"{text}<script>{MEASURE}</script>", "utf-8")
    page.write_text(
        f"<iframe id=f src=inner.html style='width:{width}px;height:2600px;border:0'></iframe><pre id=out></pre><script>"
        "f.onload = () => out.textContent = JSON.stringify(f.contentWindow.measured())</script>",
        "utf-8",
    )
    flags = ["--allow-file-access-from-files", "--virtual-time-budget=3000", *(DARK if form == "dark" else ())]
    dom = _browse(page, "--window-size=1300,1000", "--dump-dom", *flags)
    found = json.loads(html.unescape(dom.partition('<pre id="out">')[2].partition("</pre>")[0]))
    assert found["texts"] > 100
    assert (found["wider"], found["overlaps"], found["pale"]) == (0, [], [])
    picture = pictures / f"plan-{form}-{width}.png"
    _browse(page, f"--window-size={width + 16},2600", f"--screenshot={picture}", *flags)
    assert struct.unpack(">II", picture.read_bytes()[16:24]) == (width + 16, 2600)


@needs_browser
def test_the_page_is_printed_on_a4(report: dict[str, Any], tmp_path: Path, pictures: Path) -> None:
    """The pages of the PDF have the size of A4 paper, 595 by 842 points."""
    page, printed = tmp_path / "plan.html", pictures / "plan.pdf"
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
