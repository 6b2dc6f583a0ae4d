"""Undo of a run: read its journal, compare with the records as they are, and write what takes its changes back."""
