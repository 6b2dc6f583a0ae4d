"""Columns that get a value other than that of a row: marks of dropped and returned records, updates after the sync."""
