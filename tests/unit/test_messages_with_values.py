"""Messages about values, with the value where it was asked for."""

from __future__ import annotations

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from shared.reconcile.row_details import RowDetails
from shared.transform import SOURCE_ERRORS
from shared.visible import with_value
from shared.workspace import Workspace

MESSAGES = {
    "not a date in dd-MM-yy, as in 31-01-24": "'1996' is not a date in dd-MM-yy, as in 31-01-24",
    "not a number; it must be written plainly, as in 1250.50": "'1996' is not a number; it must be written plainly, as in 1250.50",
    "not one of true, false": "'1996' is not one of true, false",
    "longer than 3 characters": "'1996' is longer than 3 characters",
    "a time that exists twice in Europe/Berlin": "'1996' is a time that exists twice in Europe/Berlin",
    "B17 of Sheet: 1 of a.xlsx: not a number": "B17 of Sheet: 1 of a.xlsx: '1996' is not a number",
    "no account has this number; the value is a text of 4 characters": "no account has this number; the value is '1996'",
    "no team has this name; the value is a number of 4 characters; ownerid is cleared": (
        "no team has this name; the value is '1996'; ownerid is cleared"
    ),
    "no team has this name; the value is an id; match: id searches by id": (
        "no team has this name; the value is '1996'; match: id searches by id"
    ),
    "a value is required": "a value is required",
    "an earlier row has the same key; the first one counts": "an earlier row has the same key; the first one counts",
    "no option of industrycode; the value is a number of 4 characters: did you mean 7 Consulting? The options of": (
        "no option of industrycode; the value is '1996': did you mean 7 Consulting? The options of"
    ),
}


@pytest.mark.parametrize(("message", "told"), MESSAGES.items())
def test_the_value_becomes_a_part_of_the_sentence(message: str, told: str) -> None:
    """Where the message is about a value and has it not already."""
    assert with_value(message, (7, 8), [{"row": 7, "value": "1996"}]) == told
    assert with_value(message, (7, 8), [{"row": 7, "key": "A"}]) == message
    assert with_value(message, (7, 8), [{"row": 8, "value": "1996"}]) == message


@pytest.fixture(scope="module")
def workspace() -> Workspace:
    return Workspace.open()


@given(message=st.sampled_from(sorted(MESSAGES)) | st.text(), value=st.text(max_size=99))
@example(message="not a number", value="\\1 \\\\ 'x' \n" + 50 * "ä")
def test_the_files_have_the_same_sentence(workspace: Workspace, message: str, value: str) -> None:
    """Which SQL makes there: for any message and any value."""
    if "\0" in message + value:
        return
    workspace.execute("DROP TABLE IF EXISTS source_errors; DROP TABLE IF EXISTS source_raw")
    workspace.run(SOURCE_ERRORS)
    workspace.execute("CREATE TABLE source_raw (_row BIGINT, a VARCHAR)")
    workspace.execute("INSERT INTO source_raw VALUES (1, ?)", [value])
    workspace.execute("INSERT INTO source_errors VALUES (1, 'a', 'E', true, ?)", [message])
    ((_, _, said, *_),) = workspace.query(RowDetails(values={"a": "raw.a"}).file()[1])
    told = with_value(message, (1,), [{"row": 1, "value": value}])
    assert said == ": ".join(filter(None, ("a", "E", told)))
