"""Mapped values: every type of target column, the values that it rejects, keys and duplicates."""

from __future__ import annotations

from dataclasses import replace
from datetime import date, datetime
from decimal import Decimal
from typing import Any

import pytest

from shared.definitions.models import ColumnType
from shared.entities import AttributeMetadata, AttributeType, Choice
from shared.transform import Omit, desire_steps, desired_finish_steps, layout, shape_steps
from shared.transform.convert import conversion
from shared.transform.targets import read_only
from shared.workspace import Workspace
from tests.unit.transform.world import ACCOUNT, definition, errors, load, shaped

REFUSED = "Invalid Format Exception"


def mapped(workspace: Workspace, target: str, *texts: str | None, kind: str = "text", **column: Any) -> list[Any]:
    """The values of texts in one target column; None for rows that are rejected."""
    sync = definition([{"name": "x", "type": kind, **column}], [{"source": "x", "target": target}])
    shaped(workspace, sync, [(str(number), text) for number, text in enumerate(texts, start=1)])
    found: dict[int, Any] = dict(workspace.query(f'SELECT _row, "{target}" FROM desired'))
    return [found.get(number) for number in range(1, len(texts) + 1)]


def moment(text: str) -> datetime:
    return datetime.fromisoformat(text)


@pytest.mark.parametrize(
    ("target", "kind", "text", "value"),
    [
        ("notes", "text", " as it is\t", " as it is\t"),
        ("notes", "number", "1250.500", "1250.5"),
        ("notes", "number", "100", "100"),
        ("notes", "number", "1e3", "1000"),
        ("notes", "bool", "yes", "true"),
        ("notes", "date", "2024-01-31", "2024-01-31"),
        ("notes", "date", "2024-01-31T10:00:00+01:00", "2024-01-31T09:00:00Z"),
        ("staff", "text", "12", 12),
        ("staff", "number", "12.0", 12),
        ("staff", "bool", "yes", 1),
        ("big", "text", "9223372036854775807", 9223372036854775807),
        ("big", "number", "-9223372036854775808", -9223372036854775808),
        ("rate", "text", "1.2345", Decimal("1.235")),
        ("rate", "number", "-1.2345", Decimal("-1.235")),
        ("revenue", "number", "922337203685477.58", Decimal("922337203685477.58")),
        ("revenue", "text", "0.005", Decimal("0.01")),
        ("latitude", "text", "48.123456789", 48.12346),
        ("latitude", "number", "48.123456789", 48.12346),
        ("active", "bool", "no", False),
        ("active", "text", "Trading", True),
        ("active", "text", "AKTIV ", True),
        ("active", "text", "no business", False),
        ("active", "text", "Yes", True),
        ("active", "number", "0", False),
        ("segment", "text", "consulting", 1),
        ("segment", "text", " FINANZEN ", 2),
        ("segment", "text", "7", 7),
        ("segment", "number", "2", 2),
        ("segment", "number", "2.0", 2),
        ("segments", "text", "7,1,2", "1,2,7"),
        ("segments", "text", "Finance; Consulting;1", "1,2"),
        ("segments", "text", "Two, too", "7"),
        ("segments", "text", "Two, too; beratung", "1,7"),
        ("segments", "number", "7", "7"),
        ("founded", "text", "2024-01-31", date(2024, 1, 31)),
        ("founded", "date", "2024-01-31T23:59:59Z", date(2024, 1, 31)),
        ("called", "date", "2024-01-31T10:20:30.987", moment("2024-01-31T10:20:30")),
        ("called", "text", "2024-01-31 10:20", moment("2024-01-31T10:20:00")),
        ("opens", "date", "2024-01-31", moment("2024-01-31T00:00:00")),
    ],
)
def test_a_value_is_converted_to_the_type_of_its_column(
    workspace: Workspace, target: str, kind: str, text: str, value: object
) -> None:
    """Each type of source value in each type of column that accepts it."""
    assert mapped(workspace, target, text, kind=kind) == [value]
    assert errors(workspace) == []


@pytest.mark.parametrize(
    ("target", "text"),
    [
        ("staff", "1.5"),
        ("staff", "-1"),
        ("staff", "1001"),
        ("staff", "many"),
        ("big", "9223372036854775808"),
        ("rate", "100.0006"),
        ("rate", "1.2.3"),
        ("latitude", "90.1"),
        ("latitude", "nan"),
        ("latitude", "-inf"),
        ("active", "maybe"),
        ("founded", "31.01.2024"),
        ("called", "1752-12-31"),
        ("reference", "not-an-id"),
    ],
)
@pytest.mark.parametrize("validate", [True, False])
def test_a_value_that_does_not_fit_its_column_is_left_out_or_rejects(
    workspace: Workspace, target: str, text: str, *, validate: bool
) -> None:
    """Without validate the field is left out and the row stays; with it the row is rejected."""
    assert mapped(workspace, target, text, validate=validate) == [None]
    assert errors(workspace) == [(1, "x", REFUSED, validate)]
    if not validate:
        assert workspace.query(f"SELECT _omit_{target} FROM desired") == [(True,)]


