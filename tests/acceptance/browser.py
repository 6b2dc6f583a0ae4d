"""Chromium for tests of pages: measures a page in every form, takes pictures, and prints."""

from __future__ import annotations

import html
import json
import os
import re
import shutil
import struct
import subprocess
from pathlib import Path
from typing import Any

import pytest

__all__ = ["FORMS", "measured", "needs_browser", "paper_sizes", "pictures_in"]

CHROMIUM = next(
    (path for name in ("chromium", "chromium-browser", "google-chrome") if (path := shutil.which(name))), ""
)
needs_browser = pytest.mark.skipif(not CHROMIUM, reason="Chromium is not installed: nothing can render the page")
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
FORMS = [(1200, "light"), (1200, "dark"), (360, "light"), (360, "dark"), (A4, "print")]
"""Width in pixels, and the form."""


def pictures_in(folder: Path) -> Path:
    """Where the pictures are written: the folder of the setting PICTURES, for people who want to look at them."""
    found = Path(os.environ.get("PICTURES") or folder)
    found.mkdir(parents=True, exist_ok=True)
    return found


def measured(text: str, folder: Path, name: str, *, width: int, form: str) -> dict[str, Any]:
    """What a page is like in a form; a picture of it is written beside it.

    Returns:
        `texts` (how many), `wider` (pixels that must be scrolled), `overlaps` (texts over others) and `pale` (texts
        without the contrast that WCAG 2.2 asks for, 1.4.3).
    """
    # Headless windows are at least 500 px wide: the frame has the width that is tested.
    inner, page = folder / "inner.html", folder / "outer.html"
    text = text.replace("@media print", "@media all") if form == "print" else text
    inner.write_text(f"{text}<script>{MEASURE}</script>", "utf-8")
    page.write_text(
        f"<iframe id=f src=inner.html style='width:{width}px;height:2600px;border:0'></iframe><pre id=out></pre><script>"
        "f.onload = () => out.textContent = JSON.stringify(f.contentWindow.measured())</script>",
        "utf-8",
    )
    flags = ["--allow-file-access-from-files", "--virtual-time-budget=3000", *(DARK if form == "dark" else ())]
    dom = _browse(page, "--window-size=1300,1000", "--dump-dom", *flags)
    found: dict[str, Any] = json.loads(html.unescape(dom.partition('<pre id="out">')[2].partition("</pre>")[0]))
    picture = pictures_in(folder) / f"{name}-{form}-{width}.png"
    _browse(page, f"--window-size={width + 16},2600", f"--screenshot={picture}", *flags)
    assert struct.unpack(">II", picture.read_bytes()[16:24]) == (width + 16, 2600)
    return found


def paper_sizes(text: str, folder: Path, name: str) -> set[tuple[int, int]]:
    """The sizes of the pages when it is printed, in points, rounded to tens."""
    page, printed = folder / f"{name}.html", pictures_in(folder) / f"{name}.pdf"
    page.write_text(text, "utf-8")
    _browse(page, "--no-pdf-header-footer", f"--print-to-pdf={printed}")
    boxes = re.findall(rb"/MediaBox\s*\[0 0 (\d+)\S* (\d+)\S*\]", printed.read_bytes())
    return {(round(int(width), -1), round(int(height), -1)) for width, height in boxes}


def _browse(page: Path, *options: str) -> str:
    command = [
        CHROMIUM,
        "--headless=new",
        "--no-sandbox",
        "--disable-gpu",
        "--hide-scrollbars",
        *options,
        page.as_uri(),
    ]
    return subprocess.run(command, capture_output=True, text=True, check=True, timeout=60).stdout
