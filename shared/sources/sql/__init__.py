"""Databases as sources: one statement, read in a stream, never changed."""
