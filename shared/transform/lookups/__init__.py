"""Lookups: which records of other tables a row refers to. Pure."""