@pytest.mark.parametrize(
    ("target", "text", "error"),
    [
        ("name", "longer than ten", "Max Length Violation"),
        ("name", "😀😀😀😀😀😀", "Max Length Violation"),
        ("segment", "Unheard of", "Unknown Choice"),
        ("segment", "3", "Unknown Choice"),
        ("segments", "1,3", "Unknown Choice"),
        ("segments", "Finance;Pink", "Unknown Choice"),
        ("segments", '["Finance","Pink"]', "Unknown Choice"),
    ],
)
def test_a_text_too_long_or_an_unknown_choice_rejects_the_row(
    workspace: Workspace, target: str, text: str, error: str
) -> None:
    """With or without validate; the service counts length in UTF-16 units."""
    assert mapped(workspace, target, text) == [None]
    assert errors(workspace) == [(1, "x", error, True)]


@pytest.mark.parametrize(
    ("target", "kept"),
    [
        ("notes", "  "),
        *((name, None) for name in ("staff", "big", "rate", "revenue", "latitude", "active", "segment", "segments")),
        *((name, None) for name in ("founded", "called", "opens", "reference")),
    ],
)
def test_a_text_of_blanks_is_no_value_where_blanks_have_no_meaning(
    workspace: Workspace, target: str, kept: str | None
) -> None:
    """It counts as an empty text; a text column of the target keeps it."""
    assert mapped(workspace, target, "  ", "") == [kept, None]
    assert errors(workspace) == []


@pytest.mark.parametrize("validate", [True, False])
@pytest.mark.parametrize("target", ["segment", "staff", "founded"])
def test_a_required_text_of_blanks_is_missing_where_blanks_have_no_meaning(
    workspace: Workspace, target: str, *, validate: bool
) -> None:
    """It is reported once, as an empty text is."""
    column = {"name": "x", "mandatory": True, "validate": validate}
    sync = definition([column], [{"source": "x", "target": target}])
    shaped(workspace, sync, [("1", "  "), ("2", "")])
    assert errors(workspace) == [(row, "x", "Mandatory Rule Violation", validate) for row in (1, 2)]
    assert workspace.query(f"SELECT _row, {target} FROM desired") == ([] if validate else [(1, None), (2, None)])
    if not validate and target != "segment":
        assert workspace.query(f"SELECT bool_or(_omit_{target}) FROM desired") == [(False,)]


def test_a_required_text_that_fails_to_be_calculated_is_not_called_blank(workspace: Workspace) -> None:
    """Its failure is reported, and nothing else."""
    column = {"name": "x", "formula": "CAST(CAST(number AS INTEGER) AS VARCHAR)", "mandatory": True}
    shaped(workspace, definition([column], [{"source": "x", "target": "staff"}]), [("a",)])
    assert errors(workspace) == [(1, "x", "Invalid Format Exception", False)]


def test_a_text_of_exactly_the_length_fits(workspace: Workspace) -> None:
    """Five characters beyond U+FFFF are ten units."""
    assert mapped(workspace, "name", "äöüßéèêñçø", "😀😀😀😀😀") == ["äöüßéèêñçø", "😀😀😀😀😀"]


def test_a_value_has_precedence_over_an_equal_label(workspace: Workspace) -> None:
    """A label 2 of the option 1 does not hide the option 2."""
    choices = (Choice(value=1, labels=("2", "One")), Choice(value=2, labels=("One",)))
    fitted = conversion(ColumnType.TEXT, AttributeMetadata(name="x", type=AttributeType.STATUS, choices=choices))
    given = "(SELECT unnest(['1', '2', 'One']) AS \"in:x\")"
    found = workspace.query(f'SELECT {fitted.value} FROM (SELECT {fitted.read} AS "read:x" FROM {given})')
    assert found == [(1,), (2,), (None,)]


