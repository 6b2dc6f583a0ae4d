"""From a YAML text to a `SyncDefinition`, or to every mistake in it."""

from __future__ import annotations

import yaml
from pydantic import ValidationError

from shared.definitions.models import SyncDefinition
from shared.errors import DefinitionError, Problem

__all__ = ["load_definition"]


def load_definition(text: str, *, file: str = "") -> SyncDefinition:
    """Parse one definition.

    Raises:
        DefinitionError: With every mistake of the text.
    """
    try:
        return SyncDefinition.model_validate(yaml.safe_load(text))
    except ValidationError as error:
        problems = [
            Problem(message=each["msg"], file=file, path=".".join(map(str, each["loc"]))) for each in error.errors()
        ]
    raise DefinitionError(problems)
