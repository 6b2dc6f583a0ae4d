"""Texts of others on a terminal, in JSON and in a spreadsheet."""

from __future__ import annotations

import json
import logging
import re
import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.table import Table
from rich.text import Text

from shared.cli.screen.output import Output
from shared.telemetry.logs import JsonLines
from shared.visible import for_spreadsheet, for_terminal, in_field, in_html, in_json

OBEYED = {chr(code) for code in (*range(9), *range(11, 32), *range(127, 160), 0x2028, 0x2029)}
OBEYED |= {chr(code) for code in (*range(0x202A, 0x202F), *range(0x2066, 0x206A))}
TEXTS = st.text(st.characters() | st.sampled_from(sorted(OBEYED)) | st.sampled_from("\ud800\udfff\udc80"))
ESCAPES = "\x1b]0;title\x1b\\\x1b[2J\x9b31m\x1b]52;c;cm0gLXJm\x07\u202egpj.exe\x7f"


@given(TEXTS)
def test_no_character_that_a_terminal_obeys_is_left(text: str) -> None:
    """Controls of both sets, line separators, overrides of the direction and bytes that are no text are replaced."""
    clean = for_terminal(text)
    assert not OBEYED & set(clean)
    assert len(clean) == len(text)
    assert all(unicodedata.category(sign) != "Cc" for sign in clean if sign not in "\t\n")
    clean.encode("utf-8")


@pytest.mark.parametrize(
    "text", ["", "Müller & Söhne\tGmbH\n2. Zeile", "日本語", "שלום", "👩\u200d👩\u200d👧", "a\u200fb", "\ufffd"]
)
def test_what_people_write_stays(text: str) -> None:
    """Letters of every script, joined emoji, tabs and lines."""
    assert for_terminal(text) == text


@given(st.recursive(TEXTS | st.integers(), lambda inner: st.lists(inner) | st.dictionaries(TEXTS, inner), max_leaves=5))
def test_json_is_clean_and_means_the_same(value: object) -> None:
    """What is not allowed to stand there is escaped, so that a program reads the same values."""
    line = in_json(json.dumps(value, ensure_ascii=False))
    assert not OBEYED & set(line)
    assert json.loads(line) == value


def test_a_log_line_holds_no_control_character() -> None:
    """People look at logs in terminals."""
    record = logging.LogRecord("x", logging.INFO, "x.py", 1, "sync %s", (ESCAPES,), None)
    line = JsonLines().format(record)
    assert not OBEYED & set(line)
    assert json.loads(line)["message"] == f"sync {ESCAPES}"


@pytest.mark.parametrize("as_json", [False, True])
def test_nothing_that_a_command_prints_commands_the_terminal(
    *, as_json: bool, capsys: pytest.CaptureFixture[str]
) -> None:
    """Texts, tables and errors: there is one place that all of them pass."""
    table = Table("Name", title=ESCAPES)
    table.add_row(Text(ESCAPES))
    output = Output(as_json=as_json)
    output.result({"name": ESCAPES}, Text(ESCAPES, style="red"), table, ESCAPES)
    output.say(f"ERROR: {ESCAPES}", style="red")
    said = capsys.readouterr()
    assert not OBEYED & set(said.out + said.err)
    assert "gpj.exe" in said.out
    assert "gpj.exe" in said.err


@pytest.mark.parametrize(
    ("cell", "written"),
    [
        ("=1+1", "'=1+1"),
        ("+cmd|' /C calc'!A0", "'+cmd|' /C calc'!A0"),
        ("-2+3", "'-2+3"),
        ("@SUM(1)", "'@SUM(1)"),
        ("\t=1", "'\t=1"),
        ("\r=1", "'\ufffd=1"),
        ("\n=1", "'\n=1"),
        ("＝1", "'＝1"),
        ("-5", "-5"),
        ("+49", "+49"),
        ("-1.5e3", "-1.5e3"),
        ("-1,50", "-1,50"),
        ("-", "'-"),
        ("name: =1", "name: =1"),
        ("a\x1b[2J", "a\ufffd[2J"),
        ("", ""),
    ],
)
def test_a_cell_that_begins_like_a_formula_is_text(cell: str, written: str) -> None:
    """Numbers stay what they are."""
    assert for_spreadsheet(cell) == written


@given(st.text())
def test_a_page_has_nothing_that_a_terminal_obeys(text: str) -> None:
    """Browsers read a reference as the character; where HTML has none, one sign stands there."""
    assert for_terminal(in_html(text)) == in_html(text)
    assert in_html("a\x1bc\x9bd\x00") == "a&#x1b;c\N{REPLACEMENT CHARACTER}d\N{REPLACEMENT CHARACTER}"


@given(st.text(st.characters(blacklist_characters="&<>\r")))
def test_a_field_has_what_its_page_has(text: str) -> None:
    """Browsers read references as the characters; what has none is one sign in both."""
    page = in_html(f"<textarea>{text}</textarea>")[len("<textarea>") : -len("</textarea>")]
    assert re.sub("&#x([0-9a-f]+);", lambda found: chr(int(found[1], 16)), page) == in_field(text)


@pytest.mark.parametrize("mark", ["\u202a", "\u202e", "\u2066", "\u2069"])
def test_a_page_shows_no_text_turned_around(mark: str) -> None:
    """One sign stands in its place, but in what is sent again: there it stays the character."""
    code = f"&#x{ord(mark):x};"
    sign = "\N{REPLACEMENT CHARACTER}"
    assert in_html(f"<p>a{mark}b</p>") == f"<p>a{sign}b</p>"
    assert in_html(f'<input value="{mark}"> {mark}') == f'<input value="{code}"> {sign}'
    area = f'<textarea name="a">\n{mark} &lt;b\n</textarea>'
    assert in_html(area + mark) == area.replace(mark, code) + sign
