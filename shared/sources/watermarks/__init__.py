"""Watermarks of sources that can be read from a place on."""
