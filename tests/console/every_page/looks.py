"""What a page looks like to a program: its headings, its width, and what is not within its box."""

from __future__ import annotations

from typing import Any, Final

from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Page

__all__ = ["looks", "open_parts", "still", "tabbed_through", "violations_in"]

USABLE: Final = "a[href], button, input:not([type=hidden]), select, textarea, summary, [tabindex]:not([tabindex='-1'])"
MOST_MORE: Final = 100
"""Stops that Tab makes besides: parts that scroll, and the parts of a field."""
_TAB: Final = {"type": "rawKeyDown", "key": "Tab", "code": "Tab", "windowsVirtualKeyCode": 9}
_LOOKS: Final = """
() => {
  const root = document.scrollingElement, hidden = '.only-read, .unseen, .skip';
  const style = node => getComputedStyle(node);
  const scrolls = node => style(node).overflowX !== 'visible' && node !== document.body;
  const isBox = node => parseFloat(style(node).borderLeftWidth) > 0 || style(node).backgroundColor !== 'rgba(0, 0, 0, 0)';
  const boxOf = node => {
    for (let each = node; each && each !== document.body; each = each.parentElement) {
      if (scrolls(each)) return null;
      if (isBox(each) && style(each).display !== 'inline') return each;
    }
    return root;
  };
  const parts = [], walk = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
  const add = (said, parent, rects, isText) => {
    if (parent.closest(hidden) || !parent.checkVisibility({visibilityProperty: true})) return;
    for (const rect of rects) if (rect.width && rect.height) parts.push({said, parent, rect, isText});
  };
  const broken = [];
  const look = (node, range) => {
    if (node.parentElement.closest(`pre, code, ${hidden}`)) return;
    for (const word of node.textContent.matchAll(/(?<![^\\s(])[\\p{L}\\d.,]{2,14}(?![^\\s,.;:)])/gu)) {
      range.setStart(node, word.index);
      range.setEnd(node, word.index + word[0].length);
      const tops = [...range.getClientRects()].map(each => Math.round(each.top));
      if (Math.max(...tops) - Math.min(...tops) > 4) broken.push(word[0]);
    }
  };
  while (walk.nextNode()) {
    const node = walk.currentNode, range = document.createRange();
    range.selectNodeContents(node);
    if (node.textContent.trim() && !/^(OPTION|DATALIST|TEXTAREA)$/.test(node.parentElement.tagName))
      add(node.textContent.trim().slice(0, 60), node.parentElement, range.getClientRects(), true);
    look(node, range);
  }
  for (const each of document.querySelectorAll('button, .button, input, select, textarea, img, svg, meter, progress, table, .state'))
    add(each.outerHTML.slice(0, 100), each.parentElement, [each.getBoundingClientRect()], false);
  const over = (inner, outer) => Math.max(outer.left - inner.left, inner.right - outer.right, outer.top - inner.top,
    inner.bottom - outer.bottom);
  const outside = parts.filter(({parent, rect}) => {
    const box = parent.closest('pre') ? null : boxOf(parent);  // the space at which a line of code wraps hangs over
    if (box === root) return rect.left < -1 || rect.right > innerWidth + 1;
    return box && over(rect, box.getBoundingClientRect()) > 1.5;
  }).map(each => each.said);
  const seen = ({parent, rect}) => {  // without what is scrolled out of sight
    let each = parent;
    while (each && !scrolls(each)) each = each.parentElement;
    if (!each || each === root) return rect;
    const edge = each.getBoundingClientRect(), top = Math.max(rect.top, edge.top);
    return {left: Math.max(rect.left, edge.left), right: Math.min(rect.right, edge.right), top,
      bottom: Math.max(top, Math.min(rect.bottom, edge.bottom))};
  };
  const texts = parts.filter(each => each.isText).map(each => ({...each, rect: seen(each)})), overlaps = [];
  const cross = (a, b) => Math.min(a.right, b.right) - Math.max(a.left, b.left) > 2
    && Math.min(a.bottom, b.bottom) - Math.max(a.top, b.top) > 4;
  texts.sort((a, b) => a.rect.top - b.rect.top);
  texts.forEach((one, n) => {
    for (let m = n + 1; m < texts.length && texts[m].rect.top < one.rect.bottom; m++)
      if (texts[m].parent !== one.parent && cross(one.rect, texts[m].rect)) overlaps.push([one.said, texts[m].said]);
  });
  return {
    h1: [...document.querySelectorAll('h1')].map(each => each.innerText.trim()),
    wider: Math.max(0, root.scrollWidth - innerWidth), outside, overlaps, broken,
    trail: [...document.querySelectorAll('.trail')].filter(each =>
      !each.lastElementChild.matches('[aria-current=page]')).map(each => each.innerText),
    mains: [...document.querySelectorAll('.primary')].map(each => each.innerText).slice(1),
  };
}
"""
_WATCH_FOCUS = """
usable => {
  window.usable = [...document.querySelectorAll(usable)].filter(each =>
    !each.matches(':disabled') && each.tabIndex >= 0 && each.checkVisibility({visibilityProperty: true}));
  window.focused = [];
  document.addEventListener('focusin', ({target}) => {
    const style = getComputedStyle(target), rect = target.getBoundingClientRect();
    const ring = style.outlineStyle !== 'none' && parseFloat(style.outlineWidth) > 0 || style.boxShadow !== 'none';
    const inSight = rect.width > 1 && rect.right > 0 && rect.left < innerWidth && rect.bottom > 0 && rect.top < innerHeight;
    window.focused.push({target, ring: ring && target.matches(':focus-visible'), inSight});
  });
  return window.usable.length;
}
"""
_FOCUSED = """
() => {
  const html = each => each.outerHTML.slice(0, 160), found = window.focused;
  const came = found.map(each => each.target);
  const round = came.indexOf(came[0], 1), first = round < 0 ? found : found.slice(0, round);
  const seen = new Set(first.map(each => each.target));
  const follows = (a, b) => a.compareDocumentPosition(b) & Node.DOCUMENT_POSITION_FOLLOWING;
  return {
    first: first.length ? html(first[0].target) : '',
    missed: window.usable.filter(each => !seen.has(each)).map(html),
    back: first.filter((each, n) => n && each.target !== first[n - 1].target && !follows(first[n - 1].target, each.target))
      .map(each => html(each.target)),
    unmarked: first.filter(each => !each.ring).map(each => html(each.target)),
    unseen: first.filter(each => !each.inSight).map(each => html(each.target)),
    wentRound: round > 0,
  };
}
"""


