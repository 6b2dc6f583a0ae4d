"""Secrets that people write into a vault: the form, the rule who may, and the API."""
