"""What a user writes: models, the YAML loader that places every mistake, parameters, the JSON Schema."""

from shared.definitions.loading import load_definition
from shared.definitions.models import SyncDefinition

__all__ = ["SyncDefinition", "load_definition"]
