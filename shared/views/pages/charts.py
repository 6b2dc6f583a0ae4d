"""Charts as inline SVG. Bars stretch to the width of the page; text stands beside them in HTML and keeps its size."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Final

from shared.views.pages.html import escaped

__all__ = ["Bar", "chart", "meter"]

_HEIGHT: Final = 100.0
_GAP: Final = 0.2  # of the width of a bar
_WIDEST: Final = 24  # bars: fewer leave room at the right, so that one run is not as wide as the page


@dataclass(frozen=True, slots=True, kw_only=True)
class Bar:
    """One bar.

    Attributes:
        parts: Class of the style -> amount, from the bottom.
        said: What a pointer shows.
    """

    parts: dict[str, float]
    said: str

    @property
    def total(self) -> float:
        """The height of the bar."""
        return sum(self.parts.values())


def chart(title: str, bars: Sequence[Bar], *, under: str, legend: dict[str, str], unit: str = "") -> str:
    """A chart of bars, one beside the other; empty where all are 0.

    Args:
        title: Text.
        bars: From left to right.
        under: What stands under the bars.
        legend: Class of the style -> its words.
        unit: Behind the highest amount.
    """
    most = max((bar.total for bar in bars), default=0.0)
    if not most:
        return ""
    drawn = "".join(part for place, bar in enumerate(bars) for part in _drawn(bar, place, most))
    keys = "".join(f"<span><i class={name}></i>{escaped(words)}</span>" for name, words in legend.items())
    top = f"{_figure(most)} {unit}".strip()
    return (
        f"<figure><figcaption><b>{escaped(title)}</b>{keys}</figcaption><div class=plot>"
        f"<small class=top>{escaped(top)}</small><small class=zero>0</small>"
        f"<svg viewBox='0 0 {max(len(bars), _WIDEST)} {_HEIGHT:g}' preserveAspectRatio=none role=img "
        f"aria-label='{escaped(title)}: at most {escaped(top)}'>{drawn}</svg>"
        f"<small class=under>{escaped(under)}</small></div></figure>"
    )


def _drawn(bar: Bar, place: int, most: float) -> Iterator[str]:
    below = 0.0
    yield f"<g><title>{escaped(bar.said)}</title>"
    for name, amount in bar.parts.items():
        if amount > 0:
            height = _HEIGHT * amount / most
            top = _HEIGHT - below - height
            yield f"<rect class={name} x={place + _GAP / 2:g} y={top:.3f} width={1 - _GAP:g} height={height:.3f} />"
            below += height
    yield "</g>"


def meter(amount: float, most: float) -> str:
    """A bar in a cell of a table: its share of the largest one."""
    share = 100 * amount / most if most else 0.0
    return (
        "<svg class=bar viewBox='0 0 100 1' preserveAspectRatio=none aria-hidden=true>"
        f"<rect class=refused x=0 y=0 width={share:.2f} height=1 /></svg>"
    )


def _figure(number: float) -> str:
    return f"{number:,.0f}" if number >= 10 or number == int(number) else f"{number:.2g}"  # noqa: PLR2004