def test_a_label_of_both_options_is_no_truth_value(workspace: Workspace) -> None:
    """Nor is the word that is written like it; the message lists what names one of the two."""
    choices = (Choice(value=1, labels=("On", "Yes")), Choice(value=0, labels=("Off", "YES", "1")))
    attribute = AttributeMetadata(name="x", type=AttributeType.BOOLEAN, choices=choices)
    entity = replace(ACCOUNT, attributes={**ACCOUNT.attributes, "x": attribute})
    sync = definition([{"name": "x"}], [{"source": "x", "target": "x"}])
    texts = ("on", "OFF", "1", "true", "yes")
    shaped(workspace, sync, [(str(place), text) for place, text in enumerate(texts)], entity=entity)
    found = [value for (value,) in workspace.query("SELECT x FROM desired ORDER BY _row")]
    assert found == [True, False, False, True, None]
    assert workspace.query("SELECT _row, message FROM source_errors") == [
        (5, "not one of: On, Off, 1, true, false, no, 0")
    ]


ALIKE = (
    Choice(value=1, labels=("Other", "Andere")),
    Choice(value=2, labels=("Small", "Small")),
    Choice(value=3, labels=("Otto", "OTHER")),
    Choice(value=4, labels=("Big", "2020")),
    Choice(value=5, labels=("2020",)),
)


@pytest.mark.parametrize("many", [0, 80])
@pytest.mark.parametrize(
    ("kind", "type_", "good", "bad", "said"),
    [
        (AttributeType.PICKLIST, "text", ["1", "andere", "Small", "otto", "Big"], ["other", "2020"], ""),
        (AttributeType.STATUS, "text", ["1", "andere", "Small", "otto", "Big"], ["OTHER", "2020"], ""),
        (AttributeType.MULTI_PICKLIST, "text", ["Andere", "otto;small"], ["Small;Other", "big,2020", "Other"], ""),
        (AttributeType.PICKLIST, "number", ["1", "5.0"], ["2020"], "4 Big, 5 2020: "),
        (AttributeType.PICKLIST, "text", ["4"], ["oTHer"], "1 Other, 3 Otto: "),
        (AttributeType.MULTI_PICKLIST, "text", ["4"], ["Small;other"], "1 Other, 3 Otto: "),
    ],
)
def test_a_label_of_several_options_is_never_written_as_one_of_them(
    workspace: Workspace, *, many: int, kind: AttributeType, type_: str, good: list[str], bad: list[str], said: str
) -> None:
    """Also of options that share it in different languages; the values and the other labels are as good as ever."""
    more = tuple(Choice(value=100 + n, labels=(f"More {n}",)) for n in range(many))
    attribute = AttributeMetadata(name="x", type=kind, choices=(*ALIKE, *more))
    entity = replace(ACCOUNT, attributes={**ACCOUNT.attributes, "x": attribute})
    sync = definition([{"name": "x", "type": type_}], [{"source": "x", "target": "x"}])
    rows = [(str(place), text) for place, text in enumerate([*good, *bad], 1)]
    shaped(workspace, sync, rows, entity=entity)
    assert workspace.query("SELECT _row FROM desired WHERE x IS NOT NULL ORDER BY _row") == [
        (n,) for n, _ in enumerate(good, 1)
    ]
    refused = [(n, "x", "Ambiguous Choice", True) for n, _ in enumerate(bad, len(good) + 1)]
    assert errors(workspace) == refused
    for (message,) in workspace.query("SELECT message FROM source_errors"):
        assert message.startswith(said)
        assert message.endswith(
            ": several options of x have this label; give the value of the option that is meant, or make its label unique"
        )


@pytest.mark.parametrize("kind", [AttributeType.PICKLIST, AttributeType.STATUS, AttributeType.MULTI_PICKLIST])
@pytest.mark.parametrize("many", [0, 80])
def test_an_accent_of_a_label_may_be_written_in_two_ways(workspace: Workspace, kind: AttributeType, many: int) -> None:
    """As one character or as a letter and its accent, on either side; few options are compared, many are joined."""
    more = tuple(Choice(value=100 + n, labels=(f"More {n}",)) for n in range(many))
    choices = (Choice(value=1, labels=("Café",)), Choice(value=2, labels=("E\u0301clair",)), *more)
    attribute = AttributeMetadata(name="x", type=kind, choices=choices)
    entity = replace(ACCOUNT, attributes={**ACCOUNT.attributes, "x": attribute})
    texts = ("café", "CAFE\u0301", "éclair", "e\u0301CLAIR", "cafe")
    shaped(
        workspace,
        definition([{"name": "x"}], [{"source": "x", "target": "x"}]),
        [(str(place), text) for place, text in enumerate(texts)],
        entity=entity,
    )
    found = [row[0] for row in workspace.query("SELECT x FROM desired ORDER BY _row")]
    assert [None if each is None else int(each) for each in found] == [1, 1, 2, 2]
    assert errors(workspace) == [(5, "x", "Unknown Choice", True)]


