"""The syncs of a relational data set; see `__main__`."""
