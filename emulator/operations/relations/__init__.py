"""Rows and their relations in one request: pairs of many-to-many relationships, and deep insert."""
