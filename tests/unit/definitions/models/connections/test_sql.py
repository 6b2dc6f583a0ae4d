"""The connection to a database: a URL may hold a password, so it is always a reference."""

from __future__ import annotations

import pytest
from pydantic import ValidationError

from shared.definitions.models import EnvironmentSecret, SqlConnection


def connection(**keys: object) -> SqlConnection:
    """A connection with other keys than the usual."""
    return SqlConnection.model_validate(
        {"kind": "connection", "name": "erp", "type": "sql", "url": {"env": "ERP_URL"}, **keys}
    )


def test_the_url_is_a_reference() -> None:
    """A reference is read as one."""
    assert connection().url == EnvironmentSecret(env="ERP_URL")


def test_a_url_in_plain_text_is_refused_and_not_repeated() -> None:
    """It may contain a password."""
    with pytest.raises(ValidationError) as caught:
        connection(url="postgresql://user:geheim@host/erp")
    assert "do not write a secret here" in str(caught.value)
    assert "geheim" not in str(caught.value)


def test_a_name_is_that_of_a_file() -> None:
    """Other characters are refused."""
    with pytest.raises(ValidationError):
        connection(name="Erp 1")
