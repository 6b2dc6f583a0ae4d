"""Truth values where a definition needs a number: Python takes true for 1."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Annotated, Any, cast

import pytest
from pydantic import TypeAdapter, ValidationError

from shared.definitions.models import SyncDefinition
from shared.definitions.models.base import Model
from shared.definitions.models.columns import TypedColumn


def models(parent: type[Model] = Model) -> Iterator[type[Model]]:
    for child in parent.__subclasses__():
        yield child
        yield from models(child)


def kinds(schema: dict[str, Any]) -> set[str]:
    return {schema.get("type", "")}.union(*map(kinds, schema.get("anyOf", schema.get("oneOf", ()))))


def numbers() -> Mapping[str, TypeAdapter[Any]]:
    """The fields that take a number and no truth value."""
    assert SyncDefinition in models()
    found: dict[str, TypeAdapter[Any]] = {}
    for model in set(models()) - {TypedColumn}:  # is made from the source, never written
        for name, field in model.model_fields.items():
            form: Any = Annotated[cast("Any", field.annotation), *field.metadata, field.discriminator]
            adapter = TypeAdapter[Any](form)
            if (taken := kinds(adapter.json_schema())) & {"integer", "number"} and "boolean" not in taken:
                found[f"{model.__name__}.{name}"] = adapter
    return found


NUMBERS = numbers()


@pytest.mark.parametrize("field", sorted(NUMBERS))
@pytest.mark.parametrize("value", [True, False])
def test_a_truth_value_is_no_number(field: str, *, value: bool) -> None:
    """Otherwise `max_delete: true` would be a limit of one record."""
    with pytest.raises(ValidationError):
        NUMBERS[field].validate_python(value)