def test_an_id_is_read_in_any_spelling(workspace: Workspace) -> None:
    """Capitals and braces are the same id."""
    texts = ("0F8FAD5B-D9CB-469F-A165-70867728950E", "{0f8fad5b-d9cb-469f-a165-70867728950e}")
    assert len(set(mapped(workspace, "reference", *texts))) == 1


def test_an_expression_can_be_mapped(workspace: Workspace) -> None:
    """The text of its result is mapped; if it fails for a row, the field is left out."""
    mappings = [
        {"value": "@tag || number", "target": "notes"},
        {"value": "CAST(number AS INTEGER) / 4", "target": "rate"},
        {"value": "DATE '2024-01-31'", "target": "called"},
        {"value": "number = '1'", "target": "active"},
    ]
    shaped(workspace, definition((), mappings), [("1",), ("x",)], {"tag": "T"})
    assert workspace.query("SELECT notes, rate, called, active, _omit_rate FROM desired ORDER BY _row") == [
        ("T1", Decimal("0.250"), moment("2024-01-31T00:00:00"), True, False),
        ("Tx", None, moment("2024-01-31T00:00:00"), False, True),
    ]
    assert errors(workspace) == [(2, "rate", REFUSED, False)]


def test_one_source_column_may_fill_several_target_columns(workspace: Workspace) -> None:
    """Its value is converted for each of them."""
    mappings = [{"source": "number", "target": "notes"}, {"source": "number", "target": "staff"}]
    shaped(workspace, definition((), mappings), [("1",), ("x",)])
    assert workspace.query("SELECT notes, staff, _omit_staff FROM desired ORDER BY _row") == [
        ("1", 1, False),
        ("x", None, True),
    ]


def test_a_source_field_with_an_error_is_left_out_of_every_column(workspace: Workspace) -> None:
    """An unreadable number does not become an empty text in the column it is mapped to."""
    sync = definition([{"name": "x", "type": "number"}], [{"source": "x", "target": "notes"}])
    shaped(workspace, sync, [("1", "n/a"), ("2", None)])
    assert workspace.query("SELECT _row, _omit_notes FROM desired ORDER BY _row") == [(1, True), (2, False)]


def test_no_value_is_calculated_from_a_field_with_an_error(workspace: Workspace) -> None:
    """Calculated fields are left out too, also a default for null; a key that uses it rejects the row."""
    columns: list[dict[str, Any]] = [
        {"name": "x", "type": "number"},
        {"name": "y", "type": "number", "formula": "ISNULL(x, 0)", "validate": True},
        {"name": "z", "formula": "'z' || CAST(y AS INTEGER)"},
    ]
    mappings = [
        {"source": "y", "target": "staff"},
        {"source": "z", "target": "notes", "on_null": "keep"},
        {"value": "'v' || CAST(ISNULL(x, 1) AS INTEGER)", "target": "name"},
    ]
    shaped(workspace, definition(columns, mappings), [("1", "n/a"), ("2", None), ("3", "5")])
    assert workspace.query("SELECT staff, notes, name, _omit_staff, _omit_name FROM desired ORDER BY _row") == [
        (None, None, None, True, True),
        (0, "z0", "v1", False, False),
        (5, "z5", "v5", False, False),
    ]
    assert errors(workspace) == [(1, "x", "Invalid Format Exception", False)]


def test_no_key_is_calculated_from_a_field_with_an_error(workspace: Workspace) -> None:
    """A partly unknown key could match another record."""
    columns = [{"name": "x", "type": "number"}, {"name": "k", "formula": "number || ISNULL(CAST(x AS VARCHAR), '')"}]
    sync = definition(columns, [{"source": "k", "target": "notes"}], sync_key=["notes"])
    shaped(workspace, sync, [("1", "n/a"), ("2", None)])
    assert workspace.query("SELECT _k1 FROM desired") == [("2",)]
    assert (1, "k", "Mandatory Rule Violation", True) in errors(workspace)


@pytest.mark.parametrize(
    ("column", "mapping", "omit"),
    [
        ({}, {"target": "notes"}, Omit.NEVER),
        ({}, {"target": "segment"}, Omit.NEVER),
        ({}, {"target": "staff"}, Omit.FLAGGED),
        ({"validate": True}, {"target": "staff"}, Omit.NEVER),
        ({"type": "number"}, {"target": "notes"}, Omit.FLAGGED),
        ({"type": "number", "validate": True}, {"target": "notes"}, Omit.NEVER),
        ({"formula": "number"}, {"target": "notes"}, Omit.FLAGGED),
        ({"type": "number"}, {"target": "staff", "on_null": "keep"}, Omit.WHEN_NULL),
    ],
)
def test_when_a_column_can_be_left_out(column: dict[str, Any], mapping: dict[str, Any], omit: Omit) -> None:
    """It has a flag only if a field can have an error that does not reject its row."""
    sync = definition([{"name": "x", **column}], [{"source": "x", **mapping}])
    assert layout(sync, ACCOUNT)[1].omit is omit


