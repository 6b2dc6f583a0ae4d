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
