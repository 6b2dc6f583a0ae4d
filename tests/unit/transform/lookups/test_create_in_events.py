"""Lookups of events in their own table are resolved when the columns of the source do not exist any more."""

from __future__ import annotations

import pytest

from shared.definitions.models import Listener
from shared.definitions.models.listener import Topic
from shared.transform import check
from tests.unit.transform.lookups.relations import LINKED, linking, to

OWN = {"entity": "account", "match": "accountnumber"}
CREATED = {"entity": "contact", "match": "code", "on_missing": "create", "create": {"fullname": "b"}}


@pytest.mark.parametrize(
    ("entries", "listener", "found"),
    [
        ([OWN, CREATED], Listener(name="x", topic=Topic()), ["destination.mappings[1].lookup[1].create"]),
        ([OWN, CREATED], None, []),
        ([CREATED], Listener(name="x", topic=Topic()), []),
    ],
)
def test_create_with_columns_beside_a_lookup_in_the_own_table_needs_a_batch(
    entries: list[dict[str, object]], listener: Listener | None, found: list[str]
) -> None:
    sync = linking(to("customer", entries=entries)).model_copy(update={"listener": listener})

    assert [problem.path for problem in check(sync, LINKED)] == found


def test_a_further_column_of_a_created_record_cannot_be_the_number_of_an_event() -> None:
    """Events have no numbers, in `create` as in other expressions."""
    created = to("contact", match="code", on_missing="create", create={"fullname": "'n' || ROW_NUMBER()"})
    sync = linking(created).model_copy(update={"listener": Listener(name="l", topic=Topic(format="json"))})
    (problem,) = check(sync, LINKED)
    assert problem.path == "destination.mappings[1].lookup.create.fullname"
    assert problem.message.startswith("events have no numbers, so ROW_NUMBER()")
