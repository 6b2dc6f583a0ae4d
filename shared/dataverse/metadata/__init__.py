"""The environment's metadata of tables and columns."""