def test_the_first_row_of_equal_keys_is_used(workspace: Workspace) -> None:
    """Keys are equal as the service compares them: case, accents and trailing spaces do not matter."""
    shaped(workspace, definition(), [("b",), ("É a",), ("e A  ",), ("B",), (" b",), ("STRASSE",), ("straße",)])
    assert workspace.query("SELECT _row FROM desired ORDER BY _row") == [(1,), (2,), (5,), (6,)]
    assert errors(workspace) == [(row, "accountnumber", "Duplicate Key", True) for row in (3, 4, 7)]


@pytest.mark.parametrize(("match", "kept"), [("service", 1), ("accent_sensitive", 2), ("exact", 4)])
def test_key_match_says_which_keys_are_equal(workspace: Workspace, match: str, kept: int) -> None:
    """`service` ignores case, accents and trailing spaces; `accent_sensitive` compares accents; `exact` all."""
    shaped(workspace, definition(key_match=match), [("é",), ("É",), ("e ",), ("é ",)])
    assert workspace.query("SELECT count(*) FROM desired") == [(kept,)]


def test_a_row_without_a_key_is_rejected(workspace: Workspace) -> None:
    """Also if the key has only spaces, which the service compares as empty."""
    shaped(workspace, definition(), [("",), (None,), ("  ",), ("1",)])
    assert errors(workspace) == [(row, "number", "Mandatory Rule Violation", True) for row in (1, 2, 3)]


def test_rejected_rows_protect_their_records(workspace: Workspace) -> None:
    """By key; filtered rows and rows with an empty key protect nothing."""
    sync = definition([{"name": "x", "max_length": 1}], filter="x <> 'f'", dropped="delete")
    shaped(workspace, sync, [("A ", "long"), ("a", "long"), ("b", "f"), ("c", "x"), (None, "long"), (None, "x")])
    assert workspace.query("SELECT _k1 FROM protected") == [("a",)]


@pytest.mark.parametrize(
    ("column", "mapping"),
    [
        ({"formula": "concat_ws('-', number, CAST(CAST(size AS INTEGER) AS VARCHAR))"}, {"source": "key"}),
        ({"cases": [{"when": "size > 5", "then": "number || '-large'"}], "default": "number"}, {"source": "key"}),
        ({"formula": "coalesce(size, 0)", "type": "number"}, {"value": "concat_ws('-', number, key)"}),
    ],
)
@pytest.mark.parametrize("validate", [True, False])
def test_a_key_that_is_calculated_from_an_unreadable_value_may_belong_to_any(
    workspace: Workspace, column: dict[str, Any], mapping: dict[str, Any], *, validate: bool
) -> None:
    """What the expression gives without the value is not the key of the row's record; other rows are as ever."""
    columns = [{"name": "size", "type": "number", "validate": validate}, {"name": "key", **column}]
    sync = definition(columns, [{"target": "notes", **mapping}], sync_key=["notes"], dropped="delete")
    shaped(workspace, sync, [("DE", "7"), ("DE", "2,0"), ("FR", None)])
    assert workspace.query("SELECT _row FROM desired ORDER BY _row") == [(1,), (3,)]
    assert workspace.query("SELECT _k1 FROM protected") == [(None,)]
    assert (2, "size", "Invalid Format Exception", validate) in errors(workspace)


def test_a_key_with_a_character_that_no_record_has_may_belong_to_any(workspace: Workspace) -> None:
    """The service cannot have stored it, so the row's record has another key."""
    shaped(workspace, definition(dropped="delete"), [("1",), ("2\0",)])
    assert workspace.query("SELECT _k1 FROM protected") == [(None,)]


def test_a_key_that_is_longer_than_its_column_may_belong_to_any(workspace: Workspace) -> None:
    """No record can have it, so the key of the row's record is unknown; a long rest of spaces does not count."""
    sync = definition([{"name": "size", "type": "number", "validate": True}], dropped="delete")
    shaped(workspace, sync, [("B" * 20, "x"), ("A" + " " * 20, "1"), ("e\u0301" * 12, "1"), ("c" * 21, "1")])
    assert errors(workspace) == [
        (1, "size", "Invalid Format Exception", True),
        *((row, "number", "Max Length Violation", True) for row in (2, 3, 4)),
    ]
    assert set(workspace.query("SELECT _k1 FROM protected")) == {("b" * 20,), ("a",), ("e" * 12,), (None,)}