def still(page: Page) -> None:
    """Let a page stay as it came: no part of it is renewed while it is looked at."""
    page.evaluate("""() => {
      document.querySelectorAll('[data-live]').forEach(each => each.removeAttribute('data-live'));
      document.querySelectorAll('details[open]').forEach(each => each.dataset.cameOpen = 'yes');
    }""")


def open_parts(page: Page, *, whole: bool) -> None:
    """Open all parts that can be opened, or only those that were open when the page came."""
    page.evaluate(
        "whole => document.querySelectorAll('details').forEach(each => { each.open = whole || 'cameOpen' in each.dataset; })",
        whole,
    )


def looks(page: Page) -> dict[str, Any]:
    """What a page looks like.

    Returns:
        `h1` (texts of the headings), `mains` (main actions besides the first one), `wider` (pixels that must be scrolled), `outside` (texts and controls beyond the
        edge of their box, or of the window), `overlaps` (texts over others), `broken` (short words and numbers that
        go over two lines), and `trail` (ways to the page that do not end with it).
    """
    found: dict[str, Any] = page.evaluate(_LOOKS)
    return found


def violations_in(page: Page, *rules: str) -> list[str]:
    """What axe-core finds wrong, one line each.

    Args:
        page: The page.
        rules: The only rules; all where none is named, with the one of the size of targets (WCAG 2.2), which is off
            otherwise.
    """
    if not page.evaluate("() => 'axe' in window"):
        page.evaluate(Axe().axe_script)
    options = {"runOnly": list(rules)} if rules else {"rules": {"target-size": {"enabled": True}}}
    found = page.evaluate(
        "async options => (await axe.run(document, {resultTypes: ['violations'], ...options})).violations", options
    )
    return [f"{each['id']}: {each['help']}: {node['html'][:200]}" for each in found for node in each["nodes"][:3]]


def tabbed_through(page: Page) -> dict[str, Any]:
    """Press Tab until the focus comes round.

    Returns:
        `first`, what had the focus first; `missed`, which could be used and had no focus; `back`, which came after an
        element that follows it; `unmarked`, which had no ring; `unseen`, which was out of the window; and whether it
        `wentRound`.
    """
    count = int(page.evaluate(_WATCH_FOCUS, USABLE))
    keys = page.context.new_cdp_session(page)  # one message for each key
    for number in range(count + MOST_MORE):
        keys.send("Input.dispatchKeyEvent", _TAB)
        if number > count and page.evaluate("() => focused.slice(1).some(each => each.target === focused[0].target)"):
            break
    keys.detach()
    found: dict[str, Any] = page.evaluate(_FOCUSED)
    return found
