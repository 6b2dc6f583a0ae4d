"""A database as a source."""

from __future__ import annotations

import re
from typing import Annotated, Final, Literal

from pydantic import AfterValidator, Field

from shared.definitions.models.base import SYNC_NAME, DatabaseSql, Text
from shared.definitions.models.names import names_in
from shared.definitions.models.secrets import REFERENCE_REMEDY, ClientId, EnvironmentSecret, KeyVaultSecret
from shared.definitions.models.sources.base import SelfDescribing
from shared.definitions.models.sources.watermark import WatermarkedSource

__all__ = ["SqlSource", "connection_name"]

_NAME: Final = re.compile(SYNC_NAME)


def connection_name(value: str | KeyVaultSecret | EnvironmentSecret) -> str | KeyVaultSecret | EnvironmentSecret:
    """Refuse a text that cannot be the name of a connection, without repeating it: it may be a URL with a password."""
    if isinstance(value, str) and not names_in(value) and not _NAME.fullmatch(value):
        raise ValueError(f"this is not the name of a connection; for its URL: {REFERENCE_REMEDY}")
    return value


class SqlSource(SelfDescribing, WatermarkedSource):
    """A table, a view or a query of a database."""

    type: Literal["sql"] = Field(description="A database.")
    connection: Annotated[ClientId, AfterValidator(connection_name)] = Field(
        description="Name of a connection of type `sql`, or a reference to the URL of the database, such as "
        "`postgresql://user:password@host/database`."
    )
    table: Text | None = Field(
        default=None, description="Table or view, if necessary with its schema: `sales.customers`."
    )
    query: DatabaseSql | None = Field(
        default=None,
        description="A SELECT in the SQL of the database, instead of `table`. It must be usable as a subquery.",
    )
    filter: DatabaseSql | None = Field(
        default=None, description="Condition in the SQL of the database (`WHERE`); only these rows are read."
    )

    @property
    def row_filter(self) -> str | None:
        """None: the database applies the filter."""
        return None