@pytest.mark.parametrize("match", ["accent_sensitive", "exact"])
def test_a_long_key_may_belong_to_any_however_keys_are_compared(workspace: Workspace, match: str) -> None:
    """A character beyond U+FFFF counts as two, as for the service."""
    shaped(workspace, definition(dropped="delete", key_match=match), [("𝒳" * 10,), ("𝒳" * 11,)])
    assert workspace.query("SELECT _k1 FROM protected") == [(None,)]


def test_keys_of_several_columns_and_types(workspace: Workspace) -> None:
    """All parts together make the key; a missing part rejects the row."""
    sync = definition(
        [{"name": "size", "type": "number"}],
        [{"source": "size", "target": "staff"}],
        sync_key=["staff", "accountnumber"],
    )
    shaped(workspace, sync, [("a", "1"), ("a", "2"), ("A", "1.0"), ("b", None)])
    assert workspace.query("SELECT _row, _k1, _k2 FROM desired ORDER BY _row") == [(1, 1, "a"), (2, 2, "a")]
    assert errors(workspace) == [
        (3, "staff, accountnumber", "Duplicate Key", True),
        (4, "size", "Mandatory Rule Violation", True),
    ]


def test_values_that_do_not_fit_are_reported_only_for_rows_that_are_synced(workspace: Workspace) -> None:
    """Errors of a filtered row are not reported."""
    sync = definition([{"name": "x"}], [{"source": "x", "target": "staff"}], filter="number <> 'out'")
    shaped(workspace, sync, [("out", "many"), ("in", "few")])
    assert errors(workspace) == [(2, "x", "Invalid Format Exception", False)]


def test_rejected_and_filtered_rows_are_no_duplicates(workspace: Workspace) -> None:
    """The first row that is synced is used, not the first row of the source."""
    sync = definition([{"name": "x", "type": "number", "validate": True}], filter="x > 0")
    shaped(workspace, sync, [("a", "bad"), ("a", "0"), ("a", "1")])
    assert workspace.query("SELECT _row FROM desired") == [(3,)]


def test_malformed_rows_are_counted(workspace: Workspace) -> None:
    """A row that the loader could not split is processed and rejected."""
    workspace.execute(
        'CREATE TABLE source_errors (_row BIGINT, "column" VARCHAR, error VARCHAR, rejected BOOLEAN, message VARCHAR)'
    )
    workspace.execute("INSERT INTO source_errors VALUES (2, '', 'Malformed Row', true, 'two fields')")
    shaped(workspace, definition(), [("1",)])
    assert workspace.query("SELECT processed, verified, rejected, filtered FROM source_counts") == [(2, 1, 1, 0)]


def test_messages_never_contain_a_value(workspace: Workspace) -> None:
    """They say what is expected; values of the row are not in them. Only an unknown choice is named."""
    columns = [{"name": "x", "type": "number"}, {"name": "y"}, {"name": "z", "formula": "CAST(y AS INTEGER)"}]
    mappings = [
        {"source": name, "target": target} for name, target in (("x", "staff"), ("y", "revenue"), ("z", "notes"))
    ]
    shaped(workspace, definition(columns, mappings), [("k-SECRET", "x-SECRET", "y-SECRET")])
    messages = workspace.query("SELECT message FROM source_errors")
    assert len(messages) == 3
    assert not any("SECRET" in message for (message,) in messages)


def test_the_expire_column_is_read_and_not_compared() -> None:
    """It is read, so that it is set only once, and it is never a value of the source."""
    *_, last = layout(definition(dropped={"expire": "expiredon"}), ACCOUNT)
    assert (last.name, last.sql_type, last.writes) == ("expiredon", "TIMESTAMP", False)


@pytest.mark.parametrize(("inserts", "writes"), [(False, False), (True, True)])
def test_the_id_column_is_written_only_with_its_option(*, inserts: bool, writes: bool) -> None:
    """Without id_column_insert a mapped id is matched and never sent."""
    sync = definition([{"name": "id"}], [{"source": "id", "target": "accountid"}])
    destination = sync.destination.model_copy(update={"id_column_insert": inserts})
    column = layout(sync.model_copy(update={"destination": destination}), ACCOUNT)[1]
    assert column.writes is writes


