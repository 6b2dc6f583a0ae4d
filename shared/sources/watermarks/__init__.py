"""Watermarks: for sources of which only the changes are read."""
