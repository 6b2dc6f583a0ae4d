"""Results as text: JSON for machines, a page for people, bars as SVG."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from html import escape
from typing import Any

from benchmarks.dataverse import ROOT

PAGE = ROOT / "docs" / "performance.md"
CHARTS = ROOT / "docs" / "charts"
LATEST = ROOT / "benchmarks" / "results" / "latest.json"
BEGIN = "<!-- made by `make bench`: what stands between these two lines is replaced -->"
END = "<!-- end of what `make bench` makes -->"


def save(results: Sequence[Mapping[str, Any]], machine: Mapping[str, Any]) -> dict[str, Any]:
    """Add results to the earlier results of other cases, and return all."""
    known = json.loads(LATEST.read_text("utf-8")) if LATEST.exists() else {"cases": {}}
    cases = known["cases"] | {result["name"]: {**result, "machine": dict(machine)} for result in results}
    everything = {"cases": cases}
    LATEST.parent.mkdir(exist_ok=True)
    LATEST.write_text(json.dumps(everything, indent=2) + "\n", "utf-8")
    return everything


def publish(everything: Mapping[str, Any]) -> None:
    """Renew the charts and the generated part of the page; the rest of it stays."""
    CHARTS.mkdir(exist_ok=True)
    for name, case in everything["cases"].items():
        if case["bars"]:
            (CHARTS / f"{name}.svg").write_text(chart(case["title"], case["bars"]), "utf-8")
    text = PAGE.read_text("utf-8") if PAGE.exists() else f"# Performance\n\n{BEGIN}\n{END}\n"
    before, _, rest = text.partition(BEGIN)
    _, _, after = rest.partition(END)
    PAGE.write_text(f"{before}{BEGIN}\n\n{page(everything)}\n{END}{after}", "utf-8")


def page(everything: Mapping[str, Any]) -> str:
    """Every case: its goals, its programs, its chart."""
    cases = list(everything["cases"].values())
    return "\n".join([overview(cases), *(section(case) for case in cases)])


def overview(cases: Sequence[Mapping[str, Any]]) -> str:
    """All goals in one table."""
    lines = ["| case | what | goal | measured | limit | |", "|---|---|---:|---:|---:|---|"]
    for case in cases:
        for goal in case["goals"]:
            sign = "≤" if goal["most"] else "≥"
            verdict = "met" if goal["met"] else "**not met**"
            limit = "" if goal.get("limit") is None else f"{goal['limit']:,g}"
            figures = f"{sign} {goal['target']:g} | {goal['got']:,g} | {limit}"
            lines.append(f"| {case['name']} | {goal['text']} | {figures} | {verdict} |")
    return "\n".join(lines) + "\n"


def section(case: Mapping[str, Any]) -> str:
    """One case."""
    parts = [f"### {case['title']}", "", f"{case['setting']}."]
    if case["measured"]:
        parts += ["", *table(case["measured"])]
    if case["bars"]:
        parts += ["", f"![{case['title']}](charts/{case['name']}.svg)"]
    for note in case["notes"]:
        parts += ["", note]
    machine = case["machine"]
    parts += ["", f"Measured {machine['when']} on {machine['cores']} cores, load {machine['load_before']:g} before."]
    return "\n".join([*parts, ""])


def table(programs: Sequence[Mapping[str, Any]]) -> list[str]:
    """What each program took, and how many times our first one's time."""
    ours = programs[0]["wall_seconds"]
    lines = [
        "| program | time, s | ÷ ours | CPU, s | peak memory, MB | requests | throttled | rows written |",
        "|---|---:|---:|---:|---:|---:|---:|---:|",
    ]
    for one in programs:
        cells = [
            one["program"],
            f"{one['wall_seconds']:,.2f}",
            f"{one['wall_seconds'] / ours:,.2f}",
            f"{one['cpu_seconds']:,.2f}",
            f"{one['peak_mb']:,.0f}",
            f"{one['requests']:,}",
            f"{one['throttled']:,}",
            f"{one['rows']:,}",
        ]
        lines.append(f"| {' | '.join(cells)} |")
    return lines


def chart(title: str, bars: Mapping[str, float]) -> str:
    """Horizontal bars; the page around it may be light or dark."""
    longest, width, label = max(bars.values()) or 1.0, 420, 190
    height = 24 * len(bars) + 8
    rows = []
    for number, (name, value) in enumerate(bars.items()):
        top, length = 24 * number + 6, max(1.0, value / longest * width)
        colour = "#3b7dd8" if name.startswith("us") or "user" in name else "#9aa5b1"
        rows.append(
            f'<text x="{label - 8}" y="{top + 13}" text-anchor="end">{escape(name)}</text>'
            f'<rect x="{label}" y="{top}" width="{length:.1f}" height="16" rx="2" fill="{colour}"/>'
            f'<text x="{label + length + 6:.1f}" y="{top + 13}">{value:,g}</text>'
        )
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{label + width + 90}" height="{height}" role="img" '
        f'aria-label="{escape(title)}"><style>text{{font:12px sans-serif;fill:#24292f}}'
        "@media(prefers-color-scheme:dark){text{fill:#d0d7de}}</style>" + "".join(rows) + "</svg>\n"
    )
