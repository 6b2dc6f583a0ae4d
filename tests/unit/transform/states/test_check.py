"""States, statuses, computed columns and files: mistakes that are found before a row is read."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import pytest

from shared.entities import AttributeMetadata, AttributeType, Choice
from shared.transform import check
from tests.unit.transform.world import ACCOUNT, definition

T = AttributeType
STATE = AttributeMetadata(
    name="statecode",
    type=T.STATE,
    creatable=False,
    choices=tuple(
        Choice(value=value, labels=(label,), default_status=status)
        for value, label, status in ((0, "Draft", 1), (1, "Active", 2), (2, "Won", 4), (3, "Closed", 5))
    ),
)
STATUS = AttributeMetadata(
    name="statuscode",
    type=T.STATUS,
    choices=tuple(
        Choice(value=value, labels=(label,), state=state)
        for value, label, state in ((1, "Draft", 0), (2, "Active", 1), (3, "Draft", 1), (4, "Won", 2), (5, "Lost", 3))
    ),
)
OTHERS = (
    AttributeMetadata(name="revenue_base", type=T.MONEY, creatable=False, updatable=False, computed="calculated"),
    AttributeMetadata(name="score", type=T.INTEGER, creatable=False, updatable=False, computed="rollup"),
    AttributeMetadata(name="age", type=T.INTEGER, creatable=False, updatable=False, computed="formula"),
    AttributeMetadata(name="entityimage", type=T.IMAGE),
    AttributeMetadata(name="contract", type=T.FILE, creatable=False, updatable=False),
)
Mappings = Sequence[dict[str, Any]]


def reported(table: str, mappings: Mappings, columns: Mappings = ()) -> list[str]:
    entity = replace(
        ACCOUNT,
        logical_name=table,
        attributes={**ACCOUNT.attributes, **{each.name: each for each in (STATE, STATUS, *OTHERS)}},
    )
    return [str(problem) for problem in check(definition(columns, mappings), entity)]


TEXT = [{"name": "x"}]


@pytest.mark.parametrize(
    ("state", "status"),
    [
        ("'Won'", "'Won'"),
        ("2", "4"),
        ("'closed'", "'Lost'"),
        ("upper('active')", "1 + 1"),
        ("@state", "'Lost'"),
        ("1", "'draft'"),
    ],
)
def test_constants_that_agree_are_accepted(state: str, status: str) -> None:
    """By value or label, also as the result of an expression; the value of a parameter is not known yet."""
    assert (
        reported("account", [{"value": state, "target": "statecode"}, {"value": status, "target": "statuscode"}]) == []
    )


def test_constants_that_do_not_agree_are_found_before_a_row_is_read() -> None:
    """The message names the statuses of the state."""
    mappings = [{"value": "'Active'", "target": "statecode"}, {"value": "'Lost'", "target": "statuscode"}]
    (message,) = reported("account", mappings)
    assert message == (
        "destination.mappings[2].value: the status reasons of 1 Active are 2 Active, 3 Draft, and 5 Lost is not one of them"
    )


def test_a_constant_that_several_status_reasons_have_needs_a_state() -> None:
    """A constant state tells which one is meant, and that of a row may; without it, the message names them."""
    draft = {"value": "'Draft'", "target": "statuscode"}
    (message,) = reported("account", [draft])
    assert message == (
        "destination.mappings[1].value: 'draft' names several options of statuscode: 1 Draft, 3 Draft; give the value of "
        "the option that is meant, or make its label unique"
    )
    assert reported("account", [draft, {"value": "'Active'", "target": "statecode"}]) == []
    assert reported("account", [draft, {"source": "x", "target": "statecode"}], TEXT) == []
    (message,) = reported("account", [draft, {"value": "'Won'", "target": "statecode"}])
    assert message.endswith("the status reasons of 2 Won are 4 Won, and 1 Draft is not one of them")


def test_texts_of_cases_that_several_status_reasons_have_need_a_state() -> None:
    """As constants that are mapped."""
    column = {"name": "x", "cases": [{"when": "number = '1'", "then": "'Draft'"}], "default": "'Lost'"}
    status = {"source": "x", "target": "statuscode"}
    (message,) = reported("account", [status], [column])
    assert message.startswith("source.columns[1].cases[0].then: 'Draft' names several options of statuscode")
    mappings = [status, {"source": "number", "target": "statecode"}]
    assert reported("account", mappings, [column]) == []


def test_a_constant_that_is_no_option_is_found_before_a_row_is_read() -> None:
    """Every row would be rejected for it."""
    (message,) = reported("account", [{"value": "'Activ'", "target": "statecode"}])
    assert message == (
        "destination.mappings[1].value: 'activ' is no option of statecode: did you mean 1 Active? "
        "The options of statecode are 0 Draft, 1 Active, 2 Won, 3 Closed"
    )


def test_a_mapped_column_is_checked_row_by_row() -> None:
    """The definition has no mistake."""
    mappings = [{"source": "x", "target": "statecode"}, {"value": "'Lost'", "target": "statuscode"}]
    assert reported("account", mappings, TEXT) == []
    assert reported("opportunity", mappings, TEXT) == []


@pytest.mark.parametrize(
    ("table", "how"),
    [
        ("quote", "the actions WinQuote and CloseQuote"),
        ("salesorder", "the actions FulfillSalesOrder and CancelSalesOrder"),
        ("invoice", "the commands Invoice Paid and Cancel Invoice of Dynamics 365 Sales"),
    ],
)
@pytest.mark.parametrize(
    "mapping",
    [
        {"value": "'Won'", "target": "statecode"},
        {"value": "5", "target": "statuscode"},
        {"source": "x", "target": "statecode"},
        {"value": "@state", "target": "statecode"},
        {"value": "upper(x)", "target": "statuscode"},
    ],
)
def test_for_tables_that_a_sync_cannot_close_the_message_names_the_action(
    table: str, how: str, mapping: dict[str, Any]
) -> None:
    """For a closing state, and for a column that could have one."""
    (message,) = reported(table, [mapping], TEXT)
    path = f"destination.mappings[1].{'value' if 'value' in mapping else 'source'}"
    assert message == (
        f"{path}: a sync cannot close {table} records: only {how} set the states 2 Won, 3 Closed. "
        "Remove the mapping, or map a constant of another state"
    )


@pytest.mark.parametrize(
    "mapping", [{"value": "'Draft'", "target": "statecode"}, {"value": "2", "target": "statuscode"}]
)
def test_a_constant_of_an_open_state_is_accepted_in_these_tables(mapping: dict[str, Any]) -> None:
    """New quotes may be activated."""
    assert reported("quote", [mapping]) == []


@pytest.mark.parametrize(
    ("target", "why"),
    [
        (
            "revenue_base",
            "revenue_base is read-only: the service computes it from revenue and the exchange rate; map revenue",
        ),
        ("score", "score is read-only: it is a rollup column, which the service computes"),
        ("age", "age is read-only: it is a formula column, which the service computes"),
        ("computed", "computed is read-only: the service computes it"),
        ("entityimage", "entityimage is of type Image: images and files come later; remove the mapping"),
        ("contract", "contract is of type File: images and files come later; remove the mapping"),
    ],
)
def test_columns_that_cannot_be_mapped_say_why(target: str, why: str) -> None:
    """The reason is the one that the metadata gives."""
    kind = {"score": "number", "age": "number", "revenue_base": "number"}.get(target, "text")
    (message,) = reported("account", [{"source": "x", "target": target}], [{"name": "x", "type": kind}])
    assert message == f"destination.mappings[1].target: {why}"
