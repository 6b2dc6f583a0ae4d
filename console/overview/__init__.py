"""The first page: which syncs need a person."""
