"""JSON as a source: the records of a text one by one, and the files that hold it."""
