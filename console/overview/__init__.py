"""The first page: whether everything is in step."""
