"""`BatchDataSyncConfig` files as definitions: each element becomes YAML, or a line about what a person has to do."""

from shared.drafts.batch_config.convert import ImportedDefinition, imported

__all__ = ["ImportedDefinition", "imported"]
