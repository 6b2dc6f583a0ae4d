"""The error of a schema file."""

__all__ = ["SchemaFileError"]


class SchemaFileError(ValueError):
    """A schema file cannot be read, or is not valid; the message names file, table and column."""
