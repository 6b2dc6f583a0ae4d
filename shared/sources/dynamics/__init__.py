"""Dataverse as a source: the columns of a table or query, and its records."""
