"""Secrets from environment variables."""

from __future__ import annotations

import pytest

from shared.errors import UserError
from shared.secrets.environment import EnvironmentSecrets


def test_a_secret_is_read_as_the_environment_is_now() -> None:
    """A changed variable is seen without a restart."""
    values = {"TOKEN": "one"}
    store = EnvironmentSecrets(lambda: values)
    assert store.get("TOKEN") == "one"
    values["TOKEN"] = "two"
    assert store.get("TOKEN", fresh=True) == "two"


@pytest.mark.parametrize("values", [{}, {"TOKEN": ""}])
def test_the_error_of_a_missing_variable_names_where_to_set_it(values: dict[str, str]) -> None:
    """Both places that are read are named."""
    with pytest.raises(UserError, match=r"TOKEN.*local\.settings\.json"):
        EnvironmentSecrets(lambda: values).get("TOKEN")
