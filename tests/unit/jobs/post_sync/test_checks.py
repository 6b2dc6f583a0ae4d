"""Which of the operations of a name a step calls."""

from __future__ import annotations

from typing import Any

import pytest

from shared.dataverse import Operation
from shared.definitions.models import PostSyncStep
from shared.jobs.post_sync.checks import operation_of

UNBOUND = Operation(name="new_Do")
ON_ACCOUNT = Operation(name="new_Do", bound_to="account")
ON_ACCOUNTS = Operation(name="new_Do", bound_to="account", collection=True)
ON_ANY = Operation(name="new_Do", bound_to="crmbaseentity")


@pytest.mark.parametrize(
    ("bound_to", "found"),
    [
        (None, UNBOUND),
        ({"entity": "account", "id": "@id"}, ON_ACCOUNT),
        ({"entity": "account"}, ON_ACCOUNTS),
        ({"entity": "contact", "id": "@id"}, Operation(name="new_Do", bound_to="contact")),
        ({"entity": "contact"}, None),
    ],
)
def test_the_operation_that_is_bound_as_the_step_says_is_called(
    bound_to: dict[str, Any] | None, found: Operation | None
) -> None:
    """One that is bound to the base of all tables can be called on a record of each."""
    step = PostSyncStep.model_validate({"name": "a", "action": "new_Do", "bound_to": bound_to})
    assert operation_of(step, [UNBOUND, ON_ACCOUNT, ON_ACCOUNTS, ON_ANY]) == found
