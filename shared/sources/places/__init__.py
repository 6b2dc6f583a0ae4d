"""The places of the rows of a source in its files."""