@pytest.mark.parametrize("kind", [AttributeType.PICKLIST, AttributeType.MULTI_PICKLIST])
def test_a_choice_without_options_rejects_every_value(workspace: Workspace, kind: AttributeType) -> None:
    """A choice column that has no options yet rejects every value, and the other columns are not affected."""
    column = AttributeMetadata(name="bare", type=kind)
    bare = replace(ACCOUNT, attributes={**ACCOUNT.attributes, "bare": column})
    sync = definition([{"name": "x"}], [{"source": "x", "target": "bare"}])
    load(workspace, sync, [("1", "anything"), ("2", None)])
    for step in (*shape_steps(sync), *desire_steps(sync, bare), *desired_finish_steps(sync, bare)):
        workspace.run(step)
    assert workspace.query("SELECT _row FROM desired") == [(2,)]
    assert errors(workspace) == [(1, "x", "Unknown Choice", True)]


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("Consulting;Finance;", "1,2"),
        ("Consulting, Finance,", "1,2"),
        ("Consulting;;Finance", "1,2"),
        ('["Finance","Consulting"]', "1,2"),
        ("[2, 1]", "1,2"),
        ("Two, too;", "7"),
        ("[]", None),
        (";", None),
    ],
)
def test_choices_are_read_as_form_exports_and_services_write_them(
    workspace: Workspace, text: str, value: str | None
) -> None:
    """A separator at the end and a JSON array; an empty list is no value, and no row is rejected."""
    assert mapped(workspace, "segments", text) == [value]
    assert errors(workspace) == []


def message(workspace: Workspace) -> str:
    ((said,),) = workspace.query("SELECT message FROM source_errors")
    return str(said)


@pytest.mark.parametrize(
    ("target", "text", "said"),
    [
        ("segment", "Consultin", "a text of 9 characters: did you mean 1 Consulting?"),
        ("segment", "it's new", "a text of 8 characters"),
        ("segment", "x\x1fno option of segment; the value is 'x'", "a text of 40 characters"),
        ("segment", "3", "a number of 1 characters"),
        ("segment", "ann@example.com", "an e-mail address"),
        ("segment", "0b8f6c7e-2d4a-4c1b-9e3f-5a6d7c8b9e0f", "an id"),
        ("segment", "x" * 5000, "a text of 5000 characters"),
        ("segments", "Financ;Consulting", "a text of 17 characters: did you mean 2 Finance?"),
        ("segments", f"Consulting; Pink {'x' * 100}", "a text of 117 characters"),
    ],
)
def test_a_text_that_names_no_option_is_not_in_the_message(
    workspace: Workspace, target: str, text: str, said: str
) -> None:
    """It has the class of the value, as messages about lookups, and the most similar option if one is similar."""
    mapped(workspace, target, text)
    assert message(workspace) == f"no option of {target}; the value is {said}"


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("a\x00b", "character 2 is U+0000"),
        ("ab\x0b", "character 3 is U+000B"),
        ("\ufffe", "character 1 is U+FFFE"),
        ("é😀\x1f", "character 3 is U+001F"),
    ],
)
@pytest.mark.parametrize("target", ["name", "notes"])
def test_a_character_that_the_service_refuses_rejects_the_row(
    workspace: Workspace, target: str, text: str, said: str
) -> None:
    """Before anything is sent; the message has the character and its place."""
    assert mapped(workspace, target, text) == [None]
    assert errors(workspace) == [(1, "x", REFUSED, True)]
    assert message(workspace).startswith(f"{said}, which Dataverse does not accept in text")


@pytest.mark.parametrize("target", ["message", "column", "error", "rejected", "bit", "_k1_"])
def test_a_refused_character_is_reported_whatever_its_column_is_called(workspace: Workspace, target: str) -> None:
    """The names of the columns of `source_errors` are names of target columns too."""
    attribute = AttributeMetadata(name=target, type=AttributeType.STRING)
    table = replace(ACCOUNT, attributes={**ACCOUNT.attributes, target: attribute})
    sync = definition([{"name": "x"}], [{"source": "x", "target": target}])
    load(workspace, sync, [("1", "a\x01"), ("2", "a")])
    for step in (*shape_steps(sync), *desire_steps(sync, table)):
        workspace.run(step)
    assert errors(workspace) == [(1, "x", REFUSED, True)]
    assert message(workspace).startswith("character 2 is U+0001, which Dataverse does not accept")


