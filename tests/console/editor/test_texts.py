r"""Texts with line breaks, blanks and control characters, and texts that look like numbers.

HTML: an `<input>` drops line breaks, and a `<textarea>` makes `\r\n` of each of them.
"""

from __future__ import annotations

from typing import Any

import pytest

from console.editor.forms.reading import Sent
from console.editor.tabs import TABS, tab_named, values_with, widgets_of
from console.web.field_texts import carried, restored
from shared.definitions.loading.yaml_loader import read_yaml
from shared.drafts.editing import rewritten
from tests.console.editor.filled import as_browser, of_area, of_input, with_fields

TEXT = r"""name: customers
description: "a\r\nb\rc\u2028d\u202ee\x07"
schedule: >
  0 0 6 * * *
parameters:
  lines: {default: "line1\nline2"}
  blanks: {default: " x "}
  five: {default: "5"}
  number: {default: 5}
  day: {default: 2026-01-31}
  yes: {default: "true"}
  words: {default: some words}
source:
  type: delimited
  path: |
    customers.csv
  delimiter: "\t"
  text_qualifier: ""
  null_values: ["", " -", "N/A ", "n/a"]
  columns:
    - name: name
      thousands_separator: " "
      true_values: ["yes", " y "]
      null_values: ["a\nb", "c\rd"]
      replace: [{pattern: ";", with: "\n"}, {pattern: "\t", with: " "}, {pattern: "\0", with: "\r"}]
      strip: "a\x92b\x7f"
      script: |
        function calculate(row) {
        →return 1
        }
destination:
  client_id: "a\nb"
  mappings:
    - {source: name, target: "name\n"}
    - {source: "na\nme", target: name, delimiter: " "}
sync_behaviour: {dropped: "dele\nte", sync_key: [" name"]}
" x\n": 1
""".replace("→", "\t")
ROW = "source__columns__0__"


def saved(slug: str, text: str = TEXT, **fields: str) -> str:
    """The text after some fields of a tab were changed."""
    return rewritten(text, with_fields(text, slug, **fields))


@pytest.mark.parametrize("tab", TABS, ids=lambda tab: tab.slug)
def test_a_tab_that_was_only_visited_changes_no_text(tab: Any) -> None:
    """Whatever a browser makes of the texts in its fields."""
    data = read_yaml(TEXT).value
    assert rewritten(TEXT, values_with(tab, data, Sent(as_browser(widgets_of(tab, data))))) == TEXT


@pytest.mark.parametrize(
    ("tab", "field", "typed", "before", "after"),
    [
        ("info", "parameters__lines__default", "line1\r\n2", r'"line1\nline2"', r'"line1\n2"'),
        ("info", "schedule", "0 0 7 * * *\r\n", ">\n  0 0 6 * * *", "'0 0 7 * * *'"),
        ("info", "parameters__words__default", " ", "some words", "' '"),
        ("source", "delimiter", " ", r'"\t"', '" "'),
        ("source", "delimiter", "\t", r'"\t"', r'"\t"'),
        ("columns", "replace__1__with", "\t", 'with: " "', r'with: "\t"'),
        ("columns", "replace__1__with", "  ", 'with: " "', 'with: "  "'),
        ("columns", "thousands_separator", "\u00a0", 'separator: " "', r'separator: "\U000000A0"'),
        ("columns", "script", "function calculate(row) {\r\n\treturn 2\r\n}\r\n", "return 1", "return 2"),
    ],
)
def test_a_text_becomes_what_was_typed(tab: str, field: str, typed: str, before: str, after: str) -> None:
    """Blanks stay where they have a meaning; nothing else in the text changes."""
    begin = {"source": "source__", "columns": ROW}.get(tab, "")
    assert saved(tab, **{begin + field: typed}) == TEXT.replace(before, after, 1)


def test_blanks_at_the_ends_go_where_they_have_no_meaning() -> None:
    """A text of the environment or a path that was pasted with them."""
    values = with_fields(TEXT, "source", source__path=" other.csv ")["source"]
    assert values["path"] == "other.csv"


@pytest.mark.parametrize(
    ("typed", "items"),
    [
        ("\n -\nN/A \nn/a\nNULL", ["", " -", "N/A ", "n/a", "NULL"]),
        ("NULL\n\n -\nN/A \nn/a", ["NULL", "", " -", "N/A ", "n/a"]),
        ("\n -\nN/A \nn/a\n  \n", ["", " -", "N/A ", "n/a", "  "]),
        (" -\nn/a", [" -", "n/a"]),
        ("\n--\nN/A \nn/a", ["", "--", "N/A ", "n/a"]),
        ("n/a\nN/A \n -\n", ["n/a", "N/A ", " -", ""]),
    ],
)
def test_entries_of_a_list_that_were_not_touched_stay(typed: str, items: list[str]) -> None:
    """Also empty ones and blanks; a new entry may be a blank where one has a meaning."""
    assert with_fields(TEXT, "source", source__null_values=of_area(typed))["source"]["null_values"] == items


