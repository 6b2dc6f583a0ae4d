"""Rows in error: which of them are kept with a run, and how a person's corrected file of them is run again."""
