"""Telling a record by the values that a source, a plan or a mended file has of it."""

from __future__ import annotations

import json

import pytest

from shared.jobs.batch.undo.record_values import RecordValues, found_in_texts, lines_of

ID = "6a0ee1a7-8f4c-4b8c-9d39-1c2f1ad2a0e7"


@pytest.mark.parametrize(
    ("key", "written", "found"),
    [
        ("A2", " a2  ", True),
        ("José", "JOSE", True),
        ("1.5", "01.50", True),
        ("7", "7.0", True),
        ("7", "70", False),
        ("2024-01-31", "31.01.2024", True),
        ("2024-01-31", "2024-01-31 00:00:00", True),
        ("2024-01-31T09:00:00Z", "2024-01-31T10:00:00+01:00", True),
        ("2024-01-31T09:00:00Z", "31.01.2024 09:00", True),
        ("2024-01-31", "30.01.2024", False),
        ("A2", "A21", False),
        ("´", "", False),
    ],
)
def test_a_key_is_found_as_the_source_writes_it(key: str, written: str, *, found: bool) -> None:
    """Blanks, case, accents, zeros and the order of a date aside; a missing value is no key."""
    assert RecordValues([key], set()).are_in(["other", written]) == found


@pytest.mark.parametrize(
    ("key", "text", "found"),
    [
        ("C-4711", "Customer C-4711 (Zaphod) is locked.", True),
        ("c-4711", "account(accountnumber='C-4711')", True),
        ("C-4711", "number=C-4711.", True),
        ("C-4711", "/data/C-4711.csv", True),
        ("C-4711", "客户C-4711被锁定", True),
        ("客户甲乙", "锁定客户甲乙。", True),
        ("José", "JOSE is locked", True),
        ("Acme Ltd", "acme\n ltd is locked", True),
        ("4711", "row 004711.00 is locked", True),
        ("4711.5", "row 4711.50 is locked", True),
        ("4711", "row 14711", False),
        ("4711", "row 4711.5", False),
        ("4711", "C-4711", False),
        ("0012", "12 rows", False),
        ("0012", "row 0012", True),
        ("C-4711", "C-4711-B", False),
        ("C-4711", "C-47112", False),
        ("anna", "anna@example.com", False),
        ("anna@example.com", "to <Anna@example.com>", True),
        ("contoso", "https://contoso.crm.dynamics.com/api", False),
        ("contoso", "https://api.example.com/contoso", True),
        ("C-1", "Customer C-1 is locked", False),
        ("x", f"account With Id = {ID.upper()} Does Not Exist", True),
    ],
)
def test_a_text_names_a_record_by_its_key_as_a_word(key: str, text: str, *, found: bool) -> None:
    """No part of a longer word or number, and no short key, which would be in any text; an id always."""
    assert RecordValues([key], {ID}).are_named_in(text) == found


def test_a_text_names_a_record_by_all_values_of_its_key() -> None:
    """One of them alone is in texts about other records; one has to be long enough."""
    record = RecordValues(["C-4711", "2"], set())
    assert record.are_named_in("line 2 of C-4711")
    assert not record.are_named_in("line 3 of C-4711")
    assert record.without({"number": "C-4711", "line": 2, "day": "x"}) == {"number": "[erased]", "line": 2, "day": "x"}
    assert record.without({"number": "C-4711", "line": 3}) == {"number": "C-4711", "line": 3}
    assert [found_in_texts(key) for key in (["C-4711", "2"], ["C-1", "2"])] == [True, False]


def test_a_key_of_several_values_is_found_complete() -> None:
    """One of its values alone is that of many records."""
    record = RecordValues(["A1", "2"], set())
    assert record.are_in(["2.0", "Jane", "a1 "])
    assert record.are_in(["A1, 2"])
    assert not record.are_in(["A1", "3"])


@pytest.mark.parametrize(
    ("plan", "found"),
    [
        ({"planned": {"created": 1, "source": {"rows": 1}}, "requests": 1}, False),
        ({"sample": [{"row": 1, "key": {"number": 2}, "columns": []}]}, False),
        ({"sample": [{"row": 5, "key": {"number": 1}, "columns": []}]}, True),
        ({"sample": [{"key": {"number": 2}, "columns": [{"column": "number", "before": "1", "after": 2}]}]}, True),
        ({"sample": [{"key": {"number": 2}, "columns": [{"column": "tries", "before": 1, "after": 2}]}]}, False),
        ({"sample": [{"key": {"number": 1, "site": "B"}, "columns": []}]}, False),
        ({"errors": [{"count": 1, "rows": [1], "examples": [{"row": 1, "line": 1, "key": "2"}]}]}, False),
        ({"errors": [{"examples": [{"row": 3, "key": "1 "}]}]}, True),
        ({"sample": [{"id": ID.upper(), "key": {"number": 9}}]}, True),
        ({"parameters": {"only": ID}}, True),
    ],
)
def test_numbers_of_a_plan_are_no_keys(plan: dict[str, object], *, found: bool) -> None:
    """Only keys before and after changes, examples of errors, and ids are those of records."""
    assert RecordValues(["1"], {ID}).are_in_plan(json.dumps({"plan": plan}).encode()) == found


@pytest.mark.parametrize("data", [b"", b'{"key": "A', b"\xff"])
def test_a_plan_that_cannot_be_read_may_have_the_record(data: bytes) -> None:
    """It is removed with the others."""
    assert RecordValues(["C-4711"], set()).are_in_plan(data)


@pytest.mark.parametrize(
    ("plan", "found"),
    [
        ({"parameters": {"who": "C-4711"}}, True),
        ({"errors": [{"message": "Customer C-4711 is locked"}]}, True),
        ({"sync": "C-4711", "errors": [{"message": "locked"}]}, False),
    ],
)
def test_messages_and_parameters_of_a_plan_may_name_a_record(plan: dict[str, object], *, found: bool) -> None:
    """Its other texts are names of syncs, tables and columns."""
    assert RecordValues(["C-4711"], set()).are_in_plan(json.dumps({"plan": plan}).encode()) == found


@pytest.mark.parametrize("delimiter", [",", ";", "\t"])
def test_mended_rows_may_have_another_delimiter(delimiter: str) -> None:
    """The number of the row is no value of it."""
    text = "\r\n".join(delimiter.join(line) for line in (["number", "name", "to_mend_row"], ["B2", "Bob", "1"]))
    _, _, ((*values,),) = lines_of(text.encode())
    assert values == ["B2", "Bob"]
