"""Batch runs: which syncs are due, and one run from its lease to its last log line."""
