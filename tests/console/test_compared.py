"""Texts compared line by line."""

from __future__ import annotations

import time

from hypothesis import example, given
from hypothesis import strategies as st

from console.audit.compared import ComparedLines, difference

LINES = st.lists(st.sampled_from(["a", "b", "- name: x", "- name: y", " type: text", "", *map(str, range(30))]))


def rebuilt(old: list[str], lines: list[str]) -> list[str]:
    """What the lines of a difference make of a text, as `patch` does."""
    made, at = list[str](), 0
    for line in lines:
        if line.startswith("@@ -"):
            start, _, count = line[4 : line.index(" +")].partition(",")
            begin = int(start) - (count != "0")
            made += old[at:begin]
            at = begin
        elif line.startswith("+"):
            made.append(line[1:])
        else:
            assert old[at] == line[1:]
            made += [] if line.startswith("-") else [old[at]]
            at += 1
    return made + old[at:]


@given(LINES, LINES, st.integers(1, 80))
@example(["a", "b"], ["b", "a"], 80)
@example([], ["a"], 1)
def test_a_difference_makes_the_one_text_of_the_other(old: list[str], new: list[str], times: int) -> None:
    """Whatever their length: texts that are too long to compare every line with every other too."""
    old, new = [*old * times, "middle", *old], [*new * times, "middle", *new]
    lines = difference("".join(f"{line}\n" for line in old), "".join(f"{line}\n" for line in new))
    assert rebuilt(old, lines) == new
    assert bool(lines) == (old != new)


def test_each_change_of_a_long_text_is_there_and_nothing_else() -> None:
    """At its beginning, in the middle of lines that come often, and behind line 2,000."""
    columns = [line for number in range(5_000) for line in (f"  - name: column{number}", "    type: text")]
    old = ["name: a", *columns, "permissions:", "  execute: [runner]"]
    new = ["name: b", *columns, "permissions:", "  execute: [runner, everybody]"]
    new[2 * 1_234] = "    type: number"
    changed = [line for line in difference("\n".join(old), "\n".join(new)) if line[0] in "-+"]
    assert changed == [
        *("-name: a", "+name: b"),
        *("-    type: text", "+    type: number"),
        *("-  execute: [runner]", "+  execute: [runner, everybody]"),
    ]


def test_lines_that_were_put_into_a_long_text_are_those_that_came() -> None:
    """Also thousands of them, and a change behind them."""
    old = [f"line {number}" for number in range(3_000)]
    new = [*old[:1_000], *["the same"] * 4_000, *old[1_000:2_999], "changed"]
    codes = [code for code in ComparedLines(old, new).get_opcodes() if code[0] != "equal"]
    assert codes == [("insert", 1_000, 1_000, 1_000, 5_000), ("replace", 2_999, 3_000, 6_999, 7_000)]


def test_texts_without_a_common_order_are_compared_soon() -> None:
    """What cannot be told apart in time is told as replaced: nothing is left out."""
    begun = time.process_time()
    old = [str(number % 977) for number in range(60_000)]
    lines = difference("\n".join(old), "\n".join(old[::-1]))
    assert rebuilt(old, lines) == old[::-1]
    assert time.process_time() - begun < 20  # seconds; it takes less than one


def test_how_lines_end_is_a_change_too() -> None:
    """Where no line is different, a remark says it; it is no line that went or came."""
    assert difference("a\nb", "a\nb") == []
    (where, remark) = difference("a\r\nb", "a\nb\n")
    assert (where, remark[0]) == ("@@ @@", "\\")
