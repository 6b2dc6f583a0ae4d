"""Parquet as a source: the files, and the fields in their nested values."""