def test_a_list_is_empty_when_its_field_is() -> None:
    """The key goes."""
    assert "null_values" not in with_fields(TEXT, "source", source__null_values="")["source"]


@pytest.mark.parametrize(
    ("name", "typed", "value"),
    [
        ("five", "6", "6"),
        ("yes", "false", "false"),
        ("words", "null", "null"),
        ("words", "2026-01-31", "2026-01-31"),
        ("number", "6", 6),
        ("number", "six", "six"),
        ("number", " 6 ", 6),
    ],
)
def test_a_value_keeps_its_type(name: str, typed: str, value: Any) -> None:
    """A text stays one, whatever it looks like; a number is one as long as a number is typed."""
    parameters = with_fields(TEXT, "info", **{f"parameters__{name}__default": typed})["parameters"]
    assert (parameters[name]["default"], type(parameters[name]["default"])) == (value, type(value))


@pytest.mark.parametrize(
    ("before", "typed", "value"),
    [
        ("1", "2", 2),
        ('"1"', "2", "2"),
        ("1", "Sheet", "Sheet"),
        ("[1, 2]", "1\n3", [1, 3]),
        ('["1", "2"]', "1\n3", ["1", "3"]),
        ('[1, "2"]', "1\n2\n3", [1, "2", "3"]),
        ("[1]", "1\n2", [1, 2]),
    ],
)
def test_a_sheet_keeps_its_type(before: str, typed: str, value: Any) -> None:
    """Its number and its name are not the same sheet."""
    text = f"name: a\nsource: {{type: excel, path: a.xlsx, sheet: {before}}}\n"
    assert with_fields(text, "source", source__sheet=of_area(typed))["source"]["sheet"] == value


@pytest.mark.parametrize(
    ("before", "typed", "value"), [("30%", "500", 500), ("30%", "40%", "40%"), ("500", "30%", "30%")]
)
def test_a_type_that_the_key_does_not_allow_is_not_kept(before: str, typed: str, value: Any) -> None:
    """A number of rows is no text."""
    text = f"name: a\nsync_behaviour: {{safety: {{max_delete: {before}}}}}\n"
    values = with_fields(text, "behaviour", sync_behaviour__safety__max_delete=typed)
    assert values["sync_behaviour"]["safety"]["max_delete"] == value


def test_a_field_without_a_value_reads_what_yaml_reads() -> None:
    """A parameter that had no default."""
    text = "name: a\nparameters: {a: {}, b: {}, c: {}}\n"
    fields = {"parameters__a__default": "5", "parameters__b__default": "five", "parameters__c__default": " "}
    values = with_fields(text, "info", **fields)["parameters"]
    assert values == {"a": {"default": 5}, "b": {"default": "five"}, "c": {"default": " "}}


@pytest.mark.parametrize("text", ["", "a", "a\r\nb\rc\nd\0", "a\x92\r\nb\x7f\nc", "\n", "\r", "\r\n\r\n"])
def test_what_a_browser_brings_back_is_known(text: str) -> None:
    """From a field of one line and from one of several."""
    assert carried(text, one_line=True) == of_input(text)
    assert carried(text) == of_area(text).replace("\r\n", "\n")
    assert restored(text, carried(text)) == text


@pytest.mark.parametrize(
    ("before", "sent", "after"),
    [
        ("a\r\nb\nc\rd", "a\nB\nc\nd", "a\r\nB\r\nc\rd"),
        ("a\r\nb", "a\nb\nc\n", "a\r\nb\r\nc\r\n"),
        ("a\r\nb\r\n", "b\n", "b\r\n"),
        ("a\nb", "a\nb\nc", "a\nb\nc"),
        ("a\rb", "a\nb\nc\n", "a\rb\rc\r"),
        ("a\r\na\r\n", "a\na\na\n", "a\r\na\r\na\r\n"),
        ("a\r\nb", "", ""),
        ("a\x92\nb\x7f", "a\ufffd\nB", "a\x92\nB"),
    ],
)
def test_lines_that_were_not_edited_keep_their_line_breaks(before: str, sent: str, after: str) -> None:
    """New lines have those of the text."""
    assert restored(before, sent) == after


def test_a_tab_has_fields_for_all_these_texts() -> None:
    """The test above would prove nothing without them."""
    data = read_yaml(TEXT).value
    shown = {each.name: each.text for slug in ("info", "columns") for one in widgets_of(tab_named(slug), data)
             for each in one.walk()}  # fmt: skip
    assert shown["parameters.lines.default"] == "line1\nline2"
    assert shown["source.columns.0.replace.0.with"] == "\n"
