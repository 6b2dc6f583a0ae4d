"""Rows that are rejected once it is decided what becomes of them: the record must not get what they say."""
