"""Charts as inline SVG. Bars stretch to the width of the page; text stands beside them in HTML and keeps its size."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Final

from shared.views.pages.html import escaped

__all__ = ["Bar", "Plot", "chart", "figure", "meter"]

_HEIGHT: Final = 100.0
_GAP: Final = 0.2  # of the width of a bar
_WIDEST: Final = 24  # bars: fewer leave room at the right, so that one run is not as wide as the page


@dataclass(frozen=True, slots=True, kw_only=True)
class Bar:
    """One bar.

    Attributes:
        parts: Class of the style -> amount, from the bottom.
        said: What a pointer shows.
        width: Its share of the width, in bars.
    """

    parts: dict[str, float]
    said: str
    width: float = 1.0

    @property
    def total(self) -> float:
        """The height of the bar."""
        return sum(self.parts.values())


@dataclass(frozen=True, slots=True, kw_only=True)
class Plot:
    """Bars side by side over one line, from the left.

    Attributes:
        unit: Behind the highest amount.
        under: What stands under the bars.
        wide: How many bars of the width 1 the plot has room for.
        apart: Whether there is a gap between two bars.
    """

    bars: Sequence[Bar]
    unit: str = ""
    under: str = ""
    wide: float
    apart: bool = True

    @property
    def most(self) -> float:
        """The height of the highest bar."""
        return max((bar.total for bar in self.bars), default=0.0)


def chart(title: str, bars: Sequence[Bar], *, under: str, legend: dict[str, str], unit: str = "") -> str:
    """A chart of bars, one beside the other; empty where all are 0.

    Args:
        title: Text.
        bars: From left to right.
        under: What stands under the bars.
        legend: Class of the style -> its words.
        unit: Behind the highest amount.
    """
    return figure(title, [Plot(bars=bars, unit=unit, under=under, wide=max(len(bars), _WIDEST))], legend=legend)


def figure(title: str, plots: Sequence[Plot], *, legend: dict[str, str]) -> str:
    """Plots over the same time, one under the other, without those that have no amount; empty where none has one."""
    drawn = "".join(_plot(title, plot) for plot in plots if plot.most)
    keys = "".join(f"<span><i class={name}></i>{escaped(words)}</span>" for name, words in legend.items())
    return f"<figure><figcaption><b>{escaped(title)}</b>{keys}</figcaption>{drawn}</figure>" if drawn else ""


def _plot(title: str, plot: Plot) -> str:
    top = f"{_figure(plot.most)} {plot.unit}".strip()
    under = f"<small class=under>{escaped(plot.under)}</small>" if plot.under else ""
    sharp = "" if plot.apart else "shape-rendering=crispEdges "
    bars: list[str] = []
    place = 0.0
    for bar in plot.bars:
        bars += _drawn(bar, place, plot)
        place += bar.width
    return (
        f"<div class=plot><small class=top>{escaped(top)}</small><small class=zero>0</small>"
        f"<svg viewBox='0 0 {plot.wide:g} {_HEIGHT:g}' preserveAspectRatio=none role=img "
        f"{sharp}aria-label='{escaped(title)}: at most {escaped(top)}'>{''.join(bars)}</svg>"
        f"{under}</div>"
    )


def _drawn(bar: Bar, place: float, plot: Plot) -> Iterator[str]:
    below, gap = 0.0, _GAP if plot.apart else 0.0
    yield f"<g><title>{escaped(bar.said)}</title>"
    for name, amount in bar.parts.items():
        if amount > 0:
            height = _HEIGHT * amount / plot.most
            top, width = _HEIGHT - below - height, bar.width - gap
            yield f"<rect class={name} x={place + gap / 2:g} y={top:.3f} width={width:g} height={height:.3f} />"
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
