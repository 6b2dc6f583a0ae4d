"""Columns that scripts calculate: what a script sees of a row, and where its results are kept."""
