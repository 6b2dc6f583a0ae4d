"""What is wrong with a schema file."""

__all__ = ["SchemaFileError"]


class SchemaFileError(ValueError):
    """A schema file can't be read or says something the emulator does not know; the message names the place."""
