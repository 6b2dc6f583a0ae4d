"""Charts: the arithmetic of their bars."""

from __future__ import annotations

import re

from shared.views.pages.charts import Bar, Plot, chart, figure, meter


def heights(drawn: str) -> list[tuple[str, float, float]]:
    """Class, top and height of each part."""
    found = re.findall(r"<rect class=(\w+) x=\S+ y=(\S+) width=\S+ height=(\S+) />", drawn)
    return [(name, float(top), float(height)) for name, top, height in found]


def test_parts_of_a_bar_stand_on_each_other_and_the_highest_bar_fills_the_chart() -> None:
    """20 of 80 is a quarter of the height, from the bottom; 0 draws nothing."""
    bars = [Bar(parts={"created": 20, "updated": 60}, said=""), Bar(parts={"created": 40, "updated": 0}, said="")]
    drawn = chart("Rows", bars, under="", legend={"created": "new"})
    assert heights(drawn) == [("created", 75.0, 25.0), ("updated", 0.0, 75.0), ("created", 50.0, 50.0)]
    assert "<small class=top>80</small>" in drawn


def test_without_amounts_there_is_no_chart() -> None:
    """An empty frame would say nothing."""
    assert chart("Rows", [], under="", legend={}) == ""
    assert chart("Rows", [Bar(parts={"created": 0}, said="")], under="", legend={}) == ""


def test_bars_of_different_width_follow_one_another_without_a_gap() -> None:
    """Two plots of one figure; one without an amount is left out."""
    bars = [Bar(parts={"amount": 2}, said="", width=2.5), Bar(parts={"amount": 4}, said="", width=0.5)]
    none = Plot(bars=[Bar(parts={"amount": 0}, said="")], wide=3)
    drawn = figure("Run", [Plot(bars=bars, wide=3, apart=False), none], legend={})
    assert re.findall(r"x=(\S+) y=\S+ width=(\S+) ", drawn) == [("0", "2.5"), ("2.5", "0.5")]
    assert drawn.count("<svg viewBox='0 0 3 100'") == 1
    assert figure("Run", [none], legend={}) == ""


def test_what_a_chart_says_stays_text() -> None:
    """Names of syncs and units are not markup."""
    drawn = chart(
        "a<b", [Bar(parts={"amount": 0.25}, said="<i>'\"")], under="<u>", legend={"amount": "<s>"}, unit="<x>"
    )
    assert not re.search(r"<(b|i|u|s|x)>(?!a&lt;b)", drawn.replace("<i class=amount></i>", ""))
    assert "0.25 &lt;x&gt;" in drawn


def test_a_meter_is_the_share_of_the_largest() -> None:
    """5 of 20 is a quarter."""
    assert "width=25.00 " in meter(5, 20)
    assert "width=0.00 " in meter(0, 0)
