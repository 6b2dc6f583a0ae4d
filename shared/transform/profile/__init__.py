"""What the values of a source and of a table show: which columns could be a key, and of which types they are."""
