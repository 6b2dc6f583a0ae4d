"""The error of a schema file."""

__all__ = ["NotEmulatedTypeError", "SchemaFileError"]


class SchemaFileError(ValueError):
    """A schema file cannot be read, or is not valid; the message names file, table and column."""


class NotEmulatedTypeError(SchemaFileError):
    """A column has a type of Dataverse that the emulator does not have."""