@pytest.mark.parametrize(
    ("rows", "runs"),
    [
        ([("1", "5"), ("2", None)], False),
        ([("1", "5"), ("2", "many")], True),  # left out of the row, which is not rejected
        ([("1", "5"), ("", "5")], True),  # rejected
        ([("1", "5"), ("2", "7")], True),  # filtered out
    ],
)
def test_steps_about_errors_are_marked_if_they_have_nothing_to_do(
    workspace: Workspace, rows: list[tuple[str, str | None]], *, runs: bool
) -> None:
    """Real time leaves them out: the result must be the same."""
    columns = [{"name": "x", "type": "number", "validate": False}]
    sync = definition(columns, [{"source": "x", "target": "staff"}], filter="x IS DISTINCT FROM 7")
    load(workspace, sync, rows)
    before: dict[str, list[Any]] = {}
    for step in (*shape_steps(sync), *desire_steps(sync, ACCOUNT)):
        if not step.only_if:
            workspace.run(step)
            continue
        tables = {name: workspace.query(f"SELECT * FROM {name} ORDER BY ALL") for name in ("desired", "source_errors")}
        asked = before.setdefault(step.only_if, workspace.query(step.only_if))
        workspace.run(step)
        assert bool(asked) is runs
        if not asked:
            assert tables == {name: workspace.query(f"SELECT * FROM {name} ORDER BY ALL") for name in tables}
    assert len(before) == 1


def test_tabs_and_line_breaks_are_ordinary_text(workspace: Workspace) -> None:
    """The three control characters that XML allows."""
    assert mapped(workspace, "notes", "a\tb\r\nc\x7f") == ["a\tb\r\nc\x7f"]


@pytest.mark.parametrize("kind", ["text", "number"])
@pytest.mark.parametrize(
    ("target", "text", "value"),
    [
        ("revenue", "0.00499999999999999999", Decimal("0.00")),
        ("revenue", "-0.00499999999999999999", Decimal("0.00")),
        ("revenue", "4.99999999999999999e-3", Decimal("0.00")),
        ("revenue", "0.005", Decimal("0.01")),
        ("rate", "1.23449999999999999", Decimal("1.234")),
        ("latitude", "0.00000499999999999", 0.0),
    ],
)
def test_a_number_is_rounded_once(workspace: Workspace, kind: str, target: str, text: str, value: object) -> None:
    """However many digits it has."""
    assert mapped(workspace, target, text, kind=kind) == [value]


STATE = AttributeMetadata(
    name="state", type=AttributeType.STATE, choices=(Choice(value=0, labels=("Active",)),), creatable=False
)
OWNED = AttributeMetadata(name="owned", type=AttributeType.STRING, required="SystemRequired")


@pytest.mark.parametrize("attribute", [STATE, OWNED], ids=["state", "required"])
@pytest.mark.parametrize(
    ("validates", "policy", "wrong", "rows"),
    [(False, "clear", [False], 1), (True, "clear", [True], 0), (False, "keep", [], 1)],
)
def test_an_empty_value_for_a_column_that_is_never_empty(
    workspace: Workspace, attribute: AttributeMetadata, policy: str, wrong: list[bool], rows: int, *, validates: bool
) -> None:
    """It is reported and left out, or rejects a row with `validate`; with `on_null: keep` it is not an error."""
    entity = replace(ACCOUNT, attributes={**ACCOUNT.attributes, attribute.name: attribute})
    sync = definition(
        [{"name": "x", "validate": validates}], [{"source": "x", "target": attribute.name, "on_null": policy}]
    )
    load(workspace, sync, [("1", "")])
    for step in (*shape_steps(sync), *desire_steps(sync, entity), *desired_finish_steps(sync, entity)):
        workspace.run(step)
    assert errors(workspace) == [(1, "x", "Mandatory Rule Violation", rejected) for rejected in wrong]
    assert workspace.query("SELECT count(*) FROM desired") == [(rows,)]
    if rows and wrong:
        assert workspace.query(f'SELECT "_omit_{attribute.name}" FROM desired') == [(True,)]


@pytest.mark.parametrize(
    ("kind", "tables", "cascades"),
    [
        (AttributeType.LOOKUP, {"account"}, True),
        (AttributeType.LOOKUP, {"contact"}, False),
        (AttributeType.PARTY_LIST, {"account"}, False),
    ],
)
def test_a_lookup_in_the_table_itself_knows_whether_deletes_cascade(
    kind: AttributeType, tables: set[str], *, cascades: bool
) -> None:
    """Also where no mapping fills it. Lists of parties are not read."""
    attribute = AttributeMetadata(name="above", type=kind, targets=("account",), deleted_with=frozenset(tables))
    entity = replace(ACCOUNT, attributes={**ACCOUNT.attributes, "above": attribute})
    columns = layout(definition([{"name": "x"}], [{"source": "x", "target": "above"}]), entity)
    assert [column.name for column in columns if column.cascades] == (["above"] if cascades else [])
    assert read_only(entity, "above").cascades is cascades
