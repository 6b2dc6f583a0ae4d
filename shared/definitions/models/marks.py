"""What a sync does to a record instead of deleting it, and to a record that comes back."""

from __future__ import annotations

from typing import Annotated, Final

from pydantic import Discriminator, Field

from shared.definitions.models.base import Model, Sql, shape_of

__all__ = ["DROPPED", "RETURNED", "Expire", "SetColumns"]


class Expire(Model):
    """Mark a dropped record instead of deleting it."""

    expire: str = Field(min_length=1, description="Date column that is set once, to the start of the run.")


class SetColumns(Model):
    """Give columns of a record values of their own: the mark of a dropped or of a returning record."""

    columns: dict[Annotated[str, Field(min_length=1)], Sql] = Field(
        alias="set",
        min_length=1,
        description="Target column -> expression over `target.*` and parameters. A column that has its value already "
        "is not written again.",
    )


def _form_of(value: object) -> str:
    if isinstance(value, SetColumns) or (isinstance(value, dict) and "set" in value):
        return "set"
    return shape_of(value)


def _returned_form(value: object) -> str:
    return "text" if isinstance(value, str) else "set"


DROPPED: Final = Discriminator(_form_of)
RETURNED: Final = Discriminator(_returned_form)
