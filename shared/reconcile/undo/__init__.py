"""Undo: what a run keeps of its changes, which of them can be taken back, and the changes that do it."""
